//! Fields that Python gives as numpy arrays. They are looked at by hand, so that an error names the argument, says
//! what it is and what was expected.

use autoloss_expr::Shape;
use numpy::{
    Element, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Spatial dimensions that a field may have.
const MOST_SPATIAL: usize = 3;

/// An argument of a call: the call's name and its own.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The call, such as `Loss.value`.
    pub(crate) call: &'a str,
    /// The argument, such as `yhat`.
    pub(crate) name: &'a str,
}

impl Place<'_> {
    /// A `TypeError` about the argument.
    pub(crate) fn wrong_type(&self, found: &str, expected: &str) -> PyErr {
        PyTypeError::new_err(self.text(found, expected))
    }

    /// A `ValueError` about the argument.
    pub(crate) fn wrong_value(&self, found: &str, expected: &str) -> PyErr {
        PyValueError::new_err(self.text(found, expected))
    }

    fn text(&self, found: &str, expected: &str) -> String {
        let Self { call, name } = self;
        format!("{call}: `{name}` {found}, expected {expected}")
    }
}

/// A numpy array that lies in memory row by row.
pub(crate) struct Field<'py> {
    pub(crate) array: Bound<'py, PyUntypedArray>,
}

impl<'py> Field<'py> {
    /// Takes an argument as an array; its kind of numbers is looked at later.
    ///
    /// # Errors
    /// No array, no elements, or elements that do not lie row by row.
    pub(crate) fn new(place: Place<'_>, given: &Bound<'py, PyAny>) -> PyResult<Self> {
        let Ok(array) = given.cast::<PyUntypedArray>() else {
            let found = format!("is {}", described(given));
            return Err(place.wrong_type(&found, "a numpy array"));
        };
        if array.is_empty() {
            let found = format!("has no elements (shape {})", dims_text(array.shape()));
            return Err(place.wrong_value(&found, "at least one"));
        }
        if !array.is_c_contiguous() || !array.is_aligned() {
            let found = format!("is not contiguous (strides {:?})", array.strides());
            let expected = format!(
                "elements that lie row by row: pass numpy.ascontiguousarray({})",
                place.name
            );
            return Err(place.wrong_value(&found, &expected));
        }
        Ok(Self {
            array: array.clone(),
        })
    }

    /// Extents of the array.
    pub(crate) fn dims(&self) -> &[usize] {
        self.array.shape()
    }

    /// True if the elements are `T`.
    pub(crate) fn is<T: Element>(&self) -> bool {
        self.array.cast::<PyArrayDyn<T>>().is_ok()
    }

    /// Its elements, which must be `T`.
    ///
    /// # Errors
    /// Elements of another kind, or an array that is being written to.
    pub(crate) fn read<T: Element>(
        &self,
        place: Place<'_>,
    ) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
        let Ok(array) = self.array.cast::<PyArrayDyn<T>>() else {
            let expected = format!("{}", numpy::dtype::<T>(self.array.py()));
            return Err(place.wrong_type(&self.dtype_text(), &expected));
        };
        let reading = array.try_readonly();
        reading.map_err(|_| place.wrong_value("is being written to", "an array at rest"))
    }

    /// Name of its dtype, such as `int64`.
    pub(crate) fn dtype_name(&self) -> String {
        self.array.dtype().to_string()
    }

    /// The dtype as a finding, such as `has dtype int64`.
    pub(crate) fn dtype_text(&self) -> String {
        format!("has dtype {}", self.dtype_name())
    }
}

/// Words for an object that is no array: `None`, or its type's name.
pub(crate) fn described(given: &Bound<'_, PyAny>) -> String {
    if given.is_none() {
        return "None".to_owned();
    }
    let name = given.get_type().fully_qualified_name();
    name.map_or_else(|_| "no array".to_owned(), |name| format!("a {name}"))
}

/// Extents as numpy writes them.
pub(crate) fn dims_text(dims: &[usize]) -> String {
    let parts: Vec<String> = dims.iter().map(usize::to_string).collect();
    match parts.as_slice() {
        [one] => format!("({one},)"),
        several => format!("({})", several.join(", ")),
    }
}

/// The shape in which the kernels see an array: (N, C) and up to three spatial dimensions.
///
/// Means and softmax see every arrangement of the positions alike; pooling does not, and there is none for three
/// spatial dimensions.
///
/// # Errors
/// Other numbers of dimensions.
pub(crate) fn shape(place: Place<'_>, dims: &[usize], pools: bool) -> PyResult<Shape> {
    let ([n, c, spatial @ ..], 0..=MOST_SPATIAL) = (dims, dims.len().saturating_sub(2)) else {
        let found = format!("has shape {}", dims_text(dims));
        let expected = "(N, C) with up to three spatial dimensions, such as (N, C, H, W)";
        return Err(place.wrong_value(&found, expected));
    };
    let (h, w) = match *spatial {
        [] => (1, 1),
        [w] => (1, w),
        [h, w] => (h, w),
        [d, h, w] if !pools => (d * h, w),
        _ => {
            let found = format!("has three spatial dimensions (shape {})", dims_text(dims));
            let expected =
                "at most two, as the loss pools over neighbours (Loss.torch takes three)";
            return Err(place.wrong_value(&found, expected));
        }
    };
    Ok(Shape::new(*n, *c, h, w))
}

/// Numbers of which some are no number.
pub(crate) trait MayBeNan: Copy {
    /// True for NaN.
    fn is_nan(self) -> bool;
}

impl MayBeNan for f32 {
    fn is_nan(self) -> bool {
        Self::is_nan(self)
    }
}

impl MayBeNan for f64 {
    fn is_nan(self) -> bool {
        Self::is_nan(self)
    }
}

/// True if some element is NaN. No branch in the loop, so that the look is as fast as memory.
fn any_nan<T: MayBeNan>(chunk: &[T]) -> bool {
    chunk.iter().fold(false, |any, x| any | x.is_nan())
}

/// Elements that are looked at before the first NaN ends a look.
const LOOK: usize = 1024;

/// True if some element is NaN.
pub(crate) fn has_nan<T: MayBeNan>(values: &[T]) -> bool {
    values.chunks(LOOK).any(any_nan)
}

/// Refuses NaN, by its place.
///
/// # Errors
/// The first element that is NaN.
pub(crate) fn no_nan<T: MayBeNan>(place: Place<'_>, dims: &[usize], values: &[T]) -> PyResult<()> {
    let Some(chunk) = values.chunks(LOOK).position(any_nan) else {
        return Ok(());
    };
    let rest = values[chunk * LOOK..].iter().position(|x| x.is_nan());
    let mut flat = chunk * LOOK + rest.unwrap_or(0);
    let mut index = vec![0; dims.len()];
    for (index, extent) in index.iter_mut().zip(dims).rev() {
        *index = flat % extent;
        flat /= extent;
    }
    let found = format!("is NaN at index {}", dims_text(&index));
    Err(place.wrong_value(&found, "numbers"))
}
