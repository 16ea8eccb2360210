//! Milliseconds of one training step (forward and backward) of the proxy
//! networks of detection, instance segmentation and pose, on one thread:
//! `cargo run --release -p autoloss-nets --example object_step`.

use std::time::Instant;

use autoloss_nets::boxes::Roi;
use autoloss_nets::{DetectionNet, DetectionNetSettings, NetworkError, PoseNet, PoseNetSettings};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const STEPS: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    pool.install(|| -> Result<(), NetworkError> {
        for masks in [0, 16] {
            let name = if masks == 0 {
                "fasterrcnn-slim"
            } else {
                "maskrcnn-slim"
            };
            detection(name, masks)?;
        }
        pose()
    })?;
    Ok(())
}

/// A batch of 8 images of 64 × 64 with 64 regions an image, and so many masks.
fn detection(name: &str, masks: usize) -> Result<(), NetworkError> {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let settings = DetectionNetSettings {
        name: name.parse()?,
        ..DetectionNetSettings::default()
    };
    let net = DetectionNet::init(&settings, 10, &mut rng, &device)?;
    let images = random(&mut rng, [8, 3, 64, 64], &device);
    let rois: Vec<Roi> = (0..8 * 64).map(|index| roi(&mut rng, index % 8)).collect();
    let mut times = Times::default();
    for _ in 0..STEPS {
        times.start();
        let features = net.features(images.clone());
        times.lap("features");
        let levels = net.rpn(&features);
        times.lap("proposals");
        let predicted = net.boxes(&features, &rois);
        times.lap("boxes");
        let mut loss = predicted.class_logits.square().sum() + predicted.deltas.square().sum();
        if let Some(masks) = net.masks(&features, &rois[..8 * masks]) {
            loss = loss + masks.square().sum();
            times.lap("masks");
        }
        for level in levels {
            loss = loss + level.logits.square().sum() + level.deltas.square().sum();
        }
        times.lap("sum");
        let _gradients = loss.backward();
        times.lap("backward");
    }
    times.print(name, net.parameter_count());
    let plain = net.valid();
    let start = Instant::now();
    let features = plain.features(images.inner());
    let _ = plain.rpn(&features);
    let logits = plain.boxes(&features, &rois).class_logits;
    assert_eq!(logits.into_data().shape()[0], rois.len());
    println!("  inference {:.1} ms", 1e3 * start.elapsed().as_secs_f64());
    Ok(())
}

/// A batch of 16 persons of 64 × 48.
fn pose() -> Result<(), NetworkError> {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let settings = PoseNetSettings::default();
    let net = PoseNet::init(&settings, 17, &mut rng, &device)?;
    let images = random(&mut rng, [16, 3, 64, 48], &device);
    let mut times = Times::default();
    for _ in 0..STEPS {
        times.start();
        let heatmaps = net.forward(images.clone());
        times.lap("forward");
        let loss = heatmaps.square().sum();
        let _gradients = loss.backward();
        times.lap("backward");
    }
    times.print(&settings.name.to_string(), net.parameter_count());
    Ok(())
}

/// A region of 8 to 40 pixels.
fn roi(rng: &mut ChaCha8Rng, image: usize) -> Roi {
    let (width, height) = (rng.random_range(8.0..40.0), rng.random_range(8.0..40.0));
    let (x, y) = (
        rng.random_range(0.0..64.0 - width),
        rng.random_range(0.0..64.0 - height),
    );
    Roi {
        image,
        corners: [x, y, x + width, y + height],
    }
}

fn random(rng: &mut ChaCha8Rng, dims: [usize; 4], device: &Device) -> Tensor<4> {
    let count = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// The fastest time of each part of a step.
#[derive(Default)]
struct Times {
    last: Option<Instant>,
    parts: Vec<(&'static str, f64)>,
}

impl Times {
    fn start(&mut self) {
        self.last = Some(Instant::now());
    }

    fn lap(&mut self, name: &'static str) {
        let seconds = self
            .last
            .map_or(f64::INFINITY, |last| last.elapsed().as_secs_f64());
        match self.parts.iter_mut().find(|part| part.0 == name) {
            Some(part) => part.1 = part.1.min(seconds),
            None => self.parts.push((name, seconds)),
        }
        self.last = Some(Instant::now());
    }

    fn print(&self, name: &str, parameters: usize) {
        let total: f64 = self.parts.iter().map(|part| part.1).sum();
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|(part, seconds)| format!("{part} {:.1}", 1e3 * seconds))
            .collect();
        println!(
            "{name}: {parameters} parameters, 1 thread: {:.1} ms a step ({})",
            1e3 * total,
            parts.join(", ")
        );
    }
}
