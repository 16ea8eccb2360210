//! The losses of all branches at a pass, and the way of their gradients into the network.

use autoloss_expr::Loss;
use autoloss_search::BranchSpec;
use burn::tensor::Tensor;

use super::branches::by_position;
use super::proposals::ProposalGradients;
use super::step::{Pass, class_of, object_mask};
use crate::data::{PreparedScene, SceneBatch};
use crate::loss::{BranchLoss, LossAt, all_finite, carrier};

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
        let fields = pass.fields(&batch.items, |_| true);
        let mut loss_value = 0.0;
        let mut finite = true;
        let mut gradients = Vec::with_capacity(fields.len());
        for (branch, fields) in self.branches.iter_mut().zip(&fields) {
            // A batch without objects has no boxes to learn from.
            if fields.shape.positions() == 0 {
                gradients.push(Vec::new());
                continue;
            }
            let (value, gradient) = branch.at(fields);
            loss_value += value;
            finite &= all_finite(gradient);
            gradients.push(gradient.to_vec());
        }
        LossAt {
            loss_value,
            root: pass.root(&gradients, &batch.items),
            gradient_is_finite: finite,
        }
    }
}

impl Pass {
    /// A number whose backward pass gives the network the branches' gradients.
    fn root(&self, gradients: &[Vec<f32>], items: &[PreparedScene]) -> Tensor<1> {
        let mut rpn = ProposalGradients::new(&self.proposals);
        let inside = gradients[0].iter().skip(self.anchors.len());
        for (anchor, g) in self.anchors.iter().zip(inside) {
            rpn.add_logit(anchor.image, anchor.place, *g);
        }
        let with_object = self.anchors.iter().filter(|a| a.object.is_some());
        for (anchor, g) in with_object.zip(by_position(&gradients[1])) {
            rpn.add_deltas(anchor.image, anchor.place, g);
        }
        let mut root = rpn.root(&self.rpn);
        if self.regions.is_empty() {
            return root;
        }
        let (outputs, count) = (self.outputs(), self.regions.len());
        let mut logits = vec![0.0; count * outputs];
        let mut deltas = vec![0.0; count * outputs * 4];
        for (region, row) in logits.chunks_exact_mut(outputs).enumerate() {
            for (class, g) in row.iter_mut().enumerate() {
                *g = gradients[2][class * count + region];
            }
        }
        let with_object = || self.regions.iter().filter(|r| r.object.is_some());
        for (region, g) in with_object().zip(by_position(&gradients[3])) {
            let start = (region.place * outputs + class_of(region, items)) * 4;
            deltas[start..start + 4].copy_from_slice(&g);
        }
        root = root + carrier(&self.boxes.class_logits, logits);
        root = root + carrier(&self.boxes.deltas, deltas);
        if let (Some((tensor, values)), Some(gradient)) = (&self.masks, gradients.get(4))
            && !gradient.is_empty()
        {
            let pixels = self.mask_side().pow(2);
            let mut all = vec![0.0; values.len()];
            // The second channel of each region's two is its class's logits.
            let mut planes = gradient.chunks_exact(2 * pixels).map(|two| &two[pixels..]);
            for (row, region) in self.masked.iter().enumerate() {
                if object_mask(region, items).is_none() {
                    continue;
                }
                let start = (row * outputs + class_of(region, items)) * pixels;
                if let Some(plane) = planes.next() {
                    all[start..start + pixels].copy_from_slice(plane);
                }
            }
            root = root + carrier(tensor, all);
        }
        root
    }
}
