//! Pretrained weights from the user's disk.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use burn_store::{
    ApplyError, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter,
    PytorchStore, SafetensorsStore,
};

use super::NetworkError;
use super::names::{Backbone, Name, NamedHead};
use super::resnet::ResNet;

/// Why a file of weights could not be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file's name ends in none of the known ways.
    #[error("weights file {}: unknown format; expected .safetensors, .pth or .pt", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("weights file {}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The file lacks tensors of the network.
    #[error(
        "weights file {}: {} of {total} tensors missing, first `{}`; expected the state dict of the torchvision network of the same depth",
        path.display(), names.len(), names[0]
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The missing tensors, as torchvision spells them; at least one.
        names: Vec<String>,
        /// How many tensors the network has.
        total: usize,
    },
    /// A tensor of the file does not fit the network.
    #[error("weights file {}: tensor `{name}`: {problem}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensor, as torchvision spells it.
        name: String,
        /// What was expected and what was found.
        problem: String,
    },
}

/// Fills the backbone of the network `name` from the file `path`, if there is
/// one.
///
/// # Errors
/// Weights for a slim backbone, of which there are none, or weights that cannot
/// be used.
pub(super) fn start_from<H: NamedHead>(
    backbone: &mut ResNet,
    name: Name<H>,
    path: Option<&Path>,
) -> Result<(), NetworkError> {
    let Some(path) = path else {
        return Ok(());
    };
    if name.backbone == Backbone::Slim {
        return Err(NetworkError::WeightsForSlim(name.to_string()));
    }
    Ok(load(backbone, path)?)
}

/// Fills `net` from a state dict in PyTorch's spelling, which for a backbone is
/// torchvision's (`conv1.weight`, `bn1.running_mean`, `layer1.0.conv1.weight`,
/// …).
///
/// Tensors of the file that the network has no use for (`fc.*`,
/// `*.num_batches_tracked`) are passed over.
///
/// # Errors
/// [`WeightsError`] names the file and the tensor. The network may then be
/// filled in part and must not be used.
pub(super) fn load<M: ModuleSnapshot>(net: &mut M, path: &Path) -> Result<(), WeightsError> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("safetensors") => apply(net, path, &mut SafetensorsStore::from_file(path)),
        Some("pth" | "pt") => apply(
            net,
            path,
            &mut PytorchStore::from_file(path).map_indices_contiguous(false),
        ),
        _ => Err(WeightsError::Format {
            path: path.to_owned(),
        }),
    }
}

fn apply<M: ModuleSnapshot, S: ModuleStore>(
    net: &mut M,
    path: &Path,
    store: &mut S,
) -> Result<(), WeightsError> {
    let tensors = store
        .get_all_tensors()
        .map_err(|error| WeightsError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        })?
        .values()
        .cloned()
        .collect();
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
    let result = net.apply(tensors, None, Some(Box::new(adapter)), true);
    if let Some(error) = result.errors.first() {
        let (name, problem) = describe(error);
        return Err(WeightsError::Mismatch {
            path: path.to_owned(),
            name: torchvision_name(name),
            problem,
        });
    }
    if result.missing.is_empty() {
        return Ok(());
    }
    Err(WeightsError::Missing {
        path: path.to_owned(),
        total: result.applied.len() + result.missing.len(),
        names: result
            .missing
            .iter()
            .map(|(name, _)| torchvision_name(name))
            .collect(),
    })
}

fn describe(error: &ApplyError) -> (&str, String) {
    match error {
        ApplyError::ShapeMismatch {
            path,
            expected,
            found,
        } => (
            path,
            format!(
                "expected shape {:?}, found {:?}",
                expected.as_slice(),
                found.as_slice()
            ),
        ),
        ApplyError::DTypeMismatch {
            path,
            expected,
            found,
        } => (path, format!("expected type {expected:?}, found {found:?}")),
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            (path, message.clone())
        }
    }
}

/// Burn calls scale and offset of a normalisation gamma and beta.
fn torchvision_name(name: &str) -> String {
    if let Some(stem) = name.strip_suffix(".gamma") {
        format!("{stem}.weight")
    } else if let Some(stem) = name.strip_suffix(".beta") {
        format!("{stem}.bias")
    } else {
        name.to_owned()
    }
}
