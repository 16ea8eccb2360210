//! Sets of pixels as bits, 64 to a word: finding edges and growing them costs a
//! few instructions for 64 pixels. The module knows labels, not metrics.

/// Layout of an image in words. Each row starts a new word; the bits after the end
/// of a row are padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Grid {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Words in a row.
    stride: usize,
}

impl Grid {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            stride: width.div_ceil(64),
        }
    }

    pub(crate) fn words(self) -> usize {
        self.stride * self.height
    }

    pub(crate) fn contains(self, bits: &[u64], x: usize, y: usize) -> bool {
        bits[y * self.stride + x / 64] >> (x % 64) & 1 == 1
    }

    /// The bits of a row's last word that are pixels.
    fn last_word(self) -> u64 {
        u64::MAX >> ((64 - self.width % 64) % 64)
    }
}

/// The number of pixels in both sets.
pub(crate) fn count_common(a: &[u64], b: &[u64]) -> u64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| u64::from((a & b).count_ones()))
        .sum()
}

/// A label map with its edges, as sets of pixels; made for one image after
/// another in the same memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct EdgeMap {
    grid: Grid,
    /// Number of low bits of a label that tell the classes apart.
    label_bits: usize,
    /// One set for each of these bits, then the set of pixels without a class: those
    /// whose label has a higher bit, and the padding.
    planes: Vec<u64>,
    /// Pixels with another label in their 3×3 neighbourhood.
    edges: Vec<u64>,
    some: Vec<u64>,
    every: Vec<u64>,
}

impl EdgeMap {
    /// Reads a label map.
    ///
    /// # Shapes
    /// `labels` has `grid.width · grid.height` elements.
    pub(crate) fn read(&mut self, labels: &[u8], grid: Grid, classes: usize) {
        self.grid = grid;
        self.label_bits = (usize::BITS - (classes - 1).leading_zeros()) as usize;
        for buffer in [&mut self.edges, &mut self.some, &mut self.every] {
            buffer.clear();
            buffer.resize(grid.words(), 0);
        }
        self.planes.clear();
        self.planes.resize(grid.words() * (self.label_bits + 1), 0);
        self.pack(labels);
        let outside = &mut self.planes[grid.words() * self.label_bits..];
        for row in outside.chunks_exact_mut(grid.stride) {
            row[grid.stride - 1] |= !grid.last_word();
        }
        for plane in 0..=self.label_bits {
            self.find_edges(plane);
        }
    }

    /// Finds the edge pixels of a class: pixels of the class with a pixel of another
    /// label in their 3×3 neighbourhood.
    pub(crate) fn edges_of(&self, class: u8, edges: &mut Vec<u64>) {
        self.select(class, edges);
        for (pixel, edge) in edges.iter_mut().zip(&self.edges) {
            *pixel &= edge;
        }
    }

    /// Finds the pixels of a class.
    pub(crate) fn select(&self, class: u8, pixels: &mut Vec<u64>) {
        let mut planes = self.planes.chunks_exact(self.grid.words()).rev();
        pixels.clear();
        pixels.extend(planes.next().into_iter().flatten().map(|outside| !outside));
        for (bit, plane) in planes.rev().enumerate() {
            let flip = if class >> bit & 1 == 1 { 0 } else { u64::MAX };
            for (pixel, word) in pixels.iter_mut().zip(plane) {
                *pixel &= word ^ flip;
            }
        }
    }

    /// Sorts the bits of the labels into planes, eight labels at a time.
    fn pack(&mut self, labels: &[u8]) {
        const LOW: u64 = u64::MAX / 255;
        let Grid { width, stride, .. } = self.grid;
        let words = self.grid.words();
        let high = LOW * (255 >> self.label_bits << self.label_bits);
        for (y, row) in labels.chunks_exact(width).enumerate() {
            for (x, labels) in row.chunks(64).enumerate() {
                let word = y * stride + x;
                let (eights, rest) = labels.as_chunks::<8>();
                let mut last = [0; 8];
                last[..rest.len()].copy_from_slice(rest);
                let last = (!rest.is_empty()).then_some(&last);
                for (index, eight) in eights.iter().chain(last).enumerate() {
                    let eight = u64::from_le_bytes(*eight);
                    for bit in 0..self.label_bits {
                        self.planes[bit * words + word] |= low_bits(eight >> bit) << (8 * index);
                    }
                    if eight & high != 0 {
                        let mut any = eight & high;
                        any |= any >> 4;
                        any |= any >> 2;
                        any |= any >> 1;
                        self.planes[self.label_bits * words + word] |= low_bits(any) << (8 * index);
                    }
                }
            }
        }
    }

    /// Adds the pixels in whose 3×3 neighbourhood the bits of one plane are neither
    /// all set nor all clear to the edges. The outermost pixels repeat beyond the
    /// image, so that its border is no edge.
    fn find_edges(&mut self, plane: usize) {
        let Grid {
            width,
            height,
            stride,
        } = self.grid;
        let words = self.grid.words();
        let plane = &self.planes[plane * words..(plane + 1) * words];
        let end = 1 << ((width - 1) % 64);
        for y in 0..height {
            let row = &plane[y * stride..(y + 1) * stride];
            for (x, &here) in row.iter().enumerate() {
                let before = if x == 0 { here << 63 } else { row[x - 1] };
                let before = here << 1 | before >> 63;
                let after = if x + 1 == stride {
                    here >> 1 & !end | here & end
                } else {
                    here >> 1 | row[x + 1] << 63
                };
                self.some[y * stride + x] = before | here | after;
                self.every[y * stride + x] = before & here & after;
            }
        }
        for y in 0..height {
            let above = y.saturating_sub(1) * stride;
            let below = (y + 1).min(height - 1) * stride;
            for x in 0..stride {
                let here = y * stride + x;
                let some = self.some[above + x] | self.some[here] | self.some[below + x];
                let every = self.every[above + x] & self.every[here] & self.every[below + x];
                self.edges[here] |= some & !every;
            }
        }
    }
}

