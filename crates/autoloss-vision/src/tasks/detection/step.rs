//! One pass over a batch: the branches' inputs, and the place of each prediction in the network's outputs.

use std::sync::Arc;

use autoloss_data::{Corners, PreparedScene, Purpose, stream};
use autoloss_nets::DetectionNet;
use autoloss_nets::boxes::{HEAD_WEIGHTS, PROPOSAL_WEIGHTS, Roi, clip, decode, iou};
use burn::tensor::Tensor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::assign::{Match, assign, sample};
use super::branches::{BoxAreas, box_fields, by_channel, class_fields, mask_fields};
use super::masks::mask_target;
use super::output::{Output, Place};
use super::proposals::Proposals;
use super::settings::{AreaUnit, DetectorSettings};
use crate::loss::BranchFields;

/// An anchor or region that the pass looks at, with the object it is to find.
#[derive(Clone, Copy)]
pub(super) struct Chosen {
    pub(super) image: usize,
    /// Number of the anchor, or of the region among all that were chosen.
    pub(super) place: usize,
    /// Number of the object in its image.
    pub(super) object: Option<usize>,
}

/// The network's outputs for a batch, and the anchors and regions that are looked at.
pub(super) struct Pass {
    pub(super) proposals: Proposals,
    pub(super) anchors: Vec<Chosen>,
    pub(super) rois: Vec<Roi>,
    pub(super) regions: Vec<Chosen>,
    /// Outputs of a region for each class, the background included: K + 1.
    pub(super) outputs: usize,
    /// Logits of the regions, (R, K + 1).
    class_logits: Output,
    /// Deltas of the regions, (R, 4 (K + 1)).
    deltas: Output,
    /// The regions whose masks are looked at.
    masked: Vec<Chosen>,
    /// Their mask logits, (R', K + 1, M, M).
    masks: Option<Output>,
    /// M; 0 without masks.
    pub(super) mask_side: usize,
    area_unit: AreaUnit,
}

/// An output of the network that a branch picks its predictions from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Objectness,
    ProposalDeltas,
    ClassLogits,
    RegionDeltas,
    MaskLogits,
}

/// A branch at a pass.
pub(super) struct PassBranch {
    /// Its inputs.
    pub(super) fields: BranchFields,
    /// The output that its predictions (their logits, if they are a softmax) are picked from.
    pub(super) source: Source,
    /// The place of each element of the prediction there.
    pub(super) places: Vec<Place>,
    /// The derived inputs of boxes as functions of the prediction.
    pub(super) areas: Option<Arc<BoxAreas>>,
}

/// What a pass draws its anchors and regions from.
#[derive(Clone, Copy)]
pub(super) struct Draws {
    pub(super) seed: u64,
    pub(super) update: u64,
}

impl Draws {
    fn of_image(self, image: usize) -> ChaCha8Rng {
        // More than 2³² images or updates are not to be.
        stream(
            self.seed,
            Purpose::Regions,
            (self.update << 32) | image as u64,
        )
    }
}

/// Regions that are added to the proposals of an image, so that there is something to learn from the
/// first update on.
#[derive(Clone, Copy)]
pub(super) enum Added {
    /// The objects' own boxes: for training.
    Objects,
    /// Boxes near those of the objects, as a trained first stage proposes: for screening, where an
    /// untrained one proposes none and the objects' own boxes would leave nothing to learn. (ours)
    Near,
}

/// Boxes near each object.
const NEAR: usize = 6;

/// Largest shift of a near box and change of its sides, as a share of them.
const SPREAD: f32 = 0.2;

impl Added {
    fn of(self, item: &PreparedScene, rng: &mut ChaCha8Rng) -> Vec<Corners> {
        match self {
            Self::Objects => item.boxes.clone(),
            Self::Near => item
                .boxes
                .iter()
                .flat_map(|object| [*object; NEAR])
                .map(|object| near(object, item.extent(), rng))
                .collect(),
        }
    }
}

