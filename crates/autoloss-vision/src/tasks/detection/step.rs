//! One pass over a batch: the network's outputs, and the anchors and regions that are sampled from it.

use autoloss_boxes::{Roi, clip};
use autoloss_data::{Corners, PreparedScene, Purpose, stream};
use autoloss_nets::DetectionNet;
use burn::tensor::Tensor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::areas::AreaUnit;
use super::assign::{Match, assign, sample};
use super::output::{Output, RegionLayout, Source};
use super::proposals::Proposals;
use super::settings::DetectorSettings;

/// A sampled anchor or region with the object that it is to find.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) image: usize,
    /// Number of the anchor, or of the region among all that were chosen.
    pub(super) place: usize,
    /// Number of the object in its image.
    pub(super) object: Option<usize>,
}

/// The network's outputs for a batch, and the sampled anchors and regions.
pub(super) struct Pass {
    pub(super) proposals: Proposals,
    pub(super) anchors: Vec<Chosen>,
    pub(super) rois: Vec<Roi>,
    pub(super) regions: Vec<Chosen>,
    /// Order of the outputs of the second stage.
    pub(super) layout: RegionLayout,
    /// Logits of the regions, (R, K + 1).
    class_logits: Output,
    /// Deltas of the regions, (R, 4 (K + 1)).
    deltas: Output,
    /// The regions with mask logits, one a row.
    pub(super) masked: Vec<Chosen>,
    /// Their mask logits, (R', K + 1, M, M).
    masks: Option<Output>,
    /// M; 0 without masks.
    pub(super) mask_side: usize,
    pub(super) area_unit: AreaUnit,
}

/// Seed of the random choice of anchors and regions.
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

/// Regions that are added to the proposals of an image, so that the second stage learns from the first update
/// on.
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
    /// Runs the network on a batch and samples anchors and regions.
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
            layout: RegionLayout {
                classes: boxes.class_logits.dims()[1],
            },
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

    /// True for a network with a mask head.
    pub(super) const fn has_masks(&self) -> bool {
        self.masks.is_some()
    }

    /// Deltas of a region for a class, 0 the background.
    pub(super) fn region_deltas(&self, region: usize, class: usize) -> [f32; 4] {
        let places = self.layout.deltas(region, class);
        places.map(|place| self.deltas.values[place])
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
