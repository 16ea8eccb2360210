//! The best losses.

use autoloss_expr::Tree;
use autoloss_search::{CandidateRow, EvaluationSet, resolve};
use maud::{Markup, PreEscaped, html};
use pulldown_latex::{Parser, RenderConfig, Storage, push_mathml};

use super::run::Run;
use crate::plot::short;
use crate::simplified::simplified;
use crate::{curves, tree};

/// The best losses: mathematics, tree, curves.
pub(super) fn losses(run: &Run) -> Markup {
    html! {
        @if !run.best.is_empty() {
            p.faint { "Curves are of a single element, where means and pooling are the identity." }
        }
        @for row in &run.best { (loss(run, row)) }
    }
}

fn loss(run: &Run, row: &CandidateRow) -> Markup {
    let formula = &row.candidate.formula;
    let branches = resolve::read(formula).map(|loss| loss.branches);
    html! {
        div.card {
            h3 {
                "#" (row.candidate.id) " · " (run.info.metric_on(EvaluationSet::Search)) " "
                (row.score.map_or_else(String::new, short))
            }
            p { code { (formula) } }
            @if let Some(simplified) = simplified(formula) {
                p.faint { "simplified: " code { (simplified) } }
            }
            @for branch in branches.unwrap_or_default() {
                @if !branch.name.is_empty() { h3 { (branch.name) } }
                p { (mathml(&branch.tree)) }
                div.three {
                    div { (tree::svg(&branch.tree)) }
                    (curves::svg(&branch.tree, run.kinds.is_probabilities(&branch.name)))
                }
            }
        }
    }
}

/// The formula as MathML, which browsers set as mathematics.
fn mathml(tree: &Tree) -> Markup {
    let latex = tree.latex();
    let storage = Storage::new();
    let mut out = String::new();
    match push_mathml(
        &mut out,
        Parser::new(&latex, &storage),
        RenderConfig::default(),
    ) {
        Ok(()) => PreEscaped(out),
        Err(_) => html! { code { (latex) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_mathematics() {
        let tree = Tree::parse("square(log(yhat) * y) / mean_nhw(y)", &["yhat", "y"]).unwrap();
        let math = mathml(&tree).into_string();
        assert!(
            math.starts_with("<math") && math.contains("<mfrac"),
            "{math}"
        );
    }
}
