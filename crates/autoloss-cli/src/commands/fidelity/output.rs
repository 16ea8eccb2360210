//! The fidelity of a proxy as text and JSON.

use std::fmt::Write;

use autoloss_search::fidelity::{CHOSEN, Correlation, Fidelity, FidelityReport, Tried, mid_ranks};
use autoloss_search::{Comparison, EvaluationSet, Schedule};
use autoloss_vision::tasks::TaskSettings;
use serde_json::{Value, json};

use crate::loss_text::{by_branch, short as short_name};
use crate::table::Table;

/// The fidelity of a task's proxy, by all metrics.
pub(super) struct MeasuredFidelity<'a> {
    /// Names of task and metric.
    pub(super) task: (&'a str, &'a str),
    /// Settings of a task of ours.
    pub(super) settings: Option<&'a TaskSettings>,
    pub(super) report: &'a FidelityReport,
    /// Fidelity by the searched metric.
    pub(super) fidelity: Fidelity,
    /// Fidelity by further metrics of the same trainings.
    pub(super) by_metric: Vec<(String, Fidelity)>,
    /// Seeds of proxy trainings and of full ones.
    pub(super) seeds: (usize, usize),
}

impl MeasuredFidelity<'_> {
    pub(super) fn task(&self) -> String {
        format!("{} for {}", self.task.0, self.task.1)
    }

    /// A schedule in words.
    pub(super) fn schedule(&self, schedule: Schedule) -> String {
        let (set, seeds) = match schedule {
            Schedule::Proxy => (EvaluationSet::Search, self.seeds.0),
            Schedule::Full => (EvaluationSet::Validation, self.seeds.1),
        };
        let training = self.settings.map_or_else(String::new, |settings| {
            let training = settings.training(schedule);
            let (steps, batch) = (training.steps, training.batch);
            let network = settings.network(schedule);
            format!("{steps} updates of {batch} examples with {network}, ")
        });
        let plural = if seeds == 1 { "" } else { "s" };
        format!("{schedule}: {training}scored on the {set}, {seeds} seed{plural}")
    }
}

/// The panel, the best in full training first, and the trainings that failed.
pub(super) fn table(report: &FidelityReport) -> String {
    let mut table = Table::new(&[
        "name",
        "kind",
        ">proxy",
        ">rank",
        ">full training",
        ">rank",
        "loss",
    ]);
    let ranks = ranks(report);
    for (tried, [proxy, full]) in report.losses.iter().zip(&ranks) {
        table.row([
            short_name(&tried.name),
            tried.kind.name().to_owned(),
            scores(&tried.proxy),
            rank(*proxy),
            scores(&tried.full),
            rank(*full),
            by_branch(&tried.formula),
        ]);
    }
    let mut text = table.to_string();
    let comparisons = report
        .losses
        .iter()
        .flat_map(|tried| [&tried.proxy, &tried.full]);
    for comparison in comparisons {
        for failed in &comparison.failed {
            let _ = writeln!(text, "{failed}");
        }
    }
    text
}

/// Mean score and deviation of some trainings; a score of 0 because values were not finite says so.
pub(super) fn scores(comparison: &Comparison) -> String {
    let (Some(mean), Some(std)) = (comparison.mean, comparison.std) else {
        return "failed".to_owned();
    };
    let mut trainings = comparison.trainings.iter();
    match comparison.trainings.len() {
        _ if trainings.all(|training| training.note.is_some()) => "0 (stopped)".to_owned(),
        1 => format!("{mean:.4}"),
        _ => format!("{mean:.4} ± {std:.4}"),
    }
}

/// Ranks by the proxy and in full training, the best first, of the losses that have both scores.
pub(super) fn ranks(report: &FidelityReport) -> Vec<[Option<f64>; 2]> {
    let pairs = report.pairs();
    let proxy = mid_ranks(&pairs.iter().map(|pair| -pair.0).collect::<Vec<f64>>());
    let full = mid_ranks(&pairs.iter().map(|pair| -pair.1).collect::<Vec<f64>>());
    let mut ranks = proxy.into_iter().zip(full);
    let next = |tried: &Tried| match tried.scores() {
        Some(_) => ranks.next().map_or([None; 2], |(p, f)| [Some(p), Some(f)]),
        None => [None; 2],
    };
    report.losses.iter().map(next).collect()
}

pub(super) fn rank(rank: Option<f64>) -> String {
    rank.map_or_else(|| "-".to_owned(), |rank| format!("{rank}"))
}

/// A correlation with its interval.
pub(super) fn correlation(correlation: &Correlation) -> String {
    match (correlation.value, correlation.interval) {
        (Some(value), Some([low, high])) => format!("{value:.2} [{low:.2}, {high:.2}]"),
        (Some(value), None) => format!("{value:.2}"),
        (None, _) => "undefined".to_owned(),
    }
}

/// The loss with the best full score, and that of the proxy's first ones.
fn best(report: &FidelityReport) -> Option<(&Tried, &Tried)> {
    let mut scored: Vec<(&Tried, (f64, f64))> = report
        .losses
        .iter()
        .filter_map(|tried| Some((tried, tried.scores()?)))
        .collect();
    let best = scored.first()?.0;
    scored.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    scored.truncate(CHOSEN);
    let full = |tried: &&(&Tried, (f64, f64))| tried.1.1;
    let chosen = scored.iter().max_by(|a, b| full(a).total_cmp(&full(b)))?;
    Some((best, chosen.0))
}

