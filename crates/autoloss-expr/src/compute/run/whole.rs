//! Steps on whole blocks: poolings, the ends of means, small steps; and results of whole fields.

use super::Run;
use crate::compute::kernels::{Plane, Rows, View, ViewMut, pool, pool_gradient};
use crate::compute::schedule::Place;
use crate::compute::workspace::Buffers;
use crate::extent::Dimension;
use crate::graph::{Id, Step};

impl Run<'_> {
    /// Computes the steps before a phase's pass.
    pub(super) fn before(&mut self, phase: usize) {
        let schedule = self.schedule;
        for &id in &schedule.phases[phase].before {
            match self.graph.steps[id] {
                Step::Pool { min, x } => self.pool(id, min, x),
                Step::PoolGradient { pool, adjoint } => self.pool_gradient(id, pool, adjoint),
                Step::Mean(Dimension::Positions, _) => {
                    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
                    let share = 1.0 / self.shape.positions() as f64;
                    let Buffers { sums, small, .. } = &mut *self.buffers;
                    for (mean, sum) in small[id].iter_mut().zip(&mut sums[id]) {
                        #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
                        {
                            *mean = (*sum * share) as f32;
                        }
                        *sum = 0.0;
                    }
                    self.repeat(id);
                }
                Step::Input(_)
                | Step::Constant(_)
                | Step::Value(..)
                | Step::Partial { .. }
                | Step::Combine(..)
                | Step::Mean(Dimension::Channels, _)
                | Step::Softmax(_)
                | Step::Spread(..) => self.small(id),
            }
        }
    }

    /// Computes a step on small results: rows of one element.
    fn small(&mut self, id: Id) {
        let mut result = std::mem::take(self.result(id));
        let rows = Rows {
            count: self.channels_of(id),
            length: 1,
        };
        let view = |id: Id| View {
            data: &self.buffers.small[id],
            stride: usize::from(self.graph.extents[id].channels),
        };
        let out = ViewMut {
            data: &mut result,
            stride: 1,
        };
        self.compute(id, rows, &view, out);
        *self.result(id) = result;
        self.repeat(id);
    }

    fn plane(&self) -> Plane {
        Plane {
            height: self.shape.h,
            width: self.shape.w,
        }
    }

    fn pool(&mut self, id: Id, min: bool, x: Id) {
        let mut result = std::mem::take(&mut self.buffers.block[id]);
        let mut winners = std::mem::take(&mut self.buffers.winners[id]);
        let plane = self.plane();
        pool(
            self.level,
            min,
            plane,
            self.field(x),
            &mut result,
            &mut winners,
        );
        self.buffers.block[id] = result;
        self.buffers.winners[id] = winners;
    }

    fn pool_gradient(&mut self, id: Id, pool: Id, adjoint: Id) {
        let mut result = std::mem::take(&mut self.buffers.block[id]);
        let mut winners = std::mem::take(&mut self.buffers.winners[pool]);
        let (plane, level) = (self.plane(), self.level);
        let extent = self.graph.extents[adjoint];
        if extent.positions {
            let adjoint = self.field(adjoint);
            pool_gradient(level, plane, &mut winners, false, adjoint, &mut result);
        } else {
            // One number a plane, in the order of the planes.
            let small = &self.buffers.small[adjoint];
            let planes = 0..self.shape.n * self.channels_of(id);
            let of_plane = |k: usize| small[if extent.channels { k % self.shape.c } else { 0 }];
            let mut numbers = std::mem::take(&mut self.buffers.planes);
            numbers.clear();
            numbers.extend(planes.map(of_plane));
            pool_gradient(level, plane, &mut winners, true, &numbers, &mut result);
            self.buffers.planes = numbers;
        }
        self.buffers.block[id] = result;
        self.buffers.winners[pool] = winners;
    }

    /// Writes `factor` times a result of the whole fields to every element that the result stands for.
    pub(in crate::compute) fn copy_out(&self, id: Id, factor: f64, field: &mut [f32]) {
        #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
        let factor = factor as f32;
        let extent = self.graph.extents[id];
        let result = match self.schedule.places[id] {
            Place::Small => &self.buffers.small[id],
            Place::Block | Place::Tile(_) | Place::Nowhere => self.field(id),
        };
        for (k, plane) in field.chunks_exact_mut(self.plane).enumerate() {
            let (n, c) = (k / self.shape.c, k % self.shape.c);
            let row = n * self.channels_of(id) + if extent.channels { c } else { 0 };
            if extent.positions {
                let result = &result[row * self.plane..][..self.plane];
                for (to, value) in plane.iter_mut().zip(result) {
                    *to = factor * value;
                }
            } else {
                plane.fill(factor * result[if extent.channels { c } else { 0 }]);
            }
        }
    }

    /// The loss value of whole fields.
    #[expect(clippy::cast_precision_loss, reason = "channels are few")]
    pub(in crate::compute) fn loss_value(&self) -> f64 {
        f64::from(self.buffers.small[self.graph.mean][0]) * self.shape.c as f64
    }
}
