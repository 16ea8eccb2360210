//! Counts and seconds of the stages.

use std::time::Instant;

/// Number of runs of a stage, and their duration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stage {
    /// Candidates that reached the stage.
    pub count: u64,
    /// Candidates among these whose verdict fell there.
    pub decided: u64,
    /// Seconds, summed over the workers.
    pub seconds: f64,
}

/// The stages of screening.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stages {
    /// Drawing the candidate and checking its inputs.
    pub structural: Stage,
    /// Flattening the candidate and looking its canonical form up.
    pub cached: Stage,
    /// Value and gradient at the stored predictions.
    pub gradient: Stage,
    /// Looking up candidates with the same gradients.
    pub equivalent: Stage,
    /// Optimising the stored predictions and scoring them.
    pub optimised: Stage,
}

impl Stages {
    /// The stages in their order, by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &Stage); 5] {
        [
            ("structural", &self.structural),
            ("cached", &self.cached),
            ("gradient", &self.gradient),
            ("equivalent", &self.equivalent),
            ("optimised", &self.optimised),
        ]
    }

    /// Adds another worker's stages.
    pub fn add(&mut self, other: &Self) {
        for (sum, stage) in [
            (&mut self.structural, other.structural),
            (&mut self.cached, other.cached),
            (&mut self.gradient, other.gradient),
            (&mut self.equivalent, other.equivalent),
            (&mut self.optimised, other.optimised),
        ] {
            sum.count += stage.count;
            sum.decided += stage.decided;
            sum.seconds += stage.seconds;
        }
    }
}

impl Stage {
    /// Does a candidate's part of the stage.
    pub(super) fn timed<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.count += 1;
        self.seconds += start.elapsed().as_secs_f64();
        result
    }
}
