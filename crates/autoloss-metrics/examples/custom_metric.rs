//! A metric of your own on label maps, from the counts that the built-in metrics use: the IoU of the worst class.
//!
//! ```sh
//! cargo run --example custom_metric
//! ```
//!
//! `custom_task.rs` searches a loss for a metric of its own.

use autoloss_metrics::{Confusion, MetricError};

const CLASSES: u8 = 3;

/// Smallest IoU of the classes that target or prediction has; 0 where there are none.
fn worst_iou(confusion: &Confusion) -> f64 {
    let ious = (0..CLASSES).filter_map(|class| confusion.iou(class));
    ious.min_by(f64::total_cmp).unwrap_or(0.0)
}

fn main() -> Result<(), MetricError> {
    // Target and prediction of two images, row by row. 255 is no class: the pixel is ignored.
    let images = [
        ([0, 0, 1, 1, 2, 255], [0, 0, 1, 2, 2, 2]),
        ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]),
    ];
    // Counts are summed over all images first.
    let mut confusion = Confusion::new(usize::from(CLASSES))?;
    for (target, prediction) in &images {
        confusion.add(target, prediction)?;
    }
    println!("mIoU {:.3}", confusion.miou());
    println!("IoU of the worst class {:.3}", worst_iou(&confusion));
    Ok(())
}
