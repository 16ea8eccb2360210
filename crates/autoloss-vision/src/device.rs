//! The devices networks run on, by name.

use burn::tensor::Device;

/// A device that this program does not have.
#[derive(Debug, thiserror::Error)]
#[error("unknown device `{name}`; this build has: {}", known().join(", "))]
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

/// The device of that name: `flex` is the processor, in pure Rust.
///
/// # Errors
/// If this build has no such device.
pub fn named(name: &str) -> Result<Device, UnknownDevice> {
    match name {
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        _ => Err(UnknownDevice {
            name: name.to_owned(),
        }),
    }
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
        let error = named("tpu").unwrap_err().to_string();
        assert!(error.starts_with("unknown device `tpu`; this build has: flex"));
        assert!(is_host(&Device::flex()) && is_host(&Device::flex().autodiff()));
    }
}
