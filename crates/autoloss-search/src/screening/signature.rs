//! Direction in which a loss pulls predictions on their way to the targets, in a few numbers: losses alike in
//! this train networks alike, whatever their formulas, and so their scores can be predicted from
//! each other. (ours)
//!
//! Gradients are taken at some places that predictions come by, those of probabilities as gradients of their logits:
//! the network sees no others, so that `yhat` as a summand changes nothing. Their directions are put into count
//! sketches (Charikar, Chen and Farach-Colton 2002), which keep inner products up to a few percent; of their lengths
//! the ratios count, since the optimiser takes no notice of a loss's scale.

use autoloss_expr::{Loss, Program, softmax_channels_gradient};

use super::fingerprint::mixed;
use super::gradient::gradient_at;
use super::on_the_way::{OnTheWay, PLACES, inputs_at};
use super::scratch::Scratch;
use super::screener::Screener;
use super::whole::Screening;
use crate::task::BranchSpec;

/// Numbers of a sketch.
const SKETCH: usize = 512;

/// Distance of losses whose gradients are longer by a factor of e at one of the places, with the same directions.
const BY_LENGTH: f64 = 0.03;

/// Largest difference of lengths that counts, as a logarithm.
const LONGEST: f64 = 3.0;

/// A loss's gradients in short, one a place and branch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature(Vec<Pull>);

/// A gradient in short.
#[derive(Clone, Debug, PartialEq)]
struct Pull {
    /// Unit vector, or zeros where the gradient is zero or not finite.
    direction: [f32; SKETCH],
    /// Logarithm of the length, relative to that of the branch's first gradient.
    length: f64,
}

impl Signature {
    /// The sum of the distances of all branches.
    pub(crate) fn distance(&self, other: &Self) -> f64 {
        self.distances(other).sum()
    }

    /// Distance of each branch: 0 for losses that pull alike, 1 for those that have nothing in common, 2 for
    /// opposites, and a little for lengths.
    pub(crate) fn distances(&self, other: &Self) -> impl Iterator<Item = f64> {
        let branches = self.0.chunks_exact(PLACES.len());
        let pairs = branches.zip(other.0.chunks_exact(PLACES.len()));
        pairs.map(|(a, b)| {
            let apart: f64 = a.iter().zip(b).map(|(a, b)| a.distance(b)).sum();
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
            vec![sketch.pull(); PLACES.len()]
        };
        Self(branches.iter().flat_map(of_branch).collect())
    }
}

impl Pull {
    /// The gradient of a loss that has none.
    const NONE: Self = Self {
        direction: [0.0; SKETCH],
        length: 0.0,
    };

    fn distance(&self, other: &Self) -> f64 {
        let length = (self.length - other.length).abs().min(LONGEST);
        1.0 - f64::from(dot(&self.direction, &other.direction)) + BY_LENGTH * length
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

    /// The sketch as a direction and a length.
    fn pull(&self) -> Pull {
        let squares = self.numbers.iter().map(|x| f64::from(*x).powi(2));
        let length = squares.sum::<f64>().sqrt();
        match length > 0.0 && length.is_finite() {
            #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
            true => Pull {
                direction: self.numbers.map(|x| (f64::from(x) / length) as f32),
                length: length.ln(),
            },
            false => Pull::NONE,
        }
    }
}

impl Screening {
    /// The signature of a loss that passed.
    pub(crate) fn signature(&self, loss: &Loss, scratch: &mut Scratch) -> Signature {
        let parts = self.judges();
        Signature(parts.flat_map(|part| part.pulls(loss, scratch)).collect())
    }
}

impl Screener {
    /// A gradient in short for each branch and place.
    fn pulls(&self, loss: &Loss, scratch: &mut Scratch) -> Vec<Pull> {
        let Ok(flat) = self.programs(loss) else {
            return vec![Pull::NONE; PLACES.len() * self.branches.len()];
        };
        let on_the_way = self.on_the_way.get_or_init(|| self.on_the_way());
        let mut pulls = Vec::with_capacity(PLACES.len() * self.branches.len());
        for (branch, (program, places)) in flat.programs.iter().zip(on_the_way).enumerate() {
            let mut of_branch = places
                .each_ref()
                .map(|samples| self.pull_at(branch, program, samples, scratch));
            let first = of_branch[0].length;
            of_branch.iter_mut().for_each(|pull| pull.length -= first);
            pulls.extend(of_branch);
        }
        pulls
    }

    /// Gradient of a branch over all samples with these inputs.
    fn pull_at(
        &self,
        branch: usize,
        program: &Program,
        samples: &[Vec<Vec<f32>>],
        scratch: &mut Scratch,
    ) -> Pull {
        let spec = &self.branches[branch];
        let prediction = spec.prediction();
        let mut sketch = Sketch::default();
        for (sample, inputs) in self.samples.iter().zip(samples) {
            let stored = &sample.branches[branch];
            gradient_at(program, spec, stored, inputs, scratch);
            let gradient = &mut scratch.gradients[prediction];
            // It is empty where a loss does not depend on the prediction.
            if spec.inputs[prediction].is_softmax() && !gradient.is_empty() {
                softmax_channels_gradient(&inputs[prediction], gradient, stored.shape);
            }
            sketch.add(gradient);
        }
        sketch.pull()
    }

    fn on_the_way(&self) -> OnTheWay {
        let of_branch = |(branch, spec): (usize, &BranchSpec)| {
            PLACES.each_ref().map(|place| {
                let samples = self.samples.iter();
                samples
                    .map(|sample| inputs_at(&sample.branches[branch], spec, place))
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

    fn signature(text: &str) -> super::Signature {
        let toy = Toy::new();
        let screening = Screening::new(&toy, &Settings::default()).unwrap();
        let loss = parse_loss(&toy, text).unwrap();
        screening.signature(&loss, &mut Scratch::default())
    }

    #[test]
    fn losses_that_pull_alike_are_near() {
        let squares = signature("square(yhat - y)");
        let twice = signature("square(y - yhat) + square(y - yhat)");
        let opposite = signature("-square(yhat - y)");
        let entropy = signature("-(y * log(yhat))");
        assert!(squares.distance(&twice) < 1e-5);
        assert!((squares.distance(&opposite) - 2.0).abs() < 1e-5);
        let apart = squares.distance(&entropy);
        assert!(0.05 < apart && apart < 1.0, "{apart}");
    }

    #[test]
    fn losses_whose_gradients_for_logits_are_the_same_are_the_same() {
        let entropy = signature("-(y * log(yhat))");
        let scaled = signature("square(1 + 1) * (1 + yhat - y * log(yhat))");
        assert!(entropy.distance(&scaled) < 1e-5);
        // The same direction at each place, other lengths.
        let other = signature("yhat - y * log(yhat) * exp(mean_nhw(y * yhat))");
        assert!(entropy.distance(&other) > 1e-4);
    }
}
