//! RoIAlign of plain arrays, forward and backward.
//!
//! Each output bin is the mean of bilinear samples on a grid. Both the weights
//! of bilinear interpolation and the test whether a sample lies on the map are
//! products of a vertical and a horizontal factor, so a region is a matrix
//! product: (vertical weights) · map · (horizontal weights)ᵀ, where the rows
//! of weights are short runs.

use rayon::prelude::*;

/// Channels that lie side by side while they are pooled: one cache line.
const BLOCK: usize = 16;

/// Largest number of samples along a side of a bin. No region of an image needs more.
const MAX_SAMPLES: usize = 4096;

type Lane = [f32; BLOCK];

/// Positions and weights that the bins of a region read along one axis of the map.
#[derive(Debug, Clone, Default)]
pub(super) struct Axis {
    bins: Vec<Run>,
    weights: Vec<f32>,
}

/// The positions from `start` that a bin reads; their weights begin at
/// `weights`.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    start: usize,
    length: usize,
    weights: usize,
}

impl Axis {
    /// The bins of a region of `length` from `start` on an axis of `size` positions, in map positions. With 0 `samples`
    /// a bin has as many as its length, rounded up.
    pub(super) fn new(start: f32, length: f32, bins: usize, size: usize, samples: usize) -> Self {
        let bin_length = length / bins as f32;
        let samples = match samples {
            0 => (bin_length.ceil() as usize).min(MAX_SAMPLES),
            samples => samples,
        };
        let share = 1.0 / samples.max(1) as f32;
        let mut axis = Self::default();
        let mut taps = Vec::with_capacity(2 * samples);
        for bin in 0..bins {
            taps.clear();
            for sample in 0..samples {
                let inside = (sample as f32 + 0.5) * bin_length / samples as f32;
                taps.extend(bilinear(start + bin as f32 * bin_length + inside, size));
            }
            axis.push(taps.as_flattened(), share);
        }
        axis
    }

    fn push(&mut self, taps: &[(usize, f32)], share: f32) {
        let weights = self.weights.len();
        let start = taps.iter().map(|tap| tap.0).min().unwrap_or(0);
        let end = taps.iter().map(|tap| tap.0 + 1).max().unwrap_or(0);
        self.weights.resize(weights + end - start, 0.0);
        for (position, weight) in taps {
            self.weights[weights + position - start] += share * weight;
        }
        self.bins.push(Run {
            start,
            length: end - start,
            weights,
        });
    }

    /// Positions and weights of the bin.
    fn taps(&self, bin: usize) -> impl Iterator<Item = (usize, f32)> {
        let run = self.bins[bin];
        let weights = &self.weights[run.weights..][..run.length];
        (run.start..).zip(weights.iter().copied())
    }

    /// Position and weight number `tap` of the bin; weight 0 beyond the last.
    pub(super) fn tap(&self, bin: usize, tap: usize) -> (usize, f32) {
        self.taps(bin).nth(tap).unwrap_or((0, 0.0))
    }

    /// The largest number of positions that a bin reads.
    pub(super) fn longest(&self) -> usize {
        self.bins.iter().map(|run| run.length).max().unwrap_or(0)
    }

    /// The positions that any bin reads.
    fn span(&self) -> std::ops::Range<usize> {
        let read = || self.bins.iter().filter(|run| run.length > 0);
        let start = read().map(|run| run.start).min().unwrap_or(0);
        let end = read().map(|run| run.start + run.length).max().unwrap_or(0);
        start..end
    }
}

/// The two neighbours of a sample with their weights; none for a sample more than one position off the map.
fn bilinear(at: f32, size: usize) -> Option<[(usize, f32); 2]> {
    if !(-1.0..=size as f32).contains(&at) || size == 0 {
        return None;
    }
    let at = at.max(0.0);
    let low = (at as usize).min(size - 1);
    if low == size - 1 {
        return Some([(low, 1.0), (low, 0.0)]);
    }
    let beyond = at - low as f32;
    Some([(low, 1.0 - beyond), (low + 1, beyond)])
}

/// A region: its image and its two axes, vertical first.
#[derive(Debug, Clone)]
pub(super) struct Region {
    pub(super) image: usize,
    pub(super) axes: [Axis; 2],
}

impl Region {
    fn bins(&self) -> [usize; 2] {
        [self.axes[0].bins.len(), self.axes[1].bins.len()]
    }
}

/// The pooled regions, `[R, C, h', w']`, of the map `x`, `[N, C, H, W]`.
pub(super) fn forward(
    x: &[f32],
    dims: [usize; 4],
    regions: &[Region],
    output: [usize; 2],
) -> Vec<f32> {
    let [_, channels, height, width] = dims;
    let (pixels, bins) = (height * width, output[0] * output[1]);
    let mut pooled = vec![0.0; regions.len() * channels * bins];
    if pooled.is_empty() || pixels == 0 {
        return pooled;
    }
    let lanes = to_lanes(x, dims);
    let blocks = channels.div_ceil(BLOCK);
    pooled
        .par_chunks_mut(channels * bins)
        .zip(regions)
        .for_each_init(Vec::new, |rows, (pooled, region)| {
            for (block, pooled) in pooled.chunks_mut(BLOCK * bins).enumerate() {
                let map = &lanes[(region.image * blocks + block) * pixels..][..pixels];
                pool(map, width, region, pooled, rows);
            }
        });
    pooled
}

