//! The unfolded input of a convolution: a matrix with one row for each input
//! channel and kernel tap and one column for each output pixel of a few
//! images. Taps that meet nothing but padding (a dilation wider than the map)
//! are left out.

use std::borrow::Cow;
use std::ops::Range;

/// Columns a matrix product should have to be worth its set-up; the images of
/// small maps are unfolded side by side until they reach it.
const COLUMNS: usize = 512;

/// Sizes of a 2-D convolution without groups. Pairs are (vertical, horizontal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) size_in: [usize; 2],
    pub(super) size_out: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
}

/// The kernel taps that meet the input somewhere.
pub(super) struct Taps {
    live: Vec<Tap>,
    all: usize,
}

/// A position in the kernel and the pixels that meet there.
struct Tap {
    /// Index in the kernel.
    index: usize,
    /// Rows of the output that read inside the input.
    rows: Range<usize>,
    /// Columns of the output that read inside the input.
    columns: Range<usize>,
    /// Index in the input plane that the first of these output pixels reads.
    start: usize,
}

impl Geometry {
    pub(super) fn pixels_in(&self) -> usize {
        self.size_in[0] * self.size_in[1]
    }

    pub(super) fn pixels_out(&self) -> usize {
        self.size_out[0] * self.size_out[1]
    }

    /// Images unfolded side by side.
    pub(super) fn group(&self) -> usize {
        (COLUMNS / self.pixels_out().max(1)).clamp(1, self.batch.max(1))
    }

    /// True for a pointwise convolution, where the unfolded input of an image is the image itself.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// True if there are more weights than elements of the unfolded input, as on small maps with many channels. To
    /// rearrange the weights is then the costlier choice.
    pub(super) fn weights_dominate(&self) -> bool {
        self.channels_out > self.batch * self.pixels_out()
    }

    /// The convolution that takes the output's gradient to the input's; none
    /// for strides, which would spread the output apart.
    pub(super) fn mirrored(&self) -> Option<Self> {
        let mut padding = [0; 2];
        for (axis, padding) in padding.iter_mut().enumerate() {
            let reach = self.dilation[axis] * (self.kernel[axis] - 1);
            *padding = reach.checked_sub(self.padding[axis])?;
        }
        (self.stride == [1, 1]).then_some(Self {
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            size_in: self.size_out,
            size_out: self.size_in,
            padding,
            ..*self
        })
    }

    /// Output positions along `axis` that read inside the input at kernel
    /// position `tap`.
    fn live_range(&self, axis: usize, tap: usize) -> Range<usize> {
        let (stride, shift) = (self.stride[axis], tap * self.dilation[axis]);
        let padding = self.padding[axis];
        let first = padding.saturating_sub(shift).div_ceil(stride);
        let end = (self.size_in[axis] + padding)
            .saturating_sub(shift)
            .div_ceil(stride)
            .min(self.size_out[axis]);
        first.min(end)..end
    }

    /// The tap at `row` and `column` of the kernel; none if it meets nothing but padding.
    fn tap(&self, row: usize, column: usize) -> Option<Tap> {
        let (rows, columns) = (self.live_range(0, row), self.live_range(1, column));
        if rows.is_empty() || columns.is_empty() {
            return None;
        }
        let read = |axis: usize, output: usize, position: usize| {
            output * self.stride[axis] + position * self.dilation[axis] - self.padding[axis]
        };
        Some(Tap {
            index: row * self.kernel[1] + column,
            start: read(0, rows.start, row) * self.size_in[1] + read(1, columns.start, column),
            rows,
            columns,
        })
    }

    pub(super) fn taps(&self) -> Taps {
        let live = (0..self.kernel[0])
            .flat_map(|row| (0..self.kernel[1]).filter_map(move |column| self.tap(row, column)))
            .collect();
        Taps {
            live,
            all: self.kernel[0] * self.kernel[1],
        }
    }
}

impl Taps {
    /// Number of live taps.
    pub(super) fn count(&self) -> usize {
        self.live.len()
    }

    /// Weights of one kernel, those of dead taps included.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// The weights `[…, all taps]` without those of the dead taps.
    pub(super) fn gather<'a>(&self, weight: &'a [f32]) -> Cow<'a, [f32]> {
        if self.live.len() == self.all {
            return Cow::Borrowed(weight);
        }
        let kernels = weight.chunks_exact(self.all);
        Cow::Owned(
            kernels
                .flat_map(|kernel| self.live.iter().map(|tap| kernel[tap.index]))
                .collect(),
        )
    }

    /// The inverse of [`Self::gather`], with zeros at the dead taps. At least one tap lives.
    pub(super) fn scatter(&self, live: Vec<f32>) -> Vec<f32> {
        let taps = self.live.len();
        if taps == self.all {
            return live;
        }
        let mut weight = vec![0.0; live.len() / taps * self.all];
        for (kernel, live) in weight
            .chunks_exact_mut(self.all)
            .zip(live.chunks_exact(taps))
        {
            for (tap, value) in self.live.iter().zip(live) {
                kernel[tap.index] = *value;
            }
        }
        weight
    }
}

