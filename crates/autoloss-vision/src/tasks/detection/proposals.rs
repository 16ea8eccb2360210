//! What the region proposal network says, on the host: logits and deltas by anchor, the proposals
//! they make, and the way back for gradients.

use burn::tensor::Tensor;

use crate::data::Corners;
use crate::loss::{carrier, host_values};
use crate::nets::boxes::{PROPOSAL_WEIGHTS, by_falling_score, clip, decode, nms};
use crate::nets::{DetectionNet, RpnLevel};

/// Proposals with a side below this, in pixels, are dropped.
const LEAST_SIDE: f32 = 1e-3;

/// How proposals are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProposalRule {
    /// The best anchors of each level that become boxes.
    pub(super) per_level: usize,
    /// Intersection over union above which the better of two boxes of a level stays alone.
    pub(super) nms: f32,
    /// The best boxes that are left.
    pub(super) count: usize,
}

/// The outputs of the region proposal network for a batch.
pub(super) struct Proposals {
    /// All anchors of an image, level by level.
    pub(super) anchors: Vec<Corners>,
    levels: Vec<Level>,
}

/// A level's outputs, or gradients of them: logits (N, A, H, W) and deltas (N, 4 A, H, W).
struct Level {
    /// Number of the level's first anchor.
    start: usize,
    per_position: usize,
    positions: usize,
    logits: Vec<f32>,
    deltas: Vec<f32>,
}

impl Level {
    fn anchors(&self) -> usize {
        self.per_position * self.positions
    }

    /// Where the logit of an anchor of the level is.
    fn logit(&self, image: usize, anchor: usize) -> usize {
        let (position, kind) = (anchor / self.per_position, anchor % self.per_position);
        (image * self.per_position + kind) * self.positions + position
    }

    /// Where its deltas are.
    fn deltas(&self, image: usize, anchor: usize) -> [usize; 4] {
        let (position, kind) = (anchor / self.per_position, anchor % self.per_position);
        std::array::from_fn(|k| {
            ((image * self.per_position + kind) * 4 + k) * self.positions + position
        })
    }
}

impl Proposals {
    pub(super) fn new(net: &DetectionNet, outputs: &[RpnLevel]) -> Self {
        let sizes: Vec<[usize; 2]> = outputs.iter().map(size).collect();
        let anchors = net.anchors(&sizes);
        let mut start = 0;
        let level = |(output, anchors): (&RpnLevel, &Vec<Corners>)| {
            let [_, per_position, rows, columns] = output.logits.dims();
            let level = Level {
                start,
                per_position,
                positions: rows * columns,
                logits: host_values(&output.logits),
                deltas: host_values(&output.deltas),
            };
            start += anchors.len();
            level
        };
        Self {
            levels: outputs.iter().zip(&anchors).map(level).collect(),
            anchors: anchors.concat(),
        }
    }

    fn level(&self, anchor: usize) -> (usize, usize) {
        let level = self.levels.partition_point(|level| level.start <= anchor) - 1;
        (level, anchor - self.levels[level].start)
    }

    /// The logit of an object at an anchor.
    pub(super) fn logit(&self, image: usize, anchor: usize) -> f32 {
        let (level, anchor) = self.level(anchor);
        let level = &self.levels[level];
        level.logits[level.logit(image, anchor)]
    }

    /// The deltas at an anchor.
    pub(super) fn deltas(&self, image: usize, anchor: usize) -> [f32; 4] {
        let (level, anchor) = self.level(anchor);
        let level = &self.levels[level];
        level.deltas(image, anchor).map(|place| level.deltas[place])
    }

    /// The box predicted at an anchor.
    pub(super) fn predicted(&self, image: usize, anchor: usize) -> Corners {
        let deltas = self.deltas(image, anchor);
        decode(self.anchors[anchor], deltas, PROPOSAL_WEIGHTS)
    }

    /// The proposals of an image of so many pixels (width, height), best first.
    pub(super) fn of_image(
        &self,
        image: usize,
        extent: [f32; 2],
        rule: ProposalRule,
    ) -> Vec<Corners> {
        let (mut boxes, mut scores) = (Vec::new(), Vec::new());
        for level in &self.levels {
            let logits: Vec<f32> = (0..level.anchors())
                .map(|anchor| level.logits[level.logit(image, anchor)])
                .collect();
            let mut best = by_falling_score(&logits);
            best.truncate(rule.per_level);
            let decoded = best.iter().map(|anchor| {
                let deltas = level
                    .deltas(image, *anchor)
                    .map(|place| level.deltas[place]);
                let reference = self.anchors[level.start + anchor];
                clip(decode(reference, deltas, PROPOSAL_WEIGHTS), extent)
            });
            let (here, logits): (Vec<Corners>, Vec<f32>) = decoded
                .zip(best.iter().map(|anchor| logits[*anchor]))
                .filter(|(b, _)| b[2] - b[0] >= LEAST_SIDE && b[3] - b[1] >= LEAST_SIDE)
                .unzip();
            for kept in nms(&here, &logits, rule.nms) {
                boxes.push(here[kept]);
                scores.push(logits[kept]);
            }
        }
        let mut best = by_falling_score(&scores);
        best.truncate(rule.count);
        best.into_iter().map(|place| boxes[place]).collect()
    }
}

fn size(output: &RpnLevel) -> [usize; 2] {
    let [_, _, rows, columns] = output.logits.dims();
    [rows, columns]
}

/// Gradients of the region proposal network's outputs, entered anchor by anchor.
pub(super) struct ProposalGradients<'a> {
    of: &'a Proposals,
    levels: Vec<(Vec<f32>, Vec<f32>)>,
}

impl<'a> ProposalGradients<'a> {
    pub(super) fn new(of: &'a Proposals) -> Self {
        let zeros = |level: &Level| (vec![0.0; level.logits.len()], vec![0.0; level.deltas.len()]);
        Self {
            levels: of.levels.iter().map(zeros).collect(),
            of,
        }
    }

    pub(super) fn add_logit(&mut self, image: usize, anchor: usize, gradient: f32) {
        let (level, anchor) = self.of.level(anchor);
        self.levels[level].0[self.of.levels[level].logit(image, anchor)] += gradient;
    }

    pub(super) fn add_deltas(&mut self, image: usize, anchor: usize, gradient: [f32; 4]) {
        let (level, anchor) = self.of.level(anchor);
        let places = self.of.levels[level].deltas(image, anchor);
        for (place, g) in places.into_iter().zip(gradient) {
            self.levels[level].1[place] += g;
        }
    }

    /// A number whose backward pass gives the outputs these gradients.
    pub(super) fn root(self, outputs: &[RpnLevel]) -> Tensor<1> {
        let parts = outputs.iter().zip(self.levels);
        let parts = parts.map(|(output, (logits, deltas))| {
            carrier(&output.logits, logits) + carrier(&output.deltas, deltas)
        });
        parts.reduce(|a, b| a + b).expect("a pyramid has levels")
    }
}
