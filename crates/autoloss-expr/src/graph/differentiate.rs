//! Reverse differentiation of a flattened tree within its graph.

use super::derivative::{Derivative, Source, derivative_of};
use super::{Graph, Id, Step};
use crate::extent::{Dimension, Extent};
use crate::flat::{Flat, Node};
use crate::operator::{Operator, Structured};

/// An adjoint: a factor times a step, or the factor alone for every element.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Adjoint {
    factor: f64,
    step: Option<Id>,
}

impl Graph {
    /// Walks the nodes backwards and gathers the adjoint of each.
    pub(super) fn differentiate(&mut self, flat: &Flat, ids: &[Id]) {
        let mut adjoints: Vec<Option<Adjoint>> = vec![None; flat.nodes.len()];
        let root = Adjoint {
            factor: 1.0 / self.count(Dimension::Positions),
            step: None,
        };
        let last = flat.nodes.len() - 1;
        if flat.dynamic[last] {
            adjoints[last] = Some(self.summed(root, Extent::FULL, self.extents[self.output]));
        }
        for (i, node) in flat.nodes.iter().enumerate().rev() {
            let Some(adjoint) = adjoints[i] else { continue };
            match node {
                Node::Input(input) => {
                    let mut step = self.step_of(adjoint);
                    if matches!(self.steps[step], Step::Input(_)) && self.dynamic[step] {
                        // A gradient must not change while the inputs are moved.
                        step = self.derived(Step::Spread(step, Extent::FULL), Extent::FULL);
                    }
                    self.gradients.push((*input, adjoint.factor, step));
                }
                Node::Constant(_) => {}
                Node::Apply(op, operands) => {
                    for which in 0..op.arity() {
                        let to = operands[which];
                        if !flat.dynamic[to] {
                            continue;
                        }
                        let operands = operands.map(|o| ids[o]);
                        let part = self.pulled_back(*op, which, operands, ids[i], adjoint);
                        adjoints[to] = Some(match adjoints[to] {
                            None => part,
                            Some(so_far) => self.added(so_far, part),
                        });
                    }
                }
            }
        }
        self.gradients.reverse();
    }

    /// The contribution of an operator's adjoint to the adjoint of operand `which`.
    fn pulled_back(
        &mut self,
        op: Operator,
        which: usize,
        operands: [Id; 2],
        value: Id,
        adjoint: Adjoint,
    ) -> Adjoint {
        let x = operands[which];
        match op.structured() {
            None => {
                let part = self.partial(op, which, operands, value, adjoint);
                let over = self.extents[operands[0]].join(self.extents[operands[1]]);
                self.summed(part, over, self.extents[x])
            }
            // A mean's derivative spreads its adjoint evenly. Where the operand does not vary, the
            // mean is the operand.
            Some(Structured::MeanNhw) => self.shared(adjoint, Dimension::Positions, x),
            Some(Structured::MeanC) => self.shared(adjoint, Dimension::Channels, x),
            Some(Structured::MaxPool | Structured::MinPool) => {
                if !self.extents[x].positions {
                    return adjoint;
                }
                let (extent, step) = (self.extents[value], self.step_of(adjoint));
                // A pooling's gradient also reads one number a plane.
                let uniform = !self.extents[step].positions;
                let whole = match self.extents[step] == extent || uniform {
                    true => step,
                    false => self.derived(Step::Spread(step, extent), extent),
                };
                let gradient = Step::PoolGradient {
                    pool: value,
                    adjoint: whole,
                };
                Adjoint {
                    factor: adjoint.factor,
                    step: Some(self.derived(gradient, extent)),
                }
            }
            Some(Structured::SoftmaxC) => {
                if !self.extents[x].channels {
                    let nothing = self.nothing_of(value);
                    let a = self.step_of(adjoint);
                    return Adjoint {
                        factor: adjoint.factor,
                        step: Some(self.apply(Operator::Mul, [a, nothing])),
                    };
                }
                // s · (a − Σ_c s·a)
                let a = self.step_of(adjoint);
                let weighted = self.apply(Operator::Mul, [value, a]);
                let mean = self.mean(Dimension::Channels, weighted);
                let extent = self.extents[a].join(self.extents[mean]);
                let channels = self.count(Dimension::Channels);
                let rest = self.derived(Step::Combine(a, -channels, mean), extent);
                Adjoint {
                    factor: adjoint.factor,
                    step: Some(self.apply(Operator::Mul, [value, rest])),
                }
            }
        }
    }

