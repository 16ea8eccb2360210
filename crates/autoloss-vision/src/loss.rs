//! A loss of class probabilities as a training uses it: from logits and labels to something whose
//! backward pass carries the loss's gradient into the network.

use std::sync::Arc;

use autoloss_expr::{NativeLoss, Program, ProgramError, Shape, Tree, Workspace};
use autoloss_search::{BranchSpec, Derived, InputSpec, prediction_gradient};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};

use crate::field::TensorField;

/// A loss over the probabilities `yhat` (softmax of the logits over the classes) and the one-hot
/// target `y`.
///
/// Ignored pixels take no part: there both `yhat` and `y` are the uniform distribution, a perfect
/// prediction, and no gradient flows.
pub struct ClassLoss(BranchLoss);

/// The inputs of a branch at some positions; a prediction that is a softmax is given by its logits.
pub(crate) struct BranchFields {
    /// The shape all inputs share.
    pub(crate) shape: Shape,
    /// In the order of the branch's inputs.
    pub(crate) inputs: Vec<Vec<f32>>,
    /// Functions from the prediction to the derived inputs.
    pub(crate) derived: Option<Arc<dyn Derived>>,
}

/// The loss of one branch: value and gradient on the host, or on the device of the network.
pub(crate) struct BranchLoss {
    spec: BranchSpec,
    by: By,
    /// Over the inputs as the branch has them, for Burn's tensors; a loss that is no tree of operators has none.
    of_tensors: Option<Program>,
}

/// Computation of the loss on the host.
enum By {
    /// The kernels of the language.
    Kernels {
        program: Box<Program>,
        workspace: Box<Workspace>,
        gradients: Vec<Vec<f32>>,
    },
    /// A loss that is no tree of operators.
    Native {
        loss: NativeLoss,
        gradient: Vec<f32>,
    },
}

impl BranchLoss {
    /// The loss of a branch.
    ///
    /// # Errors
    /// If the tree uses other inputs than the branch has.
    pub(crate) fn new(tree: &Tree, spec: &BranchSpec) -> Result<Self, ProgramError> {
        let prediction = &spec.inputs[spec.prediction()];
        let kernels = || {
            let tree = match prediction.is_softmax() {
                true => tree.over_logits(&prediction.name),
                false => tree.clone(),
            };
            Ok(By::Kernels {
                program: Box::new(Program::new(&tree, &spec.program_inputs())?),
                workspace: Box::default(),
                gradients: Vec::new(),
            })
        };
        let by = match tree.native() {
            Some(loss) => By::Native {
                loss: loss.clone(),
                gradient: Vec::new(),
            },
            None => kernels()?,
        };
        let program = || Program::new(tree, &spec.program_inputs());
        Ok(Self {
            by,
            spec: spec.clone(),
            of_tensors: tree.native().is_none().then(program).transpose()?,
        })
    }

    /// The loss on the device of its inputs, each of the branch's shape, in the order of the branch; a prediction
    /// that is a softmax is given by its logits. `None` for a loss that the host alone computes.
    pub(crate) fn on_device(&self, mut inputs: Vec<Tensor<4>>) -> Option<Tensor<1>> {
        let program = self.of_tensors.as_ref()?;
        let place = self.spec.prediction();
        if self.spec.inputs[place].is_softmax() {
            inputs[place] = activation::softmax(inputs[place].clone(), 1);
        }
        let positions = shape_of(&inputs[place]).positions();
        let inputs: Vec<TensorField> = inputs.into_iter().map(TensorField).collect();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 positions")]
        let positions = positions as f64;
        Some(program.apply(&inputs).0.sum().div_scalar(positions))
    }

    /// The loss value, and the gradient of the prediction (of its logits, if it is a softmax).
    pub(crate) fn at(&mut self, fields: &BranchFields) -> (f64, &[f32]) {
        let place = self.spec.prediction();
        match &mut self.by {
            By::Kernels {
                program,
                workspace,
                gradients,
            } => {
                let inputs: Vec<&[f32]> = fields.inputs.iter().map(Vec::as_slice).collect();
                let value = prediction_gradient(
                    program,
                    &self.spec,
                    fields.shape,
                    &inputs,
                    fields.derived.as_deref(),
                    workspace,
                    gradients,
                );
                (value, &gradients[place])
            }
            By::Native { loss, gradient } => {
                let softmax = self.spec.inputs[place].is_softmax();
                let target = self.spec.target();
                let value;
                (value, *gradient) = native_at(loss, fields, [place, target], softmax);
                (value, gradient)
            }
        }
    }
}