/// The figures, a line each: name and number in words.
pub(super) fn figures(measured: &MeasuredFidelity<'_>) -> Vec<(&'static str, String)> {
    let (report, fidelity) = (measured.report, &measured.fidelity);
    let mut lines = vec![
        ("Spearman's correlation", correlation(&fidelity.spearman)),
        ("Kendall's correlation", correlation(&fidelity.kendall)),
    ];
    let mut regret = format!("{:.4}", fidelity.regret);
    if let Some((best, chosen)) = best(report) {
        let (best, chosen) = (short_name(&best.name), short_name(&chosen.name));
        let _ = write!(
            regret,
            " (best in full training: {best}; of the proxy's first {CHOSEN}: {chosen})"
        );
    }
    lines.push(("regret", regret));
    if let Some(proxy) = report.seconds(Schedule::Proxy) {
        let rate = 60.0 / proxy.max(1e-9);
        let text = format!("{proxy:.2} s, {rate:.1} evaluations a minute of one core");
        lines.push(("a proxy training", text));
    }
    if let Some(full) = report.seconds(Schedule::Full) {
        let ratio = report.cost_ratio();
        let ratio = ratio.map_or_else(String::new, |ratio| {
            format!(", the cost of {ratio:.1} proxy trainings")
        });
        lines.push(("a full training", format!("{full:.2} s{ratio}")));
    }
    lines
}

fn metric_table(measured: &MeasuredFidelity<'_>) -> Table {
    let mut table = Table::new(&["metric", ">Spearman", ">Kendall", ">regret"]);
    for (name, fidelity) in &measured.by_metric {
        table.row([
            name.clone(),
            correlation(&fidelity.spearman),
            correlation(&fidelity.kendall),
            format!("{:.4}", fidelity.regret),
        ]);
    }
    table
}

pub(super) fn as_text(measured: &MeasuredFidelity<'_>) -> String {
    let mut text = format!(
        "task {}\n{}\n{}\n\n{}\n",
        measured.task(),
        measured.schedule(Schedule::Proxy),
        measured.schedule(Schedule::Full),
        table(measured.report)
    );
    let figures = figures(measured);
    for (name, figure) in &figures {
        let _ = writeln!(text, "{name:<24}{figure}");
    }
    if !measured.by_metric.is_empty() {
        let _ = write!(
            text,
            "\nby further metrics of the same trainings:\n{}",
            metric_table(measured)
        );
    }
    text.push_str("correlations with 95 % bootstrap intervals over the panel\n");
    text
}

pub(super) fn as_json(measured: &MeasuredFidelity<'_>) -> Value {
    let (report, settings) = (measured.report, measured.settings);
    let schedule = |schedule: Schedule, set: EvaluationSet, seeds: usize| {
        json!({
            "network": settings.map(|settings| settings.network(schedule)),
            "updates": settings.map(|settings| settings.training(schedule).steps),
            "batch": settings.map(|settings| settings.training(schedule).batch),
            "set": set,
            "seeds": seeds,
            "seconds": report.seconds(schedule),
        })
    };
    let agreement = |fidelity: &Fidelity| {
        json!({
            "spearman": fidelity.spearman.value,
            "spearman_interval": fidelity.spearman.interval,
            "kendall": fidelity.kendall.value,
            "kendall_interval": fidelity.kendall.interval,
            "regret": fidelity.regret,
        })
    };
    let metrics = measured.by_metric.iter();
    let metrics = metrics.map(|(name, fidelity)| (name.clone(), agreement(fidelity)));
    let mut value = agreement(&measured.fidelity);
    let proxy = report.seconds(Schedule::Proxy).filter(|s| *s > 0.0);
    let more = json!({
        "task": measured.task.0,
        "metric": measured.task.1,
        "proxy": schedule(Schedule::Proxy, EvaluationSet::Search, measured.seeds.0),
        "full": schedule(Schedule::Full, EvaluationSet::Validation, measured.seeds.1),
        "losses": report.losses.iter().map(loss_json).collect::<Vec<Value>>(),
        "trained": report.trained().count(),
        "proxy_seconds": report.seconds(Schedule::Proxy),
        "full_seconds": report.seconds(Schedule::Full),
        "cost_ratio": report.cost_ratio(),
        "evaluations_per_minute": proxy.map(|seconds| 60.0 / seconds),
        "metrics": metrics.collect::<serde_json::Map<String, Value>>(),
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

fn loss_json(tried: &Tried) -> Value {
    let trainings = |comparison: &Comparison| -> Value {
        let trainings = comparison.trainings.iter();
        let trainings = trainings.map(
            |t| json!({"seed": t.seed, "score": t.score, "seconds": t.seconds, "note": t.note}),
        );
        trainings.collect()
    };
    let failed = |comparison: &Comparison| -> Value {
        let failed = comparison.failed.iter();
        failed
            .map(|f| json!({"seed": f.seed, "message": f.message}))
            .collect()
    };
    json!({
        "name": tried.name, "kind": tried.kind.name(), "loss": tried.formula,
        "proxy": tried.proxy.mean, "proxy_std": tried.proxy.std,
        "full": tried.full.mean, "full_std": tried.full.std,
        "proxy_trainings": trainings(&tried.proxy), "full_trainings": trainings(&tried.full),
        "proxy_failed": failed(&tried.proxy), "full_failed": failed(&tried.full),
    })
}

#[cfg(test)]
mod tests;
