//! Screening samples: the branches' inputs of one image, a metric of each branch, and the task's
//! metric of all of them together.
//!
//! No network runs while predictions are optimised, so the second stage cannot look at new proposals.
//! Together, the branches are scored as follows (ours): the optimised objectness and deltas of the
//! stored anchors make proposals, twice as many as there are objects; the stored region nearest to a
//! proposal, if their IoU is a half or more, answers for it with its optimised classes, box and mask.

use autoloss_data::{Corners, PreparedScene};
use autoloss_metrics::coco::{Annotations, Category, Image, Kind, Mask, Prediction, Shape, Target};
use autoloss_nets::boxes::{
    HEAD_WEIGHTS, PROPOSAL_WEIGHTS, by_falling_score, clip, decode, iou, nms,
};
use autoloss_search::{BranchSample, BranchScorer, BranchSpec, Sample};

use super::branches::by_position;
use super::detections::{Candidate, detections};
use super::masks::mask_iou;
use super::settings::DetectorSettings;
use super::step::{Pass, class_of};
use crate::loss::{BranchFields, softmax};
use crate::tasks::coco_metric::{CocoMetric, scored, thresholds_reached};

/// The least IoU of a proposal with the region that answers for it.
const ANSWERS: f32 = 0.5;

/// The sample of an image of a pass; none if a branch has nothing to learn from in it.
pub(super) fn sample(
    pass: &Pass,
    items: &[PreparedScene],
    image: usize,
    specs: &[BranchSpec],
    settings: &DetectorSettings,
    (metric, kind): (CocoMetric, Kind),
) -> Option<Sample> {
    let branches = pass.branches(items, |of| of == image);
    let fields: Vec<BranchFields> = branches.into_iter().map(|branch| branch.fields).collect();
    if fields.iter().any(|fields| fields.shape.positions() == 0) {
        return None;
    }
    let joint = Joint::new(pass, items, image, settings, (metric, kind));
    // Masks of regions are coarse: as a share of what the targets themselves reach.
    let targets: Vec<&[f32]> = fields
        .iter()
        .map(|fields| fields.inputs[1].as_slice())
        .collect();
    let best = joint.score(&targets);
    if best == 0.0 {
        return None;
    }
    let scorers = scorers(pass, items, image, &fields);
    let branches = fields.into_iter().zip(specs).zip(scorers);
    let branches = branches.map(|((fields, spec), scorer)| stored(fields, spec, scorer));
    Some(Sample {
        branches: branches.collect(),
        scorer: Box::new(move |predictions| joint.score(predictions) / best),
    })
}

fn stored(mut fields: BranchFields, spec: &BranchSpec, scorer: BranchScorer) -> BranchSample {
    let prediction = spec.prediction();
    if spec.inputs[prediction].is_softmax() {
        fields.inputs[prediction] = softmax(&fields.inputs[prediction], fields.shape);
    }
    BranchSample {
        shape: fields.shape,
        inputs: fields.inputs,
        derived: fields.derived,
        scorer: Some(scorer),
    }
}

/// A metric of each branch by itself.
fn scorers(
    pass: &Pass,
    items: &[PreparedScene],
    image: usize,
    fields: &[BranchFields],
) -> Vec<BranchScorer> {
    let objects = &items[image].boxes;
    let anchors = pass.anchors.iter().filter(|a| a.image == image);
    let (references, found): (Vec<Corners>, Vec<Corners>) = anchors
        .filter_map(|a| Some((pass.proposals.anchors[a.place], objects[a.object?])))
        .unzip();
    let regions = pass.regions.iter().filter(|r| r.image == image);
    let (rois, found_by_rois): (Vec<Corners>, Vec<Corners>) = regions
        .filter_map(|r| Some((pass.rois[r.place].corners, objects[r.object?])))
        .unzip();
    let mut scorers = vec![
        class_scorer(&fields[0]),
        box_scorer(references, found, PROPOSAL_WEIGHTS),
        class_scorer(&fields[2]),
        box_scorer(rois, found_by_rois, HEAD_WEIGHTS),
    ];
    scorers.extend(fields.get(4).map(mask_scorer));
    scorers
}