/// Value and gradient of a native loss; where the prediction is a softmax, of its logits.
fn native_at(
    loss: &NativeLoss,
    fields: &BranchFields,
    [prediction, target]: [usize; 2],
    of_logits: bool,
) -> (f64, Vec<f32>) {
    let yhat = match of_logits {
        true => softmax(&fields.inputs[prediction], fields.shape),
        false => fields.inputs[prediction].clone(),
    };
    let (value, mut gradient) = loss.at_single(fields.shape, &yhat, &fields.inputs[target]);
    if of_logits {
        softmax_gradient(&yhat, &mut gradient, fields.shape);
    }
    (value, gradient)
}

/// The softmax over the channels of logits (N, C, H, W).
pub(crate) fn softmax(logits: &[f32], shape: Shape) -> Vec<f32> {
    let mut out = vec![0.0; logits.len()];
    for_positions(shape, |at| {
        let highest = (0..shape.c).map(|c| logits[at(c)]).fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        for c in 0..shape.c {
            out[at(c)] = (logits[at(c)] - highest).exp();
            sum += out[at(c)];
        }
        (0..shape.c).for_each(|c| out[at(c)] /= sum);
    });
    out
}

/// Turns the gradient of probabilities into that of their logits.
fn softmax_gradient(probabilities: &[f32], gradient: &mut [f32], shape: Shape) {
    for_positions(shape, |at| {
        let mean: f32 = (0..shape.c)
            .map(|c| probabilities[at(c)] * gradient[at(c)])
            .sum();
        for c in 0..shape.c {
            gradient[at(c)] = probabilities[at(c)] * (gradient[at(c)] - mean);
        }
    });
}

/// Calls `f` at every position with where its channels' elements are.
fn for_positions(shape: Shape, mut f: impl FnMut(&dyn Fn(usize) -> usize)) {
    let pixels = shape.h * shape.w;
    for n in 0..shape.n {
        for pixel in 0..pixels {
            f(&|c| (n * shape.c + c) * pixels + pixel);
        }
    }
}

/// A number whose backward pass gives a tensor this gradient.
pub(crate) fn carrier<const D: usize>(tensor: &Tensor<D>, gradient: Vec<f32>) -> Tensor<1> {
    let data = TensorData::new(gradient, tensor.dims());
    (tensor.clone() * Tensor::from_data(data, &tensor.device())).sum()
}

/// True if all numbers are finite.
pub(crate) fn all_finite(numbers: &[f32]) -> bool {
    numbers.iter().fold(0.0, |zero, x| zero + x * 0.0) == 0.0
}

/// A loss value.
#[derive(Clone, Debug)]
pub enum LossValue {
    /// A number that is known.
    Known(f64),
    /// The sum of a number on a device, which may still be computed, and one that is known.
    OnDevice(Box<Tensor<1>>, f64),
}

impl LossValue {
    /// The number; waits until the device has computed it.
    #[must_use]
    pub fn get(&self) -> f64 {
        match self {
            Self::Known(value) => *value,
            Self::OnDevice(tensor, known) => {
                f64::from((**tensor).clone().into_scalar::<f32>()) + known
            }
        }
    }
}

/// A loss at one batch.
pub struct LossAt {
    /// The loss value; not finite as soon as any of its terms is not.
    pub loss_value: LossValue,
    /// A number whose backward pass gives the loss's gradient.
    pub root: Tensor<1>,
    /// False if the gradient with respect to the logits is known to be infinite or NaN.
    pub gradient_is_finite: bool,
}

impl ClassLoss {
    /// The loss of one branch.
    ///
    /// # Errors
    /// If the tree uses other inputs than `yhat` and `y`.
    pub fn new(tree: &Tree) -> Result<Self, ProgramError> {
        let spec = BranchSpec {
            name: "class".to_owned(),
            inputs: InputSpec::probabilities_and_target(),
        };
        Ok(Self(BranchLoss::new(tree, &spec)?))
    }

    /// The loss at a batch: logits (N, C, H, W), labels (N, H, W), where a label of C or more is
    /// ignored.
    pub fn at(&mut self, logits: &Tensor<4>, labels: &[u8]) -> LossAt {
        let on_device = match crate::device::is_host(&logits.device()) {
            true => None,
            false => self.at_device(logits, labels),
        };
        on_device.unwrap_or_else(|| self.at_host(logits, labels))
    }

