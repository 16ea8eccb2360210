//! Blocks: parts of the fields that are computed by themselves.

use super::schedule::Schedule;
use super::workspace::Buffer;
use crate::extent::Extent;
use crate::shape::Shape;

/// Elements of a tile: few enough that all fields of a step stay in the first-level cache, many
/// enough that the work between two loops does not count.
const TILE: usize = 2048;

/// Elements of a tile of all channels: more, since its rows must not become short.
const WIDE: usize = 8192;

/// A part of the fields that is computed by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Extents of the block.
    pub(super) shape: Shape,
    /// Extents of the fields.
    fields: Shape,
    /// Index of the block's first element in the fields.
    start: usize,
    /// Whether the block is a run of elements that may cross channels.
    pub(super) flat: bool,
}

impl Block {
    /// The blocks of the fields for a schedule.
    pub(super) fn all(schedule: &Schedule, fields: Shape) -> Vec<Self> {
        if fields.len() == 0 {
            return Vec::new();
        }
        let wanted = schedule.reach.block(fields, TILE, WIDE);
        let block = |shape, start| Self {
            shape,
            fields,
            start,
            flat: schedule.reach.is_element(),
        };
        let plane = fields.h * fields.w;
        if schedule.reach.is_element() {
            let starts = (0..fields.len()).step_by(wanted.w);
            let length = |start| wanted.w.min(fields.len() - start);
            return starts
                .map(|start| block(Shape::new(1, 1, 1, length(start)), start))
                .collect();
        }
        let mut blocks = Vec::new();
        for n in (0..fields.n).step_by(wanted.n) {
            for c in (0..fields.c).step_by(wanted.c) {
                let first = (n * fields.c + c) * plane;
                if wanted.h == fields.h && wanted.w == fields.w {
                    blocks.push(block(wanted, first));
                    continue;
                }
                for at in (0..plane).step_by(wanted.w) {
                    let w = wanted.w.min(plane - at);
                    blocks.push(block(Shape { w, ..wanted }, first + at));
                }
            }
        }
        blocks
    }

    /// Runs of neighbouring elements of the fields that make up the block, in its order.
    fn runs(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (shape, start) = (self.shape, self.start);
        let plane = self.fields.h * self.fields.w;
        let sample = self.fields.c * plane;
        let length = shape.h * shape.w;
        let starts = move |n| (0..shape.c).map(move |c| start + n * sample + c * plane);
        (0..shape.n).flat_map(starts).map(move |at| at..at + length)
    }

    /// Copies the block's part of a field.
    pub(super) fn gather(&self, field: &[f32], into: &mut Buffer) {
        let into = into.anew();
        for run in self.runs() {
            into.extend_from_slice(&field[run]);
        }
    }

    /// Copies the block's part of a result that is constant over some dimension.
    pub(super) fn gather_narrow(&self, extent: Extent, result: &[f32], into: &mut Buffer) {
        let plane = self.fields.h * self.fields.w;
        let of_element = |i: usize| {
            let (c, n) = (i / plane % self.fields.c, i / plane / self.fields.c);
            match (extent.channels, extent.positions) {
                (true, true) => i,
                (true, false) => c,
                (false, true) => n * plane + i % plane,
                (false, false) => 0,
            }
        };
        let into = into.anew();
        if self.flat {
            into.extend(self.runs().flatten().map(|i| result[of_element(i)]));
            return;
        }
        let per_sample = if extent.channels { self.shape.c } else { 1 };
        let per_run = if extent.positions { usize::MAX } else { 1 };
        let samples = if extent.positions { self.shape.n } else { 1 };
        for (k, run) in self.runs().enumerate() {
            if k % self.shape.c < per_sample && k / self.shape.c < samples {
                into.extend(run.take(per_run).map(|i| result[of_element(i)]));
            }
        }
    }

    /// Writes the block's values back to a field.
    pub(super) fn scatter(&self, values: &[f32], field: &mut [f32]) {
        let length = self.shape.h * self.shape.w;
        for (run, values) in self.runs().zip(values.chunks_exact(length)) {
            field[run].copy_from_slice(values);
        }
    }
}

/// A part of a block that is computed at once: positions of one sample, in all channels.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) sample: usize,
    /// First position.
    pub(super) position: usize,
    /// Number of positions.
    pub(super) length: usize,
}

/// Number of positions of a tile in a block of that shape.
pub(super) fn tile_length(shape: Shape) -> usize {
    let length = match shape.c {
        1 => TILE,
        c => (WIDE / c / 16 * 16).max(64),
    };
    length.min((shape.h * shape.w).max(1))
}