/// The lowest bit of each byte, the first byte's first.
fn low_bits(bytes: u64) -> u64 {
    // Byte i is multiplied to bit 56 + i; no two products meet in a bit.
    (bytes & (u64::MAX / 255)).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Grows a set by all pixels within a Chebyshev distance of it. The padding
/// must be clear, and is clear afterwards.
pub(crate) fn dilate(bits: &mut [u64], grid: Grid, distance: usize) {
    let stride = grid.stride;
    // Growing by 0..=d to one side and then by 0..=d to the other is growing by
    // -d..=d. Pixels that leave the row in between would only come back to pixels
    // that are reached from inside as well.
    for row in bits.chunks_exact_mut(stride) {
        if row.iter().all(|&word| word == 0) {
            continue;
        }
        for step in steps(distance.min(grid.width - 1)) {
            spread_right(row, step);
        }
        for step in steps(distance.min(grid.width - 1)) {
            spread_left(row, step);
        }
        row[stride - 1] &= grid.last_word();
    }
    for step in steps(distance.min(grid.height - 1)) {
        for here in (step * stride..bits.len()).rev() {
            bits[here] |= bits[here - step * stride];
        }
    }
    for step in steps(distance.min(grid.height - 1)) {
        for here in step * stride..bits.len() {
            bits[here - step * stride] |= bits[here];
        }
    }
}

/// Shifts whose repeated union with the set covers 0..=reach.
fn steps(reach: usize) -> impl Iterator<Item = usize> {
    let mut covered = 0;
    std::iter::from_fn(move || {
        let step = (covered + 1).min(reach - covered);
        covered += step;
        (step > 0).then_some(step)
    })
}

/// Unites a row with the row moved to higher x.
fn spread_right(row: &mut [u64], step: usize) {
    let (words, bits) = (step / 64, step % 64);
    for here in (words..row.len()).rev() {
        let carry = if here > words {
            row[here - words - 1] >> 1 >> (63 - bits)
        } else {
            0
        };
        row[here] |= row[here - words] << bits | carry;
    }
}

/// Unites a row with the row moved to lower x.
fn spread_left(row: &mut [u64], step: usize) {
    let (words, bits) = (step / 64, step % 64);
    for there in words..row.len() {
        let carry = if there + 1 < row.len() {
            row[there + 1] << 1 << (63 - bits)
        } else {
            0
        };
        row[there - words] |= row[there] >> bits | carry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(grid: Grid, pixels: &[(usize, usize)]) -> Vec<u64> {
        let mut bits = vec![0; grid.words()];
        for &(x, y) in pixels {
            bits[y * grid.stride + x / 64] |= 1 << (x % 64);
        }
        bits
    }

    proptest! {
        #[test]
        fn dilation_agrees_with_distances(
            (width, height) in (1..200_usize, 1..12_usize),
            distance in prop_oneof![0..7_usize, 60..70_usize, 120..300_usize],
            pixels in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 0..6),
        ) {
            let grid = Grid::new(width, height);
            let pixels: Vec<_> = pixels
                .iter()
                .map(|&(x, y)| ((x * width as f64) as usize, (y * height as f64) as usize))
                .collect();
            let mut grown = set(grid, &pixels);
            dilate(&mut grown, grid, distance);
            let near = |x: usize, y: usize| {
                pixels.iter().any(|&(a, b)| a.abs_diff(x).max(b.abs_diff(y)) <= distance)
            };
            let expected: Vec<_> = (0..height)
                .flat_map(|y| (0..width).map(move |x| (x, y)))
                .filter(|&(x, y)| near(x, y))
                .collect();
            prop_assert_eq!(grown, set(grid, &expected));
        }

        #[test]
        fn planes_hold_the_labels(
            width in 1..150_usize,
            classes in 1..=255_usize,
            labels in prop::collection::vec(any::<u8>(), 450),
        ) {
            let grid = Grid::new(width, 3);
            let labels = &labels[..3 * width];
            let mut map = EdgeMap::default();
            map.read(labels, grid, classes);
            let mut pixels = Vec::new();
            for class in 0..classes as u8 {
                map.select(class, &mut pixels);
                let expected: Vec<_> = (0..3)
                    .flat_map(|y| (0..width).map(move |x| (x, y)))
                    .filter(|&(x, y)| labels[y * width + x] == class)
                    .collect();
                prop_assert_eq!(&pixels, &set(grid, &expected));
            }
        }
    }

    #[test]
    fn membership() {
        let grid = Grid::new(70, 2);
        let bits = set(grid, &[(69, 1)]);
        assert!(grid.contains(&bits, 69, 1));
        assert!(!grid.contains(&bits, 69, 0) && !grid.contains(&bits, 5, 1));
        assert_eq!(count_common(&bits, &bits), 1);
        assert_eq!(count_common(&bits, &set(grid, &[(5, 1)])), 0);
    }
}
