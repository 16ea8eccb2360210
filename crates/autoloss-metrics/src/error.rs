//! Errors of segmentation metrics, and checks that give them.

/// Wrong input of a segmentation metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The number of classes does not fit label maps of one byte a pixel.
    #[error(
        "{0} classes: expected 1 to 255, since a label is one byte and 255 stands for no class"
    )]
    Classes(usize),
    /// The background is not one of the classes.
    #[error("background {background}: expected a label below the number of classes, {classes}")]
    Background {
        /// The background label that was given.
        background: u8,
        /// The number of classes.
        classes: usize,
    },
    /// An image without pixels.
    #[error("label map of {width}x{height} pixels: expected at least 1x1")]
    Empty {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// An array is longer or shorter than the others demand.
    #[error(
        "{array} has {found} elements, expected {expected}: give arrays of one and the same image"
    )]
    Size {
        /// The array.
        array: &'static str,
        /// Number of its elements.
        found: usize,
        /// Number of elements that it should have.
        expected: usize,
    },
    /// Targets and scores of different settings, which cannot be put together.
    #[error(
        "{setting} is {found} here, expected {expected}: make targets and scores with the same settings"
    )]
    Settings {
        /// The setting that differs.
        setting: &'static str,
        /// Value in the argument.
        found: String,
        /// Value in the score that the argument was given to.
        expected: String,
    },
    /// A target without edges, which a metric of the score needs.
    #[error(
        "the target was prepared without edges, which `{metric}` needs: prepare it with settings that list `{metric}`"
    )]
    Unprepared {
        /// Name of the metric that needs the edges.
        metric: &'static str,
    },
    /// No metric has this name.
    #[error(
        "unknown metric `{name}`: the nearest known name is `{nearest}`, all names are {known}"
    )]
    UnknownMetric {
        /// The name that was given.
        name: String,
        /// The most similar known name.
        nearest: &'static str,
        /// All known names.
        known: String,
    },
}

/// Fails unless `array`, of `found` elements, has as many as `expected`.
pub(crate) fn check_size(
    array: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), MetricError> {
    if found == expected {
        Ok(())
    } else {
        Err(MetricError::Size {
            array,
            found,
            expected,
        })
    }
}

/// Fails unless two values of a setting are equal.
pub(crate) fn check_setting<T: PartialEq + std::fmt::Debug>(
    setting: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), MetricError> {
    if found == expected {
        Ok(())
    } else {
        Err(MetricError::Settings {
            setting,
            found: format!("{found:?}"),
            expected: format!("{expected:?}"),
        })
    }
}

/// Fails unless `classes` fits label maps of one byte a pixel.
pub(crate) fn check_classes(classes: usize) -> Result<(), MetricError> {
    if (1..=255).contains(&classes) {
        Ok(())
    } else {
        Err(MetricError::Classes(classes))
    }
}

/// Fails unless `background`, where there is one, is one of the classes.
pub(crate) fn check_background(background: Option<u8>, classes: usize) -> Result<(), MetricError> {
    match background {
        Some(background) if usize::from(background) >= classes => Err(MetricError::Background {
            background,
            classes,
        }),
        _ => Ok(()),
    }
}
