//! `autoloss show`: what a run found.

use std::path::Path;

use anyhow::Result;
use autoloss_report::simplified;
use autoloss_search::{
    CandidateRow, Comparison, Conclusion, EvaluationSet, PredictionQuality, RunInfo, Schedule,
    Store, prediction_quality,
};
use serde_json::json;

use super::{print, print_json};
use crate::args::Show;
use crate::config::Config;
use crate::table::Table;

pub(crate) fn show(arguments: &Show) -> Result<()> {
    let store = Store::open(&arguments.dir)?;
    if arguments.json {
        let mut json = as_json(&store, arguments.top)?;
        if arguments.prediction {
            let quality = quality_of_prediction(&arguments.dir, &store)?;
            json["prediction"] = match quality {
                Some(PredictionQuality { spearman, losses }) => {
                    json!({"spearman": spearman, "losses": losses})
                }
                None => serde_json::Value::Null,
            };
        }
        return print_json(&json);
    }
    let mut text = as_text(&store, arguments.top)?;
    if arguments.prediction {
        let quality = quality_of_prediction(&arguments.dir, &store)?;
        text.push_str(&match quality {
            Some(PredictionQuality { spearman, losses }) => format!(
                "\nprediction of scores: Spearman's correlation {spearman:.2}, leaving one out of {losses} \
                 trained losses\n"
            ),
            None => "\nprediction of scores: fewer than eight trained losses, or all alike\n".to_owned(),
        });
    }
    print(&text)
}

/// Quality of the predictions of a run's scores from each other.
fn quality_of_prediction(dir: &Path, store: &Store) -> Result<Option<PredictionQuality>> {
    let config = Config::of_run(dir, &store.info()?)?;
    Ok(prediction_quality(&*config.open_task()?, store)?)
}

/// A run as text: its state, the best losses, the comparison.
pub(crate) fn as_text(store: &Store, top: usize) -> Result<String> {
    let info = store.info()?;
    let tally = store.tally()?;
    let end = info.ended.as_deref().unwrap_or("not ended");
    let mut text = format!(
        "task {}, metric {}, seed {}; {:.0} s, {end}\n\n",
        info.task, info.metric, info.settings.search.seed, info.elapsed
    );
    let mut funnel = Table::new(&["candidates", ">number"]);
    for (what, number) in [
        ("drawn", tally.drawn),
        ("structural: no prediction or no target", tally.structural),
        ("judged before", tally.cached),
        ("invalid", tally.invalid),
        ("rejected", tally.rejected),
        ("equivalent", tally.equivalent),
        ("not chosen", tally.not_chosen),
        ("evaluated", tally.evaluations),
        ("  of them stopped", tally.stopped),
        ("  of them failed", tally.failed),
    ] {
        funnel.row([what.to_owned(), number.to_string()]);
    }
    if tally.repeated > 0 {
        let again = "leaders trained again".to_owned();
        funnel.row([again, tally.repeated.to_string()]);
    }
    if tally.lost > 0 {
        funnel.row(["  of them lost".to_owned(), tally.lost.to_string()]);
    }
    text.push_str(&format!("{funnel}\n"));
    text.push_str(&best_text(store, &info, top)?);
    let finalists = store.finalists()?;
    if !finalists.is_empty() {
        text.push_str(&format!(
            "\nfinalists in full training, of which the best goes on: {}\n{}",
            info.metric_on(EvaluationSet::Search),
            comparisons_text(&finalists, None)
        ));
    }
    let comparisons = store.comparisons()?;
    if !comparisons.is_empty() {
        text.push_str(&format!(
            "\n{} with fresh seeds: {}\n{}",
            match info.compared_by {
                Schedule::Proxy => "the proxy training",
                Schedule::Full => "full training",
            },
            info.metric_on(EvaluationSet::Validation),
            comparisons_text(&comparisons, store.reference()?.map(|r| r.name).as_deref())
        ));
    }
    text.push_str(&result(store, &info)?);
    Ok(text)
}

