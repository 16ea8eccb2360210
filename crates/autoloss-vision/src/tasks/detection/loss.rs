//! The losses of all branches at a pass, and the gradients of the network's outputs by them.

use autoloss_data::SceneBatch;
use autoloss_expr::Loss;
use autoloss_search::BranchSpec;
use burn::tensor::{Device, Tensor};

use super::codec::{self, BranchCodec, Selection};
use super::output::{OutputGradient, Source};
use super::step::Pass;
use crate::device::is_host;
use crate::loss::{BranchLoss, LossAt, LossValue, all_finite};

/// The losses of all branches.
pub(super) struct DetectionLoss {
    branches: Vec<BranchLoss>,
}

impl DetectionLoss {
    /// The loss of branches as [`super::branches::specs`] has them.
    ///
    /// # Errors
    /// A branch without tree, or a tree with other inputs than the branch has.
    pub(super) fn new(loss: &Loss, specs: &[BranchSpec]) -> Result<Self, String> {
        let branch = |spec: &BranchSpec| {
            let tree = loss.tree(&spec.name);
            let tree = tree.ok_or_else(|| format!("the loss has no branch `{}`", spec.name))?;
            BranchLoss::new(tree, spec).map_err(|error| error.to_string())
        };
        Ok(Self {
            branches: specs.iter().map(branch).collect::<Result<_, _>>()?,
        })
    }

    /// The loss at a pass over a batch.
    pub(super) fn at(&mut self, pass: &Pass, batch: &SceneBatch) -> LossAt {
        self.at_on(pass, batch, is_host(&pass.device()))
    }

    /// The same, computed on the host or, where that is possible, on the device.
    fn at_on(&mut self, pass: &Pass, batch: &SceneBatch, on_host: bool) -> LossAt {
        let mut sum = Sum::new(pass, on_host);
        let branches = codec::branches(pass, &batch.items, &Selection::whole(pass)).in_order();
        for (loss, branch) in self.branches.iter_mut().zip(&branches) {
            // A batch without objects has no boxes to learn from.
            if branch.positions().count() == 0 {
                continue;
            }
            let on_device = match on_host {
                true => None,
                false => loss.on_device(branch.inputs_on_device(pass)),
            };
            match on_device {
                Some(root) => sum.add_tensor(root),
                None => {
                    let (value, gradient) = loss.at(branch.fields());
                    sum.add_gradient(pass, branch, value, gradient);
                }
            }
        }
        sum.loss(pass)
    }
}

/// The sum of the branches' losses.
struct Sum {
    /// Of those that a device computes.
    tensor: Option<Tensor<1>>,
    /// Of those that the host computes.
    value: f64,
    finite: bool,
    /// Gradients of the outputs by what the host computes.
    gradients: Vec<(Source, OutputGradient)>,
}

impl Sum {
    fn new(pass: &Pass, on_host: bool) -> Self {
        let mut sum = Self {
            tensor: None,
            value: 0.0,
            finite: true,
            gradients: Vec::new(),
        };
        if on_host {
            // Their gradients are 0 where no branch has any.
            sum.gradient(pass, Source::Objectness);
            sum.gradient(pass, Source::ProposalDeltas);
            if !pass.regions.is_empty() {
                sum.gradient(pass, Source::ClassLogits);
                sum.gradient(pass, Source::RegionDeltas);
            }
        }
        sum
    }

    fn gradient(&mut self, pass: &Pass, source: Source) -> &mut OutputGradient {
        let known = self
            .gradients
            .iter()
            .position(|(other, _)| *other == source);
        let place = known.unwrap_or_else(|| {
            let zeros = OutputGradient::zeros(pass.output(source));
            self.gradients.push((source, zeros));
            self.gradients.len() - 1
        });
        &mut self.gradients[place].1
    }

    fn add_gradient(&mut self, pass: &Pass, branch: &BranchCodec, value: f64, gradient: &[f32]) {
        self.value += value;
        self.finite &= all_finite(gradient);
        branch.scatter(gradient, self.gradient(pass, branch.source()));
    }

