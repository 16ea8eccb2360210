//! The devices networks run on, by name.

use burn::tensor::Device;

/// Why a device cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A kind of device that this build does not have, or no name of a device.
    #[error(
        "unknown device `{name}`; this build has: {}; with several of a kind, NAME:N is that with number N from 0",
        known().join(", ")
    )]
    Unknown {
        /// The name given.
        name: String,
    },
    /// A device that this machine does not have.
    #[error("device `{name}` is not there: this machine has {}", present(kind, *found))]
    Absent {
        /// The name given.
        name: String,
        /// Its kind.
        kind: &'static str,
        /// Devices of that kind.
        found: usize,
    },
}

/// The devices of a kind in words.
fn present(kind: &str, found: usize) -> String {
    match found {
        0 => format!("no device of the kind {kind}"),
        1 => format!("{kind}:0 alone"),
        _ => format!("{kind}:0 to {kind}:{}", found - 1),
    }
}

/// A kind of devices.
struct Kind {
    name: &'static str,
    /// The devices of this machine in the order of their numbers.
    devices: fn() -> Vec<Device>,
    /// The one that is taken where no number is given.
    usual: fn() -> Device,
}

/// The kinds that this build has; others are cargo features of the same names.
const KINDS: &[Kind] = &[
    Kind {
        name: "flex",
        devices: || vec![Device::flex()],
        usual: Device::flex,
    },
    #[cfg(feature = "cuda")]
    Kind {
        name: "cuda",
        devices: || Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
        usual: || Device::cuda(0),
    },
    #[cfg(feature = "wgpu")]
    Kind {
        name: "wgpu",
        devices: || Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec(),
        usual: || Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
    },
];

/// Names of the kinds of devices of this build.
#[must_use]
pub fn known() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

/// The device of that name, such as `cuda` or `cuda:1`: `flex` is the processor, in pure Rust.
///
/// # Errors
/// If this build has no such device, or this machine has none.
pub fn named(name: &str) -> Result<Device, DeviceError> {
    let unknown = || DeviceError::Unknown {
        name: name.to_owned(),
    };
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, Some(number.parse().map_err(|_| unknown())?)),
        None => (name, None),
    };
    let kind = KINDS.iter().find(|known| known.name == kind);
    let kind = kind.ok_or_else(unknown)?;
    let mut devices = (kind.devices)();
    let least: usize = number.unwrap_or(0);
    if least >= devices.len() {
        return Err(DeviceError::Absent {
            name: name.to_owned(),
            kind: kind.name,
            found: devices.len(),
        });
    }
    Ok(number.map_or_else(kind.usual, |number| devices.swap_remove(number)))
}

/// True if the device of that name is the processor, whose cores trainings then use.
#[must_use]
pub fn is_processor(name: &str) -> bool {
    name.split(':').next() == Some("flex")
}

/// True if tensors of the device lie in this process's memory, where the language's own kernels
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
        assert!(named("flex").is_ok());
        for name in ["tpu", "flex:", "flex:x", "flex:-1", ""] {
            let error = named(name).unwrap_err().to_string();
            let start = format!("unknown device `{name}`; this build has: flex");
            assert!(error.starts_with(&start), "{error}");
        }
        let said = named("flex:1").unwrap_err().to_string();
        assert_eq!(
            said,
            "device `flex:1` is not there: this machine has flex:0 alone"
        );
        assert_eq!(present("cuda", 0), "no device of the kind cuda");
        assert_eq!(present("cuda", 4), "cuda:0 to cuda:3");
        assert!(named("flex:0").is_ok() && is_processor("flex:0") && !is_processor("cuda:0"));
        assert!(is_host(&Device::flex()) && is_host(&Device::flex().autodiff()));
    }
}
