//! Canonical printing of formulas.

use std::fmt;

use crate::operator::Operator;
use crate::tree::{Loss, Tree};

/// Strength by which the parts of a printed tree hang together, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Unary,
}

impl Tree {
    fn binding(&self) -> Binding {
        match self {
            Self::Apply(Operator::Add, _) => Binding::Sum,
            Self::Apply(Operator::Mul, _) => Binding::Product,
            Self::Apply(..) | Self::Input(_) | Self::Constant(_) | Self::Native(_) => {
                Binding::Unary
            }
        }
    }

    /// Prints the tree, in parentheses where its binding is weaker than its place demands.
    fn print(&self, f: &mut fmt::Formatter<'_>, place: Binding) -> fmt::Result {
        if self.binding() < place {
            write!(f, "(")?;
            self.print(f, Binding::Sum)?;
            return write!(f, ")");
        }
        match self {
            Self::Input(name) => write!(f, "{name}"),
            Self::Native(loss) => write!(f, "{loss}"),
            Self::Constant(c) if *c != 0.0 && !(1e-4..1e16).contains(c) => write!(f, "{c:e}"),
            Self::Constant(c) => write!(f, "{c}"),
            Self::Apply(Operator::Neg, operands) => {
                write!(f, "-")?;
                operands[0].print(f, Binding::Unary)
            }
            Self::Apply(Operator::Add, operands) => {
                print_infix(f, operands, ("+", "-", Operator::Neg), Binding::Sum)
            }
            Self::Apply(Operator::Mul, operands) => {
                print_infix(f, operands, ("*", "/", Operator::Inv), Binding::Product)
            }
            Self::Apply(operator, operands) => {
                write!(f, "{}(", operator.name())?;
                for (i, operand) in operands.iter().enumerate() {
                    if i > 0 {
                        write!(f, ", ")?;
                    }
                    operand.print(f, Binding::Sum)?;
                }
                write!(f, ")")
            }
        }
    }
}

/// Prints `a + b`, or `a - b` where the right operand is `inverse` of b.
fn print_infix(
    f: &mut fmt::Formatter<'_>,
    operands: &[Tree],
    (symbol, inverse_symbol, inverse): (&str, &str, Operator),
    binding: Binding,
) -> fmt::Result {
    let tighter = match binding {
        Binding::Sum => Binding::Product,
        Binding::Product | Binding::Unary => Binding::Unary,
    };
    operands[0].print(f, binding)?;
    match &operands[1] {
        Tree::Apply(op, inner) if *op == inverse => {
            write!(f, " {inverse_symbol} ")?;
            inner[0].print(f, tighter)
        }
        right => {
            write!(f, " {symbol} ")?;
            right.print(f, tighter)
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, Binding::Sum)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [branch] = self.branches.as_slice() {
            return branch.tree.fmt(f);
        }
        for (i, branch) in self.branches.iter().enumerate() {
            let separator = if i > 0 { "; " } else { "" };
            write!(f, "{separator}{} = {}", branch.name, branch.tree)?;
        }
        Ok(())
    }
}
