//! Overlaps of predicted boxes and their objects, as functions of the predicted deltas.

use crate::{
    Corners, decode, decode_gradient, encode, iou, offset, offset_gradient, overlap,
    overlap_gradient,
};

/// Boxes that deltas make of references, each with the object that it is to become.
///
/// Deltas are a field of shape (1, 4, 1, boxes): the first delta of all boxes, then the second, …
#[derive(Clone, Debug, PartialEq)]
pub struct BoxPairs {
    /// The boxes that deltas are relative to.
    pub references: Vec<Corners>,
    /// The object of each reference.
    pub objects: Vec<Corners>,
    /// Factor of the areas of each pair in square pixels.
    pub scales: Vec<f32>,
    /// Weights of the four deltas, see [`decode`].
    pub weights: [f32; 4],
}

impl BoxPairs {
    /// Numbers of each pair: the areas of the intersection, the union and the enclosing box of predicted box and
    /// object, the distance of their centres and the difference of their aspects, see [`offset`].
    pub const NUMBERS: usize = 5;

    /// Deltas of the objects, reference by reference.
    #[must_use]
    pub fn targets(&self) -> Vec<[f32; 4]> {
        let pairs = self.references.iter().zip(&self.objects);
        pairs.map(|(r, o)| encode(*r, *o, self.weights)).collect()
    }

    /// Intersection over union of the object of a reference and the box that deltas make of the reference.
    #[must_use]
    pub fn overlap_with(&self, place: usize, deltas: [f32; 4]) -> f32 {
        let predicted = decode(self.references[place], deltas, self.weights);
        iou(predicted, self.objects[place])
    }

    /// The numbers of all pairs at these deltas, a field of the deltas' shape each: all four channels hold the same.
    #[must_use]
    pub fn values(&self, deltas: &[f64]) -> Vec<Vec<f64>> {
        let mut fields: [Vec<f64>; Self::NUMBERS] =
            std::array::from_fn(|_| Vec::with_capacity(deltas.len()));
        for (place, _, predicted) in self.each(deltas) {
            let areas = overlap(predicted, self.objects[place]);
            let others = offset(predicted, self.objects[place]);
            let scale = self.scales[place];
            let values = [
                areas.intersection * scale,
                areas.union * scale,
                areas.enclosing * scale,
                others.distance,
                others.aspect,
            ];
            for (field, value) in fields.iter_mut().zip(values) {
                field.push(f64::from(value));
            }
        }
        fields.into_iter().map(|field| field.repeat(4)).collect()
    }

    /// Adds to the gradient of the deltas what flows into them through the numbers, given the gradient of each; an
    /// empty one is 0.
    pub fn pull_back(&self, deltas: &[f64], gradients: &[&[f64]], gradient: &mut [f64]) {
        let count = self.references.len();
        for (place, deltas, predicted) in self.each(deltas) {
            // The channels hold one number: what flows into them adds up.
            #[expect(clippy::cast_possible_truncation, reason = "boxes are f32")]
            let into = |field: &[f64]| {
                let channels = (0..4).filter_map(|c| field.get(c * count + place));
                channels.sum::<f64>() as f32
            };
            let [i, u, e] = [0, 1, 2].map(|k| into(gradients[k]) * self.scales[place]);
            let mut corners = overlap_gradient(predicted, self.objects[place], i, u, e);
            let [d, v] = [3, 4].map(|k| into(gradients[k]));
            if (d, v) != (0.0, 0.0) {
                let moved = offset_gradient(predicted, self.objects[place], d, v);
                corners.iter_mut().zip(moved).for_each(|(c, g)| *c += g);
            }
            let pulled = decode_gradient(self.references[place], deltas, self.weights, corners);
            for (channel, g) in pulled.into_iter().enumerate() {
                gradient[channel * count + place] += f64::from(g);
            }
        }
    }

    /// Place, deltas and predicted box, reference by reference.
    fn each(&self, deltas: &[f64]) -> impl Iterator<Item = (usize, [f32; 4], Corners)> {
        let count = self.references.len();
        (0..count).map(move |place| {
            #[expect(clippy::cast_possible_truncation, reason = "boxes are f32")]
            let own = std::array::from_fn(|c| deltas[c * count + place] as f32);
            let predicted = decode(self.references[place], own, self.weights);
            (place, own, predicted)
        })
    }
}