/// The first `length` elements of `buffer`, grown as needed. Their values are undefined.
pub(super) fn sized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
}

/// The unfolded images `x`: rows (channel, tap), columns (image, pixel).
pub(super) fn unfold<'a>(
    x: &'a [f32],
    taps: &Taps,
    g: &Geometry,
    buffer: &'a mut Vec<f32>,
) -> &'a [f32] {
    let images = x.len() / (g.channels_in * g.pixels_in());
    if g.is_pointwise() && images == 1 {
        return x;
    }
    let pixels = g.pixels_out();
    let columns = images * pixels;
    let unfolded = sized(buffer, g.channels_in * taps.live.len() * columns);
    let mut rows = unfolded.chunks_exact_mut(columns);
    for channel in 0..g.channels_in {
        for (tap, row) in taps.live.iter().zip(&mut rows) {
            for (image, row) in row.chunks_exact_mut(pixels).enumerate() {
                let plane = (image * g.channels_in + channel) * g.pixels_in();
                shift(&x[plane..][..g.pixels_in()], row, tap, g);
            }
        }
    }
    unfolded
}

/// The pixel of `plane` under the kernel position `tap`, for each output pixel.
fn shift(plane: &[f32], row: &mut [f32], tap: &Tap, g: &Geometry) {
    let width = g.size_out[1];
    row[..tap.rows.start * width].fill(0.0);
    row[tap.rows.end * width..].fill(0.0);
    let source = &plane[tap.start..];
    let row = &mut row[tap.rows.start * width..tap.rows.end * width];
    if g.stride == [1, 1] && width == g.size_in[1] {
        // Input and output rows are equally long: all of them in one copy,
        // which leaves neighbours' pixels in the columns that see padding.
        let out = &mut row[tap.columns.start..];
        let length = out.len() - (width - tap.columns.end);
        out[..length].copy_from_slice(&source[..length]);
    } else {
        let sources = source.chunks(g.stride[0] * g.size_in[1]);
        for (out, source) in row.chunks_exact_mut(width).zip(sources) {
            let source = source.iter().step_by(g.stride[1]);
            for (out, value) in out[tap.columns.clone()].iter_mut().zip(source) {
                *out = *value;
            }
        }
    }
    // Column by column: filling the few pixels of each row at once costs a call a row.
    for column in (0..tap.columns.start).chain(tap.columns.end..width) {
        for pixel in row[column..].iter_mut().step_by(width) {
            *pixel = 0.0;
        }
    }
}

/// Adds the unfolded gradient onto the images it was unfolded from.
pub(super) fn fold(unfolded: &[f32], images: &mut [f32], taps: &Taps, g: &Geometry) {
    let pixels = g.pixels_out();
    let columns = images.len() / (g.channels_in * g.pixels_in()) * pixels;
    let mut rows = unfolded.chunks_exact(columns);
    for channel in 0..g.channels_in {
        for (tap, row) in taps.live.iter().zip(&mut rows) {
            for (image, row) in row.chunks_exact(pixels).enumerate() {
                let plane = (image * g.channels_in + channel) * g.pixels_in();
                unshift(row, &mut images[plane..][..g.pixels_in()], tap, g);
            }
        }
    }
}

/// Adds the pixels of `row` onto those of `plane` under the kernel position `tap`.
fn unshift(row: &[f32], plane: &mut [f32], tap: &Tap, g: &Geometry) {
    let rows = row.chunks_exact(g.size_out[1]);
    let targets = plane[tap.start..].chunks_mut(g.stride[0] * g.size_in[1]);
    for (row, target) in rows.skip(tap.rows.start).take(tap.rows.len()).zip(targets) {
        let target = target.iter_mut().step_by(g.stride[1]);
        for (target, value) in target.zip(&row[tap.columns.clone()]) {
            *target += *value;
        }
    }
}

/// Reorders (image, channel, pixel) to (channel, image, pixel).
pub(super) fn channels_from_images<'a>(
    images: &'a [f32],
    buffer: &'a mut Vec<f32>,
    g: &Geometry,
) -> &'a [f32] {
    let pixels = g.pixels_out();
    let count = images.len() / (g.channels_out * pixels);
    if count == 1 {
        return images;
    }
    let by_channel = sized(buffer, images.len());
    for (index, target) in by_channel.chunks_exact_mut(pixels).enumerate() {
        let (channel, image) = (index / count, index % count);
        target.copy_from_slice(&images[(image * g.channels_out + channel) * pixels..][..pixels]);
    }
    by_channel
}

/// Reorders (channel, image, pixel) to (image, channel, pixel).
pub(super) fn images_from_channels(by_channel: &[f32], images: &mut [f32], g: &Geometry) {
    let pixels = g.pixels_out();
    let count = images.len() / (g.channels_out * pixels);
    for (index, source) in by_channel.chunks_exact(pixels).enumerate() {
        let (channel, image) = (index / count, index % count);
        images[(image * g.channels_out + channel) * pixels..][..pixels].copy_from_slice(source);
    }
}
