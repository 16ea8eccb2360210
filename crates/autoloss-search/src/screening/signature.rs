//! Direction in which a loss pulls predictions on their way to the targets, in a few numbers: losses alike in
//! this train networks alike, whatever their formulas, and so their scores can be predicted from
//! each other. (ours)
//!
//! Gradients are taken at the stored predictions and at two places between them and the targets,
//! and their directions put into count sketches (Charikar, Chen and Farach-Colton 2002), which keep
//! inner products up to a few percent.

use autoloss_expr::Loss;

use super::fingerprint::mixed;
use super::gradient::gradient_at;
use super::on_the_way::{OnTheWay, PLACES, towards_target};
use super::scratch::Scratch;
use super::screener::Screener;
use super::whole::Screening;
use crate::task::BranchSpec;

/// Numbers of a sketch.
const SKETCH: usize = 512;

/// A loss's gradients in short: one unit vector a place and branch, or zeros where the gradient is
/// zero or not finite.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature(Vec<[f32; SKETCH]>);

impl Signature {
    /// The sum of the distances of all branches.
    pub(crate) fn distance(&self, other: &Self) -> f64 {
        self.distances(other).sum()
    }

    /// Distance of each branch: 0 for losses that pull alike, 1 for those that have nothing in common, 2 for
    /// opposites.
    pub(crate) fn distances(&self, other: &Self) -> impl Iterator<Item = f64> {
        let branches = self.0.chunks_exact(PLACES.len());
        let pairs = branches.zip(other.0.chunks_exact(PLACES.len()));
        pairs.map(|(a, b)| {
            let places = a.iter().zip(b);
            let apart: f64 = places.map(|(a, b)| 1.0 - f64::from(dot(a, b))).sum();
            (apart / PLACES.len() as f64).max(0.0)
        })
    }

    /// Number of branches.
    pub(crate) fn branches(&self) -> usize {
        self.0.len() / PLACES.len()
    }

    #[cfg(test)]
    pub(crate) fn of_directions(branches: &[&[f32]]) -> Self {
        let of_branch = |numbers: &&[f32]| {
            let mut sketch = Sketch::default();
            sketch.add(numbers);
            vec![sketch.direction(); PLACES.len()]
        };
        Self(branches.iter().flat_map(of_branch).collect())
    }
}

fn dot(a: &[f32; SKETCH], b: &[f32; SKETCH]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// A count sketch: each element is added, with a sign, to one of the numbers.
struct Sketch {
    numbers: [f32; SKETCH],
    count: u32,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            numbers: [0.0; SKETCH],
            count: 0,
        }
    }
}

impl Sketch {
    fn add(&mut self, elements: &[f32]) {
        for element in elements {
            let bits = mixed(self.count);
            let place = (bits >> 8) as usize % SKETCH;
            let sign = bits << 31;
            self.numbers[place] += f32::from_bits(element.to_bits() ^ sign);
            self.count = self.count.wrapping_add(1);
        }
    }

    /// Scaled to length 1; zeros where it has none.
    fn direction(&self) -> [f32; SKETCH] {
        let squares = self.numbers.iter().map(|x| f64::from(*x).powi(2));
        let length = squares.sum::<f64>().sqrt();
        match length > 0.0 && length.is_finite() {
            #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
            true => self.numbers.map(|x| (f64::from(x) / length) as f32),
            false => [0.0; SKETCH],
        }
    }
}

impl Screening {
    /// The signature of a loss that passed.
    pub(crate) fn signature(&self, loss: &Loss, scratch: &mut Scratch) -> Signature {
        let parts = self.judges();
        Signature(
            parts
                .flat_map(|part| part.sketches(loss, scratch))
                .collect(),
        )
    }
}

impl Screener {
    /// A sketch for each branch and place.
    fn sketches(&self, loss: &Loss, scratch: &mut Scratch) -> Vec<[f32; SKETCH]> {
        let Ok(flat) = self.programs(loss) else {
            return vec![[0.0; SKETCH]; PLACES.len() * self.branches.len()];
        };
        let on_the_way = self.on_the_way.get_or_init(|| self.on_the_way());
        let mut sketches = Vec::with_capacity(PLACES.len() * self.branches.len());
        for (branch, (program, places)) in flat.programs.iter().zip(on_the_way).enumerate() {
            let spec = &self.branches[branch];
            for samples in places {
                let mut sketch = Sketch::default();
                for (sample, inputs) in self.samples.iter().zip(samples) {
                    let stored = &sample.branches[branch];
                    let (_, gradient) = gradient_at(program, spec, stored, inputs, scratch);
                    sketch.add(gradient);
                }
                sketches.push(sketch.direction());
            }
        }
        sketches
    }

    fn on_the_way(&self) -> OnTheWay {
        let of_branch = |(branch, spec): (usize, &BranchSpec)| {
            PLACES.map(|share| {
                let samples = self.samples.iter();
                samples
                    .map(|sample| towards_target(&sample.branches[branch], spec, share))
                    .collect()
            })
        };
        self.branches.iter().enumerate().map(of_branch).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;
    use crate::toy::Toy;
    use crate::{Scratch, Screening, parse_loss};

    #[test]
    fn losses_that_pull_alike_are_near() {
        let toy = Toy::new();
        let screening = Screening::new(&toy, &Settings::default()).unwrap();
        let mut scratch = Scratch::default();
        let mut signature = |text: &str| {
            let loss = parse_loss(&toy, text).unwrap();
            screening.signature(&loss, &mut scratch)
        };
        let squares = signature("square(yhat - y)");
        let twice = signature("square(y - yhat) + square(y - yhat)");
        let opposite = signature("-square(yhat - y)");
        let entropy = signature("-(y * log(yhat))");
        assert!(squares.distance(&twice) < 1e-5);
        assert!((squares.distance(&opposite) - 2.0).abs() < 1e-5);
        let apart = squares.distance(&entropy);
        assert!(0.05 < apart && apart < 1.0, "{apart}");
    }
}
