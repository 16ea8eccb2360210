//! Memory of computations, kept from call to call.

use super::kernels::{Level, Winners};

/// Buffers of a computation, kept between calls so that steps allocate nothing.
#[derive(Debug)]
pub struct Workspace {
    pub(super) level: Level,
    /// Results for the whole fields, computed once.
    pub(super) whole: Buffers,
    /// Results for the current block.
    pub(super) block: Buffers,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// An empty workspace for the processor this runs on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            level: Level::detect(),
            whole: Buffers::default(),
            block: Buffers::default(),
        }
    }
}

/// A field that begins at an offset of its own within a page. Fields at the same offset push each
/// other out of the first-level cache, and loads wait for stores that only seem to overlap.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    data: Vec<f32>,
    /// Elements of `data` before the field.
    skipped: usize,
}

impl Buffer {
    /// An empty buffer, by its number among those that are used together.
    pub(super) fn numbered(number: usize) -> Self {
        // Five cache lines apart, within a page.
        Self {
            data: Vec::new(),
            skipped: number * 80 % 1024,
        }
    }

    pub(super) fn resize(&mut self, length: usize) {
        self.data.resize(self.skipped + length, 0.0);
    }

    pub(super) fn clear(&mut self) {
        self.data.clear();
    }

    /// The buffer without elements, which are to be appended.
    pub(super) fn anew(&mut self) -> &mut Vec<f32> {
        self.data.clear();
        self.data.resize(self.skipped, 0.0);
        &mut self.data
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.data.get(self.skipped..).unwrap_or_default()
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.data.get_mut(self.skipped..).unwrap_or_default()
    }
}

/// Results of steps, by the number of the step except for those of tiles.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// Results that are kept for the whole block.
    pub(super) block: Vec<Buffer>,
    /// Results that do not vary over the positions: a number, or one a channel.
    pub(super) small: Vec<Buffer>,
    /// Small results, each repeated for all elements of a tile.
    pub(super) repeated: Vec<Buffer>,
    /// Results for the current tile, by the number of the buffer.
    pub(super) tile: Vec<Buffer>,
    /// Running sums over the positions, one a channel.
    pub(super) sums: Vec<Vec<f64>>,
    /// Places of the extremes that poolings found.
    pub(super) winners: Vec<Winners>,
    /// Adjoints of a pooling, one number a plane.
    pub(super) planes: Vec<f32>,
    /// First and second moments of Adam, one pair an input.
    pub(super) moments: Vec<[Buffer; 2]>,
}