    fn add_tensor(&mut self, root: Tensor<1>) {
        self.tensor = Some(match self.tensor.take() {
            Some(sum) => sum + root,
            None => root,
        });
    }

    fn loss(mut self, pass: &Pass) -> LossAt {
        if self.tensor.is_none() && self.gradients.is_empty() {
            self.gradient(pass, Source::Objectness);
        }
        let loss_value = match &self.tensor {
            Some(sum) => LossValue::OnDevice(Box::new(sum.clone()), self.value),
            None => LossValue::Known(self.value),
        };
        let carriers = self.gradients.iter();
        let carriers = carriers.map(|(source, sum)| pass.output(*source).carrier(&sum.0));
        let root = self.tensor.into_iter().chain(carriers);
        LossAt {
            loss_value,
            root: root.reduce(|a, b| a + b).expect("one of them is there"),
            gradient_is_finite: self.finite,
        }
    }
}

impl Pass {
    /// The device of the network.
    fn device(&self) -> Device {
        self.output(Source::Objectness).device()
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::optim::GradientsParams;

    use super::super::Detection;
    use super::super::step::{Added, Draws};
    use super::*;
    use crate::loss::host_values;
    use crate::tasks::schedules::OneTraining;
    use crate::tasks::{FamilySettings, TaskSettings};
    use autoloss_data::Augmentation;

    /// The gradients of all parameters, one after the other.
    struct All<'a>(&'a GradientsParams, Vec<f32>);

    impl ModuleVisitor for All<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id);
            let zeros = || vec![0.0; param.dims().iter().product()];
            self.1
                .extend(gradient.map_or_else(zeros, |g| host_values(&g)));
        }
    }

    #[test]
    fn losses_and_gradients_are_the_same_on_the_host_and_by_burn() {
        let text = "name = \"digits-instances\"\n[training]\nbatch = 2\n";
        let settings = TaskSettings::from_table(&toml::from_str(text).unwrap()).unwrap();
        let FamilySettings::Detection(settings) =
            settings.of(autoloss_search::Schedule::Proxy).clone()
        else {
            panic!("a task of detection");
        };
        let task = Detection::new(*settings, &Device::flex()).unwrap();
        let augmentation = Augmentation::none();
        let batch = task.loader(0, 2, augmentation, 0).unwrap().next();
        let batch = batch.unwrap().unwrap();
        let at = |names: [&str; 5], on_host| {
            let net = task.network(0).unwrap();
            let draws = Draws { seed: 0, update: 1 };
            let pass = task.pass(&net, &batch, draws, Added::Objects);
            let mut loss = DetectionLoss::new(&task.baseline(names), task.branches()).unwrap();
            let loss = loss.at_on(&pass, &batch, on_host);
            let gradients = GradientsParams::from_grads(loss.root.backward(), &net);
            let mut all = All(&gradients, Vec::new());
            burn::module::Module::visit(&net, &mut all);
            (loss.loss_value.get(), all.1)
        };
        for names in [
            [
                "cross_entropy",
                "smooth_l1",
                "cross_entropy",
                "giou",
                "dice",
            ],
            ["focal", "ciou", "cse_a_class", "cse_a_box", "mse"],
            // The host alone computes the last one.
            ["mse", "iou", "focal", "l1", "lovasz_softmax"],
        ] {
            let ((value, gradient), (other, by_burn)) = (at(names, true), at(names, false));
            assert!(
                (value - other).abs() <= 1e-5 * value.abs(),
                "{names:?}: {value} on the host, {other} by Burn"
            );
            let largest = gradient.iter().fold(0.0_f32, |most, g| most.max(g.abs()));
            let pairs = gradient.iter().zip(&by_burn);
            let apart = pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(largest > 0.0 && gradient.len() == by_burn.len());
            assert!(apart <= 1e-4 * largest, "{names:?}: {apart} of {largest}");
        }
    }
}
