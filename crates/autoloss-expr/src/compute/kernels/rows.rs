//! Rows of a field that a loop reads or writes.

/// Number of rows, and the elements of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) count: usize,
    pub(crate) length: usize,
}

/// Rows that are read: row r begins at `r · stride`. With stride 0 all rows are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
}

/// Rows that are written.
#[derive(Debug)]
pub(crate) struct ViewMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) stride: usize,
}

impl<'a> View<'a> {
    #[inline(always)]
    pub(super) fn row(self, r: usize, rows: Rows) -> &'a [f32] {
        &self.data[r * self.stride..][..rows.length]
    }
}

impl ViewMut<'_> {
    #[inline(always)]
    pub(super) fn row(&mut self, r: usize, rows: Rows) -> &mut [f32] {
        &mut self.data[r * self.stride..][..rows.length]
    }
}

impl Rows {
    /// One long row where the rows of all fields follow each other without gaps.
    #[inline(always)]
    pub(super) fn joined(self, strides: [usize; 3]) -> Self {
        match strides.iter().all(|stride| *stride == self.length) {
            true => Self {
                count: 1,
                length: self.count * self.length,
            },
            false => self,
        }
    }
}
