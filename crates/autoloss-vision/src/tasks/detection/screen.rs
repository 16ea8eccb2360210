//! Screening samples: the branches' inputs of one image, a metric of each branch, and the task's
//! metric of all of them together.
//!
//! No network runs while predictions are optimised, so the second stage cannot pool new proposals.
//! Together, the branches are scored as follows (ours): the optimised objectness and deltas of the
//! stored anchors make proposals, twice as many as there are objects; the stored region nearest to a
//! proposal, if their IoU is a half or more, stands for it with its optimised classes, box and mask.

use autoloss_boxes::{PROPOSAL_WEIGHTS, by_falling_score, clip, decode, iou, nms};
use autoloss_data::{Corners, PreparedScene};
use autoloss_expr::softmax_channels;
use autoloss_metrics::coco::{
    Annotations, Category, Image, Kind, Mask, Prediction, Region, Target,
};
use autoloss_search::{BranchSample, BranchScorer, BranchSpec, Sample};

use super::branches::ByBranch;
use super::codec::scorers::inside_of;
use super::codec::{self, BranchCodec, Positions, Selection, class_of};
use super::detections::{DetectedObject, ScoredRegion, detections};
use super::settings::DetectorSettings;
use super::step::Pass;
use crate::loss::BranchFields;
use crate::tasks::coco_metric::{CocoMetric, scored};

/// The least IoU of a proposal with the region that stands for it.
const STANDS_FOR: f32 = 0.5;

/// All that screening samples of a task have in common.
pub(super) struct Sampling<'a> {
    pub(super) specs: &'a [BranchSpec],
    pub(super) detector: &'a DetectorSettings,
    pub(super) metric: CocoMetric,
    pub(super) kind: Kind,
}

impl Sampling<'_> {
    /// The sample of an image of a pass; `None` if a branch has nothing to learn from in it.
    pub(super) fn sample(
        &self,
        pass: &Pass,
        items: &[PreparedScene],
        image: usize,
    ) -> Option<Sample> {
        self.sample_at(pass, items, image, &Selection::of_image(pass, image))
    }

    /// The sample of an image at the selected anchors and regions of it.
    pub(super) fn sample_at(
        &self,
        pass: &Pass,
        items: &[PreparedScene],
        image: usize,
        selection: &Selection,
    ) -> Option<Sample> {
        let branches = codec::branches(pass, items, selection);
        let joint = Joint::new(self, pass, items, image, &branches);
        let branches = branches.in_order();
        if branches
            .iter()
            .any(|branch| branch.positions().count() == 0)
        {
            return None;
        }
        // Masks of regions are coarse: as a share of the score that the targets themselves reach.
        let targets: Vec<&[f32]> = branches.iter().map(BranchCodec::target).collect();
        let best = joint.score(&targets);
        if best == 0.0 {
            return None;
        }
        let branches = branches.into_iter().zip(self.specs).map(|(branch, spec)| {
            let scorer = branch.scorer();
            stored(branch.into_fields(), spec, scorer)
        });
        Some(Sample {
            branches: branches.collect(),
            scorer: Box::new(move |predictions| joint.score(predictions) / best),
        })
    }
}

fn stored(mut fields: BranchFields, spec: &BranchSpec, scorer: BranchScorer) -> BranchSample {
    let prediction = spec.prediction();
    if spec.inputs[prediction].is_softmax() {
        softmax_channels(&mut fields.inputs[prediction], fields.shape);
    }
    BranchSample {
        shape: fields.shape,
        inputs: fields.inputs,
        derived: fields.derived,
        scorer: Some(scorer),
    }
}

/// The task's metric of all branches of an image together.
struct Joint {
    metric: CocoMetric,
    kind: Kind,
    detector: DetectorSettings,
    extent: [f32; 2],
    size: [usize; 2],
    positions: ByBranch<Positions>,
    /// The anchors, in the order of the branch `rpn_class`.
    anchors: Vec<StoredAnchor>,
    /// The regions, in the order of the branch `rcnn_class`.
    regions: Vec<StoredRegion>,
    annotations: Annotations,
}

struct StoredAnchor {
    corners: Corners,
    /// Its position in the box branch, if it has an object.
    position: Option<usize>,
    /// The network's deltas, which stay where there is no object to learn from.
    deltas: [f32; 4],
}

struct StoredRegion {
    corners: Corners,
    /// Its position in the box branch, if it has an object.
    position: Option<usize>,
    /// Channel of its object's class, 0 where it has none.
    class: usize,
    /// Its position in the mask branch, if that has it.
    mask: Option<usize>,
    /// The network's deltas for each class.
    deltas: Vec<[f32; 4]>,
}

impl Joint {
    fn new(
        of: &Sampling<'_>,
        pass: &Pass,
        items: &[PreparedScene],
        image: usize,
        branches: &ByBranch<BranchCodec>,
    ) -> Self {
        let item = &items[image];
        let positions = branches.each_ref().map(|branch| branch.positions().clone());
        let anchor = |number: &usize| {
            let anchor = &pass.anchors[*number];
            StoredAnchor {
                corners: pass.proposals.anchors[anchor.place],
                position: positions.rpn_box.find(*number),
                deltas: pass.proposals.deltas(image, anchor.place),
            }
        };
        let region = |number: &usize| {
            let region = &pass.regions[*number];
            let classes = 0..pass.layout.classes;
            StoredRegion {
                corners: pass.rois[region.place].corners,
                position: positions.rcnn_box.find(*number),
                class: class_of(region, items),
                mask: positions
                    .mask
                    .as_ref()
                    .and_then(|masks| masks.find(*number)),
                deltas: classes
                    .map(|class| pass.region_deltas(region.place, class))
                    .collect(),
            }
        };
        Self {
            metric: of.metric,
            kind: of.kind,
            detector: of.detector.clone(),
            extent: item.extent(),
            size: [item.width, item.height],
            anchors: positions.rpn_class.subjects().iter().map(anchor).collect(),
            regions: positions.rcnn_class.subjects().iter().map(region).collect(),
            annotations: annotations(item, of.kind, pass.layout.classes - 1),
            positions,
        }
    }

