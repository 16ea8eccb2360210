//! Convolution and transposed convolution of maps.
//!
//! [`plain`] computes them on arrays, as matrix products over the [unfolded](unfold) input; [`step`] makes them one
//! operation of Burn's autodiff.

mod plain;
mod step;
#[cfg(test)]
mod tests;
mod transposed;
mod unfold;

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use step::Direction;
pub use transposed::conv_transpose2d;
use unfold::Geometry;

/// The convolution `conv` of maps `[N, C, H, W]`.
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let Some(geometry) = geometry(conv, x.dims()) else {
        return conv.forward(x);
    };
    let Some(y) = Direction::Convolution.on_cpu(&x, &conv.weight.val(), geometry) else {
        return conv.forward(x);
    };
    match &conv.bias {
        Some(bias) => y + bias.val().reshape([1, geometry.channels_out, 1, 1]),
        None => y,
    }
}

/// Sizes of the convolution; none for groups and paddings that [`plain`] does not compute.
fn geometry(conv: &Conv2d, [batch, channels_in, height, width]: [usize; 4]) -> Option<Geometry> {
    let PaddingConfig2d::Explicit(top, left, bottom, right) = conv.padding else {
        return None;
    };
    let [channels_out, weight_channels, _, _] = conv.weight.dims();
    if conv.groups != 1 || weight_channels != channels_in || top != bottom || left != right {
        return None;
    }
    let (size_in, padding) = ([height, width], [top, left]);
    let mut size_out = [0; 2];
    for axis in 0..2 {
        let reach = conv.dilation[axis] * (conv.kernel_size[axis] - 1);
        let room = (size_in[axis] + 2 * padding[axis]).checked_sub(reach + 1)?;
        size_out[axis] = room / conv.stride[axis] + 1;
    }
    Some(Geometry {
        batch,
        channels_in,
        channels_out,
        size_in,
        size_out,
        kernel: conv.kernel_size,
        stride: conv.stride,
        padding,
        dilation: conv.dilation,
    })
}
