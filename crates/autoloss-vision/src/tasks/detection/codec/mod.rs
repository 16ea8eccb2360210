//! The codec of the branches. The order of a branch's positions is built here and nowhere else; targets and
//! predictions as fields, the scatter of gradients into the network's outputs, and the decoding of predictions
//! for metrics follow from it.

pub(super) mod fields;
mod positions;
pub(super) mod scorers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use autoloss_boxes::{BoxPairs, HEAD_WEIGHTS, PROPOSAL_WEIGHTS, decode, iou};
use autoloss_data::{Corners, PreparedScene};
use burn::tensor::{Tensor, TensorData};

use super::areas;
use super::branches::ByBranch;
use super::masks::mask_target;
use super::output::{Output, OutputGradient, Place, Source};
use super::step::{Chosen, Pass};
use crate::loss::BranchFields;

use fields::{box_fields, class_fields, mask_fields};
pub(super) use positions::Positions;

/// Anchors and regions of a pass by their numbers, in the order in which the branches take them.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// Places in [`Pass::anchors`].
    anchors: Vec<usize>,
    /// Places in [`Pass::regions`].
    regions: Vec<usize>,
    /// Places in [`Pass::masked`].
    masked: Vec<usize>,
}

impl Selection {
    /// All anchors and regions of a pass.
    pub(super) fn whole(pass: &Pass) -> Self {
        Self::of(pass, |_| true)
    }

    /// Those of one image.
    pub(super) fn of_image(pass: &Pass, image: usize) -> Self {
        Self::of(pass, |of| of == image)
    }

    fn of(pass: &Pass, is_wanted: impl Fn(usize) -> bool) -> Self {
        let places = |all: &[Chosen]| {
            let places = all.iter().enumerate();
            let wanted = places.filter(|(_, chosen)| is_wanted(chosen.image));
            wanted.map(|(place, _)| place).collect()
        };
        Self {
            anchors: places(&pass.anchors),
            regions: places(&pass.regions),
            masked: places(&pass.masked),
        }
    }
}

/// A branch at a pass: its positions, and all that follows from their order.
pub(super) struct BranchCodec {
    positions: Positions,
    fields: BranchFields,
    /// The output of the network from which the predictions (their logits, if they are a softmax) come.
    source: Source,
    /// The place there of each element of the prediction.
    places: Vec<Place>,
    /// The derived inputs of boxes as functions of the prediction.
    areas: Option<Arc<BoxPairs>>,
}

impl BranchCodec {
    /// The order of the positions.
    pub(super) const fn positions(&self) -> &Positions {
        &self.positions
    }

    /// The output of the network from which the predictions come.
    pub(super) const fn source(&self) -> Source {
        self.source
    }

    /// The inputs.
    pub(super) const fn fields(&self) -> &BranchFields {
        &self.fields
    }

    /// The inputs, by value.
    pub(super) fn into_fields(self) -> BranchFields {
        self.fields
    }

    /// The target, which is the second input of every branch.
    pub(super) fn target(&self) -> &[f32] {
        &self.fields.inputs[1]
    }

    /// Adds the gradient of the prediction to that of the output from which it comes.
    pub(super) fn scatter(&self, gradient: &[f32], into: &mut OutputGradient) {
        into.add(&self.places, gradient);
    }

    /// The inputs on the device of the network; of a prediction that is a softmax its logits.
    pub(super) fn inputs_on_device(&self, pass: &Pass) -> Vec<Tensor<4>> {
        let (shape, output) = (self.fields.shape, pass.output(self.source));
        let prediction = output.gather(&self.places, shape);
        let derived = self.areas.as_ref();
        let derived = derived.map(|pairs| areas::on_device(pairs, &prediction));
        let given = self.fields.inputs.len() - derived.as_ref().map_or(0, |fields| fields.len());
        let constant = |values: &Vec<f32>| {
            let dims = [shape.n, shape.c, shape.h, shape.w];
            Tensor::from_data(TensorData::new(values.clone(), dims), &output.device())
        };
        // The prediction is the first input of every branch, and the derived ones are the last.
        let constants = self.fields.inputs[1..given].iter().map(constant);
        let inputs = std::iter::once(prediction).chain(constants);
        inputs.chain(derived.into_iter().flatten()).collect()
    }
}

