//! The branches of detection and instance segmentation: their inputs at some anchors and regions,
//! for screening and training alike.
//!
//! A class branch has a position for each anchor or region, with the class probabilities `yhat` over
//! the channels, the one-hot `y`, and `w`, the IoU of the box predicted there with its object (0 where
//! there is none). A box branch has a position for each anchor or region with an object, with the
//! four deltas of the box as channels, the areas `i`, `u` and `e`, and, for published losses, the
//! distance `d` of the centres and the difference `v` of the aspects. The mask branch has the mask of each region with an object as
//! an image of two channels, outside and inside. Where a network gives one logit l for two classes
//! (objectness, mask), the two channels have the logits 0 and l: their softmax is the sigmoid of l.

use std::sync::Arc;

use autoloss_data::Corners;
use autoloss_expr::Shape;
use autoloss_nets::boxes::{
    ASPECT, MAX_LOG_SIZE, angle, decode, decode_gradient, encode, offset, offset_gradient, overlap,
    overlap_gradient,
};
use autoloss_search::{BranchSpec, Derived, InputSpec, Role};
use burn::tensor::{Tensor, TensorData};

use super::settings::AreaUnit;
use crate::loss::BranchFields;

/// The branches, that of masks where there are any.
pub(in crate::tasks) fn specs(masks: bool) -> Vec<BranchSpec> {
    let spec = |name: &str, inputs| BranchSpec {
        name: name.to_owned(),
        inputs,
    };
    let class = || {
        let mut inputs = InputSpec::probabilities_and_target();
        inputs.push(InputSpec::new("w", Role::Constant));
        inputs
    };
    let boxes = || {
        let mut inputs = InputSpec::numbers_and_target();
        inputs.extend(["i", "u", "e"].map(|name| InputSpec::new(name, Role::Derived)));
        let others = ["d", "v"].map(|name| InputSpec::new(name, Role::Derived));
        inputs.extend(others.map(InputSpec::not_searched));
        inputs
    };
    let mut specs = vec![
        spec("rpn_class", class()),
        spec("rpn_box", boxes()),
        spec("rcnn_class", class()),
        spec("rcnn_box", boxes()),
    ];
    if masks {
        specs.push(spec("mask", InputSpec::probabilities_and_target()));
    }
    specs
}

/// A class branch: logits of each position over so many channels, the right channel, and the IoU of
/// the predicted box.
pub(super) fn class_fields(
    rows: &[Vec<f32>],
    channels: usize,
    targets: &[usize],
    ious: &[f32],
) -> BranchFields {
    let count = rows.len();
    let shape = Shape::new(1, channels, 1, count);
    let mut logits = vec![0.0; shape.len()];
    let mut y = vec![0.0; shape.len()];
    for (position, (row, target)) in rows.iter().zip(targets).enumerate() {
        for (channel, logit) in row.iter().enumerate() {
            logits[channel * count + position] = *logit;
        }
        y[target * count + position] = 1.0;
    }
    BranchFields {
        shape,
        inputs: vec![logits, y, ious.repeat(channels)],
        derived: None,
    }
}

/// A box branch: predicted deltas at each position.
pub(super) fn box_fields(deltas: &[[f32; 4]], areas: Arc<BoxAreas>) -> BranchFields {
    let shape = Shape::new(1, 4, 1, deltas.len());
    let prediction = by_channel(deltas, 4);
    let wide: Vec<f64> = prediction.iter().map(|x| f64::from(*x)).collect();
    let values = areas.values(&wide).into_iter();
    #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
    let values = values.map(|field| field.iter().map(|x| *x as f32).collect());
    let mut inputs = vec![prediction, by_channel(&areas.targets(), 4)];
    inputs.extend(values);
    BranchFields {
        shape,
        inputs,
        derived: Some(areas),
    }
}

/// Rows of so many elements as so many channels.
pub(super) fn by_channel<T: Copy, R: AsRef<[T]>>(rows: &[R], channels: usize) -> Vec<T> {
    (0..channels)
        .flat_map(|channel| rows.iter().map(move |row| row.as_ref()[channel]))
        .collect()
}

/// The rows of four channels.
pub(super) fn by_position(field: &[f32]) -> Vec<[f32; 4]> {
    let count = field.len() / 4;
    let row = |position| std::array::from_fn(|channel| field[channel * count + position]);
    (0..count).map(row).collect()
}