fn near([x1, y1, x2, y2]: Corners, extent: [f32; 2], rng: &mut ChaCha8Rng) -> Corners {
    let (width, height) = (x2 - x1, y2 - y1);
    let mut moved = |side: f32| side * rng.random_range(-SPREAD..SPREAD);
    let (dx, dy) = (moved(width), moved(height));
    let (wider, taller) = (moved(width) / 2.0, moved(height) / 2.0);
    let corners = [
        x1 + dx - wider,
        y1 + dy - taller,
        x2 + dx + wider,
        y2 + dy + taller,
    ];
    clip(corners, extent)
}

impl Pass {
    /// Runs the network on a batch and chooses what to look at.
    pub(super) fn new(
        net: &DetectionNet,
        images: Tensor<4>,
        items: &[PreparedScene],
        settings: &DetectorSettings,
        draws: Draws,
        added: Added,
    ) -> Self {
        let features = net.features(images);
        let rpn = net.rpn(&features);
        let proposals = Proposals::new(net, &rpn);
        let (mut anchors, mut rois, mut regions) = (Vec::new(), Vec::new(), Vec::new());
        for (image, item) in items.iter().enumerate() {
            let mut rng = draws.of_image(image);
            anchors.extend(choose_anchors(
                &proposals.anchors,
                (image, item),
                settings,
                &mut rng,
            ));
            let mut boxes = proposals.of_image(image, item.extent(), settings.proposals());
            boxes.extend(added.of(item, &mut rng));
            for (corners, object) in choose_regions(&boxes, item, settings, &mut rng) {
                let place = rois.len();
                rois.push(Roi { image, corners });
                regions.push(Chosen {
                    image,
                    place,
                    object,
                });
            }
        }
        let boxes = net.boxes(&features, &rois);
        let masked = match net.has_masks() {
            true => choose_masked(&regions, items.len(), settings.mask_samples),
            false => Vec::new(),
        };
        let mask_rois: Vec<Roi> = masked.iter().map(|region| rois[region.place]).collect();
        let masks = net.masks(&features, &mask_rois);
        Self {
            area_unit: settings.area_unit,
            outputs: boxes.class_logits.dims()[1],
            class_logits: Output::new([&boxes.class_logits]),
            deltas: Output::new([&boxes.deltas]),
            mask_side: masks.as_ref().map_or(0, |logits| logits.dims()[2]),
            masks: masks.as_ref().map(|logits| Output::new([logits])),
            proposals,
            anchors,
            rois,
            regions,
            masked,
        }
    }

    /// An output of the network.
    ///
    /// # Panics
    /// For mask logits of a network without masks.
    pub(super) fn output(&self, source: Source) -> &Output {
        match source {
            Source::Objectness => &self.proposals.logits,
            Source::ProposalDeltas => &self.proposals.deltas,
            Source::ClassLogits => &self.class_logits,
            Source::RegionDeltas => &self.deltas,
            Source::MaskLogits => self.masks.as_ref().expect("a branch of masks needs masks"),
        }
    }

    /// Deltas of a region for a class, 0 the background.
    pub(super) fn region_deltas(&self, region: usize, class: usize) -> [f32; 4] {
        let places = self.region_delta_places(region, class);
        places.map(|place| self.deltas.values[place])
    }

    fn region_delta_places(&self, region: usize, class: usize) -> [usize; 4] {
        let start = (region * self.outputs + class) * 4;
        std::array::from_fn(|k| start + k)
    }

    /// The branches at the anchors and regions of the images for which `counts` holds, in their order.
    pub(super) fn branches(
        &self,
        items: &[PreparedScene],
        counts: impl Fn(usize) -> bool,
    ) -> Vec<PassBranch> {
        let anchors: Vec<Chosen> = self
            .anchors
            .iter()
            .copied()
            .filter(|a| counts(a.image))
            .collect();
        let regions: Vec<Chosen> = self
            .regions
            .iter()
            .copied()
            .filter(|r| counts(r.image))
            .collect();
        let mut branches = vec![
            self.rpn_class(&anchors, items),
            self.rpn_box(&anchors, items),
            self.rcnn_class(&regions, items),
            self.rcnn_box(&regions, items),
        ];
        if self.masks.is_some() {
            branches.push(self.mask(items, counts));
        }
        branches
    }