/// One region in one block of channels; `rows` is scratch.
fn pool(map: &[Lane], width: usize, region: &Region, pooled: &mut [f32], rows: &mut Vec<Lane>) {
    let [vertical, horizontal] = &region.axes;
    let [bin_rows, bin_columns] = region.bins();
    let span = vertical.span();
    rows.clear();
    for row in span.clone() {
        let map = &map[row * width..][..width];
        for column in 0..bin_columns {
            let mut sum = [0.0; BLOCK];
            for (x, weight) in horizontal.taps(column) {
                add(&mut sum, weight, &map[x]);
            }
            rows.push(sum);
        }
    }
    let bins = bin_rows * bin_columns;
    for row in 0..bin_rows {
        for column in 0..bin_columns {
            let mut sum = [0.0; BLOCK];
            for (y, weight) in vertical.taps(row) {
                add(
                    &mut sum,
                    weight,
                    &rows[(y - span.start) * bin_columns + column],
                );
            }
            let bin = row * bin_columns + column;
            for (pooled, sum) in pooled[bin..].iter_mut().step_by(bins).zip(sum) {
                *pooled = sum;
            }
        }
    }
}

/// The gradient of the map, `[N, C, H, W]`, from that of the pooled regions.
///
/// Threads take images and channels, not regions, so that additions always have the regions' order.
pub(super) fn backward(
    gradient: &[f32],
    dims: [usize; 4],
    regions: &[Region],
    output: [usize; 2],
) -> Vec<f32> {
    let [batch, channels, height, width] = dims;
    let (pixels, bins) = (height * width, output[0] * output[1]);
    let blocks = channels.div_ceil(BLOCK);
    let mut lanes = vec![[0.0; BLOCK]; batch * blocks * pixels];
    if lanes.is_empty() || gradient.is_empty() {
        return vec![0.0; batch * channels * pixels];
    }
    lanes
        .par_chunks_mut(pixels)
        .enumerate()
        .for_each_init(Vec::new, |rows, (index, map)| {
            let (image, block) = (index / blocks, index % blocks);
            let pooled = gradient.chunks_exact(channels * bins);
            for (region, pooled) in regions.iter().zip(pooled) {
                if region.image == image {
                    let pooled = pooled.chunks(BLOCK * bins).nth(block).unwrap_or(&[]);
                    unpool(map, width, region, pooled, rows);
                }
            }
        });
    from_lanes(&lanes, dims)
}

/// Adds the gradient of one region in one block of channels; the transpose of
/// [`pool`].
fn unpool(map: &mut [Lane], width: usize, region: &Region, pooled: &[f32], rows: &mut Vec<Lane>) {
    let [vertical, horizontal] = &region.axes;
    let [bin_rows, bin_columns] = region.bins();
    let span = vertical.span();
    rows.clear();
    rows.resize(span.len() * bin_columns, [0.0; BLOCK]);
    let bins = bin_rows * bin_columns;
    for row in 0..bin_rows {
        for column in 0..bin_columns {
            let bin = row * bin_columns + column;
            let mut gradient = [0.0; BLOCK];
            for (gradient, pooled) in gradient.iter_mut().zip(pooled[bin..].iter().step_by(bins)) {
                *gradient = *pooled;
            }
            for (y, weight) in vertical.taps(row) {
                let target = &mut rows[(y - span.start) * bin_columns + column];
                add(target, weight, &gradient);
            }
        }
    }
    for (row, rows) in span.zip(rows.chunks_exact(bin_columns)) {
        let map = &mut map[row * width..][..width];
        for (column, gradient) in rows.iter().enumerate() {
            for (x, weight) in horizontal.taps(column) {
                add(&mut map[x], weight, gradient);
            }
        }
    }
}

fn add(sum: &mut Lane, weight: f32, values: &Lane) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// `[N, C, H·W]` to `[N, ⌈C / BLOCK⌉, H·W]` of lanes, filled up with zeros.
fn to_lanes(x: &[f32], [batch, channels, height, width]: [usize; 4]) -> Vec<Lane> {
    let (pixels, blocks) = (height * width, channels.div_ceil(BLOCK));
    let mut lanes = vec![[0.0; BLOCK]; batch * blocks * pixels];
    lanes
        .par_chunks_mut(pixels)
        .enumerate()
        .for_each(|(index, lanes)| {
            let (image, block) = (index / blocks, index % blocks);
            let image = &x[image * channels * pixels..][..channels * pixels];
            let planes = image.chunks_exact(pixels).skip(block * BLOCK).take(BLOCK);
            for (channel, plane) in planes.enumerate() {
                for (lane, value) in lanes.iter_mut().zip(plane) {
                    lane[channel] = *value;
                }
            }
        });
    lanes
}

/// The inverse of [`to_lanes`].
fn from_lanes(lanes: &[Lane], [batch, channels, height, width]: [usize; 4]) -> Vec<f32> {
    let (pixels, blocks) = (height * width, channels.div_ceil(BLOCK));
    let mut x = vec![0.0; batch * channels * pixels];
    x.par_chunks_mut(pixels)
        .enumerate()
        .for_each(|(index, plane)| {
            let (image, channel) = (index / channels, index % channels);
            let lanes = &lanes[(image * blocks + channel / BLOCK) * pixels..][..pixels];
            for (value, lane) in plane.iter_mut().zip(lanes) {
                *value = lane[channel % BLOCK];
            }
        });
    x
}
