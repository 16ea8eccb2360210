//! The unfolded input of a convolution: a matrix with one row for each input
//! channel and kernel tap and one column for each output pixel of a few
//! images. Taps that meet nothing but padding (a dilation wider than the map)
//! are left out.

use std::borrow::Cow;

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

/// The kernel taps that meet the input somewhere, as positions in the kernel.
pub(super) struct Taps {
    positions: Vec<[usize; 2]>,
    all: usize,
    kernel_width: usize,
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
    fn live_range(&self, axis: usize, tap: usize) -> std::ops::Range<usize> {
        let (stride, shift) = (self.stride[axis], tap * self.dilation[axis]);
        let padding = self.padding[axis];
        let first = padding.saturating_sub(shift).div_ceil(stride);
        let end = (self.size_in[axis] + padding)
            .saturating_sub(shift)
            .div_ceil(stride)
            .min(self.size_out[axis]);
        first.min(end)..end
    }

    pub(super) fn taps(&self) -> Taps {
        let positions = (0..self.kernel[0])
            .flat_map(|row| (0..self.kernel[1]).map(move |column| [row, column]))
            .filter(|tap| (0..2).all(|axis| !self.live_range(axis, tap[axis]).is_empty()))
            .collect();
        Taps {
            positions,
            all: self.kernel[0] * self.kernel[1],
            kernel_width: self.kernel[1],
        }
    }
}

impl Taps {
    /// Number of live taps.
    pub(super) fn count(&self) -> usize {
        self.positions.len()
    }

    /// Weights of one kernel, those of dead taps included.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// The weights `[…, all taps]` without those of the dead taps.
    pub(super) fn gather<'a>(&self, weight: &'a [f32]) -> Cow<'a, [f32]> {
        if self.positions.len() == self.all {
            return Cow::Borrowed(weight);
        }
        let kernels = weight.chunks_exact(self.all);
        Cow::Owned(
            kernels
                .flat_map(|kernel| self.positions.iter().map(|tap| kernel[self.index(tap)]))
                .collect(),
        )
    }

    /// The inverse of [`Self::gather`], with zeros at the dead taps. At least one tap lives.
    pub(super) fn scatter(&self, live: Vec<f32>) -> Vec<f32> {
        let taps = self.positions.len();
        if taps == self.all {
            return live;
        }
        let mut weight = vec![0.0; live.len() / taps * self.all];
        for (kernel, live) in weight
            .chunks_exact_mut(self.all)
            .zip(live.chunks_exact(taps))
        {
            for (tap, value) in self.positions.iter().zip(live) {
                kernel[self.index(tap)] = *value;
            }
        }
        weight
    }

    fn index(&self, [row, column]: &[usize; 2]) -> usize {
        row * self.kernel_width + column
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
    let unfolded = sized(buffer, g.channels_in * taps.positions.len() * columns);
    let mut rows = unfolded.chunks_exact_mut(columns);
    for channel in 0..g.channels_in {
        for (tap, row) in taps.positions.iter().zip(&mut rows) {
            for (image, row) in row.chunks_exact_mut(pixels).enumerate() {
                let plane = (image * g.channels_in + channel) * g.pixels_in();
                shift(&x[plane..][..g.pixels_in()], row, *tap, g);
            }
        }
    }
    unfolded
}

/// The pixel of `plane` under the kernel position `tap`, for each output pixel.
fn shift(plane: &[f32], row: &mut [f32], tap: [usize; 2], g: &Geometry) {
    let width = g.size_out[1];
    let live_rows = g.live_range(0, tap[0]);
    let live = g.live_range(1, tap[1]);
    row[..live_rows.start * width].fill(0.0);
    row[live_rows.end * width..].fill(0.0);
    let source = &plane[start(g, tap, live_rows.start, live.start)..];
    let row = &mut row[live_rows.start * width..live_rows.end * width];
    if g.stride == [1, 1] && width == g.size_in[1] {
        // Input and output rows are equally long: all of them in one copy,
        // which leaves neighbours' pixels in the columns that see padding.
        let out = &mut row[live.start..];
        let length = out.len() - (width - live.end);
        out[..length].copy_from_slice(&source[..length]);
        if live.len() < width {
            for out in row.chunks_exact_mut(width) {
                out[..live.start].fill(0.0);
                out[live.end..].fill(0.0);
            }
        }
        return;
    }
    for (y, out) in row.chunks_exact_mut(width).enumerate() {
        out[..live.start].fill(0.0);
        out[live.end..].fill(0.0);
        let source = source[y * g.stride[0] * g.size_in[1]..].iter();
        for (out, value) in out[live.clone()]
            .iter_mut()
            .zip(source.step_by(g.stride[1]))
        {
            *out = *value;
        }
    }
}

/// Adds the unfolded gradient onto the images it was unfolded from.
pub(super) fn fold(unfolded: &[f32], images: &mut [f32], taps: &Taps, g: &Geometry) {
    let pixels = g.pixels_out();
    let columns = images.len() / (g.channels_in * g.pixels_in()) * pixels;
    let mut rows = unfolded.chunks_exact(columns);
    for channel in 0..g.channels_in {
        for (tap, row) in taps.positions.iter().zip(&mut rows) {
            for (image, row) in row.chunks_exact(pixels).enumerate() {
                let plane = (image * g.channels_in + channel) * g.pixels_in();
                unshift(row, &mut images[plane..][..g.pixels_in()], *tap, g);
            }
        }
    }
}

fn unshift(row: &[f32], plane: &mut [f32], tap: [usize; 2], g: &Geometry) {
    let live = g.live_range(1, tap[1]);
    for y in g.live_range(0, tap[0]) {
        let row = &row[y * g.size_out[1]..][live.clone()];
        let target = plane[start(g, tap, y, live.start)..].iter_mut();
        for (target, value) in target.step_by(g.stride[1]).zip(row) {
            *target += *value;
        }
    }
}

/// Index in the input plane that output pixel (y, x) reads at `tap`; the pixel
/// lies in the tap's live range.
fn start(g: &Geometry, tap: [usize; 2], y: usize, x: usize) -> usize {
    let row = y * g.stride[0] + tap[0] * g.dilation[0] - g.padding[0];
    let column = x * g.stride[1] + tap[1] * g.dilation[1] - g.padding[1];
    row * g.size_in[1] + column
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
