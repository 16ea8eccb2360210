//! Anchors of a feature pyramid, placed as by torchvision's `AnchorGenerator`.

use super::boxes::Corners;

/// The anchors of one level of a feature pyramid.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorLevel {
    /// Square roots of the anchors' areas, in pixels.
    pub sizes: Vec<f32>,
    /// Heights over widths.
    pub aspect_ratios: Vec<f32>,
    /// Pixels of the image between two positions of the level.
    pub stride: usize,
}

impl AnchorLevel {
    /// Anchors at each position.
    pub fn per_position(&self) -> usize {
        self.sizes.len() * self.aspect_ratios.len()
    }

    /// The anchors around (0, 0), aspect ratio by aspect ratio and in each
    /// size by size, corners rounded to whole pixels (halves to even).
    pub fn base(&self) -> Vec<Corners> {
        let mut anchors = Vec::with_capacity(self.per_position());
        for ratio in &self.aspect_ratios {
            let (rows, columns) = (ratio.sqrt(), 1.0 / ratio.sqrt());
            for size in &self.sizes {
                let (x, y) = (columns * size / 2.0, rows * size / 2.0);
                anchors.push([-x, -y, x, y].map(f32::round_ties_even));
            }
        }
        anchors
    }

    /// The anchors of a map of `rows` and `columns`, in the order (row, column, anchor) of outputs `[A, H, W]` permuted
    /// to (H, W, A).
    ///
    /// The position (row, column) stands for the point (column · stride,
    /// row · stride) of the image.
    pub fn anchors(&self, [rows, columns]: [usize; 2]) -> Vec<Corners> {
        let base = self.base();
        let mut anchors = Vec::with_capacity(rows * columns * base.len());
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = ((column * self.stride) as f32, (row * self.stride) as f32);
                anchors.extend(
                    base.iter()
                        .map(|b| [b[0] + x, b[1] + y, b[2] + x, b[3] + y]),
                );
            }
        }
        anchors
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{fours, recorded};
    use super::*;

    #[test]
    fn anchors_are_torchvisions() {
        // torchvision takes image size over map size for the stride, along each axis: where the
        // image is no multiple of the stride, its anchors are another's.
        let cases = recorded().anchors.into_iter();
        let cases: Vec<_> = cases
            .filter(|case| case.strides[0] == case.strides[1])
            .collect();
        assert!(cases.len() >= 2);
        for case in cases {
            let [stride, _] = case.strides;
            let level = AnchorLevel {
                sizes: case.sizes,
                aspect_ratios: case.aspect_ratios,
                stride,
            };
            assert_eq!(level.anchors(case.grid), fours(&case.anchors));
        }
    }

    #[test]
    fn anchors_run_over_rows_columns_and_shapes() {
        let level = AnchorLevel {
            sizes: vec![8.0, 16.0],
            aspect_ratios: vec![1.0],
            stride: 10,
        };
        let anchors = level.anchors([2, 3]);
        assert_eq!(anchors.len(), 2 * 3 * level.per_position());
        assert_eq!(anchors[0], [-4.0, -4.0, 4.0, 4.0]);
        assert_eq!(anchors[1], [-8.0, -8.0, 8.0, 8.0]);
        // Row 1, column 2, second size.
        assert_eq!(anchors[(3 + 2) * 2 + 1], [12.0, 2.0, 28.0, 18.0]);
    }
}
