//! `autoloss score`: metrics over files, a file a kind of prediction.

mod coco;
mod segmentation;

use anyhow::Result;
use autoloss_metrics::coco::Kind;

use crate::args::Score;

pub(crate) fn score(score: Score) -> Result<()> {
    match score {
        Score::Segmentation(arguments) => segmentation::segmentation(&arguments),
        Score::Detection(arguments) => coco::coco(&arguments, None, Kind::Box),
        Score::Mask(arguments) => coco::coco(&arguments, None, Kind::Mask),
        Score::Keypoints(arguments) => {
            let sigmas = arguments.sigmas.as_deref();
            coco::coco(&arguments.files, sigmas, Kind::Keypoints)
        }
    }
}