/// The mask branch: logits of outside and inside, shape (R, 2, side, side), and whether each pixel is inside.
pub(super) fn mask_fields(logits: Vec<f32>, targets: &[Vec<bool>], side: usize) -> BranchFields {
    let shape = Shape::new(targets.len(), 2, side, side);
    let mut y = Vec::with_capacity(shape.len());
    for target in targets {
        y.extend(target.iter().map(|inside| f32::from(u8::from(!inside))));
        y.extend(target.iter().map(|inside| f32::from(u8::from(*inside))));
    }
    BranchFields {
        shape,
        inputs: vec![logits, y],
        derived: None,
    }
}

/// Intersection, union and enclosing area, distance and aspect of predicted and target boxes as
/// functions of the deltas.
/// They are the same in all four channels.
pub(super) struct BoxAreas {
    references: Vec<Corners>,
    objects: Vec<Corners>,
    /// What areas in square pixels are multiplied by.
    scales: Vec<f32>,
    weights: [f32; 4],
}

impl BoxAreas {
    /// Of the boxes that deltas with these weights make of references, and the object that each is to find.
    pub(super) fn new(
        references: Vec<Corners>,
        objects: Vec<Corners>,
        weights: [f32; 4],
        unit: AreaUnit,
    ) -> Self {
        Self {
            scales: objects.iter().map(|object| unit.scale(*object)).collect(),
            references,
            objects,
            weights,
        }
    }

    /// The deltas of the objects.
    fn targets(&self) -> Vec<[f32; 4]> {
        let pairs = self.references.iter().zip(&self.objects);
        pairs.map(|(r, o)| encode(*r, *o, self.weights)).collect()
    }

    /// The derived inputs of deltas (1, 4, 1, boxes) by Burn, which differentiates them. Where corners of two boxes
    /// coincide one of them alone has the gradient.
    pub(super) fn on_device(&self, deltas: &Tensor<4>) -> [Tensor<4>; 5] {
        let (dims, device) = (deltas.dims(), deltas.device());
        let row = |values: Vec<f32>| {
            Tensor::<4>::from_data(TensorData::new(values, [1, 1, 1, dims[3]]), &device)
        };
        let corner = |boxes: &[Corners], k: usize| row(boxes.iter().map(|b| b[k]).collect());
        let delta = |k: usize| deltas.clone().narrow(1, k, 1).div_scalar(self.weights[k]);
        let axes = [0, 1].map(|axis| {
            let low = corner(&self.references, axis);
            let side = corner(&self.references, axis + 2) - low.clone();
            let middle = low + side.clone() * 0.5 + delta(axis) * side.clone();
            let side = side * delta(axis + 2).clamp_max(MAX_LOG_SIZE).exp();
            let (half, object) = (side.clone() * 0.5, [axis, axis + 2]);
            let [object_low, object_high] = object.map(|k| corner(&self.objects, k));
            AxisOverlap::new(
                [middle.clone() - half.clone(), middle + half],
                [object_low, object_high],
            )
        });
        let [x, y] = axes;
        let area = |a: Tensor<4>, b: Tensor<4>| a.clamp_min(0.0) * b.clamp_min(0.0);
        let intersection = area(x.inner, y.inner);
        let own = area(x.own.clone(), y.own.clone()) + area(x.other, y.other);
        let scale = row(self.scales.clone());
        let squared = x.apart.square() + y.apart.square();
        let diagonal = x.outer.clone().square() + y.outer.clone().square();
        let angles = self.objects.iter().map(|object| angle(*object)).collect();
        let turned = row(angles) - (x.own / y.own).atan();
        [
            intersection.clone() * scale.clone(),
            (own - intersection) * scale.clone(),
            area(x.outer, y.outer) * scale,
            // Boxes that are one point are no distance apart.
            squared / diagonal.clamp_min(f32::MIN_POSITIVE),
            turned.square() * ASPECT,
        ]
        .map(|field| field.expand(dims))
    }

    /// Each box with its deltas.
    fn each(&self, prediction: &[f64]) -> impl Iterator<Item = (usize, [f32; 4], Corners)> {
        let count = self.references.len();
        (0..count).map(move |place| {
            #[expect(clippy::cast_possible_truncation, reason = "boxes are f32")]
            let deltas = std::array::from_fn(|c| prediction[c * count + place] as f32);
            let predicted = decode(self.references[place], deltas, self.weights);
            (place, deltas, predicted)
        })
    }
}

