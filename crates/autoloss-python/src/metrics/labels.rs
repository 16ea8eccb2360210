//! Label maps as Python gives them.

use autoloss_metrics::argmax_channels;
use numpy::{PyArrayDescrMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{Field, Place, dims_text};

/// The label of positions without a class.
const NONE: u8 = 255;

/// Labels, one byte a position.
pub(crate) enum Labels<'py> {
    /// As they were given.
    Given(PyReadonlyArrayDyn<'py, u8>),
    /// Converted.
    Own(Vec<u8>),
}

impl Labels<'_> {
    /// The labels, position by position.
    ///
    /// # Errors
    /// Never of arrays that were checked.
    pub(crate) fn as_slice(&self) -> PyResult<&[u8]> {
        match self {
            Self::Given(array) => array
                .as_slice()
                .map_err(|e| PyValueError::new_err(e.to_string())),
            Self::Own(labels) => Ok(labels),
        }
    }
}

impl<'py> Labels<'py> {
    /// An array of integers.
    ///
    /// # Errors
    /// An array of another kind.
    pub(crate) fn new(place: Place<'_>, field: &Field<'py>) -> PyResult<Self> {
        if field.is::<u8>() {
            return field.read::<u8>(place).map(Self::Given);
        }
        let labels = converted::<i64>(place, field, |label| u8::try_from(label).ok())
            .or_else(|| converted::<i32>(place, field, |label| u8::try_from(label).ok()))
            .or_else(|| converted::<i16>(place, field, |label| u8::try_from(label).ok()))
            .or_else(|| converted::<i8>(place, field, |label| u8::try_from(label).ok()))
            .or_else(|| converted::<u16>(place, field, |label| u8::try_from(label).ok()))
            .or_else(|| converted::<u32>(place, field, |label| u8::try_from(label).ok()))
            .or_else(|| converted::<u64>(place, field, |label| u8::try_from(label).ok()))
            .or_else(|| converted::<bool>(place, field, |label| Some(u8::from(label))));
        labels.unwrap_or_else(|| {
            let found = field.dtype_text();
            Err(place.wrong_type(&found, "integers, such as uint8 or int64"))
        })
    }

    /// The largest channels of scores of shape (N, C, spatial), and their shape (N, spatial).
    ///
    /// # Errors
    /// Other arrays.
    pub(crate) fn of_scores(
        place: Place<'_>,
        scores: &Bound<'py, PyAny>,
    ) -> PyResult<(Vec<u8>, Vec<usize>)> {
        let field = Field::new(place, scores)?;
        let dims = field.dims();
        let [n, channels, spatial @ ..] = dims else {
            let found = format!("has shape {}", dims_text(dims));
            return Err(place.wrong_value(&found, "class scores of shape (N, C) or (N, C, H, W)"));
        };
        let array = field.read::<f32>(place)?;
        let values = array
            .as_slice()
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        let pixels: usize = spatial.iter().product();
        let labels = scores
            .py()
            .detach(|| argmax(values, *n, *channels, pixels))
            .map_err(|e| PyValueError::new_err(format!("{}: {e}", place.call)))?;
        let dims = [*n].into_iter().chain(spatial.iter().copied()).collect();
        Ok((labels, dims))
    }
}

/// Labels of the largest channel of each sample.
///
/// # Errors
/// More channels than labels of one byte can tell apart.
pub(crate) fn argmax(
    values: &[f32],
    n: usize,
    channels: usize,
    pixels: usize,
) -> Result<Vec<u8>, autoloss_metrics::MetricError> {
    let mut labels = vec![NONE; n * pixels];
    let samples = values
        .chunks(channels * pixels)
        .zip(labels.chunks_mut(pixels));
    for (field, out) in samples {
        argmax_channels(field, channels, pixels, out)?;
    }
    Ok(labels)
}

fn converted<'py, T: numpy::Element + Copy>(
    place: Place<'_>,
    field: &Field<'py>,
    to_label: impl Fn(T) -> Option<u8>,
) -> Option<PyResult<Labels<'py>>> {
    if !field.is::<T>() {
        return None;
    }
    let labels = field.read::<T>(place).and_then(|array| {
        let values = array
            .as_slice()
            .map_err(|e| PyValueError::new_err(e.to_string()))?;
        let labels = values.iter().map(|label| to_label(*label).unwrap_or(NONE));
        Ok(Labels::Own(labels.collect()))
    });
    Some(labels)
}

/// Predictions and targets of a number of images.
pub(crate) struct Batch {
    pub(crate) prediction: Vec<u8>,
    pub(crate) target: Vec<u8>,
    /// Channels of the scores, where scores were given.
    pub(crate) channels: Option<usize>,
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Batch {
    /// Takes the arguments of a metric.
    ///
    /// # Errors
    /// Arrays that are no labels or scores, or do not go together.
    pub(crate) fn new(
        call: &str,
        prediction: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let name = "target";
        let place = Place { call, name };
        let field = Field::new(place, target)?;
        let labels = Labels::new(place, &field)?;
        let dims = field.dims();
        let [images, height, width] = match *dims {
            [n] => [n, 1, 1],
            [h, w] => [1, h, w],
            [n, h, w] => [n, h, w],
            [n, d, h, w] => [n, d * h, w],
            _ => {
                let found = format!("has shape {}", dims_text(dims));
                return Err(place.wrong_value(&found, "(N,), (H, W), (N, H, W) or (N, D, H, W)"));
            }
        };
        let name = "prediction";
        let (prediction, channels) = predicted(Place { call, name }, prediction, dims)?;
        Ok(Self {
            prediction,
            target: labels.as_slice()?.to_vec(),
            channels,
            images,
            height,
            width,
        })
    }

    /// Positions of an image.
    pub(crate) const fn pixels(&self) -> usize {
        self.height * self.width
    }
}

/// Labels of a prediction for a target of these extents, and the channels of scores.
fn predicted(
    place: Place<'_>,
    prediction: &Bound<'_, PyAny>,
    target: &[usize],
) -> PyResult<(Vec<u8>, Option<usize>)> {
    let field = Field::new(place, prediction)?;
    let wrong_shape = |dims: &[usize]| {
        let found = format!("has shape {}", dims_text(dims));
        let expected = format!(
            "labels of the target's shape {}, or its class scores",
            dims_text(target)
        );
        place.wrong_value(&found, &expected)
    };
    if field.array.dtype().kind() != b'f' {
        let labels = Labels::new(place, &field)?;
        return match field.dims() == target {
            true => Ok((labels.as_slice()?.to_vec(), None)),
            false => Err(wrong_shape(field.dims())),
        };
    }
    let (labels, dims) = Labels::of_scores(place, prediction)?;
    match dims == target {
        true => Ok((labels, Some(field.dims()[1]))),
        false => Err(wrong_shape(field.dims())),
    }
}
