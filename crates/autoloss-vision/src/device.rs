//! The devices networks run on, by name.

use burn::tensor::Device;

/// A device that this program does not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown device `{name}`; this build has: {}; with several of a kind, NAME:N is that with number N",
    known().join(", ")
)]
pub struct UnknownDevice {
    /// The name given.
    pub name: String,
}

/// Names of the devices of this build; others are cargo features of the same names.
#[must_use]
pub fn known() -> Vec<&'static str> {
    let mut names = vec!["flex"];
    if cfg!(feature = "cuda") {
        names.push("cuda");
    }
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    names
}

/// The device of that name, such as `cuda` or `cuda:1`: `flex` is the processor, in pure Rust.
///
/// # Errors
/// If this build has no such device.
pub fn named(name: &str) -> Result<Device, UnknownDevice> {
    let unknown = || UnknownDevice {
        name: name.to_owned(),
    };
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, Some(number.parse().map_err(|_| unknown())?)),
        None => (name, None),
    };
    device(kind, number).ok_or_else(unknown)
}

fn device(kind: &str, number: Option<usize>) -> Option<Device> {
    match (kind, number) {
        // There is one processor.
        ("flex", None | Some(0)) => Some(Device::flex()),
        #[cfg(feature = "cuda")]
        ("cuda", number) => Some(Device::cuda(number.unwrap_or(0))),
        #[cfg(feature = "wgpu")]
        ("wgpu", None) => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        ("wgpu", Some(number)) => Some(Device::wgpu(burn::tensor::DeviceKind::DiscreteGpu(number))),
        _ => None,
    }
}

/// Whether the device of that name is the processor, whose cores trainings then take.
#[must_use]
pub fn is_processor(name: &str) -> bool {
    name.split(':').next() == Some("flex")
}

/// Whether tensors of the device lie in this process's memory, where the language's own kernels
/// compute losses faster than chains of tensor operations do.
#[must_use]
pub fn is_host(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_or_refused() {
        for name in known() {
            assert!(named(name).is_ok());
        }
        for name in ["tpu", "flex:1", "flex:", "flex:x", ""] {
            let error = named(name).unwrap_err().to_string();
            let start = format!("unknown device `{name}`; this build has: flex");
            assert!(error.starts_with(&start), "{error}");
        }
        assert!(named("flex:0").is_ok() && is_processor("flex:0") && !is_processor("cuda:0"));
        assert!(is_host(&Device::flex()) && is_host(&Device::flex().autodiff()));
    }
}