impl Derived for BoxAreas {
    fn values(&self, prediction: &[f64]) -> Vec<Vec<f64>> {
        let mut fields: [Vec<f64>; 5] =
            std::array::from_fn(|_| Vec::with_capacity(prediction.len()));
        for (place, _, predicted) in self.each(prediction) {
            let areas = overlap(predicted, self.objects[place]);
            let others = offset(predicted, self.objects[place]);
            let scale = self.scales[place];
            let values = [
                areas.intersection * scale,
                areas.union * scale,
                areas.enclosing * scale,
                others.distance,
                others.aspect,
            ];
            for (field, value) in fields.iter_mut().zip(values) {
                field.push(f64::from(value));
            }
        }
        fields.into_iter().map(|field| field.repeat(4)).collect()
    }

    fn pull_back(&self, prediction: &[f64], gradients: &[&[f64]], gradient: &mut [f64]) {
        let count = self.references.len();
        for (place, deltas, predicted) in self.each(prediction) {
            // The channels hold one number: what flows into them adds up.
            #[expect(clippy::cast_possible_truncation, reason = "boxes are f32")]
            let into = |field: &[f64]| {
                let channels = (0..4).filter_map(|c| field.get(c * count + place));
                channels.sum::<f64>() as f32
            };
            let [i, u, e] = [0, 1, 2].map(|k| into(gradients[k]) * self.scales[place]);
            let mut corners = overlap_gradient(predicted, self.objects[place], i, u, e);
            let [d, v] = [3, 4].map(|k| into(gradients[k]));
            if (d, v) != (0.0, 0.0) {
                let moved = offset_gradient(predicted, self.objects[place], d, v);
                corners.iter_mut().zip(moved).for_each(|(c, g)| *c += g);
            }
            let pulled = decode_gradient(self.references[place], deltas, self.weights, corners);
            for (channel, g) in pulled.into_iter().enumerate() {
                gradient[channel * count + place] += f64::from(g);
            }
        }
    }
}

/// Lengths along one axis of a box and another one, shape (1, 1, 1, boxes) each.
struct AxisOverlap {
    own: Tensor<4>,
    other: Tensor<4>,
    /// Negative where they do not meet.
    inner: Tensor<4>,
    outer: Tensor<4>,
    /// Distance of the middles.
    apart: Tensor<4>,
}

