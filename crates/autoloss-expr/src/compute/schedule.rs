//! The order in which the steps of a graph are computed on a block: in phases, each a pass over the
//! block's tiles, with as few passes and buffers as the formula allows.
//!
//! Steps that vary over the positions are computed tile by tile. A mean over the positions and a
//! pooling need all tiles of their operands: they end a phase. Steps that do not vary over the
//! positions are few numbers and computed between the phases.

use crate::extent::Dimension;
use crate::graph::{Graph, Id, Step};
use crate::shape::Shape;

/// Place of a step's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// None: the result is not needed.
    Nowhere,
    /// A field of the whole block.
    Block,
    /// A field of the current tile, in the buffer of that number.
    Tile(usize),
    /// A number, or one a channel.
    Small,
}

/// One pass over the tiles.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    /// Steps that are computed before the pass, for the whole block: small steps, poolings, the ends of
    /// means over the positions.
    pub(crate) before: Vec<Id>,
    /// Steps that are computed for each tile; a mean over the positions adds up its sums here.
    pub(crate) tiles: Vec<Id>,
}

/// Directions in which the elements of the steps depend on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Across the channels of a position.
    channels: bool,
    /// Across neighbouring positions.
    neighbours: bool,
    /// Across all positions of all samples.
    positions: bool,
}

/// Steps to compute, with the time and place of each.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) phases: Vec<Phase>,
    pub(crate) places: Vec<Place>,
    /// Whether a small result is repeated for all elements of a tile, since some tile reads it.
    pub(crate) repeated: Vec<bool>,
    /// Whether nothing reads the values of a pooling, only the places that they come from.
    pub(crate) unread: Vec<bool>,
    /// Number of tile buffers.
    pub(crate) buffers: usize,
    pub(crate) reach: Reach,
    /// Steps that are not computed here: inputs and results of an earlier stage.
    pub(crate) given: Vec<Id>,
}

/// Time of a step's result.
#[derive(Clone, Copy, Default)]
struct Time {
    phase: usize,
    /// Whether the result is there tile by tile, not for the whole block at once.
    tile: bool,
}

impl Schedule {
    /// Schedules the steps marked `here` that the wanted steps need; needed steps that are not marked
    /// are given. Those of the wanted steps in `kept` are kept for the whole block.
    pub(crate) fn new(graph: &Graph, here: &[bool], wanted: &[Id], kept: &[Id]) -> Self {
        let needed = needed(graph, here, wanted);
        let mut schedule = Self {
            phases: Vec::new(),
            places: vec![Place::Nowhere; graph.steps.len()],
            repeated: vec![false; graph.steps.len()],
            unread: vec![false; graph.steps.len()],
            buffers: 0,
            reach: Reach::default(),
            given: Vec::new(),
        };
        let times = schedule.order(graph, here, &needed);
        schedule.place(graph, here, &needed, &times, wanted, kept);
        schedule.share_buffers(graph, wanted);
        schedule.find_unread(graph, here, &needed, wanted);
        schedule
    }

    /// Finds the poolings of which only the gradient is needed.
    fn find_unread(&mut self, graph: &Graph, here: &[bool], needed: &[bool], wanted: &[Id]) {
        let is_pool = |id: &Id| matches!(graph.steps[*id], Step::Pool { .. });
        for id in (0..graph.steps.len())
            .filter(|id| here[*id])
            .filter(is_pool)
        {
            let reads = |later: Id| match graph.steps[later] {
                Step::PoolGradient { adjoint, .. } => adjoint == id,
                step => step.operands().any(|o| o == id),
            };
            let mut later = (id + 1..graph.steps.len()).filter(|k| needed[*k] && here[*k]);
            self.unread[id] = !later.any(reads) && !wanted.contains(&id);
        }
    }

    fn phase(&mut self, number: usize) -> &mut Phase {
        if self.phases.len() <= number {
            self.phases.resize_with(number + 1, Phase::default);
        }
        &mut self.phases[number]
    }

    /// Finds the time of each step, from those of its operands.
    fn order(&mut self, graph: &Graph, here: &[bool], needed: &[bool]) -> Vec<Time> {
        let mut times = vec![Time::default(); graph.steps.len()];
        self.phase(0);
        for id in (0..graph.steps.len()).filter(|id| needed[*id]) {
            let step = &graph.steps[id];
            if !here[id] || matches!(step, Step::Input(_) | Step::Constant(_)) {
                // An input that is moved is changed tile by tile.
                let moved = matches!(step, Step::Input(_)) && graph.dynamic[id];
                times[id].tile = moved;
                if !matches!(step, Step::Constant(_)) {
                    self.given.push(id);
                }
                continue;
            }
            self.reach.add(step);
            let of_operands = || step.operands().map(|o| times[o]);
            let in_tiles = of_operands().map(|t| t.phase).max().unwrap_or(0);
            let whole = of_operands()
                .map(|t| t.phase + usize::from(t.tile))
                .max()
                .unwrap_or(0);
            let at_once = Time {
                phase: whole,
                tile: false,
            };
            times[id] = match step {
                Step::Mean(Dimension::Positions, _) => {
                    self.phase(in_tiles).tiles.push(id);
                    Time {
                        phase: in_tiles + 1,
                        tile: false,
                    }
                }
                Step::Pool { .. } | Step::PoolGradient { .. } => at_once,
                Step::Input(_)
                | Step::Constant(_)
                | Step::Value(..)
                | Step::Partial { .. }
                | Step::Combine(..)
                | Step::Mean(Dimension::Channels, _)
                | Step::Softmax(_)
                | Step::Spread(..) => match graph.extents[id].positions {
                    true => Time {
                        phase: in_tiles,
                        tile: true,
                    },
                    false => at_once,
                },
            };
            let Time { phase, tile } = times[id];
            let phase = self.phase(phase);
            match tile {
                true => phase.tiles.push(id),
                false => phase.before.push(id),
            }
        }
        times
    }

