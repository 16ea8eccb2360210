//! Steps of a graph.

use crate::extent::{Dimension, Extent};
use crate::operator::Operator;

/// Number of a step, which is above those of its operands.
pub(crate) type Id = usize;

/// One step of a computation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// The input with that number.
    Input(usize),
    /// A number.
    Constant(f64),
    /// A pointwise operator; the operand of a unary one is repeated.
    Value(Operator, [Id; 2]),
    /// `adjoint` times the operator's derivative with respect to operand `which`. Operands and
    /// value that the derivative does not need are replaced by the adjoint.
    Partial {
        op: Operator,
        which: usize,
        operands: [Id; 2],
        value: Id,
        adjoint: Id,
    },
    /// The first step plus the factor times the second.
    Combine(Id, f64, Id),
    /// The mean over a dimension that the operand varies over.
    Mean(Dimension, Id),
    /// 3×3 pooling of an operand that varies over the positions.
    Pool { min: bool, x: Id },
    /// The adjoint of a pooling's operand; the pooling's adjoint has the pooling's extent or does
    /// not vary over the positions.
    PoolGradient { pool: Id, adjoint: Id },
    /// Softmax over the channels of an operand that varies over them.
    Softmax(Id),
    /// The operand, repeated for every element of the extent.
    Spread(Id, Extent),
}

impl Step {
    /// The steps that this one reads.
    pub(crate) fn operands(&self) -> impl Iterator<Item = Id> {
        let (list, count) = match *self {
            Self::Input(_) | Self::Constant(_) => ([0; 4], 0),
            Self::Value(op, [a, b]) => ([a, b, 0, 0], op.arity()),
            Self::Partial {
                operands: [a, b],
                value,
                adjoint,
                ..
            } => ([a, b, value, adjoint], 4),
            Self::Combine(a, _, b) => ([a, b, 0, 0], 2),
            Self::PoolGradient { pool, adjoint } => ([pool, adjoint, 0, 0], 2),
            Self::Mean(_, x) | Self::Pool { x, .. } | Self::Softmax(x) | Self::Spread(x, _) => {
                ([x, 0, 0, 0], 1)
            }
        };
        list.into_iter().take(count)
    }
}
