//! Batch normalisation against Burn's: values, gradients and running statistics.

use burn::module::Param;
use burn::nn::BatchNormConfig;
use burn::tensor::Device;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ops::testing::{compare, difference, random};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

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