    /// Finds the place of each result, from the times at which it is read.
    fn place(
        &mut self,
        graph: &Graph,
        here: &[bool],
        needed: &[bool],
        times: &[Time],
        wanted: &[Id],
        kept: &[Id],
    ) {
        let last = self.phases.len() - 1;
        for id in (0..graph.steps.len()).filter(|id| needed[*id]) {
            self.places[id] = if !graph.extents[id].positions {
                Place::Small
            } else if !here[id]
                || kept.contains(&id)
                || !times[id].tile
                || matches!(graph.steps[id], Step::Input(_))
                || wanted.contains(&id) && times[id].phase < last
            {
                Place::Block
            } else {
                // `share_buffers` numbers the buffers.
                Place::Tile(0)
            };
        }
        for id in (0..graph.steps.len()).filter(|id| needed[*id] && here[*id]) {
            let step = &graph.steps[id];
            let in_tiles = times[id].tile || matches!(step, Step::Mean(Dimension::Positions, _));
            let pass = match step {
                Step::Mean(Dimension::Positions, _) => times[id].phase - 1,
                _ => times[id].phase,
            };
            for operand in step.operands() {
                match self.places[operand] {
                    Place::Small => self.repeated[operand] |= in_tiles,
                    Place::Tile(_) if !in_tiles || times[operand].phase < pass => {
                        self.places[operand] = Place::Block;
                    }
                    _ => {}
                }
            }
        }
        for id in wanted {
            self.repeated[*id] |= self.places[*id] == Place::Small;
        }
    }

    /// Numbers the tile buffers; a buffer is used again once nothing reads its result any more.
    fn share_buffers(&mut self, graph: &Graph, wanted: &[Id]) {
        for phase in &self.phases {
            let mut free: Vec<usize> = (0..self.buffers).collect();
            for (at, &id) in phase.tiles.iter().enumerate() {
                if let Place::Tile(_) = self.places[id] {
                    let number = free.pop().unwrap_or(self.buffers);
                    self.buffers = self.buffers.max(number + 1);
                    self.places[id] = Place::Tile(number);
                }
                let mut done: Vec<Id> = graph.steps[id].operands().collect();
                done.sort_unstable();
                done.dedup();
                for operand in done {
                    let read_later = phase.tiles[at + 1..]
                        .iter()
                        .any(|later| graph.steps[*later].operands().any(|o| o == operand));
                    if let Place::Tile(number) = self.places[operand]
                        && !read_later
                        && !wanted.contains(&operand)
                    {
                        free.push(number);
                    }
                }
            }
        }
    }
}

impl Reach {
    /// Widens the reach by that of a step.
    fn add(&mut self, step: &Step) {
        match step {
            Step::Mean(Dimension::Channels, _) | Step::Softmax(_) => self.channels = true,
            Step::Mean(Dimension::Positions, _) => self.positions = true,
            Step::Pool { .. } | Step::PoolGradient { .. } => self.neighbours = true,
            Step::Input(_)
            | Step::Constant(_)
            | Step::Value(..)
            | Step::Partial { .. }
            | Step::Combine(..)
            | Step::Spread(..) => {}
        }
    }

    /// The shape of the blocks that fields are cut into: as small as the reach allows. Runs of
    /// positions have about `tile` elements, or `wide` in all channels; a run of elements is a row of
    /// one channel.
    pub(crate) fn block(self, shape: Shape, tile: usize, wide: usize) -> Shape {
        let row = |positions: usize| Shape::new(1, 1, 1, positions);
        match self {
            Self {
                positions: false,
                neighbours: false,
                channels,
            } => match channels {
                false => row(tile),
                true => Shape {
                    c: shape.c,
                    // Whole vectors.
                    ..row((wide / shape.c / 16 * 16).max(64))
                },
            },
            _ => Shape {
                n: if self.positions { shape.n } else { 1 },
                c: if self.channels { shape.c } else { 1 },
                ..shape
            },
        }
    }

    /// Whether each element can be computed by itself.
    pub(crate) fn is_element(self) -> bool {
        self == Self::default()
    }
}

/// Whether the wanted steps need a step; operands of steps that are computed elsewhere are not needed.
fn needed(graph: &Graph, here: &[bool], wanted: &[Id]) -> Vec<bool> {
    let mut needed = vec![false; graph.steps.len()];
    wanted.iter().for_each(|id| needed[*id] = true);
    for id in (0..graph.steps.len()).rev() {
        if needed[id] && here[id] {
            graph.steps[id].operands().for_each(|o| needed[o] = true);
        }
    }
    needed
}
