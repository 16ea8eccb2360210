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
/// fan-out, standard deviation `√(2 / (C_out · k_h · k_w))`. The layers named
/// `classifier` follow PyTorch's default for a layer with nothing behind it:
/// weight and bias uniform in `±1 / √(C_in · k_h · k_w)`, so that the first
/// predictions are near uniform. Batch normalisation keeps scale 1, offset 0.
pub(super) fn initialise<M: Module>(module: M, rng: &mut ChaCha8Rng) -> M {
    module.map(&mut Initialiser {
        rng,
        path: Vec::new(),
        bound: 0.0,
    })
}

struct Initialiser<'a> {
    rng: &'a mut ChaCha8Rng,
    path: Vec<String>,
    /// Bound of the uniform draw of the classifier visited last: a bias comes
    /// right after the weight whose fan-in it shares.
    bound: f32,
}

impl Initialiser<'_> {
    fn is_classifier(&self) -> bool {
        self.path.iter().any(|name| name == "classifier")
    }

    fn uniform(&mut self, count: usize) -> Vec<f32> {
        let bound = self.bound;
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
            Some("weight") => {
                let kernel: usize = shape.iter().skip(2).product();
                if self.is_classifier() {
                    self.bound = 1.0 / ((shape[1] * kernel) as f32).sqrt();
                    self.uniform(count)
                } else {
                    self.normal(count, (2.0 / (shape[0] * kernel) as f32).sqrt())
                }
            }
            Some("bias") => self.uniform(count),
            _ => return param,
        };
        let (id, device) = (param.id, param.lazy_device());
        let tensor = Tensor::from_data(TensorData::new(values, shape), &device);
        param.transform_for_load(tensor, id)
    }
}
