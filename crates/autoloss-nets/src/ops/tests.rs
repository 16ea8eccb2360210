//! Every operation here against Burn's own: value and gradients.

use burn::module::Param;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Initializer};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, TensorData, activation};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::batch_norm::normalised;
use super::*;

mod roi_align;
mod transposed;

/// Largest difference, relative to the largest reference value (at least 1).
fn difference<const D: usize>(actual: Tensor<D>, reference: Tensor<D>) -> f32 {
    assert_eq!(actual.dims(), reference.dims());
    let actual: Vec<f32> = actual.into_data().iter().collect();
    let reference: Vec<f32> = reference.into_data().iter().collect();
    let scale = reference.iter().fold(1.0f32, |max, x| max.max(x.abs()));
    let pairs = actual.iter().zip(&reference);
    pairs.fold(0.0f32, |max, (a, r)| max.max((a - r).abs() / scale))
}

fn random<const D: usize>(rng: &mut ChaCha8Rng, dims: [usize; D], device: &Device) -> Tensor<D> {
    let count = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

#[test]
fn difference_sees_one_wrong_element() {
    let device = Device::flex();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let x = random(&mut rng, [2, 3, 4, 4], &device);
    let wrong = x.clone().slice_fill([0..1, 1..2, 2..3, 3..4], 2.0);
    assert_eq!(difference(x.clone(), x.clone()), 0.0);
    assert!(difference(wrong, x) > 0.5);
}

/// Compares `ours` with `reference`, both functions of `arguments`: values and
/// the gradients of a random weighting of them. Gives the largest difference.
fn compare<const D: usize>(
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn conv2d_is_burns(
        seed in any::<u64>(),
        [batch, channels_in, channels_out] in [1usize..5, 1..6, 1..40],
        size in [1usize..14, 1..14],
        kernel in prop::sample::select(vec![[1usize, 1], [3, 3], [7, 7], [1, 3], [2, 2]]),
        stride in [1usize..4, 1..4],
        padding in [0usize..5, 0..5],
        dilation in [1usize..5, 1..5],
        bias in any::<bool>(),
    ) {
        let fits = |axis: usize| {
            size[axis] + 2 * padding[axis] > dilation[axis] * (kernel[axis] - 1)
        };
        prop_assume!(fits(0) && fits(1));
        let device = Device::flex().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut layer = Conv2dConfig::new([channels_in, channels_out], kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_padding(PaddingConfig2d::Explicit(padding[0], padding[1], padding[0], padding[1]))
            .with_bias(bias)
            .with_initializer(Initializer::Ones)
            .init(&device);
        prop_assert!(geometry(&layer, [batch, channels_in, size[0], size[1]]).is_some());
        let x = random(&mut rng, [batch, channels_in, size[0], size[1]], &device);
        let weight = random(&mut rng, layer.weight.dims(), &device);
        let with_weight = |weight: &Tensor<4>| {
            let mut layer = layer.clone();
            layer.weight = Param::initialized(layer.weight.id, weight.clone());
            layer
        };
        let worst = compare(
            &mut rng,
            &[x.clone(), weight.clone()],
            |a| conv2d(&with_weight(&a[1]), a[0].clone()),
            |a| with_weight(&a[1]).forward(a[0].clone()),
        );
        prop_assert!(worst < 1e-5, "{worst}");

        layer.weight = Param::initialized(layer.weight.id, weight);
        let plain = burn::module::Module::valid(&layer);
        let x = x.inner();
        let worst = difference(conv2d(&plain, x.clone()), plain.forward(x));
        prop_assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn resize_is_burns(
        seed in any::<u64>(),
        dims in [1usize..4, 1..4, 1..9, 1..9],
        size in [1usize..20, 1..20],
    ) {
        let device = Device::flex().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = random(&mut rng, dims, &device);
        let burns = |a: &[Tensor<4>]| {
            let options = InterpolateOptions::new(InterpolateMode::Bilinear)
                .with_align_corners(false)
                .with_output_size(size);
            interpolate(a[0].clone(), options)
        };
        let worst = compare(&mut rng, std::slice::from_ref(&x), |a| resize(a[0].clone(), size), burns);
        prop_assert!(worst < 1e-5, "{worst}");
        let sizes = Sizes { from: [dims[2], dims[3]], to: size };
        let products = |a: &[Tensor<4>]| resize::by_products(a[0].clone(), sizes);
        let worst = compare(&mut rng, &[x], products, burns);
        prop_assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn batch_norm_is_burns(
        seed in any::<u64>(),
        dims in [2usize..5, 1..6, 1..9, 1..9],
        relu in any::<bool>(),
        with_residual in any::<bool>(),
    ) {
        let device = Device::flex().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let channels = dims[1];
        let layers = [0, 1].map(|_| BatchNormConfig::new(channels).init(&device));
        let arguments = [
            random(&mut rng, dims, &device),
            random(&mut rng, [1, channels, 1, 1], &device),
            random(&mut rng, [1, channels, 1, 1], &device),
            random(&mut rng, dims, &device),
        ];
        let arguments = &arguments[..if with_residual { 4 } else { 3 }];
        let with_parameters = |bn: &BatchNorm, a: &[Tensor<4>]| {
            let mut bn = bn.clone();
            bn.gamma = Param::initialized(bn.gamma.id, a[1].clone().reshape([channels]));
            bn.beta = Param::initialized(bn.beta.id, a[2].clone().reshape([channels]));
            bn
        };
        let ours = |bn: &BatchNorm, a: &[Tensor<4>]| {
            normalised(bn, &a[0], a.get(3), relu).expect("on the CPU")
        };
        let burns = |bn: &BatchNorm, a: &[Tensor<4>]| {
            let mut y = bn.forward(a[0].clone());
            if let Some(residual) = a.get(3) {
                y = y + residual.clone();
            }
            if relu { activation::relu(y) } else { y }
        };
        let worst = compare(
            &mut rng,
            arguments,
            |a| ours(&with_parameters(&layers[0], a), a),
            |a| burns(&with_parameters(&layers[1], a), a),
        );
        prop_assert!(worst < 1e-4, "{worst}");

        // Both have seen one training step; their running statistics agree,
        // and so do their predictions.
        let [ours_plain, burns_plain] =
            layers.map(|bn| burn::module::Module::valid(&with_parameters(&bn, arguments)));
        for (a, b) in [
            (&ours_plain.running_mean, &burns_plain.running_mean),
            (&ours_plain.running_var, &burns_plain.running_var),
        ] {
            prop_assert!(difference(a.value(), b.value()) < 1e-5);
        }
        let arguments: Vec<Tensor<4>> = arguments.iter().cloned().map(Tensor::inner).collect();
        let worst = difference(ours(&ours_plain, &arguments), burns(&burns_plain, &arguments));
        prop_assert!(worst < 1e-4, "{worst}");
    }
}

#[test]
fn nan_survives_batch_norm_and_relu() {
    let device = Device::flex().autodiff();
    let bn = BatchNormConfig::new(1).init(&device);
    let x = Tensor::<4>::from_data([[[[1.0, f32::NAN]]]], &device);
    let y: Vec<f32> = batch_norm_relu(&bn, x).into_data().iter().collect();
    assert!(y.iter().all(|y| y.is_nan()), "{y:?}");
}

#[test]
fn wide_dilation_leaves_only_the_centre_tap() {
    let g = Geometry {
        batch: 1,
        channels_in: 1,
        channels_out: 1,
        size_in: [4, 4],
        size_out: [4, 4],
        kernel: [3, 3],
        stride: [1, 1],
        padding: [6, 6],
        dilation: [6, 6],
    };
    let x: Vec<f32> = (0..16).map(|x| x as f32).collect();
    let weight = [1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0];
    let expected: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
    assert_eq!(conv::forward(&x, &weight, &g), expected);
    assert_eq!(conv::input_gradient(&weight, &x, &g), expected);
    let squares: f32 = x.iter().map(|x| x * x).sum();
    let mut gradient = [0.0; 9];
    gradient[4] = squares;
    assert_eq!(conv::weight_gradient(&x, &x, &g), gradient);
}
