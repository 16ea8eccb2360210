//! Masks in COCO's form: lengths of runs, column by column.

pub(super) mod compressed;
mod error;
mod overlap;
mod polygon;
#[cfg(test)]
pub(super) mod tests;

pub use error::MaskError;

use super::limits::MAX_PIXELS;

/// A binary mask, run-length encoded.
///
/// The pixels are counted down the columns, from left to right. The runs are in
/// turn outside and inside the mask, beginning outside; a run may be empty.
///
/// ```
/// use autoloss_metrics::coco::Mask;
///
/// let mask = Mask::from_bitmap(&[0, 0, 1, /* second row */ 0, 1, 1], 2, 3)?;
/// assert_eq!(mask.runs(), [3, 3]);
/// assert_eq!(mask.area(), 3);
/// assert_eq!(Mask::from_compressed(&mask.to_compressed(), 2, 3)?, mask);
/// # Ok::<(), autoloss_metrics::coco::MaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    height: u32,
    width: u32,
    runs: Vec<u32>,
    area: u32,
    /// Whether an empty run lies between others.
    broken: bool,
}

impl Mask {
    /// A mask of `height` rows and `width` columns from its runs.
    ///
    /// # Errors
    /// The runs do not cover all pixels (unless there is at most one: then no
    /// pixel is in the mask, however long it is), or there are too many pixels.
    pub fn from_runs(mut runs: Vec<u32>, height: u32, width: u32) -> Result<Self, MaskError> {
        let pixels = pixels(height, width)?;
        if runs.len() < 2 {
            runs = vec![pixels];
        }
        let covered: u64 = runs.iter().copied().map(u64::from).sum();
        if covered != u64::from(pixels) {
            return Err(MaskError::Covered {
                covered,
                height,
                width,
            });
        }
        let area = runs.iter().skip(1).step_by(2).sum();
        let broken = runs.len() > 2 && runs[1..runs.len() - 1].contains(&0);
        Ok(Self {
            height,
            width,
            runs,
            area,
            broken,
        })
    }

    /// A mask from a row-major bitmap: a pixel that is not 0 is in the mask.
    ///
    /// # Shapes
    /// `bitmap` is (height, width).
    ///
    /// # Errors
    /// A bitmap of another size, too many pixels.
    pub fn from_bitmap(bitmap: &[u8], height: u32, width: u32) -> Result<Self, MaskError> {
        let pixels = pixels(height, width)? as usize;
        if bitmap.len() != pixels {
            return Err(MaskError::Bitmap {
                found: bitmap.len(),
                height,
                width,
            });
        }
        let (rows, columns) = (height as usize, width as usize);
        let mut runs = vec![0];
        let mut inside = false;
        for column in 0..columns {
            for row in 0..rows {
                if (bitmap[row * columns + column] != 0) != inside {
                    inside = !inside;
                    runs.push(0);
                }
                if let Some(run) = runs.last_mut() {
                    *run += 1;
                }
            }
        }
        Self::from_runs(runs, height, width)
    }

    /// The mask of all pixels in any of `spans`, which hold the first pixel and
    /// the one after the last, in any order, and are never empty.
    pub(super) fn from_spans(
        spans: &mut [(u32, u32)],
        height: u32,
        width: u32,
    ) -> Result<Self, MaskError> {
        spans.sort_unstable();
        let mut runs = Vec::with_capacity(2 * spans.len() + 1);
        // The end of the last run.
        let mut covered = 0;
        for &(start, end) in spans.iter() {
            if start > covered || runs.is_empty() {
                runs.push(start - covered);
                runs.push(end - start);
                covered = end;
            } else if end > covered {
                if let Some(run) = runs.last_mut() {
                    *run += end - covered;
                }
                covered = end;
            }
        }
        let rest = pixels(height, width)?.saturating_sub(covered);
        if rest > 0 || runs.is_empty() {
            runs.push(rest);
        }
        Self::from_runs(runs, height, width)
    }

    /// Number of rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The lengths of the runs.
    #[must_use]
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Number of pixels in the mask.
    #[must_use]
    pub fn area(&self) -> u32 {
        self.area
    }

    /// The row-major bitmap: 1 in the mask, else 0.
    #[must_use]
    pub fn to_bitmap(&self) -> Vec<u8> {
        let (rows, columns) = (self.height as usize, self.width as usize);
        let mut bitmap = vec![0; rows * columns];
        let mut pixel = 0;
        for (index, &run) in self.runs.iter().enumerate() {
            let next = pixel + run as usize;
            if index % 2 == 1 {
                for inside in pixel..next {
                    bitmap[inside % rows * columns + inside / rows] = 1;
                }
            }
            pixel = next;
        }
        bitmap
    }

    /// The smallest box around the mask: x, y, width, height.
    ///
    /// As in COCO, a mask of a single run has an empty box at the origin. A mask
    /// whose runs inside are all empty has a box of 2³² pixels and more, which
    /// begins where the image ends.
    #[must_use]
    pub fn bbox(&self) -> [f64; 4] {
        self.extent().map(f64::from)
    }

    /// The box around the mask in pixels.
    pub(in crate::coco) fn extent(&self) -> [u32; 4] {
        if self.runs.len() < 2 {
            return [0; 4];
        }
        let height = self.height;
        let (mut left, mut top, mut right, mut bottom) = (self.width, height, 0, 0);
        // The column that the pixel lies in, and its first pixel.
        let (mut pixel, mut column, mut first) = (0, 0, 0);
        for pair in self.runs.chunks_exact(2) {
            let start = pixel + pair[0];
            pixel = start + pair[1];
            if pair[1] == 0 {
                continue;
            }
            // Mostly the next column: a division would be slow.
            if start - first >= height {
                let steps = match start - first < 2 * height {
                    true => 1,
                    false => (start - first) / height,
                };
                column += steps;
                first += steps * height;
            }
            let (row, last) = (start - first, pixel - 1 - first);
            left = left.min(column);
            if last < height {
                right = right.max(column);
                top = top.min(row);
                bottom = bottom.max(last);
            } else {
                right = right.max(column + last / height);
                top = 0;
                bottom = height - 1;
            }
        }
        let side = |from: u32, to: u32| to.wrapping_sub(from).wrapping_add(1);
        [left, top, side(left, right), side(top, bottom)]
    }
}

/// The number of pixels of a mask.
fn pixels(height: u32, width: u32) -> Result<u32, MaskError> {
    let pixels = u64::from(height) * u64::from(width);
    match u32::try_from(pixels) {
        Ok(few) if pixels <= MAX_PIXELS => Ok(few),
        _ => Err(MaskError::TooLarge { height, width }),
    }
}
