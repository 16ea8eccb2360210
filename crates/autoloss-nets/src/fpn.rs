//! Feature pyramid (Lin et al. 2017, "Feature Pyramid Networks for Object
//! Detection").

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor};

use super::layers::ConvShape;
use super::ops;

/// A feature pyramid.
#[derive(Debug, Clone, PartialEq)]
pub struct PyramidConfig {
    /// Channels of the input maps, finest first.
    pub channels_in: Vec<usize>,
    /// Channels of every output map.
    pub channels: usize,
    /// True for one more output map: every other row and column of the coarsest one.
    pub extra_level: bool,
}

impl PyramidConfig {
    /// Number of output maps.
    pub fn levels(&self) -> usize {
        self.channels_in.len() + usize::from(self.extra_level)
    }

    /// The pyramid, with every convolution at zero until it is initialised.
    pub fn init(&self, device: &Device) -> FeaturePyramid {
        let layers = |kernel: usize, channels_in: &dyn Fn(usize) -> usize| {
            let levels = self.channels_in.iter();
            let shapes = levels
                .map(|channels| ConvShape::plain(channels_in(*channels), self.channels, kernel));
            shapes.map(|shape| shape.init(true, device)).collect()
        };
        FeaturePyramid {
            lateral: layers(1, &|channels| channels),
            output: layers(3, &|_| self.channels),
            extra: self
                .extra_level
                .then(|| MaxPool2dConfig::new([1, 1]).with_strides([2, 2]).init()),
        }
    }
}

/// The pyramid built by [`PyramidConfig`].
#[derive(Module, Debug)]
pub struct FeaturePyramid {
    lateral: Vec<Conv2d>,
    output: Vec<Conv2d>,
    extra: Option<MaxPool2d>,
}

impl FeaturePyramid {
    /// The levels for the maps `[N, C, H, W]`, finest first: each of the size
    /// of its map, any size.
    pub fn forward(&self, maps: &[Tensor<4>]) -> Vec<Tensor<4>> {
        let mut levels = Vec::with_capacity(maps.len() + 1);
        let mut above: Option<Tensor<4>> = None;
        let layers = self.lateral.iter().zip(&self.output);
        for (map, (lateral, output)) in maps.iter().zip(layers).rev() {
            let mut x = ops::conv2d(lateral, map.clone());
            if let Some(above) = above {
                let [_, _, height, width] = x.dims();
                x = x + enlarge(above, [height, width]);
            }
            levels.push(ops::conv2d(output, x.clone()));
            above = Some(x);
        }
        levels.reverse();
        if let (Some(pool), Some(coarsest)) = (&self.extra, levels.last()) {
            levels.push(pool.forward(coarsest.clone()));
        }
        levels
    }
}

/// Nearest-neighbour resizing: row y comes from row ⌊y · h / height⌋.
fn enlarge(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size);
    interpolate(x, options)
}