    /// Value and gradient on the host; the tensor only carries the gradient.
    fn at_host(&mut self, logits: &Tensor<4>, labels: &[u8]) -> LossAt {
        let shape = shape_of(logits);
        let mut values = host_values(logits);
        let y = one_hot(labels, shape);
        for_ignored(labels, shape, |i| values[i] = 0.0);
        let fields = BranchFields {
            shape,
            inputs: vec![values, y],
            derived: None,
        };
        let (loss_value, gradient) = self.0.at(&fields);
        let mut gradient = gradient.to_vec();
        for_ignored(labels, shape, |i| gradient[i] = 0.0);
        let gradient_is_finite = all_finite(&gradient);
        LossAt {
            loss_value: LossValue::Known(loss_value),
            root: carrier(logits, gradient),
            gradient_is_finite,
        }
    }

    /// Value and gradient by Burn, on the logits' device; `None` for a loss that the host alone computes.
    fn at_device(&self, logits: &Tensor<4>, labels: &[u8]) -> Option<LossAt> {
        let (y, ignored) = target_on(&logits.device(), labels, shape_of(logits));
        // Logits of 0 are the uniform distribution, and nothing flows through them.
        let counted = logits.clone().mask_fill(ignored, 0.0);
        Some(LossAt::on_device(self.0.on_device(vec![counted, y])?))
    }
}

impl LossAt {
    /// A loss that Burn differentiates.
    pub(crate) fn on_device(root: Tensor<1>) -> Self {
        Self {
            loss_value: LossValue::OnDevice(Box::new(root.clone()), 0.0),
            root,
            gradient_is_finite: true,
        }
    }
}

/// The target of [`one_hot`] on a device, and whether each of its elements is that of an ignored pixel.
fn target_on(device: &Device, labels: &[u8], shape: Shape) -> (Tensor<4>, Tensor<4, Bool>) {
    let dims = [shape.n, shape.c, shape.h, shape.w];
    let labels: Vec<i32> = labels.iter().map(|label| i32::from(*label)).collect();
    let labels = TensorData::new(labels, [shape.n, 1, shape.h, shape.w]);
    let labels = Tensor::<4, Int>::from_data(labels, device).expand(dims);
    let channels = i64::try_from(shape.c).expect("classes are few");
    let classes = Tensor::<1, Int>::arange(0..channels, device).reshape([1, shape.c, 1, 1]);
    let ignored = labels.clone().greater_equal_elem(channels);
    #[expect(clippy::cast_precision_loss, reason = "classes are few")]
    let uniform = 1.0 / channels as f32;
    let y = labels.equal(classes.expand(dims)).float();
    (y.mask_fill(ignored.clone(), uniform), ignored)
}

fn shape_of(tensor: &Tensor<4>) -> Shape {
    let [n, c, h, w] = tensor.dims();
    Shape::new(n, c, h, w)
}

/// The elements of a tensor of 32-bit numbers, in order.
pub(crate) fn host_values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor
        .to_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("data converted to f32 is f32")
}

/// The one-hot target (N, C, H, W) of labels (N, H, W); the uniform distribution where a label is
/// ignored.
pub(crate) fn one_hot(labels: &[u8], shape: Shape) -> Vec<f32> {
    let plane = shape.h * shape.w;
    #[expect(clippy::cast_precision_loss, reason = "classes are few")]
    let uniform = 1.0 / shape.c as f32;
    let mut y = vec![0.0; shape.len()];
    for (n, labels) in labels.chunks_exact(plane).enumerate() {
        for (i, &label) in labels.iter().enumerate() {
            if usize::from(label) < shape.c {
                y[(n * shape.c + usize::from(label)) * plane + i] = 1.0;
            }
        }
    }
    for_ignored(labels, shape, |i| y[i] = uniform);
    y
}

