//! Random initialisation from an explicit generator.
//!
//! Burn draws initial parameters from a generator that belongs to the device,
//! so two trainings that run side by side would change each other's networks.
//! Here every number comes from the generator that the caller passes.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Fills the parameters of `module` from `rng`, in the order of its fields.
///
/// Convolution weights follow torchvision's ResNet: Kaiming normal with
/// fan-out, standard deviation `√(2 / (C_out · k_h · k_w))`; for transposed
/// convolutions PyTorch's fan-out counts the input channels. Batch
/// normalisation keeps scale 1, offset 0. Layers of some names, and those
/// inside modules of these names, differ, see [`Rule`]; only those of
/// [`Rule::Default`] draw a bias, others start without.
pub(super) fn initialise<M: Module>(module: M, rng: &mut ChaCha8Rng) -> M {
    module.map(&mut Initialiser {
        rng,
        path: Vec::new(),
        bound: 0.0,
    })
}

/// Distribution that the weights of a layer are drawn from.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    /// Kaiming normal with fan-out.
    Kaiming,
    /// PyTorch's default: weight and bias uniform in `±1 / √fan_in`. For a
    /// segmentation's `classifier`, whose first predictions are then near
    /// uniform, and for `hidden` fully connected layers.
    Default,
    /// Weight uniform in `±√(3 / fan_in)` (Kaiming's uniform for a layer
    /// without activation): `lateral` and `output` layers of a feature pyramid.
    Pyramid,
    /// Normal of this standard deviation, so that the first predictions are nearly equal: `logits` of anchors and boxes 0.01, their `deltas` and a
    /// pose's `heatmaps` 0.001.
    Normal(f32),
}

impl Rule {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "classifier" | "hidden" => Self::Default,
            "lateral" | "output" => Self::Pyramid,
            "logits" => Self::Normal(0.01),
            "deltas" | "heatmaps" => Self::Normal(0.001),
            _ => return None,
        })
    }
}

struct Initialiser<'a> {
    rng: &'a mut ChaCha8Rng,
    path: Vec<String>,
    /// Bound of the uniform draw of the last weight. A bias shares the fan-in of the weight before it.
    bound: f32,
}

impl Initialiser<'_> {
    fn rule(&self) -> Rule {
        let innermost = self.path.iter().rev().find_map(|name| Rule::of(name));
        innermost.unwrap_or(Rule::Kaiming)
    }

    fn weight(&mut self, shape: &[usize]) -> Vec<f32> {
        let kernel: usize = shape.iter().skip(2).product();
        // Fully connected layers are stored as inputs × outputs, convolutions
        // as outputs × inputs × kernel.
        let inputs = if shape.len() == 2 { shape[0] } else { shape[1] };
        let fan_in = (inputs * kernel) as f32;
        let count = shape.iter().product();
        match self.rule() {
            Rule::Kaiming => self.normal(count, (2.0 / (shape[0] * kernel) as f32).sqrt()),
            Rule::Normal(deviation) => self.normal(count, deviation),
            Rule::Default => {
                self.bound = 1.0 / fan_in.sqrt();
                self.uniform(count, self.bound)
            }
            Rule::Pyramid => self.uniform(count, (3.0 / fan_in).sqrt()),
        }
    }

    fn uniform(&mut self, count: usize, bound: f32) -> Vec<f32> {
        (0..count)
            .map(|_| self.rng.random_range(-bound..bound))
            .collect()
    }

    /// Box-Muller, two numbers from each pair of draws.
    fn normal(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            // 1 - u lies in (0, 1], where the logarithm is finite.
            let radius = (-2.0 * (1.0 - self.rng.random::<f32>()).ln()).sqrt() * deviation;
            let angle = std::f32::consts::TAU * self.rng.random::<f32>();
            values.push(radius * angle.cos());
            values.push(radius * angle.sin());
        }
        values.truncate(count);
        values
    }
}

impl ModuleMapper for Initialiser<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let count = shape.num_elements();
        let values = match self.path.last().map(String::as_str) {
            Some("weight") => self.weight(&shape.iter().copied().collect::<Vec<_>>()),
            Some("bias") if self.rule() == Rule::Default => self.uniform(count, self.bound),
            _ => return param,
        };
        let (id, device) = (param.id, param.lazy_device());
        let tensor = Tensor::from_data(TensorData::new(values, shape), &device);
        param.transform_for_load(tensor, id)
    }
}
