//! Losses in training: from a network's outputs and targets to a number whose backward pass carries the loss's gradient
//! into the network.

use std::sync::Arc;

use autoloss_expr::{
    NativeLoss, Program, ProgramError, Shape, Tree, Workspace, softmax_channels,
    softmax_channels_gradient,
};
use autoloss_search::{BranchSpec, Derived, InputSpec, prediction_gradient};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};

use crate::field::TensorField;

/// A loss over the probabilities `yhat` (softmax of the logits over the classes) and the one-hot
/// target `y`.
///
/// Ignored pixels take no part: there both `yhat` and `y` are the uniform distribution, a perfect
/// prediction, and no gradient flows.
pub struct ClassLoss(BranchLoss);

/// The target of a branch of one prediction and one target, some elements of which take no part: there the prediction
/// (its logits, if it is a softmax) counts as 0, and no gradient flows.
pub(crate) trait PartialTarget {
    /// The target, an element for each of the prediction.
    fn values(&self) -> Vec<f32>;

    /// Sets the elements of a field that take no part to 0.
    fn clear(&self, field: &mut [f32]);

    /// The target on a device, and whether each element takes no part.
    fn on_device(&self, device: &Device) -> (Tensor<4>, Tensor<4, Bool>);
}

/// The inputs of a branch at some positions; a prediction that is a softmax is given by its logits.
pub(crate) struct BranchFields {
    /// The shape all inputs share.
    pub(crate) shape: Shape,
    /// In the order of the branch's inputs.
    pub(crate) inputs: Vec<Vec<f32>>,
    /// The derived inputs as functions of the prediction.
    pub(crate) derived: Option<Arc<dyn Derived>>,
}

/// The loss of one branch: value and gradient on the host, or on the device of the network.
pub(crate) struct BranchLoss {
    spec: BranchSpec,
    by: Host,
    /// Over the inputs as the branch has them, for Burn's tensors; a loss that is no tree of operators has none.
    of_tensors: Option<Program>,
}

/// The computation on the host.
enum Host {
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
            Ok(Host::Kernels {
                program: Box::new(Program::new(&tree, &spec.program_inputs())?),
                workspace: Box::default(),
                gradients: Vec::new(),
            })
        };
        let by = match tree.native() {
            Some(loss) => Host::Native {
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
            Host::Kernels {
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
            Host::Native { loss, gradient } => {
                let softmax = self.spec.inputs[place].is_softmax();
                let target = self.spec.target();
                let value;
                (value, *gradient) = native_at(loss, fields, [place, target], softmax);
                (value, gradient)
            }
        }
    }

    /// The loss of a prediction (N, C, H, W), or of its logits, and a target of which some elements take no part: on
    /// the prediction's device where that is possible, else on the host.
    pub(crate) fn at_partial(
        &mut self,
        prediction: &Tensor<4>,
        target: &impl PartialTarget,
    ) -> LossAt {
        let on_device = match crate::device::is_host(&prediction.device()) {
            true => None,
            false => self.partial_on_device(prediction, target),
        };
        on_device.unwrap_or_else(|| self.partial_on_host(prediction, target))
    }

    /// Value and gradient on the host; the tensor only carries the gradient.
    fn partial_on_host(&mut self, prediction: &Tensor<4>, target: &impl PartialTarget) -> LossAt {
        let mut values = host_values(prediction);
        target.clear(&mut values);
        let fields = BranchFields {
            shape: shape_of(prediction),
            inputs: vec![values, target.values()],
            derived: None,
        };
        let (loss_value, gradient) = self.at(&fields);
        let mut gradient = gradient.to_vec();
        target.clear(&mut gradient);
        let gradient_is_finite = all_finite(&gradient);
        LossAt {
            loss_value: LossValue::Known(loss_value),
            root: carrier(prediction, gradient),
            gradient_is_finite,
        }
    }

    /// Value and gradient by Burn, on the prediction's device; `None` for a loss that the host alone computes.
    fn partial_on_device(
        &self,
        prediction: &Tensor<4>,
        target: &impl PartialTarget,
    ) -> Option<LossAt> {
        let (y, is_out) = target.on_device(&prediction.device());
        // Nothing flows through elements that are filled.
        let counted = prediction.clone().mask_fill(is_out, 0.0);
        let root = self.on_device(vec![counted, y])?;
        Some(LossAt {
            loss_value: LossValue::OnDevice(Box::new(root.clone()), 0.0),
            root,
            gradient_is_finite: true,
        })
    }
}

/// Value and gradient of a native loss; where the prediction is a softmax, of its logits.
fn native_at(
    loss: &NativeLoss,
    fields: &BranchFields,
    [prediction, target]: [usize; 2],
    of_logits: bool,
) -> (f64, Vec<f32>) {
    let mut yhat = fields.inputs[prediction].clone();
    if of_logits {
        softmax_channels(&mut yhat, fields.shape);
    }
    let (value, mut gradient) = loss.at_single(fields.shape, &yhat, &fields.inputs[target]);
    if of_logits {
        softmax_channels_gradient(&yhat, &mut gradient, fields.shape);
    }
    (value, gradient)
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
        self.0.at_partial(logits, &Labels::of(labels, logits))
    }
}

/// Labels (N, H, W) as the target of logits of some shape.
struct Labels<'a> {
    labels: &'a [u8],
    shape: Shape,
}

impl<'a> Labels<'a> {
    fn of(labels: &'a [u8], logits: &Tensor<4>) -> Self {
        let shape = shape_of(logits);
        Self { labels, shape }
    }
}

impl PartialTarget for Labels<'_> {
    fn values(&self) -> Vec<f32> {
        one_hot(self.labels, self.shape)
    }

    /// Logits of 0 are the uniform distribution.
    fn clear(&self, field: &mut [f32]) {
        for_ignored(self.labels, self.shape, |i| field[i] = 0.0);
    }

    fn on_device(&self, device: &Device) -> (Tensor<4>, Tensor<4, Bool>) {
        target_on(device, self.labels, self.shape)
    }
}

/// The target of [`one_hot`] on a device, and whether each of its elements belongs to an ignored pixel.
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
mod tests;
