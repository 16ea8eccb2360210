//! LaTeX, by the templates of the operator table.

use super::error::ExportError;
use super::format::Format;
use super::source::Export;
use crate::operator::Operator;
use crate::tree::{Branch, Tree};

pub(super) const FORMAT: Format = Format {
    name: "latex",
    about: "LaTeX mathematics",
    is_text: true,
    write,
};

fn write(export: &Export) -> Result<Vec<u8>, ExportError> {
    export.without_elements(FORMAT.name)?;
    let symbol = "\\mathcal{L}";
    let of = |branch: &Branch| format!("{symbol}_{{\\text{{{}}}}}", escaped(&branch.name));
    let text = match &export.loss.branches[..] {
        [only] => format!("{symbol} = {}\n", value(&only.tree)),
        branches => {
            let names: Vec<String> = branches.iter().map(of).collect();
            let sum = format!("{symbol} &= {}", names.join(" + "));
            let lines = branches
                .iter()
                .map(|b| format!("{} &= {}", of(b), value(&b.tree)));
            let lines: Vec<String> = [sum].into_iter().chain(lines).collect();
            format!(
                "\\begin{{aligned}}\n{}\n\\end{{aligned}}\n",
                lines.join(" \\\\\n")
            )
        }
    };
    Ok(text.into_bytes())
}

/// The loss value of a tree: the mean of its elements over samples and positions, summed over channels.
fn value(tree: &Tree) -> String {
    match tree.native() {
        Some(_) => tree.latex(),
        None => format!(
            "\\frac{{1}}{{N H W}} \\sum_{{n, c, h, w}} \\left({}\\right)",
            tree.latex()
        ),
    }
}

fn escaped(name: &str) -> String {
    name.replace('_', "\\_")
}

/// Strength by which the parts of a piece of LaTeX hang together, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Atom,
}

impl Tree {
    /// The tree as LaTeX mathematics.
    ///
    /// ```
    /// # use autoloss_expr::Tree;
    /// let tree = Tree::parse("-(y * log(yhat / 2))", &["yhat", "y"])?;
    /// assert_eq!(tree.latex(), r"-y \cdot \log \left(\frac{\hat{y}}{2}\right)");
    /// # Ok::<(), autoloss_expr::ParseError>(())
    /// ```
    #[must_use]
    pub fn latex(&self) -> String {
        written(self).0
    }
}

fn written(tree: &Tree) -> (String, Binding) {
    match tree {
        Tree::Input(name) => (input(name), Binding::Atom),
        Tree::Constant(c) => (number(*c), Binding::Atom),
        Tree::Native(loss) => {
            let text = escaped(&loss.to_string());
            (format!("\\text{{{text}}}"), Binding::Atom)
        }
        // a + (−b) is a − b, and a · (1 / b) is a / b.
        Tree::Apply(Operator::Add, operands) => match &operands[1] {
            Tree::Apply(Operator::Neg, inner) => filled(Operator::Sub, &operands[0], &inner[0]),
            other => filled(Operator::Add, &operands[0], other),
        },
        Tree::Apply(Operator::Mul, operands) => match &operands[1] {
            Tree::Apply(Operator::Inv, inner) => filled(Operator::Div, &operands[0], &inner[0]),
            other => filled(Operator::Mul, &operands[0], other),
        },
        Tree::Apply(op, operands) => filled(*op, &operands[0], operands.last().unwrap_or(tree)),
    }
}

/// The operator's template with its operands; a unary operator is given the same operand twice.
fn filled(op: Operator, first: &Tree, second: &Tree) -> (String, Binding) {
    let template = op.latex();
    let (own, least) = if template.starts_with("{0} + ") {
        (Binding::Sum, [Binding::Sum, Binding::Sum])
    } else if template.starts_with("{0} - ") {
        (Binding::Sum, [Binding::Sum, Binding::Product])
    } else if template.starts_with("-{0}") || template.starts_with("{0} \\cdot ") {
        (Binding::Product, [Binding::Product; 2])
    } else {
        (Binding::Atom, [Binding::Atom; 2])
    };
    let mut text = template.to_owned();
    // A template of one operand may hold a `{1}` of its own.
    let operands = [first, second].into_iter().zip(least);
    for (k, (operand, least)) in operands.take(op.arity()).enumerate() {
        let place = format!("{{{k}}}");
        // An operand in braces, bars or parentheses of the template needs no others. Functions and
        // powers have parentheses around every operand but a leaf.
        let enclosed = [("{", "}"), ("|", "\\right|"), ("(", ")")];
        let enclosed = enclosed
            .iter()
            .any(|(open, close)| template.contains(&format!("{open}{place}{close}")));
        let (inner, binding) = written(operand);
        let bare = binding >= least && (own != Binding::Atom || operand.is_leaf());
        let inner = match enclosed || bare {
            true => inner,
            false => format!("\\left({inner}\\right)"),
        };
        text = text.replace(&place, &inner);
    }
    (text, own)
}

fn input(name: &str) -> String {
    match name {
        "yhat" => "\\hat{y}".to_owned(),
        _ => escaped(name),
    }
}

fn number(value: f64) -> String {
    let text = Tree::Constant(value).to_string();
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa} \\cdot 10^{{{exponent}}}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_written_with_the_parentheses_they_need() {
        for (formula, latex) in [
            ("y - (yhat - 1)", r"y - \left(\hat{y} - 1\right)"),
            ("(y + yhat) * y", r"\left(y + \hat{y}\right) \cdot y"),
            ("square(y * yhat)", r"\left(y \cdot \hat{y}\right)^2"),
            ("square(yhat)", r"\hat{y}^2"),
            ("square(log(yhat))", r"\left(\log \hat{y}\right)^2"),
            ("abs(y - yhat)", r"\left|y - \hat{y}\right|"),
            ("inv(sqrt(yhat + y))", r"\frac{1}{\sqrt{\hat{y} + y}}"),
            ("exp(-yhat)", r"e^{-\hat{y}}"),
            ("mean_c(y + yhat)", r"\operatorname{mean}_{c}(y + \hat{y})"),
            ("-(y + yhat)", r"-\left(y + \hat{y}\right)"),
            ("1e-7 * y", r"1 \cdot 10^{-7} \cdot y"),
            ("ssim()", r"\text{ssim()}"),
        ] {
            let tree = Tree::parse(formula, &["yhat", "y"]).unwrap();
            assert_eq!(tree.latex(), latex, "{formula}");
        }
    }
}