    /// The metric of the optimised predictions, one field a branch.
    fn score(&self, predictions: &[&[f32]]) -> f64 {
        let predictions = ByBranch::from_order(predictions.iter().copied());
        let predictions = predictions.expect("a prediction for each branch");
        let numbers = self.standing_for_proposals(&predictions);
        let regions: Vec<ScoredRegion<'_>> = numbers
            .iter()
            .map(|number| self.scored_region(*number, &predictions))
            .collect();
        let found = detections(&regions, self.extent, &self.detector);
        let results = found
            .iter()
            .filter_map(|found| self.result(found, numbers[found.region], &predictions));
        self.metric
            .of(&scored(&self.annotations, results.collect()))
    }

    /// A stored region with its optimised classes and box.
    fn scored_region(&self, number: usize, predictions: &ByBranch<&[f32]>) -> ScoredRegion<'_> {
        let (region, positions) = (&self.regions[number], &self.positions);
        let optimised = region
            .position
            .map(|position| positions.rcnn_box.deltas(predictions.rcnn_box, position));
        ScoredRegion {
            corners: region.corners,
            probabilities: positions.rcnn_class.row(predictions.rcnn_class, number),
            deltas: Box::new(move |class| match optimised {
                Some(deltas) if region.class == class => deltas,
                _ => region.deltas[class],
            }),
        }
    }

    /// The COCO result of a detection in a stored region: its box, or its optimised mask where it has the class of
    /// the region's object.
    fn result(
        &self,
        found: &DetectedObject,
        number: usize,
        predictions: &ByBranch<&[f32]>,
    ) -> Option<Prediction> {
        let image_id = self.annotations.images[0].id;
        if self.kind == Kind::Box {
            return Some(found.as_box(image_id, [1.0; 2]));
        }
        let region = &self.regions[number];
        let (masks, prediction) = (self.positions.mask.as_ref()?, predictions.mask?);
        let two = masks.row(prediction, region.mask?);
        let mask = (&inside_of(&two)[..], masks.shape().h);
        let is_right = region.position.is_some() && region.class == found.class + 1;
        is_right.then(|| found.as_mask(image_id, [1.0; 2], mask, self.size))?
    }

    /// The regions that stand for the proposals, each once.
    fn standing_for_proposals(&self, predictions: &ByBranch<&[f32]>) -> Vec<usize> {
        let deltas = |position| self.positions.rpn_box.deltas(predictions.rpn_box, position);
        let boxes: Vec<Corners> = self
            .anchors
            .iter()
            .map(|anchor| {
                let deltas = anchor.position.map_or(anchor.deltas, deltas);
                let corners = decode(anchor.corners, deltas, PROPOSAL_WEIGHTS);
                clip(corners, self.extent)
            })
            .collect();
        let scores = inside_of(predictions.rpn_class);
        let mut kept = nms(&boxes, &scores, self.detector.proposals_nms);
        kept.truncate(2 * self.annotations.targets.len());
        let mut regions = Vec::new();
        for proposal in kept {
            let overlaps: Vec<f32> = self
                .regions
                .iter()
                .map(|region| iou(region.corners, boxes[proposal]))
                .collect();
            let Some(&nearest) = by_falling_score(&overlaps).first() else {
                continue;
            };
            if overlaps[nearest] >= STANDS_FOR && !regions.contains(&nearest) {
                regions.push(nearest);
            }
        }
        regions
    }
}

/// The objects of a prepared image as targets, in its own pixels.
fn annotations(item: &PreparedScene, kind: Kind, classes: usize) -> Annotations {
    let id = |number: usize| i64::try_from(number).map_or(i64::MAX, |number| number + 1);
    let size = u32::try_from(item.height)
        .ok()
        .zip(u32::try_from(item.width).ok());
    let target = |(number, corners): (usize, &Corners)| {
        let [x1, y1, x2, y2] = corners.map(f64::from);
        let bbox = [x1, y1, x2 - x1, y2 - y1];
        let region = match (kind, &item.masks[number], size) {
            (Kind::Mask, Some(bitmap), Some((height, width))) => {
                Region::Mask(Mask::from_bitmap(bitmap, height, width).ok()?)
            }
            (Kind::Mask, ..) => return None,
            _ => Region::Box(bbox),
        };
        Some(Target {
            image_id: 1,
            category_id: id(item.classes[number]),
            area: bbox[2] * bbox[3],
            crowd: false,
            ignored: false,
            bbox: Some(bbox),
            region,
        })
    };
    Annotations {
        images: vec![Image {
            id: 1,
            size,
            ..Image::default()
        }],
        categories: (0..classes)
            .map(|class| Category {
                id: id(class),
                ..Category::default()
            })
            .collect(),
        targets: item.boxes.iter().enumerate().filter_map(target).collect(),
        ..Annotations::empty(kind)
    }
}
