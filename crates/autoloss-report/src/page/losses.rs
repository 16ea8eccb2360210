//! The best losses.

use std::fmt::Write;

use autoloss_expr::{Branch, Tree};
use autoloss_search::{EvaluationSet, resolve};
use pulldown_latex::{Parser, RenderConfig, Storage, push_mathml};

use super::Run;
use crate::plot::{escape, short};
use crate::{curves, simplified, tree};

/// The best losses: mathematics, tree, curves.
pub(super) fn losses(run: &Run) -> String {
    let mut text = String::new();
    for row in &run.best {
        let _ = write!(
            text,
            "<div class=\"card\"><h3>#{} · {} {}</h3><p><code>{}</code></p>",
            row.candidate.id,
            escape(&run.info.metric_on(EvaluationSet::Search)),
            row.score.map_or_else(String::new, short),
            escape(&row.candidate.formula)
        );
        if let Some(simplified) = simplified(&row.candidate.formula) {
            let _ = write!(
                text,
                "<p class=\"faint\">simplified: <code>{}</code></p>",
                escape(&simplified)
            );
        }
        let branches = resolve::read(&row.candidate.formula).map(|loss| loss.branches);
        for Branch { name, tree } in branches.unwrap_or_default() {
            if !name.is_empty() {
                let _ = write!(text, "<h3>{}</h3>", escape(&name));
            }
            let _ = write!(
                text,
                "<p>{}</p><div class=\"three\"><div>{}</div>{}</div>",
                mathml(&tree),
                tree::svg(&tree),
                curves::svg(&tree, run.kinds.is_probabilities(&name))
            );
        }
        text.push_str("</div>");
    }
    if text.is_empty() {
        return text;
    }
    "<p class=\"faint\">Curves are of a single element, where means and pooling are the identity.</p>".to_owned()
        + &text
}

/// The formula as MathML, which browsers set as mathematics.
fn mathml(tree: &Tree) -> String {
    let latex = tree.latex();
    let storage = Storage::new();
    let mut out = String::new();
    match push_mathml(
        &mut out,
        Parser::new(&latex, &storage),
        RenderConfig::default(),
    ) {
        Ok(()) => out,
        Err(_) => format!("<code>{}</code>", escape(&latex)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_mathematics() {
        let tree = Tree::parse("square(log(yhat) * y) / mean_nhw(y)", &["yhat", "y"]).unwrap();
        let math = mathml(&tree);
        assert!(
            math.starts_with("<math") && math.contains("<mfrac"),
            "{math}"
        );
    }
}
