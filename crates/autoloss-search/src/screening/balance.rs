//! Balance of the branches of a loss: networks of several branches share weights, and a branch whose gradients are
//! a hundred times those of the others is the only one that trains them. (ours)

use autoloss_expr::{Loss, Operator, Tree};

use super::gradient::gradient_at;
use super::scratch::Scratch;
use super::screener::Screener;
use super::whole::Screening;
use crate::numbers::three_digits;

/// Largest factor and smallest, as its inverse: a branch that needs more has no gradients to speak of.
const LARGEST: f64 = 1e9;

/// The usual size of the gradients of each branch: that of the task's usual loss at the stored predictions.
pub(crate) struct Balance {
    norms: Vec<Option<f64>>,
}

impl Balance {
    /// The balance of the task's usual loss.
    pub(crate) fn of(usual: &Loss, screening: &Screening, scratch: &mut Scratch) -> Self {
        Self {
            norms: screening.branch_norms(usual, scratch),
        }
    }

    /// The loss with a factor before each branch that is searched, so that its gradients at the stored predictions
    /// are as large as usual. A branch without gradients in either loss stays as it is.
    pub(crate) fn balanced(
        &self,
        loss: &Loss,
        screening: &Screening,
        scratch: &mut Scratch,
    ) -> Loss {
        let mut balanced = loss.clone();
        let norms = screening.branch_norms(loss, scratch);
        let places = balanced
            .branches
            .iter_mut()
            .zip(norms.iter().zip(&self.norms));
        for (branch, (norm, usual)) in places {
            if let (Some(norm), Some(usual)) = (norm, usual)
                && let Some(factor) = short(usual / norm)
            {
                let tree = std::mem::replace(&mut branch.tree, Tree::one());
                branch.tree = Tree::apply(Operator::Mul, vec![Tree::Constant(factor), tree]);
            }
        }
        balanced
    }
}

/// A factor with three significant digits; `None` where it is out of range.
fn short(factor: f64) -> Option<f64> {
    let factor = three_digits(factor);
    (1.0 / LARGEST..=LARGEST)
        .contains(&factor)
        .then_some(factor)
}

/// The loss without the factors before its branches.
pub(crate) fn unbalanced(loss: &Loss) -> Loss {
    let mut loss = loss.clone();
    for branch in &mut loss.branches {
        while let Tree::Apply(Operator::Mul, operands) = &mut branch.tree
            && let [Tree::Constant(_), operand] = operands.as_mut_slice()
        {
            branch.tree = std::mem::replace(operand, Tree::one());
        }
    }
    loss
}

impl Screening {
    /// The size of each branch's gradients at the stored predictions; `None` where a branch is held fixed, is no
    /// tree of operators, or has no finite gradient.
    fn branch_norms(&self, loss: &Loss, scratch: &mut Scratch) -> Vec<Option<f64>> {
        let parts = self.screeners();
        parts
            .flat_map(|(screener, fixed)| match fixed {
                true => vec![None; screener.branches.len()],
                false => screener.branch_norms(loss, scratch),
            })
            .collect()
    }
}

impl Screener {
    fn branch_norms(&self, loss: &Loss, scratch: &mut Scratch) -> Vec<Option<f64>> {
        let Ok(flat) = self.programs(loss) else {
            return vec![None; self.branches.len()];
        };
        let of_branch = |(branch, spec)| {
            let mut squares = 0.0;
            for sample in &self.samples {
                let stored = &sample.branches[branch];
                let program = &flat.programs[branch];
                let (_, gradient) = gradient_at(program, spec, stored, &stored.inputs, scratch);
                squares += gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
            }
            let norm = (squares / self.samples.len() as f64).sqrt();
            (norm > 0.0 && norm.is_finite()).then_some(norm)
        };
        self.branches.iter().enumerate().map(of_branch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_loss;
    use crate::settings::Settings;
    use crate::toy::Toy;

    #[test]
    fn gradients_are_as_large_as_those_of_the_usual_loss() {
        let toy = Toy::new();
        let screening = Screening::new(&toy, &Settings::default()).unwrap();
        let mut scratch = Scratch::default();
        let loss = |text: &str| parse_loss(&toy, text).unwrap();
        let usual = loss("square(yhat - y)");
        let balance = Balance::of(&usual, &screening, &mut scratch);
        let mut norm = |loss: &Loss| screening.branch_norms(loss, &mut scratch)[0].unwrap();
        let wanted = norm(&usual);
        let small = loss("0.001 * tanh(square(yhat - y))");
        let before = norm(&small);
        assert!(before < 0.01 * wanted);
        let mut scratch = Scratch::default();
        let balanced = balance.balanced(&small, &screening, &mut scratch);
        let after = screening.branch_norms(&balanced, &mut scratch)[0].unwrap();
        assert!((after / wanted - 1.0).abs() < 0.01, "{balanced}");
        // The loss is trained as it is printed.
        assert_eq!(loss(&balanced.to_string()), balanced);
        assert_eq!(unbalanced(&balanced), loss("tanh(square(yhat - y))"));
        let without = loss("y * y");
        assert_eq!(
            balance.balanced(&without, &screening, &mut scratch),
            without
        );
    }
}
