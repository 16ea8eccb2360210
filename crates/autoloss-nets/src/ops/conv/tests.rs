//! Convolutions against Burn's: values and gradients.

use burn::module::Param;
use burn::nn::Initializer;
use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
use burn::tensor::Device;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ops::testing::{compare, difference, random};

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
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn conv_transpose2d_is_burns(
        seed in any::<u64>(),
        [batch, channels_in, channels_out] in [1usize..5, 1..20, 1..20],
        size in [1usize..9, 1..9],
        kernel in prop::sample::select(vec![[1usize, 1], [2, 2], [3, 3], [4, 4], [2, 3]]),
        stride in [1usize..4, 1..4],
        padding in [0usize..3, 0..3],
        padding_out in [0usize..2, 0..2],
        dilation in [1usize..3, 1..3],
        bias in any::<bool>(),
    ) {
        let fits = |axis: usize| {
            padding_out[axis] < stride[axis]
                && (size[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1)
                    >= 2 * padding[axis]
        };
        prop_assume!(fits(0) && fits(1));
        let device = Device::flex().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut layer = ConvTranspose2dConfig::new([channels_in, channels_out], kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_padding(padding)
            .with_padding_out(padding_out)
            .with_bias(bias)
            .with_initializer(Initializer::Ones)
            .init(&device);
        let dims = [batch, channels_in, size[0], size[1]];
        prop_assert!(transposed::geometry(&layer, dims).is_some());
        let x = random(&mut rng, dims, &device);
        let weight = random(&mut rng, layer.weight.dims(), &device);
        let with_weight = |weight: &Tensor<4>| {
            let mut layer = layer.clone();
            layer.weight = Param::initialized(layer.weight.id, weight.clone());
            layer
        };
        let worst = compare(
            &mut rng,
            &[x.clone(), weight.clone()],
            |a| conv_transpose2d(&with_weight(&a[1]), a[0].clone()),
            |a| with_weight(&a[1]).forward(a[0].clone()),
        );
        prop_assert!(worst < 1e-5, "{worst}");

        layer.weight = Param::initialized(layer.weight.id, weight);
        let plain = burn::module::Module::valid(&layer);
        let x = x.inner();
        let worst = difference(conv_transpose2d(&plain, x.clone()), plain.forward(x));
        prop_assert!(worst < 1e-5, "{worst}");
    }
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
    assert_eq!(plain::forward(&x, &weight, &g), expected);
    assert_eq!(plain::input_gradient(&weight, &x, &g), expected);
    let squares: f32 = x.iter().map(|x| x * x).sum();
    let mut gradient = [0.0; 9];
    gradient[4] = squares;
    assert_eq!(plain::weight_gradient(&x, &x, &g), gradient);
}