/// Calls `f` with the index of every element (N, C, H, W) whose pixel is ignored.
pub(crate) fn for_ignored(labels: &[u8], shape: Shape, mut f: impl FnMut(usize)) {
    let plane = shape.h * shape.w;
    for (n, labels) in labels.chunks_exact(plane).enumerate() {
        for (i, &label) in labels.iter().enumerate() {
            if usize::from(label) >= shape.c {
                (0..shape.c).for_each(|c| f((n * shape.c + c) * plane + i));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_expr::Operator;

    const DIMS: [usize; 4] = [2, 3, 4, 5];

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn logits() -> Vec<f32> {
        (0..120).map(|i| 2.0 * (i as f32 * 0.83).sin()).collect()
    }

    fn labels() -> Vec<u8> {
        (0..40).map(|i| [0, 2, 255, 1, 1][i % 5]).collect()
    }

    /// Loss value and gradient with respect to the logits.
    fn gradient(at: impl Fn(&Tensor<4>) -> LossAt) -> (f64, Vec<f32>) {
        let device = Device::flex().autodiff();
        let leaf = Tensor::<4>::from_data(TensorData::new(logits(), DIMS), &device).require_grad();
        let loss = at(&leaf);
        let gradients = loss.root.backward();
        let gradient = leaf.grad(&gradients).unwrap();
        (loss.loss_value.get(), host_values(&gradient))
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() <= 1e-6 + 1e-4 * b.abs()
    }

    #[test]
    fn every_operator_trains_alike_on_the_host_and_by_burn() {
        for op in Operator::ALL {
            let operands = ["yhat - 0.31 * y", "yhat + 0.27"]
                .map(|text| Tree::parse(text, &["yhat", "y"]).unwrap());
            let applied = Tree::apply(*op, operands[..op.arity()].to_vec());
            let tree = Tree::apply(Operator::Mul, vec![applied, Tree::input("y")]);
            let loss = ClassLoss::new(&tree).unwrap();
            let (value, by_burn) = gradient(|leaf| loss.at_device(leaf, &labels()).unwrap());
            let (host_value, by_host) =
                gradient(|leaf| ClassLoss::new(&tree).unwrap().at_host(leaf, &labels()));
            assert!(
                (value - host_value).abs() <= 1e-5 * value.abs().max(1.0),
                "{tree}: {value}, {host_value}"
            );
            for (i, (a, b)) in by_host.iter().zip(&by_burn).enumerate() {
                assert!(
                    close(*a, *b),
                    "{tree} at {i}: {a} by the kernels, {b} by Burn"
                );
            }
        }
    }

    #[test]
    fn cross_entropy_has_its_textbook_gradient() {
        let tree = Tree::parse("-(y * log(yhat))", &["yhat", "y"]).unwrap();
        let shape = Shape::new(DIMS[0], DIMS[1], DIMS[2], DIMS[3]);
        let (_, got) = gradient(|leaf| ClassLoss::new(&tree).unwrap().at_host(leaf, &labels()));
        let y = one_hot(&labels(), shape);
        let device = Device::flex();
        let leaf = Tensor::<4>::from_data(TensorData::new(logits(), DIMS), &device);
        let probabilities = host_values(&activation::softmax(leaf, 1));
        let mut want: Vec<f32> = probabilities
            .iter()
            .zip(&y)
            .map(|(p, y)| (p - y) / 40.0)
            .collect();
        for_ignored(&labels(), shape, |i| want[i] = 0.0);
        assert!(
            got.iter().zip(&want).all(|(g, w)| close(*g, *w)),
            "{got:?} {want:?}"
        );
    }

    #[test]
    fn native_losses_give_the_gradient_of_logits() {
        let value = |loss: &NativeLoss, values: Vec<f32>| {
            let device = Device::flex().autodiff();
            let leaf = Tensor::<4>::from_data(TensorData::new(values, DIMS), &device);
            let mut loss = ClassLoss::new(&Tree::Native(loss.clone())).unwrap();
            loss.at(&leaf, &labels()).loss_value.get()
        };
        for name in [
            "lovasz_softmax",
            "ssim",
            "dpce",
            "boundary",
            "asl_miou",
            "asl_bf1",
        ] {
            let loss = NativeLoss::new(name, &[]).unwrap();
            let tree = Tree::Native(loss.clone());
            let (_, got) = gradient(|leaf| ClassLoss::new(&tree).unwrap().at(leaf, &labels()));
            for place in (0..120).step_by(7) {
                let moved = |by: f32| {
                    let mut values = logits();
                    values[place] += by;
                    value(&loss, values)
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let difference = (f64::from(got[place]) - slope).abs();
                assert!(
                    difference < 1e-3,
                    "{name} at {place}: {}, by differences {slope}",
                    got[place]
                );
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_noticed() {
        let tree = Tree::parse("exp(inv(yhat - yhat))", &["yhat", "y"]).unwrap();
        let device = Device::flex().autodiff();
        let leaf = Tensor::<4>::from_data(TensorData::new(logits(), DIMS), &device).require_grad();
        let loss = ClassLoss::new(&tree).unwrap().at(&leaf, &labels());
        assert!(!loss.loss_value.get().is_finite() && !loss.gradient_is_finite);
    }

    #[test]
    fn the_comparison_can_fail() {
        assert!(!close(1.0, 1.001) && !close(f32::NAN, 1.0));
    }
}
