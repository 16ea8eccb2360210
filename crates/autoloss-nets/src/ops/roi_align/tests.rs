//! RoIAlign against torchvision's numbers, a slow implementation and tensor operations.

use burn::tensor::Device;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ops::testing::{compare, random};
use crate::recorded;

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter().collect()
}

#[test]
fn roi_align_is_torchvisions() {
    let device = Device::flex().autodiff();
    for case in recorded::recorded().roi_align {
        let corners = recorded::fours(&case.corners);
        let pairs = case.images.iter().zip(&corners);
        let rois: Vec<Roi> = pairs
            .map(|(&image, &corners)| Roi { image, corners })
            .collect();
        let options = RoiAlign {
            output: case.output,
            scale: case.scale,
            sampling_ratio: case.sampling_ratio,
            aligned: case.aligned,
        };
        let x = Tensor::<4>::from_data(TensorData::new(case.x, case.dims), &device).require_grad();
        let pooled = roi_align(x.clone(), &rois, options);
        let dims = pooled.dims();
        let plain = roi_align(x.clone().inner(), &rois, options);
        assert!(recorded::difference(&values(plain), &case.pooled) < 1e-5);
        assert!(recorded::difference(&values(pooled.clone()), &case.pooled) < 1e-5);
        let weights = Tensor::from_data(TensorData::new(case.weights, dims), &device);
        let gradients = (pooled * weights).sum().backward();
        let gradient = values(x.grad(&gradients).expect("a gradient"));
        assert!(recorded::difference(&gradient, &case.gradient) < 1e-5);
    }
}

#[test]
fn no_regions_give_an_empty_tensor() {
    let options = RoiAlign {
        output: [2, 3],
        scale: 1.0,
        sampling_ratio: 2,
        aligned: true,
    };
    for device in [Device::flex(), Device::flex().autodiff()] {
        let x = Tensor::<4>::zeros([1, 5, 4, 4], &device);
        assert_eq!(roi_align(x, &[], options).dims(), [0, 5, 2, 3]);
    }
}

#[test]
fn regions_that_are_no_numbers_do_no_harm() {
    let x = Tensor::<4>::ones([1, 1, 4, 4], &Device::flex());
    for sampling_ratio in [0, 2] {
        for aligned in [false, true] {
            let options = RoiAlign {
                output: [2, 2],
                scale: 1.0,
                sampling_ratio,
                aligned,
            };
            for bad in [f32::NAN, f32::INFINITY, 1e30] {
                let corners = [0.0, 0.0, bad, 2.0];
                let pooled = roi_align(x.clone(), &[Roi { image: 0, corners }], options);
                let pooled = values(pooled);
                assert!(pooled.iter().all(|x| x.is_finite()), "{bad}: {pooled:?}");
            }
        }
    }
}

/// One element of the output, sample by sample after the definition.
fn pooled_slowly(
    plane: &[f32],
    [height, width]: [usize; 2],
    roi: [f32; 4],
    bin: [usize; 2],
    options: RoiAlign,
) -> f32 {
    let offset = if options.aligned { 0.5 } else { 0.0 };
    let [x1, y1, x2, y2] = roi.map(|c| c * options.scale - offset);
    let (mut roi_width, mut roi_height) = (x2 - x1, y2 - y1);
    if !options.aligned {
        (roi_width, roi_height) = (roi_width.max(1.0), roi_height.max(1.0));
    }
    let [rows, columns] = options.output;
    let (bin_height, bin_width) = (roi_height / rows as f32, roi_width / columns as f32);
    let samples = |length: f32| match options.sampling_ratio {
        0 => length.ceil().max(0.0) as usize,
        ratio => ratio,
    };
    let (samples_y, samples_x) = (samples(bin_height), samples(bin_width));
    let mut sum = 0.0;
    for sample_y in 0..samples_y {
        let y = y1
            + bin[0] as f32 * bin_height
            + (sample_y as f32 + 0.5) * bin_height / samples_y as f32;
        for sample_x in 0..samples_x {
            let x = x1
                + bin[1] as f32 * bin_width
                + (sample_x as f32 + 0.5) * bin_width / samples_x as f32;
            if y < -1.0 || y > height as f32 || x < -1.0 || x > width as f32 {
                continue;
            }
            let (y, x) = (
                y.clamp(0.0, (height - 1) as f32),
                x.clamp(0.0, (width - 1) as f32),
            );
            for (row, y_weight) in [(y.floor(), 1.0 - y.fract()), (y.floor() + 1.0, y.fract())] {
                for (column, x_weight) in
                    [(x.floor(), 1.0 - x.fract()), (x.floor() + 1.0, x.fract())]
                {
                    if y_weight > 0.0 && x_weight > 0.0 {
                        sum += y_weight * x_weight * plane[row as usize * width + column as usize];
                    }
                }
            }
        }
    }
    sum / (samples_y * samples_x).max(1) as f32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn roi_align_is_the_slow_one_and_tensor_operations(
        seed in any::<u64>(),
        dims in [1usize..4, 1..40, 1..9, 1..9],
        output in [1usize..5, 1..5],
        scale in 0.1f32..1.5,
        sampling_ratio in 0usize..4,
        aligned in any::<bool>(),
        corners in prop::collection::vec([-20.0f32..60.0, -20.0..60.0, -5.0..40.0, -5.0..40.0], 1..12),
    ) {
        let device = Device::flex().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = random(&mut rng, dims, &device);
        let options = RoiAlign { output, scale, sampling_ratio, aligned };
        let [batch, channels, height, width] = dims;
        let rois: Vec<Roi> = corners
            .iter()
            .enumerate()
            .map(|(index, [x, y, width, height])| Roi {
                image: index % batch,
                corners: [*x, *y, x + width, y + height],
            })
            .collect();
        let regions: Vec<Region> =
            rois.iter().map(|roi| options.region(roi, [height, width])).collect();
        let worst = compare(
            &mut rng,
            std::slice::from_ref(&x),
            |a| roi_align(a[0].clone(), &rois, options),
            |a| gathered(a[0].clone(), &regions, output),
        );
        prop_assert!(worst < 1e-5, "{worst}");

        let plain = values(x.clone());
        let mut expected = Vec::new();
        for roi in &rois {
            for channel in 0..channels {
                let plane = &plain[(roi.image * channels + channel) * height * width..];
                for row in 0..output[0] {
                    for column in 0..output[1] {
                        let bin = [row, column];
                        expected.push(pooled_slowly(plane, [height, width], roi.corners, bin, options));
                    }
                }
            }
        }
        let pooled = values(roi_align(x, &rois, options));
        prop_assert!(recorded::difference(&pooled, &expected) < 1e-4);
    }
}

#[test]
fn the_gradient_does_not_depend_on_threads() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let dims = [2, 40, 12, 12];
    let regions: Vec<Region> = (0..60)
        .map(|index| Region {
            image: index % 2,
            axes: [0, 1].map(|_| Axis::new(rng.random_range(-1.0..8.0), 6.0, 5, 12, 2)),
        })
        .collect();
    let gradient: Vec<f32> = (0..60 * 40 * 25)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool")
            .install(|| plain::backward(&gradient, dims, &regions, [5, 5]))
    };
    assert!(with(1) == with(3));
}
