//! The last stage: the stored predictions are optimised, and the gain is judged.

use std::time::Instant;

use super::gain::Gain;
use super::pending::Open;
use super::scratch::Scratch;
use super::screener::Screener;
use super::verdict::Verdict;

impl Screener {
    /// The fifth stage: optimises the stored predictions and judges the gain.
    pub fn optimise(&self, open: Open, scratch: &mut Scratch) -> Verdict {
        match self.early(open, scratch) {
            Ok(open) => self.late(&open, scratch),
            Err(verdict) => *verdict,
        }
    }

    /// The first steps of the fifth stage.
    ///
    /// # Errors
    /// The verdict, where they settle it.
    pub(super) fn early(&self, open: Open, scratch: &mut Scratch) -> Result<Open, Box<Verdict>> {
        if !self.settings.rejection {
            return Ok(open);
        }
        let mut stage = scratch.stages.optimised;
        let gain = stage.timed(|| self.early_gain(&open.flat.programs, scratch));
        scratch.stages.optimised = stage;
        match gain {
            Some(gain) => Err(Box::new(self.judged(&open, gain, scratch))),
            None => Ok(open),
        }
    }

    /// The rest of the fifth stage.
    pub(super) fn late(&self, open: &Open, scratch: &mut Scratch) -> Verdict {
        if !self.settings.rejection {
            return open.unjudged();
        }
        let start = Instant::now();
        let gain = self.gain(&open.flat.programs, scratch);
        scratch.stages.optimised.seconds += start.elapsed().as_secs_f64();
        self.judged(open, gain, scratch)
    }

    fn judged(&self, open: &Open, gain: Gain, scratch: &mut Scratch) -> Verdict {
        scratch.stages.optimised.decided += 1;
        let (judgement, reason, g) = gain.judged(self.settings.threshold, self.samples.len());
        Verdict {
            judgement,
            reason,
            g,
            ..open.unjudged()
        }
    }
}
