//! Fields that native losses are computed on.

use crate::shape::Shape;

/// Prediction and target of a native loss, in NCHW order.
#[derive(Clone, Copy)]
pub struct NativeFields<'a> {
    /// The shape of both.
    pub shape: Shape,
    /// The prediction.
    pub yhat: &'a [f64],
    /// The target.
    pub y: &'a [f64],
}

impl NativeFields<'_> {
    /// Number of pixels of a plane.
    pub(super) fn pixels(&self) -> usize {
        self.shape.h * self.shape.w
    }

    /// Index of the first element of a channel of a sample.
    pub(super) fn plane(&self, n: usize, c: usize) -> usize {
        (n * self.shape.c + c) * self.pixels()
    }

    /// Indices of the elements of a channel in all samples.
    pub(super) fn channel(&self, c: usize) -> impl Iterator<Item = usize> {
        let (pixels, channels) = (self.pixels(), self.shape.c);
        (0..self.shape.n).flat_map(move |n| {
            let first = (n * channels + c) * pixels;
            first..first + pixels
        })
    }

    /// Whether the element's channel is the class of the element's position.
    pub(super) fn is(&self, place: usize) -> bool {
        self.y[place] >= 1.0
    }

    /// Whether the position of each element has a class.
    pub(super) fn counted(&self) -> Vec<bool> {
        let (pixels, sample) = (self.pixels(), self.shape.c * self.pixels());
        let has_class = |place: usize| {
            let first = place / sample * sample + place % pixels;
            (0..self.shape.c).any(|c| self.is(first + c * pixels))
        };
        (0..self.shape.len()).map(has_class).collect()
    }
}

/// Value and gradient of a native loss.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeAt {
    /// The loss value.
    pub loss_value: f64,
    /// The gradient with respect to the prediction.
    pub gradient: Vec<f64>,
}

impl NativeAt {
    /// A loss value of 0 without gradient.
    pub(super) fn zero(len: usize) -> Self {
        Self {
            loss_value: 0.0,
            gradient: vec![0.0; len],
        }
    }
}
