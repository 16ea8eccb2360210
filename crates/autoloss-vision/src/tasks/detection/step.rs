//! One pass over a batch: the branches' inputs, and the way of their gradients into the network.

use burn::tensor::Tensor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::assign::{Match, assign, sample};
use super::branches::{box_fields, class_fields, mask_fields};
use super::masks::mask_target;
use super::proposals::Proposals;
use super::settings::{AreaUnit, DetectorSettings};
use crate::data::{Corners, PreparedScene, Purpose, stream};
use crate::loss::{BranchFields, host_values};
use crate::nets::boxes::{HEAD_WEIGHTS, PROPOSAL_WEIGHTS, Roi, clip, decode, iou};
use crate::nets::{BoxPredictions, DetectionNet, RpnLevel};

/// An anchor or region that the pass looks at, with the object it is to find.
#[derive(Clone, Copy)]
pub(super) struct Chosen {
    pub(super) image: usize,
    /// Number of the anchor, or of the region among all that were chosen.
    pub(super) place: usize,
    /// Number of the object in its image.
    pub(super) object: Option<usize>,
}

/// The network's outputs for a batch, and what of them is looked at.
pub(super) struct Pass {
    pub(super) rpn: Vec<RpnLevel>,
    pub(super) proposals: Proposals,
    pub(super) anchors: Vec<Chosen>,
    pub(super) rois: Vec<Roi>,
    pub(super) regions: Vec<Chosen>,
    pub(super) boxes: BoxPredictions,
    /// Logits and deltas of the regions, (R, K + 1) and (R, 4 (K + 1)).
    pub(super) class_logits: Vec<f32>,
    pub(super) deltas: Vec<f32>,
    /// The regions whose masks are looked at.
    pub(super) masked: Vec<Chosen>,
    /// Their mask logits, (R', K + 1, M, M).
    pub(super) masks: Option<(Tensor<4>, Vec<f32>)>,
    area_unit: AreaUnit,
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
        let masks = net.masks(&features, &mask_rois).map(|logits| {
            let values = host_values(&logits);
            (logits, values)
        });
        Self {
            area_unit: settings.area_unit,
            class_logits: host_values(&boxes.class_logits),
            deltas: host_values(&boxes.deltas),
            rpn,
            proposals,
            anchors,
            rois,
            regions,
            boxes,
            masked,
            masks,
        }
    }

    /// Outputs of a region for each class, the background included.
    pub(super) fn outputs(&self) -> usize {
        self.boxes.class_logits.dims()[1]
    }

    pub(super) fn region_logits(&self, region: usize) -> Vec<f32> {
        let outputs = self.outputs();
        self.class_logits[region * outputs..(region + 1) * outputs].to_vec()
    }

    /// Deltas of a region for a class, 0 the background.
    pub(super) fn region_deltas(&self, region: usize, class: usize) -> [f32; 4] {
        let start = (region * self.outputs() + class) * 4;
        std::array::from_fn(|k| self.deltas[start + k])
    }

    /// The branches' inputs at the anchors and regions for which `counts` holds, in the order of
    /// the branches.
    pub(super) fn fields(
        &self,
        items: &[PreparedScene],
        counts: impl Fn(usize) -> bool,
    ) -> Vec<BranchFields> {
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
        let mut fields = vec![
            self.rpn_class(&anchors, items),
            self.rpn_box(&anchors, items),
            self.rcnn_class(&regions, items),
            self.rcnn_box(&regions, items),
        ];
        if self.masks.is_some() {
            fields.push(self.mask(items, counts));
        }
        fields
    }

    fn rpn_class(&self, anchors: &[Chosen], items: &[PreparedScene]) -> BranchFields {
        let logits: Vec<Vec<f32>> = anchors
            .iter()
            .map(|a| vec![0.0, self.proposals.logit(a.image, a.place)])
            .collect();
        let targets: Vec<usize> = anchors.iter().map(|a| a.object.is_some().into()).collect();
        let ious: Vec<f32> = anchors
            .iter()
            .map(|a| overlap_with(self.proposals.predicted(a.image, a.place), a, items))
            .collect();
        class_fields(&logits, 2, &targets, &ious)
    }

    fn rpn_box(&self, anchors: &[Chosen], items: &[PreparedScene]) -> BranchFields {
        let (mut references, mut deltas, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        for anchor in anchors {
            let Some(object) = anchor.object else {
                continue;
            };
            references.push(self.proposals.anchors[anchor.place]);
            deltas.push(self.proposals.deltas(anchor.image, anchor.place));
            objects.push(items[anchor.image].boxes[object]);
        }
        box_fields(
            references,
            &deltas,
            objects,
            PROPOSAL_WEIGHTS,
            self.area_unit,
        )
    }

    fn rcnn_class(&self, regions: &[Chosen], items: &[PreparedScene]) -> BranchFields {
        let rows: Vec<Vec<f32>> = regions
            .iter()
            .map(|r| self.region_logits(r.place))
            .collect();
        let targets: Vec<usize> = regions.iter().map(|r| class_of(r, items)).collect();
        let ious: Vec<f32> = regions
            .iter()
            .map(|region| {
                let deltas = self.region_deltas(region.place, class_of(region, items));
                let reference = self.rois[region.place].corners;
                overlap_with(decode(reference, deltas, HEAD_WEIGHTS), region, items)
            })
            .collect();
        class_fields(&rows, self.outputs(), &targets, &ious)
    }

    fn rcnn_box(&self, regions: &[Chosen], items: &[PreparedScene]) -> BranchFields {
        let (mut references, mut deltas, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        for region in regions {
            let Some(object) = region.object else {
                continue;
            };
            references.push(self.rois[region.place].corners);
            deltas.push(self.region_deltas(region.place, class_of(region, items)));
            objects.push(items[region.image].boxes[object]);
        }
        box_fields(references, &deltas, objects, HEAD_WEIGHTS, self.area_unit)
    }

    fn mask(&self, items: &[PreparedScene], counts: impl Fn(usize) -> bool) -> BranchFields {
        let (mut logits, mut targets) = (Vec::new(), Vec::new());
        let side = self.mask_side();
        for (row, region) in self.masked.iter().enumerate() {
            let item = &items[region.image];
            if !counts(region.image) {
                continue;
            }
            let Some(mask) = object_mask(region, items) else {
                continue;
            };
            logits.push(self.mask_logits(row, class_of(region, items)));
            let corners = self.rois[region.place].corners;
            targets.push(mask_target(mask, [item.width, item.height], corners, side));
        }
        mask_fields(&logits, &targets, side)
    }

    pub(super) fn mask_side(&self) -> usize {
        self.masks
            .as_ref()
            .map_or(0, |(logits, _)| logits.dims()[2])
    }

    /// Where the mask of a region is in the mask branch of its image, if it is looked at.
    pub(super) fn mask_place(&self, region: usize) -> Option<usize> {
        let image = self.regions[region].image;
        let mut of_image = self.masked.iter().filter(|m| m.image == image);
        of_image.position(|masked| masked.place == region)
    }

    /// The mask logits of the row-th region whose mask is looked at, for a class.
    fn mask_logits(&self, row: usize, class: usize) -> &[f32] {
        let pixels = self.mask_side().pow(2);
        let values = self.masks.as_ref().map_or(&[][..], |(_, values)| values);
        let start = (row * self.outputs() + class) * pixels;
        &values[start..start + pixels]
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
pub(super) fn object_mask<'a>(region: &Chosen, items: &'a [PreparedScene]) -> Option<&'a Vec<u8>> {
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