    fn rpn_class(&self, anchors: &[Chosen], items: &[PreparedScene]) -> PassBranch {
        let places: Vec<Vec<Place>> = anchors
            .iter()
            .map(|a| vec![None, Some(self.proposals.logit_place(a.image, a.place))])
            .collect();
        let targets: Vec<usize> = anchors.iter().map(|a| a.object.is_some().into()).collect();
        let ious: Vec<f32> = anchors
            .iter()
            .map(|a| overlap_with(self.proposals.predicted(a.image, a.place), a, items))
            .collect();
        self.class_branch(Source::Objectness, &places, 2, &targets, &ious)
    }

    fn rpn_box(&self, anchors: &[Chosen], items: &[PreparedScene]) -> PassBranch {
        let found = anchors.iter().filter_map(|anchor| {
            let object = items[anchor.image].boxes[anchor.object?];
            let places = self.proposals.delta_places(anchor.image, anchor.place);
            Some((self.proposals.anchors[anchor.place], places, object))
        });
        self.box_branch(Source::ProposalDeltas, found, PROPOSAL_WEIGHTS)
    }

    fn rcnn_class(&self, regions: &[Chosen], items: &[PreparedScene]) -> PassBranch {
        let row = |region: &Chosen| {
            let start = region.place * self.outputs;
            (start..start + self.outputs).map(Some).collect()
        };
        let places: Vec<Vec<Place>> = regions.iter().map(row).collect();
        let targets: Vec<usize> = regions.iter().map(|r| class_of(r, items)).collect();
        let ious: Vec<f32> = regions
            .iter()
            .map(|region| {
                let deltas = self.region_deltas(region.place, class_of(region, items));
                let reference = self.rois[region.place].corners;
                overlap_with(decode(reference, deltas, HEAD_WEIGHTS), region, items)
            })
            .collect();
        self.class_branch(Source::ClassLogits, &places, self.outputs, &targets, &ious)
    }

    fn rcnn_box(&self, regions: &[Chosen], items: &[PreparedScene]) -> PassBranch {
        let found = regions.iter().filter_map(|region| {
            let object = items[region.image].boxes[region.object?];
            let places = self.region_delta_places(region.place, class_of(region, items));
            Some((self.rois[region.place].corners, places, object))
        });
        self.box_branch(Source::RegionDeltas, found, HEAD_WEIGHTS)
    }

    /// A branch with the places of each position's logits, of which there are `channels`.
    fn class_branch(
        &self,
        source: Source,
        places: &[Vec<Place>],
        channels: usize,
        targets: &[usize],
        ious: &[f32],
    ) -> PassBranch {
        let output = self.output(source);
        let row = |places: &Vec<Place>| places.iter().map(|place| output.at(*place)).collect();
        let logits: Vec<Vec<f32>> = places.iter().map(row).collect();
        PassBranch {
            fields: class_fields(&logits, channels, targets, ious),
            source,
            places: by_channel(places, channels),
            areas: None,
        }
    }