/// Balanced accuracy, adjusted for chance: the mean recall of the classes there are, less what one
/// answer for all gives, as a share of what is then left. (ours)
fn class_scorer(fields: &BranchFields) -> BranchScorer {
    let (channels, count) = (fields.shape.c, fields.shape.positions());
    let y = &fields.inputs[1];
    let class = move |field: &[f32], position: usize| {
        (1..channels).fold(0, |best, channel| {
            let at = |channel: usize| field[channel * count + position];
            if at(channel) > at(best) {
                channel
            } else {
                best
            }
        })
    };
    let targets: Vec<usize> = (0..count).map(|position| class(y, position)).collect();
    Box::new(move |prediction| {
        let mut right = vec![0_u32; channels];
        let mut all = vec![0_u32; channels];
        for (position, &target) in targets.iter().enumerate() {
            all[target] += 1;
            right[target] += u32::from(class(prediction, position) == target);
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

/// The share of the thresholds of IoU that the decoded boxes reach, their mean. (ours)
fn box_scorer(references: Vec<Corners>, objects: Vec<Corners>, weights: [f32; 4]) -> BranchScorer {
    Box::new(move |prediction| {
        let boxes = references.iter().zip(by_position(prediction)).zip(&objects);
        let reached = boxes.map(|((reference, deltas), object)| {
            thresholds_reached(iou(decode(*reference, deltas, weights), *object).into())
        });
        reached.sum::<f64>() / objects.len() as f64
    })
}

/// The same of masks.
fn mask_scorer(fields: &BranchFields) -> BranchScorer {
    let pixels = fields.shape.h * fields.shape.w;
    let inside = move |field: &[f32]| -> Vec<Vec<bool>> {
        let masks = field.chunks_exact(2 * pixels);
        masks
            .map(|two| inside_of(two).iter().map(|p| *p >= 0.5).collect())
            .collect()
    };
    let targets = inside(&fields.inputs[1]);
    Box::new(move |prediction| {
        let masks = inside(prediction).into_iter().zip(&targets);
        let reached = masks.map(|(mask, target)| thresholds_reached(mask_iou(&mask, target)));
        reached.sum::<f64>() / targets.len() as f64
    })
}

/// The second of two channels as it stands against the first: 0.5 where the two are equal. A loss
/// may well move only the one that is right.
fn inside_of(two: &[f32]) -> Vec<f32> {
    let (outside, inside) = two.split_at(two.len() / 2);
    let against = |(inside, outside): (&f32, &f32)| 0.5 + (inside - outside) / 2.0;
    inside.iter().zip(outside).map(against).collect()
}

/// All that scores the branches of an image together.
struct Joint {
    metric: CocoMetric,
    kind: Kind,
    settings: DetectorSettings,
    extent: [f32; 2],
    size: [usize; 2],
    anchors: Vec<StoredAnchor>,
    regions: Vec<StoredRegion>,
    /// Rows and columns of a region's mask.
    side: usize,
    annotations: Annotations,
}

struct StoredAnchor {
    corners: Corners,
    /// Its place in the box branch, if it has an object.
    place: Option<usize>,
    /// What the network said; it stays where there is no object to learn from.
    deltas: [f32; 4],
}

struct StoredRegion {
    corners: Corners,
    /// Its place in the box branch, and the class there, if it has an object.
    place: Option<(usize, usize)>,
    /// Its place in the mask branch, if its mask is looked at.
    mask: Option<usize>,
    deltas: Vec<[f32; 4]>,
}

impl Joint {
    fn new(
        pass: &Pass,
        items: &[PreparedScene],
        image: usize,
        settings: &DetectorSettings,
        (metric, kind): (CocoMetric, Kind),
    ) -> Self {
        let item = &items[image];
        let mut places = 0..;
        let anchors = pass.anchors.iter().filter(|a| a.image == image);
        let anchors = anchors.map(|anchor| StoredAnchor {
            corners: pass.proposals.anchors[anchor.place],
            place: anchor.object.and_then(|_| places.next()),
            deltas: pass.proposals.deltas(image, anchor.place),
        });
        let anchors = anchors.collect();
        let mut places = 0..;
        let regions = pass.regions.iter().filter(|r| r.image == image);
        let regions = regions.map(|region| {
            let outputs = 0..pass.outputs;
            StoredRegion {
                corners: pass.rois[region.place].corners,
                place: region
                    .object
                    .and_then(|_| Some((places.next()?, class_of(region, items)))),
                mask: pass.mask_place(region.place),
                deltas: outputs
                    .map(|c| pass.region_deltas(region.place, c))
                    .collect(),
            }
        });
        Self {
            metric,
            kind,
            settings: settings.clone(),
            extent: item.extent(),
            size: [item.width, item.height],
            anchors,
            regions: regions.collect(),
            side: pass.mask_side,
            annotations: annotations(item, kind, pass.outputs - 1),
        }
    }

    /// The metric of the optimised predictions, one field a branch.
    fn score(&self, predictions: &[&[f32]]) -> f64 {
        let regions = self.answering(predictions[0], predictions[1]);
        let deltas = by_position(predictions[3]);
        let count = self.regions.len();
        let candidates: Vec<Candidate<'_>> = regions
            .iter()
            .map(|&number| {
                let region = &self.regions[number];
                let optimised = region.place.map(|(place, class)| (deltas[place], class));
                let channels = 0..region.deltas.len();
                Candidate {
                    corners: region.corners,
                    probabilities: channels
                        .map(|c| predictions[2][c * count + number])
                        .collect(),
                    deltas: Box::new(move |class| match optimised {
                        Some((deltas, of)) if of == class => deltas,
                        _ => region.deltas[class],
                    }),
                }
            })
            .collect();
        let found = detections(&candidates, self.extent, &self.settings);
        let image_id = self.annotations.images[0].id;
        let result = |detection: &super::detections::Detection| -> Option<Prediction> {
            if self.kind == Kind::Box {
                return Some(detection.as_box(image_id, [1.0; 2]));
            }
            let region = &self.regions[regions[detection.region]];
            let ((_, class), place) = (region.place?, region.mask?);
            let pixels = self.side * self.side;
            let inside = inside_of(&predictions[4][2 * place * pixels..][..2 * pixels]);
            (class == detection.class + 1)
                .then(|| detection.as_mask(image_id, [1.0; 2], (&inside, self.side), self.size))?
        };
        let results = found.iter().filter_map(result).collect();
        self.metric.of(&scored(&self.annotations, results))
    }

    /// The regions that answer for the proposals, each once.
    fn answering(&self, objectness: &[f32], deltas: &[f32]) -> Vec<usize> {
        let deltas = by_position(deltas);
        let boxes: Vec<Corners> = self
            .anchors
            .iter()
            .map(|anchor| {
                let deltas = anchor.place.map_or(anchor.deltas, |place| deltas[place]);
                clip(
                    decode(anchor.corners, deltas, PROPOSAL_WEIGHTS),
                    self.extent,
                )
            })
            .collect();
        let scores = inside_of(objectness);
        let mut kept = nms(&boxes, &scores, self.settings.proposals_nms);
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
            if overlaps[nearest] >= ANSWERS && !regions.contains(&nearest) {
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
        let shape = match (kind, &item.masks[number], size) {
            (Kind::Mask, Some(bitmap), Some((height, width))) => {
                Shape::Mask(Mask::from_bitmap(bitmap, height, width).ok()?)
            }
            (Kind::Mask, ..) => return None,
            _ => Shape::Box(bbox),
        };
        Some(Target {
            image_id: 1,
            category_id: id(item.classes[number]),
            area: bbox[2] * bbox[3],
            crowd: false,
            ignored: false,
            bbox: Some(bbox),
            shape,
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
