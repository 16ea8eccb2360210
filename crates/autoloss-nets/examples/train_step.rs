//! Milliseconds of one training step (forward, backward, Adam) and peak memory
//! for the proxy networks: `cargo run --release -p autoloss-nets --example
//! train_step [NETWORK]…`.

use std::time::Instant;

use autoloss_nets::{NetworkName, NetworkSettings, SegmentationNet};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BATCH: usize = 8;
const SIZE: usize = 64;
const CLASSES: usize = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<NetworkName> = std::env::args()
        .skip(1)
        .map(|name| name.parse())
        .collect::<Result<_, _>>()?;
    if names.is_empty() {
        for name in [
            "deeplabv3plus-slim",
            "pspnet-slim",
            "deeplabv3plus-resnet18",
        ] {
            names.push(name.parse()?);
        }
    }
    for name in names {
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()?;
            pool.install(|| measure(name, threads))?;
        }
    }
    Ok(())
}

fn measure(name: NetworkName, threads: usize) -> Result<(), autoloss_nets::NetworkError> {
    let device = Device::flex().autodiff();
    let settings = NetworkSettings {
        name,
        ..NetworkSettings::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut net = SegmentationNet::init(&settings, CLASSES, &mut rng, &device)?;
    let (images, target) = batch(&mut rng, &device);
    let mut optimiser = AdamConfig::new().init();

    let steps = if net.parameter_count() > 1_000_000 {
        6
    } else {
        40
    };
    let (mut forward, mut backward, mut update) = (Vec::new(), Vec::new(), Vec::new());
    let mut loss_value = 0.0;
    for _ in 0..steps {
        let start = Instant::now();
        let log_probability = activation::log_softmax(net.forward(images.clone()), 1);
        let loss = -(log_probability * target.clone()).sum_dim(1).mean();
        loss_value = loss.clone().into_scalar::<f32>();
        forward.push(start.elapsed().as_secs_f64());

        let start = Instant::now();
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        backward.push(start.elapsed().as_secs_f64());

        let start = Instant::now();
        net = optimiser.step(1e-3, net, gradients);
        update.push(start.elapsed().as_secs_f64());
    }
    let inference = {
        let net = net.valid();
        let images = images.inner();
        let start = Instant::now();
        let logits = net.forward(images).into_data();
        assert_eq!(logits.shape()[1], CLASSES);
        start.elapsed().as_secs_f64()
    };
    println!(
        "{name}: {} parameters, {threads} thread(s): {:.1} ms a step (forward {:.1}, backward {:.1}, Adam {:.1}), inference {:.1} ms, peak {:.0} MB, loss {loss_value:.4} after {steps} steps",
        net.parameter_count(),
        1e3 * (fastest(&forward) + fastest(&backward) + fastest(&update)),
        1e3 * fastest(&forward),
        1e3 * fastest(&backward),
        1e3 * fastest(&update),
        1e3 * inference,
        peak_memory(),
    );
    Ok(())
}

/// Images whose class can be seen: vertical stripes of the class's brightness,
/// with noise.
fn batch(rng: &mut ChaCha8Rng, device: &Device) -> (Tensor<4>, Tensor<4>) {
    let mut images = vec![0.0f32; BATCH * 3 * SIZE * SIZE];
    let mut target = vec![0.0f32; BATCH * CLASSES * SIZE * SIZE];
    for n in 0..BATCH {
        for y in 0..SIZE {
            for x in 0..SIZE {
                let class = (n + x / 8) % CLASSES;
                target[((n * CLASSES + class) * SIZE + y) * SIZE + x] = 1.0;
                for c in 0..3 {
                    images[((n * 3 + c) * SIZE + y) * SIZE + x] =
                        class as f32 / 5.0 - 1.0 + rng.random_range(-0.1..0.1);
                }
            }
        }
    }
    (
        Tensor::from_data(TensorData::new(images, [BATCH, 3, SIZE, SIZE]), device),
        Tensor::from_data(
            TensorData::new(target, [BATCH, CLASSES, SIZE, SIZE]),
            device,
        ),
    )
}

fn fastest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Largest resident memory of this process so far, in megabytes (Linux only).
fn peak_memory() -> f64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        })
        .map_or(f64::NAN, |kilobytes| kilobytes / 1024.0)
}