    /// A branch of boxes: a reference, the places of its deltas and its object at each position.
    fn box_branch(
        &self,
        source: Source,
        found: impl Iterator<Item = (Corners, [usize; 4], Corners)>,
        weights: [f32; 4],
    ) -> PassBranch {
        let (mut references, mut places, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        for (reference, of_deltas, object) in found {
            references.push(reference);
            places.push(of_deltas.map(Some));
            objects.push(object);
        }
        let output = self.output(source);
        let deltas: Vec<[f32; 4]> = places.iter().map(|p| p.map(|p| output.at(p))).collect();
        let areas = BoxAreas::new(references, objects, weights, self.area_unit);
        let areas = Arc::new(areas);
        PassBranch {
            fields: box_fields(&deltas, areas.clone()),
            source,
            places: by_channel(&places, 4),
            areas: Some(areas),
        }
    }

    fn mask(&self, items: &[PreparedScene], counts: impl Fn(usize) -> bool) -> PassBranch {
        let (mut places, mut targets) = (Vec::new(), Vec::new());
        let (side, pixels) = (self.mask_side, self.mask_side.pow(2));
        for (row, region) in self.masked.iter().enumerate() {
            let item = &items[region.image];
            if !counts(region.image) {
                continue;
            }
            let Some(mask) = object_mask(region, items) else {
                continue;
            };
            let start = (row * self.outputs + class_of(region, items)) * pixels;
            // The logit of outside is 0.
            places.resize(places.len() + pixels, None);
            places.extend((start..start + pixels).map(Some));
            let corners = self.rois[region.place].corners;
            targets.push(mask_target(mask, [item.width, item.height], corners, side));
        }
        let output = self.output(Source::MaskLogits);
        let logits = places.iter().map(|place| output.at(*place)).collect();
        PassBranch {
            fields: mask_fields(logits, &targets, side),
            source: Source::MaskLogits,
            places,
            areas: None,
        }
    }

    /// Where the mask of a region is in the mask branch of its image, if it is looked at.
    pub(super) fn mask_place(&self, region: usize) -> Option<usize> {
        let image = self.regions[region].image;
        let mut of_image = self.masked.iter().filter(|m| m.image == image);
        of_image.position(|masked| masked.place == region)
    }
}

/// The first regions of each image with an object.
fn choose_masked(regions: &[Chosen], images: usize, most: usize) -> Vec<Chosen> {
    let of_image = |image: usize| {
        let with_object = move |region: &&Chosen| region.image == image && region.object.is_some();
        regions.iter().filter(with_object).take(most).copied()
    };
    (0..images).flat_map(of_image).collect()
}

/// The bitmap of a region's object, where the data set has one.
fn object_mask<'a>(region: &Chosen, items: &'a [PreparedScene]) -> Option<&'a Vec<u8>> {
    items[region.image].masks[region.object?].as_ref()
}

/// The channel of a region's class: 0 is the background.
pub(super) fn class_of(region: &Chosen, items: &[PreparedScene]) -> usize {
    region
        .object
        .map_or(0, |object| items[region.image].classes[object] + 1)
}

/// The IoU of a predicted box with its object; 0 where there is none.
fn overlap_with(predicted: Corners, chosen: &Chosen, items: &[PreparedScene]) -> f32 {
    let object = chosen
        .object
        .map(|object| items[chosen.image].boxes[object]);
    object.map_or(0.0, |object| iou(predicted, object))
}

fn choose_anchors(
    anchors: &[Corners],
    (image, item): (usize, &PreparedScene),
    settings: &DetectorSettings,
    rng: &mut ChaCha8Rng,
) -> Vec<Chosen> {
    let matches = assign(
        anchors,
        &item.boxes,
        &item.crowds,
        settings.anchor_matching(),
    );
    let chosen = sample(&matches, settings.rpn_samples, settings.rpn_share, rng);
    let of = |place: usize| Chosen {
        image,
        place,
        object: object(matches[place]),
    };
    chosen.into_iter().map(of).collect()
}

fn choose_regions(
    boxes: &[Corners],
    item: &PreparedScene,
    settings: &DetectorSettings,
    rng: &mut ChaCha8Rng,
) -> Vec<(Corners, Option<usize>)> {
    let matches = assign(boxes, &item.boxes, &item.crowds, settings.region_matching());
    let chosen = sample(&matches, settings.roi_samples, settings.roi_share, rng);
    let of = |place: usize| (boxes[place], object(matches[place]));
    chosen.into_iter().map(of).collect()
}

fn object(found: Match) -> Option<usize> {
    match found {
        Match::Object(object) => Some(object),
        Match::Background | Match::Ignored => None,
    }
}
