//! Transposed convolution: the map that a convolution of the same kernel,
//! stride and padding applies to gradients, going forward. So its forward pass
//! is that convolution's backward pass, and its backward pass the forward one.

use burn::nn::conv::ConvTranspose2d;
use burn::tensor::Tensor;

use super::step::Direction;
use super::unfold::Geometry;

/// The transposed convolution `layer` of maps `[N, C, H, W]`.
pub fn conv_transpose2d(layer: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    let Some(geometry) = geometry(layer, x.dims()) else {
        return layer.forward(x);
    };
    let Some(y) = Direction::Transposed.on_cpu(&x, &layer.weight.val(), geometry) else {
        return layer.forward(x);
    };
    match &layer.bias {
        Some(bias) => y + bias.val().reshape([1, geometry.channels_in, 1, 1]),
        None => y,
    }
}

/// The convolution whose transpose the layer is, from the layer's output to
/// its input; none for groups and paddings that [`plain`](super::plain) does not
/// compute.
pub(super) fn geometry(
    layer: &ConvTranspose2d,
    [batch, channels, height, width]: [usize; 4],
) -> Option<Geometry> {
    let [weight_channels, channels_out, _, _] = layer.weight.dims();
    if layer.groups != 1 || weight_channels != channels || height * width == 0 {
        return None;
    }
    let size = [height, width];
    let mut transposed_size = [0; 2];
    for axis in 0..2 {
        // Beyond the stride, rows at the end would see no input.
        if layer.padding_out[axis] >= layer.stride[axis] {
            return None;
        }
        let reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1);
        let spread = (size[axis] - 1) * layer.stride[axis] + reach + 1 + layer.padding_out[axis];
        transposed_size[axis] = spread.checked_sub(2 * layer.padding[axis])?;
    }
    Some(Geometry {
        batch,
        channels_in: channels_out,
        channels_out: channels,
        size_in: transposed_size,
        size_out: size,
        kernel: layer.kernel_size,
        stride: layer.stride,
        padding: layer.padding,
        dilation: layer.dilation,
    })
}
