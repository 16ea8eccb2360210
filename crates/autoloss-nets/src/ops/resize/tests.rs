//! Resizing against Burn's interpolation: values and gradients.

use burn::tensor::Device;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ops::testing::{compare, random};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

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
        let products = |a: &[Tensor<4>]| by_products(a[0].clone(), sizes);
        let worst = compare(&mut rng, &[x], products, burns);
        prop_assert!(worst < 1e-5, "{worst}");
    }
}
