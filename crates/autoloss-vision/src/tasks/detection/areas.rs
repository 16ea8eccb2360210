//! Overlaps of predicted and target boxes, the derived inputs of a box branch: their unit, and their computation by Burn.

use autoloss_boxes::{ASPECT, BoxPairs, Corners, MAX_LOG_SIZE, angle, area};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Unit of the areas `i`, `u` and `e` of boxes. Ratios of areas are the same either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaUnit {
    /// The target box's area: a loss that is no ratio of areas then makes gradients of the size of
    /// the other branches', whatever the size of the object.
    Object,
    /// Square pixels, as CSE-AutoLoss has them.
    Pixel,
}

impl AreaUnit {
    /// All units.
    #[cfg(test)]
    const ALL: [Self; 2] = [Self::Object, Self::Pixel];

    /// Boxes decoded from references by deltas with these weights, and the object of each reference.
    pub(super) fn pairs(
        self,
        references: Vec<Corners>,
        objects: Vec<Corners>,
        weights: [f32; 4],
    ) -> BoxPairs {
        BoxPairs {
            scales: objects.iter().map(|object| self.scale(*object)).collect(),
            references,
            objects,
            weights,
        }
    }

    /// Factor of areas in square pixels.
    fn scale(self, object: Corners) -> f32 {
        match self {
            // Objects without an area are not learned from; the bound is for those that come close.
            Self::Object => area(object).max(1e-6).recip(),
            Self::Pixel => 1.0,
        }
    }
}

/// The derived inputs of deltas (1, 4, 1, boxes) by Burn, which differentiates them. Where corners of two boxes
/// coincide one of them alone has the gradient.
pub(super) fn on_device(pairs: &BoxPairs, deltas: &Tensor<4>) -> [Tensor<4>; 5] {
    let (dims, device) = (deltas.dims(), deltas.device());
    let row = |values: Vec<f32>| {
        Tensor::<4>::from_data(TensorData::new(values, [1, 1, 1, dims[3]]), &device)
    };
    let corner = |boxes: &[Corners], k: usize| row(boxes.iter().map(|b| b[k]).collect());
    let delta = |k: usize| deltas.clone().narrow(1, k, 1).div_scalar(pairs.weights[k]);
    let axes = [0, 1].map(|axis| {
        let low = corner(&pairs.references, axis);
        let side = corner(&pairs.references, axis + 2) - low.clone();
        let middle = low + side.clone() * 0.5 + delta(axis) * side.clone();
        let side = side * delta(axis + 2).clamp_max(MAX_LOG_SIZE).exp();
        let (half, object) = (side.clone() * 0.5, [axis, axis + 2]);
        let [object_low, object_high] = object.map(|k| corner(&pairs.objects, k));
        AxisOverlap::new(
            [middle.clone() - half.clone(), middle + half],
            [object_low, object_high],
        )
    });
    let [x, y] = axes;
    let area = |a: Tensor<4>, b: Tensor<4>| a.clamp_min(0.0) * b.clamp_min(0.0);
    let intersection = area(x.inner, y.inner);
    let own = area(x.own.clone(), y.own.clone()) + area(x.other, y.other);
    let scale = row(pairs.scales.clone());
    let squared = x.apart.square() + y.apart.square();
    let diagonal = x.outer.clone().square() + y.outer.clone().square();
    let angles = pairs.objects.iter().map(|object| angle(*object)).collect();
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

/// Lengths along one axis of predicted boxes and their objects, shape (1, 1, 1, boxes) each.
struct AxisOverlap {
    own: Tensor<4>,
    other: Tensor<4>,
    /// Length of the intersection, negative where the two do not meet.
    inner: Tensor<4>,
    /// Length from the first edge of the two to the last.
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
    use std::sync::Arc;

    use autoloss_boxes::{decode, iou};
    use autoloss_expr::{Tree, ZooLoss};

    use super::super::branches::specs;
    use super::super::codec::Positions;
    use super::super::codec::fields::box_fields;
    use super::*;
    use crate::loss::{BranchFields, BranchLoss};

    const REFERENCES: [Corners; 2] = [[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 25.0, 15.0]];
    const OBJECTS: [Corners; 2] = [[1.0, 2.0, 12.0, 9.0], [4.0, 6.0, 20.0, 18.0]];
    const DELTAS: [[f32; 4]; 2] = [[0.05, -0.02, 0.1, 0.2], [0.03, 0.1, -0.1, 0.05]];

    fn fields(deltas: &[[f32; 4]; 2], unit: AreaUnit) -> BranchFields {
        let areas = unit.pairs(REFERENCES.to_vec(), OBJECTS.to_vec(), [1.0; 4]);
        let positions = Positions::of_points(vec![0, 1], 4);
        box_fields(&positions, deltas, Arc::new(areas))
    }

    fn boxes(unit: AreaUnit) -> BranchFields {
        fields(&DELTAS, unit)
    }

    /// Loss value and gradient of a formula over the branch `rpn_box`.
    fn at(fields: &BranchFields, tree: &Tree) -> (f64, Vec<f32>) {
        let mut loss = BranchLoss::new(tree, &specs(true)[1]).unwrap();
        let (value, gradient) = loss.at(fields);
        (value, gradient.to_vec())
    }

    fn moved(unit: AreaUnit, place: usize, by: f32) -> BranchFields {
        let mut deltas = DELTAS;
        deltas[place / 4][place % 4] += by;
        fields(&deltas, unit)
    }

    #[test]
    fn gradients_flow_through_the_areas_of_boxes() {
        let names = ["iou", "giou", "diou", "ciou", "cse_a_box"].into_iter();
        for (unit, name) in names.flat_map(|name| AreaUnit::ALL.map(|unit| (unit, name))) {
            let tree = ZooLoss::from_name(name).unwrap().tree();
            let (_, gradient) = at(&boxes(unit), &tree);
            for place in 0..8 {
                let value = |by| at(&moved(unit, place, by), &tree).0;
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
        let (a, b) = (at(&pixels, &tree), at(&objects, &tree));
        assert!((a.0 - b.0).abs() < 1e-6);
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(a.1.iter().zip(&b.1).all(close), "{:?} {:?}", a.1, b.1);
    }

    #[test]
    fn the_iou_loss_is_its_direct_computation() {
        let tree = ZooLoss::from_name("iou").unwrap().tree();
        let fields = boxes(AreaUnit::Object);
        let loss = |place: usize| {
            let predicted = decode(REFERENCES[place], DELTAS[place], [1.0; 4]);
            1.0 - f64::from(iou(predicted, OBJECTS[place]))
        };
        let want = f64::midpoint(loss(0), loss(1));
        assert!((at(&fields, &tree).0 - want).abs() < 1e-5);
    }
}
