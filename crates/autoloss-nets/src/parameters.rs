//! Number of parameters of a network.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Number of trainable parameters of `module`, without the running statistics of batch normalisation.
pub(crate) fn parameter_count<M: Module>(module: &M) -> usize {
    let mut counter = ParameterCounter {
        path: Vec::new(),
        count: 0,
    };
    module.visit(&mut counter);
    counter.count
}

struct ParameterCounter {
    path: Vec<String>,
    count: usize,
}

impl ModuleVisitor for ParameterCounter {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let running = self
            .path
            .last()
            .is_some_and(|name| name.starts_with("running_"));
        if !running {
            self.count += param.lazy_shape().num_elements();
        }
    }
}
