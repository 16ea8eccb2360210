//! Weights that a backbone starts from: random, embedded, or from the user's disk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn::tensor::DType;
use burn_store::{
    ApplyError, BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, PytorchStore, SafetensorsStore,
};
use serde::{Deserialize, Serialize};

/// Weights that a backbone starts from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Weights {
    /// `random`: drawn like those of the other layers.
    #[default]
    Random,
    /// `digits`: embedded weights of the slim backbone, trained to classify single handwritten digits.
    Digits,
    /// A state dict with torchvision's names of tensors; its path ends in .safetensors, .pth or .pt.
    File(PathBuf),
}

impl Weights {
    /// The path of the file of weights, if there is one.
    pub fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Random | Self::Digits => None,
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Digits => f.write_str("digits"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Weights {
    type Err = WeightsError;

    fn from_str(text: &str) -> Result<Self, WeightsError> {
        Ok(match text {
            "random" => Self::Random,
            "digits" => Self::Digits,
            _ => {
                let path = PathBuf::from(text);
                Format::of(&path)?;
                Self::File(path)
            }
        })
    }
}

impl TryFrom<String> for Weights {
    type Error = WeightsError;

    fn try_from(text: String) -> Result<Self, WeightsError> {
        text.parse()
    }
}

impl From<Weights> for String {
    fn from(weights: Weights) -> Self {
        weights.to_string()
    }
}

/// Format of a file of weights.
enum Format {
    /// The format of the library safetensors.
    Safetensors,
    /// A pickled state dict of PyTorch.
    Pickle,
}

impl Format {
    fn of(path: &Path) -> Result<Self, WeightsError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("pth" | "pt") => Ok(Self::Pickle),
            _ => Err(WeightsError::Unknown(path.to_owned())),
        }
    }
}

/// Error of reading or writing weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A text that is neither a known word nor a file of a known format.
    #[error(
        "weights \"{}\": expected \"random\", \"digits\" or a file that ends in .safetensors, .pth or .pt",
        .0.display()
    )]
    Unknown(PathBuf),
    /// The file cannot be read.
    #[error("weights file {}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason given by the reader.
        reason: String,
    },
    /// The file cannot be written.
    #[error("weights file {}: cannot be written: {reason}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The reason given by the writer.
        reason: String,
    },
    /// The file lacks tensors of the backbone.
    #[error(
        "weights file {}: {} of {total} tensors missing, first `{}`; expected the state dict of the same backbone (for a ResNet torchvision's of the same depth)",
        path.display(), names.len(), names[0]
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The missing tensors, as torchvision spells them; at least one.
        names: Vec<String>,
        /// Tensors of the backbone.
        total: usize,
    },
    /// A tensor of the file does not fit the backbone.
    #[error("weights file {}: tensor `{name}`: {problem}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensor, as torchvision spells it.
        name: String,
        /// The shape or type expected, and the one found.
        problem: String,
    },
}

/// Fills `net` with the weights of a safetensors file in memory, which errors call `name`.
///
/// # Errors
/// As for [`load`].
pub(super) fn load_embedded<M: ModuleSnapshot>(
    net: &mut M,
    name: &str,
    bytes: &[u8],
) -> Result<(), WeightsError> {
    let mut store = SafetensorsStore::from_bytes(Some(bytes.to_vec()));
    apply(net, Path::new(name), &mut store)
}

/// Fills `net` from a state dict in PyTorch's spelling, which for a backbone is
/// torchvision's (`conv1.weight`, `bn1.running_mean`, `layer1.0.conv1.weight`,
/// …).
///
/// Tensors of the file that the network lacks (`fc.*`, `*.num_batches_tracked`) are ignored.
///
/// # Errors
/// [`WeightsError`] names the file and the tensor. The network may then be
/// filled in part and must not be used.
pub(super) fn load<M: ModuleSnapshot>(net: &mut M, path: &Path) -> Result<(), WeightsError> {
    match Format::of(path)? {
        Format::Safetensors => apply(net, path, &mut SafetensorsStore::from_file(path)),
        Format::Pickle => apply(
            net,
            path,
            &mut PytorchStore::from_file(path).map_indices_contiguous(false),
        ),
    }
}

/// Writes `net` to a safetensors file as a state dict in PyTorch's spelling, in half precision.
///
/// # Errors
/// A file that cannot be written.
pub fn save<M: ModuleSnapshot>(net: &M, path: &Path) -> Result<(), WeightsError> {
    let adapter = BurnToPyTorchAdapter.chain(FloatCastAdapter::to(DType::F16));
    // Metadata would be written in any order: the same weights must give the same bytes.
    let mut store = SafetensorsStore::from_file(path)
        .clear_metadata()
        .overwrite(true)
        .with_to_adapter(adapter);
    net.save_into(&mut store)
        .map_err(|error| WeightsError::Unwritable {
            path: path.to_owned(),
            reason: error.to_string(),
        })
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

/// The name of a tensor in torchvision's spelling. Burn calls scale and offset of a normalisation gamma and beta.
fn torchvision_name(name: &str) -> String {
    if let Some(stem) = name.strip_suffix(".gamma") {
        format!("{stem}.weight")
    } else if let Some(stem) = name.strip_suffix(".beta") {
        format!("{stem}.bias")
    } else {
        name.to_owned()
    }
}
