//! Outputs of the network as rows of numbers from which branches take their predictions: by one list of places
//! predictions are read on the host, gathered on a device, and gradients put back.

use std::ops::Range;

use autoloss_expr::Shape;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::loss::{carrier, host_values};

/// An output of the network from which a branch takes its predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Objectness,
    ProposalDeltas,
    ClassLogits,
    RegionDeltas,
    MaskLogits,
}

/// The place of a prediction's element in an output; `None`: the element is always 0.
pub(super) type Place = Option<usize>;

/// The order of the outputs of the second stage: region by region, within a region class by class.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegionLayout {
    /// Classes with the background, which is the first: K + 1.
    pub(super) classes: usize,
}

impl RegionLayout {
    /// Places of the class logits of a region, of shape (R, K + 1).
    pub(super) const fn logits(self, region: usize) -> Range<usize> {
        region * self.classes..(region + 1) * self.classes
    }

    /// Places of the deltas of a region for a class, of shape (R, 4 (K + 1)).
    pub(super) fn deltas(self, region: usize, class: usize) -> [usize; 4] {
        let start = (region * self.classes + class) * 4;
        std::array::from_fn(|k| start + k)
    }

    /// Places of the mask logits of a row for a class, of shape (R', K + 1, side, side).
    pub(super) const fn mask(self, row: usize, class: usize, pixels: usize) -> Range<usize> {
        let start = (row * self.classes + class) * pixels;
        start..start + pixels
    }
}

/// An output of the network: its tensors, flattened, one after the other.
pub(super) struct Output {
    tensors: Vec<Tensor<1>>,
    /// The numbers, on the host.
    pub(super) values: Vec<f32>,
}

impl Output {
    pub(super) fn new<'a, const D: usize>(
        tensors: impl IntoIterator<Item = &'a Tensor<D>>,
    ) -> Self {
        let flat = |tensor: &Tensor<D>| tensor.clone().flatten(0, D - 1);
        let tensors: Vec<Tensor<1>> = tensors.into_iter().map(flat).collect();
        Self {
            values: tensors.iter().flat_map(host_values).collect(),
            tensors,
        }
    }

    /// The device of the network.
    pub(super) fn device(&self) -> Device {
        self.tensors[0].device()
    }

    /// The number at a place.
    pub(super) fn at(&self, place: Place) -> f32 {
        place.map_or(0.0, |place| self.values[place])
    }

    /// The numbers at places, as a field on the device that gradients flow through.
    pub(super) fn gather(&self, places: &[Place], shape: Shape) -> Tensor<4> {
        let device = self.device();
        let mut all = self.tensors.clone();
        // Elements that are always 0 are taken from the end.
        all.push(Tensor::zeros([1], &device));
        let places = places
            .iter()
            .map(|place| place.unwrap_or(self.values.len()));
        let places = places.map(|place| i32::try_from(place).expect("outputs are smaller"));
        let places = TensorData::new(places.collect::<Vec<i32>>(), [shape.len()]);
        let places = Tensor::<1, Int>::from_data(places, &device);
        let picked = Tensor::cat(all, 0).select(0, places);
        picked.reshape([shape.n, shape.c, shape.h, shape.w])
    }

    /// A number whose backward pass gives the output this gradient, an element for each of its values.
    pub(super) fn carrier(&self, gradient: &[f32]) -> Tensor<1> {
        let mut rest = gradient;
        let parts = self.tensors.iter().map(|tensor| {
            let (own, after) = rest.split_at(tensor.dims()[0]);
            rest = after;
            carrier(tensor, own.to_vec())
        });
        parts.reduce(|a, b| a + b).expect("an output has tensors")
    }
}

/// The gradient of an output, put together from those of branches.
pub(super) struct OutputGradient(pub(super) Vec<f32>);

impl OutputGradient {
    pub(super) fn zeros(of: &Output) -> Self {
        Self(vec![0.0; of.values.len()])
    }

    /// Adds the gradients of the numbers at places.
    pub(super) fn add(&mut self, places: &[Place], gradient: &[f32]) {
        for (place, g) in places.iter().zip(gradient) {
            if let Some(place) = place {
                self.0[*place] += g;
            }
        }
    }
}
