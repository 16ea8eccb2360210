//! Comparison of operations with Burn's own: values and gradients.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Largest difference, relative to the largest reference value (at least 1).
pub(super) fn difference<const D: usize>(actual: Tensor<D>, reference: Tensor<D>) -> f32 {
    assert_eq!(actual.dims(), reference.dims());
    let actual: Vec<f32> = actual.into_data().iter().collect();
    let reference: Vec<f32> = reference.into_data().iter().collect();
    let scale = reference.iter().fold(1.0f32, |max, x| max.max(x.abs()));
    let pairs = actual.iter().zip(&reference);
    pairs.fold(0.0f32, |max, (a, r)| max.max((a - r).abs() / scale))
}

/// A tensor of numbers from -1 to 1.
pub(super) fn random<const D: usize>(
    rng: &mut ChaCha8Rng,
    dims: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let count = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// Compares `ours` with `reference`, both functions of `arguments`: values and
/// the gradients of a random weighting of them. Gives the largest difference.
pub(super) fn compare<const D: usize>(
    rng: &mut ChaCha8Rng,
    arguments: &[Tensor<4>],
    ours: impl Fn(&[Tensor<4>]) -> Tensor<D>,
    reference: impl Fn(&[Tensor<4>]) -> Tensor<D>,
) -> f32 {
    let leaves = || -> Vec<Tensor<4>> {
        let fresh = arguments.iter().cloned().map(Tensor::detach);
        fresh.map(Tensor::require_grad).collect()
    };
    let (our_leaves, reference_leaves) = (leaves(), leaves());
    let (y, expected) = (ours(&our_leaves), reference(&reference_leaves));
    let mut worst = difference(y.clone(), expected.clone());
    let weights = random(rng, expected.dims(), &expected.device());
    let gradients = (y * weights.clone()).sum().backward();
    let expected_gradients = (expected * weights).sum().backward();
    for (ours, reference) in our_leaves.iter().zip(&reference_leaves) {
        let ours = ours.grad(&gradients).expect("a gradient");
        let reference = reference.grad(&expected_gradients).expect("a gradient");
        worst = worst.max(difference(ours, reference));
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn difference_sees_one_wrong_element() {
        let device = Device::flex();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let x = random(&mut rng, [2, 3, 4, 4], &device);
        let wrong = x.clone().slice_fill([0..1, 1..2, 2..3, 3..4], 2.0);
        assert_eq!(difference(x.clone(), x.clone()), 0.0);
        assert!(difference(wrong, x) > 0.5);
    }
}
