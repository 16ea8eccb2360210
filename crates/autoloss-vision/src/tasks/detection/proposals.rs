//! The outputs of the region proposal network by anchor, and the proposals that they make.

use autoloss_boxes::{PROPOSAL_WEIGHTS, by_falling_score, clip, decode, nms};
use autoloss_data::Corners;
use autoloss_nets::{DetectionNet, RpnLevel};

use super::output::Output;

/// Proposals with a side below this, in pixels, are dropped.
const LEAST_SIDE: f32 = 1e-3;

/// Rule for the choice of proposals.
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
    /// Logits (N, A, H, W), level by level.
    pub(super) logits: Output,
    /// Deltas (N, 4 A, H, W), level by level.
    pub(super) deltas: Output,
    levels: Vec<Level>,
}

/// The place of a level in the outputs.
struct Level {
    /// Number of the level's first anchor.
    start: usize,
    per_position: usize,
    positions: usize,
    /// Number of the level's first logit; there are four deltas to each.
    first: usize,
}

impl Level {
    fn anchors(&self) -> usize {
        self.per_position * self.positions
    }

    /// The place of the logit of an anchor of the level.
    fn logit(&self, image: usize, anchor: usize) -> usize {
        let (position, kind) = (anchor / self.per_position, anchor % self.per_position);
        self.first + (image * self.per_position + kind) * self.positions + position
    }

    /// The places of its deltas.
    fn deltas(&self, image: usize, anchor: usize) -> [usize; 4] {
        let (position, kind) = (anchor / self.per_position, anchor % self.per_position);
        let first = (image * self.per_position + kind) * 4;
        std::array::from_fn(|k| 4 * self.first + (first + k) * self.positions + position)
    }
}

impl Proposals {
    pub(super) fn new(net: &DetectionNet, outputs: &[RpnLevel]) -> Self {
        let sizes: Vec<[usize; 2]> = outputs.iter().map(size).collect();
        let anchors = net.anchors(&sizes);
        let (mut start, mut first) = (0, 0);
        let level = |(output, anchors): (&RpnLevel, &Vec<Corners>)| {
            let [images, per_position, rows, columns] = output.logits.dims();
            let level = Level {
                start,
                per_position,
                positions: rows * columns,
                first,
            };
            start += anchors.len();
            first += images * level.anchors();
            level
        };
        Self {
            levels: outputs.iter().zip(&anchors).map(level).collect(),
            logits: Output::new(outputs.iter().map(|output| &output.logits)),
            deltas: Output::new(outputs.iter().map(|output| &output.deltas)),
            anchors: anchors.concat(),
        }
    }

    fn level(&self, anchor: usize) -> (usize, usize) {
        let level = self.levels.partition_point(|level| level.start <= anchor) - 1;
        (level, anchor - self.levels[level].start)
    }

    /// The place of the logit of an object at an anchor.
    pub(super) fn logit_place(&self, image: usize, anchor: usize) -> usize {
        let (level, anchor) = self.level(anchor);
        self.levels[level].logit(image, anchor)
    }

    /// The places of the deltas at an anchor.
    pub(super) fn delta_places(&self, image: usize, anchor: usize) -> [usize; 4] {
        let (level, anchor) = self.level(anchor);
        self.levels[level].deltas(image, anchor)
    }

    /// The deltas at an anchor.
    pub(super) fn deltas(&self, image: usize, anchor: usize) -> [f32; 4] {
        self.delta_places(image, anchor)
            .map(|place| self.deltas.values[place])
    }

    /// The box predicted at an anchor.
    pub(super) fn predicted(&self, image: usize, anchor: usize) -> Corners {
        let deltas = self.deltas(image, anchor);
        decode(self.anchors[anchor], deltas, PROPOSAL_WEIGHTS)
    }

    /// The proposals of an image of `extent` pixels (width, height), best first.
    pub(super) fn of_image(
        &self,
        image: usize,
        extent: [f32; 2],
        rule: ProposalRule,
    ) -> Vec<Corners> {
        let (mut boxes, mut scores) = (Vec::new(), Vec::new());
        for level in &self.levels {
            let logits: Vec<f32> = (0..level.anchors())
                .map(|anchor| self.logits.values[level.logit(image, anchor)])
                .collect();
            let mut best = by_falling_score(&logits);
            best.truncate(rule.per_level);
            let decoded = best.iter().map(|anchor| {
                let deltas = level
                    .deltas(image, *anchor)
                    .map(|place| self.deltas.values[place]);
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