/// The best losses by the proxy.
fn best_text(store: &Store, info: &RunInfo, top: usize) -> Result<String> {
    let several = info.settings.search.leader_trainings > 1;
    let header: &[&str] = match several {
        true => &[">id", ">score", ">trainings", ">g", "loss"],
        false => &[">id", ">score", ">g", "loss"],
    };
    let mut best = Table::new(header);
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let mut row = |id: String, score: Option<f64>, trainings: u64, g: Option<f64>, loss: &str| {
        let mut cells = vec![id, number(score), number(g), by_branch(loss)];
        if several {
            cells.insert(2, trainings.to_string());
        }
        best.row(cells);
    };
    let rows = store.top(top)?;
    let simplified = simplified_table(&rows);
    for CandidateRow {
        candidate,
        score,
        trainings,
        ..
    } in rows
    {
        let (id, loss) = (candidate.id.to_string(), &candidate.formula);
        row(id, score, trainings, candidate.g, loss);
    }
    if let Some(reference) = store.reference()? {
        let loss = format!("{} ({})", reference.formula, reference.name);
        row("-".to_owned(), Some(reference.score), 1, None, &loss);
    }
    let seeds = if several { "mean scores" } else { "one seed" };
    let metric = info.metric_on(EvaluationSet::Search);
    Ok(format!(
        "best losses on the proxy, {seeds}: {metric}\n{best}{simplified}"
    ))
}

/// The losses that have a shorter form, below a line that tells so; empty where none has.
fn simplified_table(rows: &[CandidateRow]) -> String {
    let mut table = Table::new(&[">id", "simplified, with the same value and gradients"]);
    let mut is_empty = true;
    for row in rows {
        if let Some(simplified) = simplified(&row.candidate.formula) {
            table.row([row.candidate.id.to_string(), by_branch(&simplified)]);
            is_empty = false;
        }
    }
    match is_empty {
        true => String::new(),
        false => format!("\n{table}"),
    }
}

/// The result of a run in words: the final comparison in one sentence, and the loss that is recommended.
fn result(store: &Store, info: &RunInfo) -> Result<String> {
    let Some(conclusion) = store.conclusion()? else {
        return Ok(String::new());
    };
    let (name, formula) = conclusion.recommended();
    Ok(format!(
        "\n{conclusion}: {}, {}.\nRecommended (`--loss @DIR`): {name}\n    {}\n",
        info.compared_by,
        info.metric_on(EvaluationSet::Validation),
        by_branch(formula).replace('\n', "\n    ")
    ))
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

/// A loss of several branches with a line for each.
pub(crate) fn by_branch(formula: &str) -> String {
    formula.replace("; ", "\n")
}

/// A name for a table: a formula may be one.
pub(crate) fn short(name: &str) -> String {
    /// Characters that are shown.
    const LENGTH: usize = 40;
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match name.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
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

/// A run as JSON.
pub(crate) fn as_json(store: &Store, top: usize) -> Result<serde_json::Value> {
    let info = store.info()?;
    let tally = store.tally()?;
    let best: Vec<_> = store
        .top(top)?
        .into_iter()
        .map(|row| {
            let c = row.candidate;
            json!({
                "id": c.id, "set": info.searched_on, "score": row.score, "g": c.g, "loss": c.formula,
                "simplified": simplified(&c.formula),
            })
        })
        .collect();
    let reference = store
        .reference()?
        .map(|r| json!({"name": r.name, "set": r.set, "score": r.score, "loss": r.formula}));
    let operators: Vec<_> = store
        .operator_counts()?
        .into_iter()
        .map(|(name, count)| json!({"operator": name, "count": count}))
        .collect();
    Ok(json!({
        "task": info.task,
        "metric": info.metric,
        "seed": info.settings.search.seed,
        "seconds": info.elapsed,
        "end": info.ended,
        "candidates": {
            "set": info.searched_on,
            "drawn": tally.drawn, "structural": tally.structural, "cached": tally.cached,
            "invalid": tally.invalid, "rejected": tally.rejected, "equivalent": tally.equivalent,
            "not_chosen": tally.not_chosen,
            "evaluations": tally.evaluations, "stopped": tally.stopped, "failed": tally.failed,
            "lost": tally.lost,
        },
        "best": best,
        "reference": reference,
        "progress": store.progress()?,
        "operators": operators,
        "finalists": comparisons_json(&store.finalists()?),
        "schedule": info.compared_by,
        "comparisons": comparisons_json(&store.comparisons()?),
        "conclusion": store.conclusion()?.as_ref().map(conclusion_json),
        "recommended": store.recommended()?.map(|(name, loss)| json!({"name": name, "loss": loss})),
    }))
}

/// The result of a final comparison as JSON.
fn conclusion_json(conclusion: &Conclusion) -> serde_json::Value {
    let against = conclusion.against.as_ref().map(|against| {
        json!({
            "baseline": against.baseline, "standing": against.standing, "mean": against.mean,
            "difference": against.paired.difference, "p": against.paired.p, "seeds": against.paired.seeds,
        })
    });
    json!({
        "found": conclusion.found, "mean": conclusion.mean, "sentence": conclusion.to_string(),
        "against": against,
    })
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
