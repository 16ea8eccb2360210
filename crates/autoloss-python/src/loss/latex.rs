//! Losses as LaTeX.

use autoloss_expr::{Branch, Loss};

/// One formula, or a line for each branch.
pub(super) fn of(loss: &Loss) -> String {
    if let [Branch { name, tree }] = loss.branches.as_slice()
        && name.is_empty()
    {
        return tree.latex();
    }
    let line = |branch: &Branch| {
        let name = branch.name.replace('_', "\\_");
        format!("\\text{{{name}}} &= {}", branch.tree.latex())
    };
    let lines: Vec<String> = loss.branches.iter().map(line).collect();
    format!("\\begin{{aligned}}{}\\end{{aligned}}", lines.join(" \\\\ "))
}
