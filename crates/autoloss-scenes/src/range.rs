//! Ranges of the settings of embedded data sets.

use autoloss_data::DataError;

/// Largest number of scenes of a split.
pub(crate) const MAX_SCENES: usize = 1_000_000;

/// Checks settings, each as (name, value, lowest, highest).
///
/// # Errors
/// The first setting outside its range.
pub(crate) fn check<const N: usize>(
    settings: [(&'static str, usize, usize, usize); N],
) -> Result<(), DataError> {
    for (name, value, low, high) in settings {
        if !(low..=high).contains(&value) {
            return Err(DataError::Setting {
                name,
                reason: format!("{value} given, expected {low} to {high}"),
            });
        }
    }
    Ok(())
}
