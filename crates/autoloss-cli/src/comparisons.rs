//! Comparisons of losses as text and JSON.

use anyhow::Result;
use autoloss_search::{Comparison, Ended};
use serde_json::json;

use crate::loss_text::{by_branch, short};
use crate::table::Table;

/// A line about a training that ended.
pub(crate) fn in_words(ended: &Ended) -> String {
    match ended {
        Ok(training) => {
            let note = training.note.as_ref();
            let note = note.map_or_else(String::new, |note| format!(" ({note})"));
            let (name, score, seconds) = (&training.name, training.score, training.seconds);
            format!("{name} {score:.4} in {seconds:.1} s{note}")
        }
        Err(failed) => failed.to_string(),
    }
}

/// A table of comparisons and below it the trainings that failed.
pub(crate) fn comparisons_text(comparisons: &[Comparison], reference: Option<&str>) -> String {
    let mut text = comparison_table(comparisons, reference).to_string();
    let failed: Vec<_> = comparisons.iter().flat_map(|c| &c.failed).collect();
    if failed.is_empty() {
        return text;
    }
    let all = failed.len() + comparisons.iter().map(|c| c.trainings.len()).sum::<usize>();
    text.push_str(&format!("\n{} of {all} trainings failed\n", failed.len()));
    for failed in failed {
        text.push_str(&format!(
            "{} with seed {}: {}\n",
            failed.name, failed.seed, failed.message
        ));
    }
    text
}

/// Fails where a loss has no training with a score.
pub(crate) fn ensure_scored(comparisons: &[Comparison]) -> Result<()> {
    let without = comparisons.iter().filter(|c| c.trainings.is_empty());
    let lines: Vec<String> = without
        .filter_map(|c| {
            let (count, first) = (c.failed.len(), c.failed.first()?);
            let message = &first.message;
            Some(format!(
                "{}: all {count} trainings failed: {message}",
                c.name
            ))
        })
        .collect();
    anyhow::ensure!(lines.is_empty(), "{}", lines.join("\n"));
    Ok(())
}

/// Comparisons, best first, each against the one of that name, by default the first: the mean
/// difference over the seeds, and the p of a paired t-test.
fn comparison_table(comparisons: &[Comparison], reference: Option<&str>) -> Table {
    let named = |c: &&Comparison| reference.is_some_and(|name| c.name == name);
    let reference = comparisons.iter().find(named).or(comparisons.first());
    let mut sorted: Vec<&Comparison> = comparisons.iter().collect();
    sorted.sort_by(|a, b| a.better_first(b));
    let against = reference.map_or_else(String::new, |r| format!(">against {}", short(&r.name)));
    let mut table = Table::new(&["name", ">mean ± std", &against, ">p", "scores", "loss"]);
    for c in sorted {
        let [difference, p] = against_cells(c, reference);
        let scores: Vec<String> = c
            .trainings
            .iter()
            .map(|t| format!("{:.4}", t.score))
            .collect();
        table.row([
            short(&c.name),
            match (c.mean, c.std) {
                (Some(mean), Some(std)) => format!("{mean:.4} ± {std:.4}"),
                _ => "failed".to_owned(),
            },
            difference,
            p,
            scores.join(" "),
            by_branch(&c.formula),
        ]);
    }
    table
}

/// A loss's mean difference to another one and the p of the paired test; empty against itself.
fn against_cells(comparison: &Comparison, reference: Option<&Comparison>) -> [String; 2] {
    let other = reference.filter(|r| r.name != comparison.name);
    let Some(paired) = other.and_then(|r| comparison.against(r)) else {
        return [String::new(), String::new()];
    };
    let p = paired.p.map_or_else(String::new, |p| format!("{p:.3}"));
    [format!("{:+.4}", paired.difference), p]
}

/// Comparisons as JSON, each against the first.
pub(crate) fn comparisons_json(comparisons: &[Comparison]) -> serde_json::Value {
    let paired = |c: &Comparison| {
        let first = comparisons.first().filter(|first| first.name != c.name);
        let paired = first.and_then(|first| c.against(first));
        paired.map(|p| json!({"difference": p.difference, "p": p.p, "seeds": p.seeds}))
    };
    let one = |c: &Comparison| {
        let trainings: Vec<_> = c
            .trainings
            .iter()
            .map(|t| {
                json!({
                    "seed": t.seed, "set": t.set, "score": t.score, "search_score": t.search_score(),
                    "seconds": t.seconds, "note": t.note,
                })
            })
            .collect();
        let failed = c.failed.iter();
        let failed = failed.map(|f| json!({"seed": f.seed, "message": f.message}));
        json!({
            "name": c.name, "loss": c.formula, "set": c.trainings.first().map(|t| t.set),
            "mean": c.mean, "std": c.std, "search_mean": c.search_mean(),
            "against_first": paired(c),
            "trainings": trainings,
            "failed": failed.collect::<Vec<_>>(),
        })
    };
    comparisons.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use autoloss_search::{EvaluationSet, FailedTraining, Training, summarise};

    use super::*;

    fn scored(name: &str, seed: u64, score: f64) -> Training {
        Training {
            name: name.to_owned(),
            formula: "y".to_owned(),
            seed,
            set: EvaluationSet::Validation,
            score,
            seconds: 1.0,
            note: None,
            curve: Vec::new(),
            metrics: Vec::new(),
            pictures: Vec::new(),
        }
    }

    fn failed(name: &str, seed: u64) -> FailedTraining {
        FailedTraining {
            name: name.to_owned(),
            formula: "yhat".to_owned(),
            seed,
            message: "out of memory".to_owned(),
            seconds: 1.0,
        }
    }

    #[test]
    fn a_failed_training_is_told_and_enters_no_number() {
        let comparisons = summarise(vec![
            Ok(scored("a", 1, 0.25)),
            Ok(scored("a", 2, 0.75)),
            Err(failed("a", 3)),
            Err(failed("b", 1)),
            Err(failed("b", 2)),
            Ok(scored("c", 3, 0.5)),
        ]);
        let text = comparisons_text(&comparisons, None);
        insta::assert_snapshot!(text);
        let json = comparisons_json(&comparisons);
        assert_eq!(json[0]["mean"], 0.5);
        assert_eq!(json[0]["set"], "validation");
        assert_eq!(json[0]["trainings"].as_array().unwrap().len(), 2);
        assert_eq!(json[0]["failed"][0]["seed"], 3);
        assert_eq!(json[0]["failed"][0]["message"], "out of memory");
        assert!(json[1]["mean"].is_null() && json[1]["against_first"].is_null());
        // The seeds that both have are none.
        assert!(json[2]["against_first"].is_null());
        let error = ensure_scored(&comparisons).unwrap_err().to_string();
        assert_eq!(error, "b: all 2 trainings failed: out of memory");
        assert!(ensure_scored(&comparisons[..1]).is_ok());
    }
}
