//! Milliseconds of the operations of a training step, value and gradients, beside those of Burn.
//!
//! ```text
//! cargo bench -p autoloss-nets -- [--threads 1] [conv] [transposed] [norm] [resize] [roi]
//! ```
//!
//! Sizes are those of the slim networks on a batch of 8 images of 64 × 64. Burn has no RoIAlign: its time stands alone.

use std::time::Instant;

use autoloss_nets::boxes::Roi;
use autoloss_nets::ops::{self, RoiAlign};
use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
use burn::nn::{BatchNormConfig, PaddingConfig2d};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Runs of either side, of which the fastest counts.
const RUNS: usize = 30;

/// Measurement of an operation at several shapes.
type Bench = fn(&Device);

/// An operation of a tensor.
type Operation<'a> = &'a dyn Fn(Tensor<4>) -> Tensor<4>;

fn main() {
    let mut chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let mut threads = 1;
    if let Some(place) = chosen.iter().position(|argument| argument == "--threads") {
        chosen.remove(place);
        threads = chosen.remove(place).parse().expect("a number of threads");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let benches: [(&str, Bench); 5] = [
        ("conv", conv),
        ("transposed", transposed),
        ("norm", norm),
        ("resize", resize),
        ("roi", roi),
    ];
    println!("{threads} threads, the fastest of {RUNS} runs, value and gradients");
    pool.expect("threads").install(|| {
        let device = Device::flex().autodiff();
        for (name, bench) in benches {
            if chosen.is_empty() || chosen.iter().any(|argument| argument == name) {
                bench(&device);
            }
        }
    });
}

fn conv(device: &Device) {
    for (channels, kernel, stride, dilation, side) in [
        ([3, 16], 3, 2, 1, 64),
        ([16, 16], 3, 1, 1, 32),
        ([16, 32], 3, 2, 1, 32),
        ([48, 48], 3, 1, 2, 16),
        ([48, 24], 1, 1, 1, 16),
    ] {
        let padding = dilation * (kernel - 1) / 2;
        let layer = Conv2dConfig::new(channels, [kernel; 2])
            .with_stride([stride; 2])
            .with_dilation([dilation; 2])
            .with_padding(PaddingConfig2d::Explicit(
                padding, padding, padding, padding,
            ))
            .with_bias(false)
            .init(device);
        compare(
            &format!("conv {channels:?} {kernel}x{kernel} stride {stride} dilation {dilation}"),
            &random([8, channels[0], side, side], device),
            &|x| ops::conv2d(&layer, x),
            Some(&|x| layer.forward(x)),
        );
    }
}

fn transposed(device: &Device) {
    let layer = ConvTranspose2dConfig::new([48, 48], [4; 2])
        .with_stride([2; 2])
        .with_padding([1; 2])
        .init(device);
    compare(
        "transposed conv [48, 48] 4x4 stride 2",
        &random([16, 48, 8, 6], device),
        &|x| ops::conv_transpose2d(&layer, x),
        Some(&|x| layer.forward(x)),
    );
}

fn norm(device: &Device) {
    for (channels, side) in [(16, 32), (48, 16)] {
        let bn = BatchNormConfig::new(channels).init(device);
        let residual = random([8, channels, side, side], device);
        compare(
            &format!("batch norm and ReLU, {channels} channels, {side}x{side}"),
            &random([8, channels, side, side], device),
            &|x| ops::batch_norm_relu(&bn, x),
            Some(&|x| activation::relu(bn.forward(x))),
        );
        compare(
            &format!("batch norm, residual and ReLU, {channels} channels, {side}x{side}"),
            &random([8, channels, side, side], device),
            &|x| ops::batch_norm_add_relu(&bn, x, residual.clone()),
            Some(&|x| activation::relu(bn.forward(x) + residual.clone())),
        );
    }
}

fn resize(device: &Device) {
    for (channels, side) in [(11, 16), (24, 8)] {
        compare(
            &format!("resize, {channels} channels, {side}x{side} to 64x64"),
            &random([8, channels, side, side], device),
            &|x| ops::resize(x, [64, 64]),
            Some(&|x| {
                let options = InterpolateOptions::new(InterpolateMode::Bilinear)
                    .with_align_corners(false)
                    .with_output_size([64, 64]);
                interpolate(x, options)
            }),
        );
    }
}

fn roi(device: &Device) {
    let rois: Vec<Roi> = (0..512)
        .map(|index| {
            let (x, y) = ((index % 7 * 5) as f32, (index % 11 * 3) as f32);
            Roi {
                image: index % 8,
                corners: [x, y, x + 24.0, y + 20.0],
            }
        })
        .collect();
    let options = RoiAlign {
        output: [7, 7],
        scale: 0.25,
        sampling_ratio: 2,
        aligned: true,
    };
    compare(
        "RoIAlign of 512 regions, 24 channels, 16x16",
        &random([8, 24, 16, 16], device),
        &|x| ops::roi_align(x, &rois, options),
        None,
    );
}

fn random(dims: [usize; 4], device: &Device) -> Tensor<4> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let count = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// Measures both sides in turns and prints a line.
fn compare(name: &str, x: &Tensor<4>, ours: Operation<'_>, burns: Option<Operation<'_>>) {
    let (mut our_best, mut burns_best) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        our_best = our_best.min(time(x, ours));
        if let Some(burns) = burns {
            burns_best = burns_best.min(time(x, burns));
        }
    }
    let beside = match burns {
        Some(_) => format!(
            "Burn {:8.3} ms: {:.1} times as long",
            1e3 * burns_best,
            burns_best / our_best
        ),
        None => String::new(),
    };
    println!("{name:62} {:8.3} ms  {beside}", 1e3 * our_best);
}

/// Seconds of the value and the gradients of an operation.
fn time(x: &Tensor<4>, operation: Operation<'_>) -> f64 {
    let x = x.clone().detach().require_grad();
    let start = Instant::now();
    let gradients = operation(x.clone()).square().sum().backward();
    let gradient = x.grad(&gradients).expect("a gradient");
    std::hint::black_box(gradient.into_data());
    start.elapsed().as_secs_f64()
}
