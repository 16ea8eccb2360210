//! The decoding of predictions: a metric of each branch by itself.

use autoloss_search::BranchScorer;

use super::super::masks::mask_iou;
use super::super::output::Source;
use super::BranchCodec;
use super::positions::Positions;
use crate::tasks::coco_metric::thresholds_reached;

impl BranchCodec {
    /// A metric of the branch's predictions.
    pub(in crate::tasks::detection) fn scorer(&self) -> BranchScorer {
        match self.source {
            Source::Objectness | Source::ClassLogits => self.class_scorer(),
            Source::ProposalDeltas | Source::RegionDeltas => self.box_scorer(),
            Source::MaskLogits => self.mask_scorer(),
        }
    }

    /// Balanced accuracy, adjusted for chance: the mean recall of the classes there are, less the mean recall of
    /// one class for all positions, as a share of the rest to 1. (ours)
    fn class_scorer(&self) -> BranchScorer {
        let (positions, channels) = (self.positions.clone(), self.positions.shape().c);
        let classes = move |field: &[f32]| -> Vec<usize> {
            let rows = (0..positions.count()).map(|position| positions.row(field, position));
            rows.map(|row| first_largest(&row)).collect()
        };
        let targets = classes(self.target());
        Box::new(move |prediction| {
            let mut right = vec![0_u32; channels];
            let mut all = vec![0_u32; channels];
            for (target, class) in targets.iter().zip(classes(prediction)) {
                all[*target] += 1;
                right[*target] += u32::from(class == *target);
            }
            let present = || all.iter().zip(&right).filter(|(all, _)| **all > 0);
            let classes = present().count() as f64;
            let recall: f64 = present().map(|(a, r)| f64::from(*r) / f64::from(*a)).sum();
            match classes > 1.0 {
                true => (recall / classes - 1.0 / classes) / (1.0 - 1.0 / classes),
                false => recall / classes,
            }
        })
    }

    /// Mean share of the thresholds of IoU that the decoded boxes reach. (ours)
    fn box_scorer(&self) -> BranchScorer {
        let (positions, areas) = (self.positions.clone(), self.areas.clone());
        let areas = areas.expect("a branch of boxes has areas");
        Box::new(move |prediction| {
            let reached = (0..positions.count()).map(|position| {
                let deltas = positions.deltas(prediction, position);
                thresholds_reached(areas.overlap_with(position, deltas).into())
            });
            reached.sum::<f64>() / positions.count() as f64
        })
    }

    /// Mean share of the thresholds of IoU that the masks of regions reach. (ours)
    fn mask_scorer(&self) -> BranchScorer {
        let positions = self.positions.clone();
        let targets = masks(&positions, self.target());
        Box::new(move |prediction| {
            let masks = masks(&positions, prediction).into_iter().zip(&targets);
            let reached = masks.map(|(mask, target)| thresholds_reached(mask_iou(&mask, target)));
            reached.sum::<f64>() / targets.len() as f64
        })
    }
}

/// Index of the largest number, the first of equal ones.
fn first_largest(row: &[f32]) -> usize {
    let larger = |best: usize, place: usize| match row[place] > row[best] {
        true => place,
        false => best,
    };
    (1..row.len()).fold(0, larger)
}

fn masks(positions: &Positions, field: &[f32]) -> Vec<Vec<bool>> {
    let rows = (0..positions.count()).map(|position| positions.row(field, position));
    rows.map(|two| inside_of(&two).iter().map(|p| *p >= 0.5).collect())
        .collect()
}

/// The second of two channels relative to the first: 0.5 where the two are equal. A loss may well move only one
/// of them in the right direction.
pub(in crate::tasks::detection) fn inside_of(two: &[f32]) -> Vec<f32> {
    let (outside, inside) = two.split_at(two.len() / 2);
    let against = |(inside, outside): (&f32, &f32)| 0.5 + (inside - outside) / 2.0;
    inside.iter().zip(outside).map(against).collect()
}
