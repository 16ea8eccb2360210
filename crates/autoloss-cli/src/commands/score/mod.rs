//! `autoloss score`: metrics over files, a file a kind of prediction.

mod coco;
mod segmentation;

use anyhow::Result;
use autoloss_metrics::coco::Kind;
use clap::{Args, Subcommand};

/// Score predictions in files, without any network.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    predictions: Predictions,
}

#[derive(Subcommand)]
enum Predictions {
    /// mIoU, FWIoU, gAcc, mAcc, BIoU and BF1 of label maps.
    #[command(after_help = "Examples:
  autoloss score segmentation --pred predictions --target targets --classes 21 --background 0
  autoloss score segmentation --pred p --target masks --classes background,cell --label-map 0=0,255=1
  autoloss score segmentation --pred p --target SegmentationClass --colors labelmap.txt")]
    Segmentation(segmentation::Arguments),
    /// COCO's average precision and recall of boxes.
    #[command(after_help = "Example:
  autoloss score detection --target instances_val2017.json --pred results.json")]
    Detection(coco::Arguments),
    /// COCO's average precision and recall of masks.
    #[command(after_help = "Example:
  autoloss score mask --target instances_val2017.json --pred results.json --json")]
    Mask(coco::Arguments),
    /// COCO's average precision and recall of keypoints.
    #[command(after_help = "Example:
  autoloss score keypoints --target person_keypoints_val2017.json --pred results.json")]
    Keypoints(Keypoints),
}

#[derive(Args)]
struct Keypoints {
    #[command(flatten)]
    files: coco::Arguments,
    /// Deviation of annotators for each keypoint, as a share of the object's size, separated by
    /// commas; default: COCO's for 17 keypoints, else 0.067 for each.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    sigmas: Option<Vec<f64>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.predictions {
        Predictions::Segmentation(arguments) => segmentation::segmentation(arguments),
        Predictions::Detection(arguments) => coco::coco(arguments, None, Kind::Box),
        Predictions::Mask(arguments) => coco::coco(arguments, None, Kind::Mask),
        Predictions::Keypoints(arguments) => {
            let sigmas = arguments.sigmas.as_deref();
            coco::coco(&arguments.files, sigmas, Kind::Keypoints)
        }
    }
}
