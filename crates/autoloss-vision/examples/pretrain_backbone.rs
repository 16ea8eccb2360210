//! Makes `assets/backbone.safetensors`: trains the slim backbone to classify single handwritten digits.
//!
//! ```sh
//! cargo run --release -p autoloss-vision --example pretrain_backbone -- crates/autoloss-nets/assets/backbone.safetensors
//! ```

use std::error::Error;
use std::path::Path;

use autoloss_vision::{Pretraining, pretrain};

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: pretrain_backbone OUT.safetensors";
    let path = std::env::args_os().nth(1).ok_or(usage)?;
    let trained = pretrain(&Pretraining::default(), &mut |update, loss_value| {
        if update % 100 == 0 {
            println!("update {update}: loss value {loss_value:.4}");
        }
    })?;
    trained.save(Path::new(&path))?;
    println!("accuracy on fresh pictures: {:.4}", trained.accuracy());
    Ok(())
}