impl AxisOverlap {
    fn new([low, high]: [Tensor<4>; 2], [other_low, other_high]: [Tensor<4>; 2]) -> Self {
        let inner = high.clone().min_pair(other_high.clone());
        let outer = high.clone().max_pair(other_high.clone());
        Self {
            own: high.clone() - low.clone(),
            other: other_high.clone() - other_low.clone(),
            inner: inner - low.clone().max_pair(other_low.clone()),
            outer: outer - low.clone().min_pair(other_low.clone()),
            apart: (low + high - other_low - other_high) * 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{BranchLoss, softmax};
    use autoloss_expr::{Tree, ZooLoss};

    fn boxes(unit: AreaUnit) -> BranchFields {
        let references = vec![[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 25.0, 15.0]];
        let objects = vec![[1.0, 2.0, 12.0, 9.0], [4.0, 6.0, 20.0, 18.0]];
        let deltas = [[0.05, -0.02, 0.1, 0.2], [0.03, 0.1, -0.1, 0.05]];
        let areas = BoxAreas::new(references, objects, [1.0; 4], unit);
        box_fields(&deltas, Arc::new(areas))
    }

    /// Loss value and gradient of a formula over a branch.
    fn at(spec: usize, fields: &BranchFields, tree: &Tree) -> (f64, Vec<f32>) {
        let mut loss = BranchLoss::new(tree, &specs(true)[spec]).unwrap();
        let (value, gradient) = loss.at(fields);
        (value, gradient.to_vec())
    }

    fn moved(unit: AreaUnit, place: usize, by: f32) -> BranchFields {
        let fields = boxes(unit);
        let mut rows = by_position(&fields.inputs[0]);
        rows[place / 4][place % 4] += by;
        let references = vec![[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 25.0, 15.0]];
        let objects = vec![[1.0, 2.0, 12.0, 9.0], [4.0, 6.0, 20.0, 18.0]];
        let areas = BoxAreas::new(references, objects, [1.0; 4], unit);
        box_fields(&rows, Arc::new(areas))
    }

    #[test]
    fn gradients_flow_through_the_areas_of_boxes() {
        let names = ["iou", "giou", "diou", "ciou", "cse_a_box"].into_iter();
        for (unit, name) in names.flat_map(|name| AreaUnit::ALL.map(|unit| (unit, name))) {
            let tree = ZooLoss::from_name(name).unwrap().tree();
            let (_, gradient) = at(1, &boxes(unit), &tree);
            for place in 0..8 {
                let value = |by| at(1, &moved(unit, place, by), &tree).0;
                let slope = (value(1e-2) - value(-1e-2)) / 2e-2;
                let got = f64::from(gradient[(place % 4) * 2 + place / 4]);
                assert!(
                    (got - slope).abs() <= 0.02 * slope.abs().max(0.05),
                    "{name} in {unit:?} at {place}: {got}, by differences {slope}"
                );
            }
        }
    }

    #[test]
    fn the_unit_scales_areas_and_leaves_ratios() {
        let [pixels, objects] = [AreaUnit::Pixel, AreaUnit::Object].map(boxes);
        // Objects of 77 and 192 square pixels.
        for input in 2..5 {
            for (place, area) in pixels.inputs[input].iter().enumerate() {
                let want = area / if place % 2 == 0 { 77.0 } else { 192.0 };
                let got = objects.inputs[input][place];
                assert!((got - want).abs() < 1e-6 * want, "{got} {want}");
            }
        }
        let tree = ZooLoss::from_name("giou").unwrap().tree();
        let (a, b) = (at(1, &pixels, &tree), at(1, &objects, &tree));
        assert!((a.0 - b.0).abs() < 1e-6);
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(a.1.iter().zip(&b.1).all(close), "{:?} {:?}", a.1, b.1);
    }

    #[test]
    fn the_iou_loss_is_its_direct_computation() {
        let tree = ZooLoss::from_name("iou").unwrap().tree();
        let fields = boxes(AreaUnit::Object);
        let rows = by_position(&fields.inputs[0]);
        let references = [[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 25.0, 15.0]];
        let objects = [[1.0, 2.0, 12.0, 9.0], [4.0, 6.0, 20.0, 18.0]];
        let loss = |place: usize| {
            let predicted = decode(references[place], rows[place], [1.0; 4]);
            1.0 - f64::from(autoloss_nets::boxes::iou(predicted, objects[place]))
        };
        let want = f64::midpoint(loss(0), loss(1));
        assert!((at(1, &fields, &tree).0 - want).abs() < 1e-5);
    }

    /// The hand-written losses computed directly give the formulas' gradients.
    #[test]
    fn formulas_give_the_gradients_of_direct_losses() {
        // Smooth L1 as torchvision has it, mean over the boxes.
        let fields = boxes(AreaUnit::Object);
        let tree = ZooLoss::from_name("smooth_l1").unwrap().tree();
        let (_, gradient) = at(1, &fields, &tree);
        let pairs = fields.inputs[0].iter().zip(&fields.inputs[1]);
        let direct = pairs.map(|(x, y)| ((x - y) * 9.0).clamp(-1.0, 1.0) / 2.0);
        for (got, want) in gradient.iter().zip(direct) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
        // Cross entropy of a softmax: probability less target.
        let rows = [vec![0.3, -0.2, 1.0], vec![0.0, 0.5, -0.5]];
        let fields = class_fields(&rows, 3, &[2, 0], &[0.5, 0.0]);
        let tree = ZooLoss::from_name("cross_entropy").unwrap().tree();
        let (_, gradient) = at(2, &fields, &tree);
        let yhat = softmax(&fields.inputs[0], fields.shape);
        let direct = yhat
            .iter()
            .zip(&fields.inputs[1])
            .map(|(p, y)| (p - y) / 2.0);
        for (got, want) in gradient.iter().zip(direct) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
        // Binary cross entropy of a sigmoid, mean over the pixels.
        let logits = [0.4_f32, -1.0, 2.0, 0.0];
        let inside = vec![true, false, false, true];
        let outside_and_inside = [[0.0; 4], logits].concat();
        let fields = mask_fields(outside_and_inside, std::slice::from_ref(&inside), 2);
        let (_, gradient) = at(4, &fields, &tree);
        for (place, (logit, inside)) in logits.iter().zip(inside).enumerate() {
            let probability = 1.0 / (1.0 + (-logit).exp());
            let want = (probability - f32::from(u8::from(inside))) / 4.0;
            let got = gradient[4 + place];
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }
}
