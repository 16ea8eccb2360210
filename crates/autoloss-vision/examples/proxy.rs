//! Trains the proxy of a task with some losses: score and seconds, to choose a task's preset.
//!
//! `cargo run --release -p autoloss-vision --example proxy -- 'KEY = VALUE …' FORMULA…`

use autoloss_expr::Loss;
use autoloss_search::{Interrupt, Job, Task};
use autoloss_vision::tasks::{Segmentation, SegmentationSettings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let settings = SegmentationSettings::from_table(&toml::from_str(&arguments[0])?)?;
    let task = Segmentation::new(settings, &burn::tensor::Device::flex())?;
    let branch = [("segmentation", vec!["yhat", "y"])];
    for formula in &arguments[1..] {
        let loss = Loss::parse(formula, &branch)?;
        for seed in 0..2 {
            let job = Job {
                seed,
                stop_on_invalid: true,
            };
            let e = task.evaluate(&loss, &job, &Interrupt::default())?;
            println!(
                "{formula}: seed {seed} score {:.4} in {:.2} s, last {:?}",
                e.score,
                e.seconds,
                e.curve.last()
            );
        }
    }
    Ok(())
}
