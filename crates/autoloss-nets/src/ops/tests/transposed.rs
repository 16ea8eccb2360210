//! Transposed convolution against Burn's.

use burn::nn::conv::ConvTranspose2dConfig;

use super::super::transposed::geometry;
use super::*;

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
        prop_assert!(geometry(&layer, dims).is_some());
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