    /// The adjoint of a mean's operand.
    fn shared(&self, adjoint: Adjoint, dimension: Dimension, x: Id) -> Adjoint {
        match self.extents[x].has(dimension) {
            true => Adjoint {
                factor: adjoint.factor / self.count(dimension),
                ..adjoint
            },
            false => adjoint,
        }
    }

    /// `adjoint` times the derivative of a pointwise operator.
    fn partial(
        &mut self,
        op: Operator,
        which: usize,
        operands: [Id; 2],
        value: Id,
        adjoint: Adjoint,
    ) -> Adjoint {
        let uses = derivative_of(op, which);
        let is = match uses {
            Derivative::Constant(c) => return scaled(adjoint, c),
            Derivative::Is(Source::Operand(k)) => Some(operands[k]),
            Derivative::Is(Source::Value) => Some(value),
            Derivative::Computed(_) => None,
        };
        if let Some(Step::Constant(c)) = is.map(|id| self.steps[id])
            && c.is_finite()
        {
            return scaled(adjoint, c);
        }
        let step = match (is, adjoint.step, uses) {
            (Some(id), None, _) => id,
            (Some(id), Some(step), _) => self.apply(Operator::Mul, [step, id]),
            (None, _, Derivative::Computed(needs)) => {
                let adjoint = self.step_of(adjoint);
                let keep = |needed: bool, id| if needed { id } else { adjoint };
                let partial = Step::Partial {
                    op,
                    which,
                    operands: [keep(needs[0], operands[0]), keep(needs[1], operands[1])],
                    value: keep(needs[2], value),
                    adjoint,
                };
                let extents = partial.operands().map(|o| self.extents[o]);
                let extent = extents.fold(Extent::ONE, Extent::join);
                self.derived(partial, extent)
            }
            (None, ..) => unreachable!("a derivative is constant, a step, or computed"),
        };
        Adjoint {
            factor: adjoint.factor,
            step: Some(step),
        }
    }

    /// The step of an adjoint; the constant 1 where it is a factor alone.
    fn step_of(&mut self, adjoint: Adjoint) -> Id {
        adjoint.step.unwrap_or_else(|| self.constant(1.0))
    }

    /// An adjoint that varies over `from`, summed over the dimensions that `to` lacks.
    fn summed(&mut self, adjoint: Adjoint, from: Extent, to: Extent) -> Adjoint {
        let mut adjoint = adjoint;
        for dimension in [Dimension::Channels, Dimension::Positions] {
            if from.has(dimension) && !to.has(dimension) {
                // The sum is the count times the mean.
                adjoint.factor *= self.count(dimension);
                adjoint.step = adjoint.step.map(|step| self.mean(dimension, step));
            }
        }
        adjoint
    }

    /// The sum of two adjoints.
    fn added(&mut self, a: Adjoint, b: Adjoint) -> Adjoint {
        if a.step == b.step {
            return Adjoint {
                factor: a.factor + b.factor,
                step: a.step,
            };
        }
        if a.factor == 0.0 {
            return b;
        }
        let (x, y) = (self.step_of(a), self.step_of(b));
        let extent = self.extents[x].join(self.extents[y]);
        let ratio = b.factor / a.factor;
        let step = if ratio == 1.0 {
            self.apply(Operator::Add, [x, y])
        } else if ratio == -1.0 {
            self.apply(Operator::Sub, [x, y])
        } else {
            self.derived(Step::Combine(x, ratio, y), extent)
        };
        Adjoint {
            factor: a.factor,
            step: Some(step),
        }
    }
}

fn scaled(adjoint: Adjoint, factor: f64) -> Adjoint {
    Adjoint {
        factor: adjoint.factor * factor,
        ..adjoint
    }
}
