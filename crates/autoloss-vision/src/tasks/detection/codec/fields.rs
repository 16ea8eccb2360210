//! The encoding of targets: inputs of a branch from one row a position.

use std::sync::Arc;

use autoloss_boxes::BoxPairs;

use super::positions::Positions;
use crate::loss::BranchFields;

/// Inputs of a class branch: logits of each position over the channels, the one-hot target, and the IoU of the
/// predicted box.
pub(super) fn class_fields(
    positions: &Positions,
    logits: &[Vec<f32>],
    targets: &[usize],
    ious: &[f32],
) -> BranchFields {
    let channels = positions.shape().c;
    let one_hot = |target: &usize| {
        let mut row = vec![0.0; channels];
        row[*target] = 1.0;
        row
    };
    let y: Vec<Vec<f32>> = targets.iter().map(one_hot).collect();
    let w: Vec<Vec<f32>> = ious.iter().map(|iou| vec![*iou; channels]).collect();
    BranchFields {
        shape: positions.shape(),
        inputs: vec![
            positions.field(logits),
            positions.field(&y),
            positions.field(&w),
        ],
        derived: None,
    }
}

/// Inputs of a box branch: predicted deltas, those of the objects, and the derived ones.
pub(in crate::tasks::detection) fn box_fields(
    positions: &Positions,
    deltas: &[[f32; 4]],
    areas: Arc<BoxPairs>,
) -> BranchFields {
    let prediction: Vec<f32> = positions.field(deltas);
    let wide: Vec<f64> = prediction.iter().map(|x| f64::from(*x)).collect();
    let values = areas.values(&wide).into_iter();
    #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
    let values = values.map(|field| field.iter().map(|x| *x as f32).collect());
    let mut inputs = vec![prediction, positions.field(&areas.targets())];
    inputs.extend(values);
    BranchFields {
        shape: positions.shape(),
        inputs,
        derived: Some(areas),
    }
}

/// Inputs of the mask branch: logits of outside and inside, and whether each pixel is inside.
pub(super) fn mask_fields(
    positions: &Positions,
    logits: &[Vec<f32>],
    targets: &[Vec<bool>],
) -> BranchFields {
    let both = |inside: &Vec<bool>| -> Vec<f32> {
        let outside = inside.iter().map(|inside| f32::from(u8::from(!inside)));
        outside
            .chain(inside.iter().map(|inside| f32::from(u8::from(*inside))))
            .collect()
    };
    let y: Vec<Vec<f32>> = targets.iter().map(both).collect();
    BranchFields {
        shape: positions.shape(),
        inputs: vec![positions.field(logits), positions.field(&y)],
        derived: None,
    }
}

#[cfg(test)]
mod tests {
    use autoloss_expr::{Tree, ZooLoss, softmax_channels};

    use super::super::super::areas::AreaUnit;
    use super::super::super::branches::specs;
    use super::*;
    use crate::loss::BranchLoss;

    /// Gradient of a zoo loss over the branch of that number.
    fn gradient(spec: usize, fields: &BranchFields, zoo: &str) -> Vec<f32> {
        let tree: Tree = ZooLoss::from_name(zoo).unwrap().tree();
        let mut loss = BranchLoss::new(&tree, &specs(true)[spec]).unwrap();
        loss.at(fields).1.to_vec()
    }

    fn assert_close(got: &[f32], want: &[f32], bound: f32) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < bound, "{got} {want}");
        }
    }

    #[test]
    fn smooth_l1_has_the_gradient_of_its_direct_computation() {
        let references = vec![[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 25.0, 15.0]];
        let objects = vec![[1.0, 2.0, 12.0, 9.0], [4.0, 6.0, 20.0, 18.0]];
        let areas = AreaUnit::Object.pairs(references, objects, [1.0; 4]);
        let deltas = [[0.05, -0.02, 0.1, 0.2], [0.03, 0.1, -0.1, 0.05]];
        let positions = Positions::of_points(vec![0, 1], 4);
        let fields = box_fields(&positions, &deltas, Arc::new(areas));
        // As torchvision has it, mean over the boxes.
        let pairs = fields.inputs[0].iter().zip(&fields.inputs[1]);
        let direct = pairs.map(|(x, y)| ((x - y) * 9.0).clamp(-1.0, 1.0) / 2.0);
        let direct: Vec<f32> = direct.collect();
        assert_close(&gradient(1, &fields, "smooth_l1"), &direct, 1e-5);
    }

    #[test]
    fn cross_entropy_of_a_softmax_has_the_gradient_probability_less_target() {
        let rows = [vec![0.3, -0.2, 1.0], vec![0.0, 0.5, -0.5]];
        let positions = Positions::of_points(vec![0, 1], 3);
        let fields = class_fields(&positions, &rows, &[2, 0], &[0.5, 0.0]);
        let mut yhat = fields.inputs[0].clone();
        softmax_channels(&mut yhat, fields.shape);
        let pairs = yhat.iter().zip(&fields.inputs[1]);
        let direct: Vec<f32> = pairs.map(|(p, y)| (p - y) / 2.0).collect();
        assert_close(&gradient(2, &fields, "cross_entropy"), &direct, 1e-6);
    }

    #[test]
    fn cross_entropy_of_masks_has_the_gradient_of_a_sigmoid() {
        let logits = [0.4_f32, -1.0, 2.0, 0.0];
        let inside = vec![true, false, false, true];
        let positions = Positions::of_images(vec![0], 2, 2);
        let outside_and_inside = [[0.0; 4], logits].concat();
        let targets = std::slice::from_ref(&inside);
        let fields = mask_fields(&positions, &[outside_and_inside], targets);
        let direct = logits.iter().zip(inside).map(|(logit, inside)| {
            let probability = 1.0 / (1.0 + (-logit).exp());
            (probability - f32::from(u8::from(inside))) / 4.0
        });
        let direct: Vec<f32> = direct.collect();
        assert_close(&gradient(4, &fields, "cross_entropy")[4..], &direct, 1e-6);
    }
}
