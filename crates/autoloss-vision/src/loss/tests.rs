//! Losses of class probabilities: gradients on the host and by Burn.

use autoloss_expr::Operator;

use super::*;

const DIMS: [usize; 4] = [2, 3, 4, 5];

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn logits() -> Vec<f32> {
    (0..120).map(|i| 2.0 * (i as f32 * 0.83).sin()).collect()
}

fn labels() -> Vec<u8> {
    (0..40).map(|i| [0, 2, 255, 1, 1][i % 5]).collect()
}

/// Loss value and gradient with respect to the logits.
fn gradient(at: impl Fn(&Tensor<4>) -> LossAt) -> (f64, Vec<f32>) {
    let device = Device::flex().autodiff();
    let leaf = Tensor::<4>::from_data(TensorData::new(logits(), DIMS), &device).require_grad();
    let loss = at(&leaf);
    let gradients = loss.root.backward();
    let gradient = leaf.grad(&gradients).unwrap();
    (loss.loss_value.get(), host_values(&gradient))
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6 + 1e-4 * b.abs()
}

#[test]
fn every_operator_trains_alike_on_the_host_and_by_burn() {
    for op in Operator::ALL {
        let operands = ["yhat - 0.31 * y", "yhat + 0.27"]
            .map(|text| Tree::parse(text, &["yhat", "y"]).unwrap());
        let applied = Tree::apply(*op, operands[..op.arity()].to_vec());
        let tree = Tree::apply(Operator::Mul, vec![applied, Tree::input("y")]);
        let loss = ClassLoss::new(&tree).unwrap();
        let (value, by_burn) = gradient(|leaf| {
            let target = labels();
            let target = Labels::of(&target, leaf);
            loss.0.partial_on_device(leaf, &target).unwrap()
        });
        let (host_value, by_host) =
            gradient(|leaf| ClassLoss::new(&tree).unwrap().at(leaf, &labels()));
        assert!(
            (value - host_value).abs() <= 1e-5 * value.abs().max(1.0),
            "{tree}: {value}, {host_value}"
        );
        for (i, (a, b)) in by_host.iter().zip(&by_burn).enumerate() {
            assert!(
                close(*a, *b),
                "{tree} at {i}: {a} by the kernels, {b} by Burn"
            );
        }
    }
}

#[test]
fn cross_entropy_has_its_textbook_gradient() {
    let tree = Tree::parse("-(y * log(yhat))", &["yhat", "y"]).unwrap();
    let shape = Shape::new(DIMS[0], DIMS[1], DIMS[2], DIMS[3]);
    let (_, got) = gradient(|leaf| ClassLoss::new(&tree).unwrap().at(leaf, &labels()));
    let y = one_hot(&labels(), shape);
    let device = Device::flex();
    let leaf = Tensor::<4>::from_data(TensorData::new(logits(), DIMS), &device);
    let probabilities = host_values(&activation::softmax(leaf, 1));
    let mut want: Vec<f32> = probabilities
        .iter()
        .zip(&y)
        .map(|(p, y)| (p - y) / 40.0)
        .collect();
    for_ignored(&labels(), shape, |i| want[i] = 0.0);
    assert!(
        got.iter().zip(&want).all(|(g, w)| close(*g, *w)),
        "{got:?} {want:?}"
    );
}

#[test]
fn native_losses_give_the_gradient_of_logits() {
    let value = |loss: &NativeLoss, values: Vec<f32>| {
        let device = Device::flex().autodiff();
        let leaf = Tensor::<4>::from_data(TensorData::new(values, DIMS), &device);
        let mut loss = ClassLoss::new(&Tree::Native(loss.clone())).unwrap();
        loss.at(&leaf, &labels()).loss_value.get()
    };
    for name in [
        "lovasz_softmax",
        "ssim",
        "dpce",
        "boundary",
        "asl_miou",
        "asl_bf1",
    ] {
        let loss = NativeLoss::new(name, &[]).unwrap();
        let tree = Tree::Native(loss.clone());
        let (_, got) = gradient(|leaf| ClassLoss::new(&tree).unwrap().at(leaf, &labels()));
        for place in (0..120).step_by(7) {
            let moved = |by: f32| {
                let mut values = logits();
                values[place] += by;
                value(&loss, values)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            let difference = (f64::from(got[place]) - slope).abs();
            assert!(
                difference < 1e-3,
                "{name} at {place}: {}, by differences {slope}",
                got[place]
            );
        }
    }
}

#[test]
fn what_is_not_finite_is_noticed() {
    let tree = Tree::parse("exp(inv(yhat - yhat))", &["yhat", "y"]).unwrap();
    let device = Device::flex().autodiff();
    let leaf = Tensor::<4>::from_data(TensorData::new(logits(), DIMS), &device).require_grad();
    let loss = ClassLoss::new(&tree).unwrap().at(&leaf, &labels());
    assert!(!loss.loss_value.get().is_finite() && !loss.gradient_is_finite);
}

#[test]
fn the_comparison_can_fail() {
    assert!(!close(1.0, 1.001) && !close(f32::NAN, 1.0));
}
