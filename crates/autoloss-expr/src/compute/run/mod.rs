//! One computation of a schedule on a block.

mod optimise;
mod tiles;
mod whole;

use super::block::{Block, Tile, tile_length};
use super::kernels::{Level, Winners};
use super::schedule::{Place, Schedule};
use super::workspace::{Buffer, Buffers};
use crate::extent::Dimension;
use crate::graph::{Graph, Id, Step};
use crate::shape::Shape;

/// One computation of a schedule on a block.
pub(super) struct Run<'a> {
    graph: &'a Graph,
    schedule: &'a Schedule,
    shape: Shape,
    /// Number of positions of a tile.
    length: usize,
    /// Number of positions of a channel of the block.
    plane: usize,
    level: Level,
    buffers: &'a mut Buffers,
    /// Inputs of whole fields, which are read in place.
    inputs: &'a [&'a [f32]],
}

impl<'a> Run<'a> {
    /// A run on whole fields, which are read in place.
    pub(super) fn whole(
        graph: &'a Graph,
        schedule: &'a Schedule,
        shape: Shape,
        level: Level,
        buffers: &'a mut Buffers,
        inputs: &'a [&'a [f32]],
    ) -> Self {
        let mut run = Self::given(graph, schedule, shape, level, buffers, inputs);
        run.size_buffers();
        for id in 0..graph.steps.len() {
            // `field` reads an input in place where its buffer is empty.
            if matches!(graph.steps[id], Step::Input(_)) {
                run.buffers.block[id].clear();
            }
        }
        run
    }

    /// A run on buffers that are left as they are, with the results of a run before.
    pub(super) fn given(
        graph: &'a Graph,
        schedule: &'a Schedule,
        shape: Shape,
        level: Level,
        buffers: &'a mut Buffers,
        inputs: &'a [&'a [f32]],
    ) -> Self {
        let plane = shape.h * shape.w;
        Self {
            graph,
            schedule,
            shape,
            length: tile_length(shape),
            plane,
            level,
            buffers,
            inputs,
        }
    }

    /// A run on a block of the fields of another run, whose results it reads.
    pub(super) fn block(
        graph: &'a Graph,
        schedule: &'a Schedule,
        block: &Block,
        level: Level,
        buffers: &'a mut Buffers,
        whole: &Run<'_>,
    ) -> Self {
        let mut run = Self::given(graph, schedule, block.shape, level, buffers, &[]);
        run.size_buffers();
        for &id in &schedule.given {
            match (graph.steps[id], graph.extents[id]) {
                (Step::Input(input), _) => {
                    block.gather(whole.inputs[input], &mut run.buffers.block[id]);
                }
                (_, extent) if extent.positions => {
                    let result = &whole.buffers.block[id];
                    block.gather_narrow(extent, result, &mut run.buffers.block[id]);
                }
                (_, extent) if block.flat && extent.channels => {
                    let result = &whole.buffers.small[id];
                    block.gather_narrow(extent, result, &mut run.buffers.repeated[id]);
                }
                (_, extent) => {
                    let result = &whole.buffers.small[id];
                    block.gather_narrow(extent, result, &mut run.buffers.small[id]);
                    run.repeat(id);
                }
            }
        }
        for (input, ..) in &graph.gradients {
            for moment in &mut run.buffers.moments[*input] {
                moment.resize(block.shape.len());
                moment.fill(0.0);
            }
        }
        run
    }

    /// Sizes the buffers, and fills those of constants.
    fn size_buffers(&mut self) {
        let steps = self.graph.steps.len();
        let inputs = self
            .graph
            .gradients
            .iter()
            .map(|(input, ..)| input + 1)
            .max();
        let buffers = &mut *self.buffers;
        // Numbers of their own, so that buffers that are used together begin at different offsets.
        let numbered = |first: usize| move |k| Buffer::numbered(first + k);
        let pair = |k| [1, 2].map(|moment| Buffer::numbered(2 * k + moment));
        grow(&mut buffers.block, steps, numbered(0));
        grow(&mut buffers.small, steps, numbered(0));
        grow(&mut buffers.repeated, steps, numbered(5));
        grow(&mut buffers.sums, steps, |_| Vec::new());
        grow(&mut buffers.winners, steps, |_| Winners::default());
        grow(&mut buffers.tile, self.schedule.buffers, numbered(8));
        grow(&mut buffers.moments, inputs.unwrap_or(0), pair);
        for tile in &mut buffers.tile[..self.schedule.buffers] {
            tile.resize(self.shape.c * self.length);
        }
        for id in 0..steps {
            let rows = self.channels_of(id);
            let positions = self.shape.n * self.plane;
            let buffers = &mut *self.buffers;
            match self.schedule.places[id] {
                Place::Block if self.schedule.unread[id] => buffers.block[id].clear(),
                Place::Block => buffers.block[id].resize(rows * positions),
                Place::Small => {
                    buffers.small[id].resize(rows);
                    if self.schedule.repeated[id] {
                        buffers.repeated[id].resize(rows * self.length);
                    }
                }
                Place::Nowhere | Place::Tile(_) => {}
            }
            match self.graph.steps[id] {
                #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
                Step::Constant(c) => {
                    buffers.small[id].fill(c as f32);
                    self.repeat(id);
                }
                Step::Mean(Dimension::Positions, _) => {
                    let sums = &mut buffers.sums[id];
                    sums.clear();
                    sums.resize(rows, 0.0);
                }
                Step::Input(_)
                | Step::Value(..)
                | Step::Partial { .. }
                | Step::Combine(..)
                | Step::Mean(Dimension::Channels, _)
                | Step::Pool { .. }
                | Step::PoolGradient { .. }
                | Step::Softmax(_)
                | Step::Spread(..) => {}
            }
        }
    }

    /// Number of channels that a step's result has in the block.
    fn channels_of(&self, id: Id) -> usize {
        if self.graph.extents[id].channels {
            self.shape.c
        } else {
            1
        }
    }

    /// The tiles of the block.
    fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let (n, plane, length) = (self.shape.n, self.plane, self.length);
        let starts = move |sample| (0..plane).step_by(length).map(move |at| (sample, at));
        (0..n).flat_map(starts).map(move |(sample, position)| Tile {
            sample,
            position,
            length: length.min(plane - position),
        })
    }

    /// Computes all phases, once.
    pub(super) fn once(&mut self) {
        for phase in 0..self.schedule.phases.len() {
            self.before(phase);
            self.pass(phase);
        }
    }

    /// Computes the tiles of a phase.
    fn pass(&mut self, phase: usize) {
        if !self.schedule.phases[phase].tiles.is_empty() {
            for tile in self.tiles() {
                self.tile(phase, tile);
            }
        }
    }

    /// Repeats a small result for as many elements as a tile has, if some tile reads it.
    fn repeat(&mut self, id: Id) {
        if self.schedule.repeated[id] {
            let Buffers {
                small, repeated, ..
            } = &mut *self.buffers;
            let rows = repeated[id].chunks_exact_mut(self.length);
            for (row, value) in rows.zip(small[id].iter()) {
                row.fill(*value);
            }
        }
    }
}

/// Lengthens a list to at least that length.
fn grow<T>(list: &mut Vec<T>, length: usize, new: impl Fn(usize) -> T) {
    let known = list.len();
    list.extend((known..length).map(new));
}