/// The branches of a pass at the selected anchors and regions.
pub(super) fn branches(
    pass: &Pass,
    items: &[PreparedScene],
    selection: &Selection,
) -> ByBranch<BranchCodec> {
    let encoder = Encoder { pass, items };
    ByBranch {
        rpn_class: encoder.rpn_class(&selection.anchors),
        rpn_box: encoder.rpn_box(&selection.anchors),
        rcnn_class: encoder.rcnn_class(&selection.regions),
        rcnn_box: encoder.rcnn_box(&selection.regions),
        mask: pass.has_masks().then(|| encoder.mask(&selection.masked)),
    }
}

/// A position of a class branch.
struct ClassRow {
    /// Places of the logits, channel by channel.
    logits: Vec<Place>,
    /// Channel of the right class.
    target: usize,
    /// IoU of the predicted box with the object.
    iou: f32,
}

/// A position of a box branch.
struct BoxRow {
    reference: Corners,
    /// Places of the deltas.
    deltas: [usize; 4],
    object: Corners,
}

/// A pass with the prepared images of its batch.
struct Encoder<'a> {
    pass: &'a Pass,
    items: &'a [PreparedScene],
}

impl Encoder<'_> {
    fn rpn_class(&self, anchors: &[usize]) -> BranchCodec {
        let proposals = &self.pass.proposals;
        let row = |number: &usize| {
            let anchor = &self.pass.anchors[*number];
            let (image, place) = (anchor.image, anchor.place);
            ClassRow {
                logits: vec![None, Some(proposals.logit_place(image, place))],
                target: anchor.object.is_some().into(),
                iou: self.overlap(proposals.predicted(image, place), anchor),
            }
        };
        let rows: Vec<ClassRow> = anchors.iter().map(row).collect();
        self.classes(Source::Objectness, 2, anchors.to_vec(), &rows)
    }

    fn rpn_box(&self, anchors: &[usize]) -> BranchCodec {
        let row = |anchor: &Chosen| {
            let proposals = &self.pass.proposals;
            Some(BoxRow {
                reference: proposals.anchors[anchor.place],
                deltas: proposals.delta_places(anchor.image, anchor.place),
                object: self.object(anchor)?,
            })
        };
        let rows = anchors
            .iter()
            .filter_map(|number| Some((*number, row(&self.pass.anchors[*number])?)));
        self.boxes(Source::ProposalDeltas, rows, PROPOSAL_WEIGHTS)
    }

    fn rcnn_class(&self, regions: &[usize]) -> BranchCodec {
        let layout = self.pass.layout;
        let row = |number: &usize| {
            let region = &self.pass.regions[*number];
            let target = class_of(region, self.items);
            let deltas = self.pass.region_deltas(region.place, target);
            let reference = self.pass.rois[region.place].corners;
            ClassRow {
                logits: layout.logits(region.place).map(Some).collect(),
                target,
                iou: self.overlap(decode(reference, deltas, HEAD_WEIGHTS), region),
            }
        };
        let rows: Vec<ClassRow> = regions.iter().map(row).collect();
        self.classes(Source::ClassLogits, layout.classes, regions.to_vec(), &rows)
    }

    fn rcnn_box(&self, regions: &[usize]) -> BranchCodec {
        let row = |region: &Chosen| {
            let class = class_of(region, self.items);
            Some(BoxRow {
                reference: self.pass.rois[region.place].corners,
                deltas: self.pass.layout.deltas(region.place, class),
                object: self.object(region)?,
            })
        };
        let rows = regions
            .iter()
            .filter_map(|number| Some((*number, row(&self.pass.regions[*number])?)));
        self.boxes(Source::RegionDeltas, rows, HEAD_WEIGHTS)
    }

    /// The branch of masks at rows of the mask logits. Its subjects are regions, as those of the other branches of
    /// the second stage.
    fn mask(&self, masked: &[usize]) -> BranchCodec {
        let (side, layout) = (self.pass.mask_side, self.pass.layout);
        let (mut subjects, mut places, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for row in masked {
            let region = &self.pass.masked[*row];
            let Some(mask) = object_mask(region, self.items) else {
                continue;
            };
            let class = class_of(region, self.items);
            let inside = layout.mask(*row, class, side * side);
            // The logit of outside is 0.
            let outside = std::iter::repeat_n(None, side * side);
            places.push(outside.chain(inside.map(Some)).collect::<Vec<Place>>());
            let item = &self.items[region.image];
            let corners = self.pass.rois[region.place].corners;
            targets.push(mask_target(mask, [item.width, item.height], corners, side));
            subjects.push(region.place);
        }
        let positions = Positions::of_images(subjects, 2, side);
        let source = Source::MaskLogits;
        let logits: Vec<Vec<f32>> = self.predictions(source, &places);
        BranchCodec {
            fields: mask_fields(&positions, &logits, &targets),
            source,
            places: positions.field(&places),
            areas: None,
            positions,
        }
    }

    /// A class branch from its rows, one an anchor or region.
    fn classes(
        &self,
        source: Source,
        channels: usize,
        subjects: Vec<usize>,
        rows: &[ClassRow],
    ) -> BranchCodec {
        let positions = Positions::of_points(subjects, channels);
        let places: Vec<&[Place]> = rows.iter().map(|row| &row.logits[..]).collect();
        let logits = self.predictions(source, &places);
        let targets: Vec<usize> = rows.iter().map(|row| row.target).collect();
        let ious: Vec<f32> = rows.iter().map(|row| row.iou).collect();
        BranchCodec {
            fields: class_fields(&positions, &logits, &targets, &ious),
            source,
            places: positions.field(&places),
            areas: None,
            positions,
        }
    }

    /// A box branch from anchors or regions with their rows.
    fn boxes(
        &self,
        source: Source,
        rows: impl Iterator<Item = (usize, BoxRow)>,
        weights: [f32; 4],
    ) -> BranchCodec {
        let (subjects, rows): (Vec<usize>, Vec<BoxRow>) = rows.unzip();
        let positions = Positions::of_points(subjects, 4);
        let output = self.pass.output(source);
        let places: Vec<[Place; 4]> = rows.iter().map(|row| row.deltas.map(Some)).collect();
        let deltas = places.iter().map(|four| four.map(|place| output.at(place)));
        let deltas: Vec<[f32; 4]> = deltas.collect();
        let references = rows.iter().map(|row| row.reference).collect();
        let objects = rows.iter().map(|row| row.object).collect();
        let areas = self.pass.area_unit.pairs(references, objects, weights);
        let areas = Arc::new(areas);
        BranchCodec {
            fields: box_fields(&positions, &deltas, Arc::clone(&areas)),
            source,
            places: positions.field(&places),
            areas: Some(areas),
            positions,
        }
    }

    /// The numbers of an output at the places of each row.
    fn predictions<R: AsRef<[Place]>>(&self, source: Source, rows: &[R]) -> Vec<Vec<f32>> {
        let output: &Output = self.pass.output(source);
        let row = |places: &R| {
            let places = places.as_ref().iter();
            places.map(|place| output.at(*place)).collect()
        };
        rows.iter().map(row).collect()
    }

    /// The box of the object that an anchor or region is to find.
    fn object(&self, chosen: &Chosen) -> Option<Corners> {
        Some(self.items[chosen.image].boxes[chosen.object?])
    }

    /// The IoU of a predicted box with its object; 0 where there is none.
    fn overlap(&self, predicted: Corners, chosen: &Chosen) -> f32 {
        self.object(chosen)
            .map_or(0.0, |object| iou(predicted, object))
    }
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
