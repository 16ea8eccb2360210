//! Weights put into a fresh backbone.

use super::error::NetworkError;
use super::names::{Backbone, Name, NamedHead};
use super::resnet::ResNet;
use super::weights::{Weights, load, load_embedded};

/// Weights of the slim backbone, trained by `autoloss-vision`'s `pretrain`; see `assets/README.md`.
const DIGITS: &[u8] = include_bytes!("../assets/backbone.safetensors");

/// Fills the backbone of the network `name` with `weights`. Random weights are there already.
///
/// # Errors
/// Embedded weights for another backbone than the slim one, or a file that cannot be used.
pub(super) fn start_from<H: NamedHead>(
    weights: &Weights,
    backbone: &mut ResNet,
    name: Name<H>,
) -> Result<(), NetworkError> {
    match weights {
        Weights::Random => {}
        Weights::Digits if name.backbone == Backbone::Slim => {
            load_embedded(backbone, "digits", DIGITS)?;
        }
        Weights::Digits => return Err(NetworkError::SlimWeights(name.to_string())),
        Weights::File(path) => load(backbone, path)?,
    }
    Ok(())
}
