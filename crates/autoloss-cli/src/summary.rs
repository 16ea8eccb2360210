//! A run as text and JSON.

use anyhow::Result;
use autoloss_report::simplified;
use autoloss_search::{
    CandidateRow, Conclusion, EvaluationSet, RunInfo, Schedule, Store, WorkerSummary,
};
use serde_json::json;

use crate::comparisons::{comparisons_json, comparisons_text};
use crate::loss_text::by_branch;
use crate::table::Table;

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
    text.push_str(&workers_text(&store.workers()?));
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

/// The work of each worker; empty where there was one alone.
fn workers_text(workers: &[WorkerSummary]) -> String {
    if workers.len() < 2 {
        return String::new();
    }
    let mut table = Table::new(&[">worker", ">trials", ">busy", ">lost"]);
    for worker in workers {
        table.row([
            worker.worker.to_string(),
            worker.trials.to_string(),
            format!("{:.0} %", 100.0 * worker.busy),
            worker.lost.to_string(),
        ]);
    }
    format!("{table}busy: share of the search's time in trainings\n\n")
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
        "workers": store.workers()?,
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
