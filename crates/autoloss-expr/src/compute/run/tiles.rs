//! Steps on the tiles of a block.

use super::Run;
use crate::compute::block::Tile;
use crate::compute::kernels::{
    Partial, Rows, View, ViewMut, combine, mean_rows, partial, softmax, sums, value,
};
use crate::compute::schedule::Place;
use crate::compute::workspace::Buffer;
use crate::extent::Dimension;
use crate::graph::{Id, Step};

impl Run<'_> {
    /// Offset of a tile in a result, and the distance of the result's rows.
    pub(super) fn layout(&self, id: Id, tile: Tile) -> (usize, usize) {
        let channels = self.graph.extents[id].channels;
        match self.schedule.places[id] {
            Place::Block => {
                let rows = self.channels_of(id);
                let start = tile.sample * rows * self.plane + tile.position;
                (start, if channels { self.plane } else { 0 })
            }
            Place::Tile(_) | Place::Small | Place::Nowhere => {
                (0, if channels { self.length } else { 0 })
            }
        }
    }

    /// The rows of a result in a tile.
    pub(super) fn view(&self, id: Id, tile: Tile) -> View<'_> {
        let (start, stride) = self.layout(id, tile);
        let data = match self.schedule.places[id] {
            Place::Block => self.field(id),
            Place::Tile(number) => &self.buffers.tile[number],
            Place::Small | Place::Nowhere => &self.buffers.repeated[id],
        };
        View {
            data: &data[start..],
            stride,
        }
    }

    /// A result that is kept for the block.
    pub(super) fn field(&self, id: Id) -> &[f32] {
        match self.graph.steps[id] {
            Step::Input(input) if self.buffers.block[id].is_empty() => self.inputs[input],
            _ => &self.buffers.block[id],
        }
    }

    /// Size of the rows of a result in a tile.
    pub(super) fn rows(&self, id: Id, tile: Tile) -> Rows {
        Rows {
            count: self.channels_of(id),
            length: tile.length,
        }
    }

    /// Computes the steps of a phase for one tile.
    pub(super) fn tile(&mut self, phase: usize, tile: Tile) {
        let schedule = self.schedule;
        for &id in &schedule.phases[phase].tiles {
            if let Step::Mean(Dimension::Positions, x) = self.graph.steps[id] {
                let mut totals = std::mem::take(&mut self.buffers.sums[id]);
                sums(
                    self.level,
                    self.rows(x, tile),
                    self.view(x, tile),
                    &mut totals,
                );
                self.buffers.sums[id] = totals;
                continue;
            }
            // Taken out so that it can be written while others are read.
            let mut result = std::mem::take(self.result(id));
            let (at, stride) = self.layout(id, tile);
            let view = |id| self.view(id, tile);
            let out = ViewMut {
                data: &mut result[at..],
                stride,
            };
            self.compute(id, self.rows(id, tile), &view, out);
            *self.result(id) = result;
        }
    }

    /// The buffer of a step's result.
    pub(super) fn result(&mut self, id: Id) -> &mut Buffer {
        match self.schedule.places[id] {
            Place::Tile(number) => &mut self.buffers.tile[number],
            Place::Small => &mut self.buffers.small[id],
            Place::Block | Place::Nowhere => &mut self.buffers.block[id],
        }
    }

    /// Computes rows of a step from views of its operands.
    pub(super) fn compute<'v>(
        &self,
        id: Id,
        rows: Rows,
        view: &dyn Fn(Id) -> View<'v>,
        out: ViewMut<'_>,
    ) {
        let level = self.level;
        match self.graph.steps[id] {
            Step::Value(op, [a, b]) => value(level, op, rows, view(a), view(b), out),
            Step::Partial {
                op,
                which,
                operands,
                value,
                adjoint,
            } => {
                let read = Partial {
                    which,
                    operands: operands.map(view),
                    value: view(value),
                    adjoint: view(adjoint),
                };
                partial(level, op, rows, read, out);
            }
            #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
            Step::Combine(a, factor, b) => {
                combine(level, factor as f32, rows, view(a), view(b), out);
            }
            Step::Mean(Dimension::Channels, x) => {
                let count = self.channels_of(x);
                mean_rows(level, Rows { count, ..rows }, view(x), out.data);
            }
            Step::Softmax(x) => softmax(level, rows, view(x), out),
            // A copy: arithmetic with 0 gives NaN where the operand is not finite.
            Step::Spread(x, _) => copy(rows, view(x), out),
            step @ (Step::Input(_)
            | Step::Constant(_)
            | Step::Mean(Dimension::Positions, _)
            | Step::Pool { .. }
            | Step::PoolGradient { .. }) => unreachable!("{step:?} is not computed in rows"),
        }
    }
}

/// Copies rows, of which all may be the same.
fn copy(rows: Rows, from: View<'_>, out: ViewMut<'_>) {
    let ViewMut { data, stride } = out;
    for r in 0..rows.count {
        let row = &from.data[r * from.stride..][..rows.length];
        data[r * stride..][..rows.length].copy_from_slice(row);
    }
}
