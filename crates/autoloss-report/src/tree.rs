//! Expression trees as SVG.

use autoloss_expr::{Operator, Tree};
use maud::{Markup, html};

use crate::plot::coordinate;

const LEVEL: f64 = 46.0;
const GAP: f64 = 10.0;
const LETTER: f64 = 8.0;
const HEIGHT: f64 = 24.0;

/// A node with the places of its operands.
struct PlacedNode {
    label: String,
    leaf: bool,
    x: f64,
    width: f64,
    operands: Vec<PlacedNode>,
}

/// The tree from its root down.
pub(super) fn svg(tree: &Tree) -> Markup {
    let mut right = 0.0;
    let placed = place(tree, &mut right);
    let (width, height) = (right + GAP, LEVEL * (tree.depth() as f64 + 1.0));
    // Small trees are not blown up to the page's width.
    html! {
        svg.tree style=(format!("max-width:{width:.0}px")) viewBox=(format!("0 0 {width:.1} {height:.1}"))
            role="img" aria-label={ "tree of " (tree) } { (drawn(&placed, 0.0)) }
    }
}

/// Leaves side by side, each node above the middle of its operands.
fn place(tree: &Tree, right: &mut f64) -> PlacedNode {
    let left = *right;
    let label = label(tree);
    let width = LETTER * label.chars().count() as f64 + 16.0;
    let operands: Vec<PlacedNode> = tree.operands().iter().map(|t| place(t, right)).collect();
    let mut x = match (operands.first(), operands.last()) {
        (Some(first), Some(last)) => f64::midpoint(first.x, last.x),
        _ => *right + GAP + width / 2.0,
    };
    let mut operands = operands;
    // A node wider than its operands pushes them to the right.
    let missing = left + GAP + width / 2.0 - x;
    if missing > 0.0 {
        operands
            .iter_mut()
            .for_each(|operand| shift(operand, missing));
        *right += missing;
        x += missing;
    }
    *right = right.max(x + width / 2.0);
    PlacedNode {
        leaf: tree.is_leaf(),
        label,
        x,
        width,
        operands,
    }
}

fn shift(node: &mut PlacedNode, by: f64) {
    node.x += by;
    node.operands
        .iter_mut()
        .for_each(|operand| shift(operand, by));
}

fn label(tree: &Tree) -> String {
    match tree {
        Tree::Apply(Operator::Add, _) => "+".to_owned(),
        Tree::Apply(Operator::Mul, _) => "·".to_owned(),
        Tree::Apply(Operator::Neg, _) => "−".to_owned(),
        Tree::Apply(op, _) => op.name().to_owned(),
        // Its numbers stand in the formula above.
        Tree::Native(loss) => format!("{}(…)", loss.name()),
        leaf => leaf.to_string(),
    }
}

/// A node at a height, and its operands below.
fn drawn(node: &PlacedNode, top: f64) -> Markup {
    let from = (node.x, top + HEIGHT);
    let class = if node.leaf { "leaf" } else { "node" };
    html! {
        @for operand in &node.operands {
            path.edge d=(format!("M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, operand.x, top + LEVEL)) {}
            (drawn(operand, top + LEVEL))
        }
        rect class=(class) x=(coordinate(node.x - node.width / 2.0)) y=(coordinate(top))
            width=(coordinate(node.width)) height=(HEIGHT) rx="6" {}
        text.mono text-anchor="middle" x=(coordinate(node.x)) y=(coordinate(top + 16.0)) { (node.label) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(node: &PlacedNode, level: usize, out: &mut Vec<(usize, f64, f64)>) {
        out.push((level, node.x - node.width / 2.0, node.x + node.width / 2.0));
        node.operands
            .iter()
            .for_each(|operand| boxes(operand, level + 1, out));
    }

    #[test]
    fn nodes_of_a_level_do_not_overlap() {
        for formula in [
            "square(log(sqrt(yhat)) * (y * y)) + mean_nhw(yhat * max_pool(y))",
            "min_pool(max_pool(mean_nhw(1))) * mean_nhw(mean_nhw(y)) + yhat",
        ] {
            let tree = Tree::parse(formula, &["yhat", "y"]).unwrap();
            let mut right = 0.0;
            let mut all = Vec::new();
            boxes(&place(&tree, &mut right), 0, &mut all);
            assert_eq!(all.len(), tree.size());
            for (i, a) in all.iter().enumerate() {
                assert!(
                    a.1 >= 0.0 && a.2 <= right + 1e-9,
                    "{formula}: {a:?} {right}"
                );
                for b in &all[..i] {
                    assert!(
                        a.0 != b.0 || a.1 >= b.2 || b.1 >= a.2,
                        "{formula}: {a:?} {b:?}"
                    );
                }
            }
        }
    }
}
