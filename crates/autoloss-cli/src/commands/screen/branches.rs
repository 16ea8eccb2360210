//! `autoloss screen --compare-branches`: branch by branch against all together.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use autoloss_search::{BranchAgreement, Interrupt, Settings, Task, compare_branches};
use serde_json::json;

use crate::output::{self, print, print_json};
use crate::table::Table;

pub(super) fn compare(
    (count, json): (u64, bool),
    task: &dyn Task,
    settings: &Settings,
    interrupt: &Interrupt,
    on_done: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let what = (count, settings.search.seed, settings.search.worker_count());
    // Candidates end in no order: they are counted.
    let done = AtomicU64::new(0);
    let add = |_| on_done(1 + done.fetch_add(1, Ordering::Relaxed));
    let agreement = compare_branches(task, settings, what, interrupt, &add);
    output::show(None);
    let agreement = agreement?;
    if json {
        print_json(&as_json(&agreement))?;
    } else {
        print(&as_text(&agreement))?;
    }
    let judged = agreement.candidates.len() as u64;
    anyhow::ensure!(
        judged == count,
        "interrupted: {judged} of {count} candidates were screened"
    );
    Ok(())
}

fn as_json(agreement: &BranchAgreement) -> serde_json::Value {
    let candidates = agreement.candidates.iter().map(|candidate| {
        json!({
            "loss": candidate.formula,
            "apart": candidate.apart,
            "together": candidate.together.name(),
            "reason": candidate.reason,
            "g": candidate.g.filter(|g| g.is_finite()),
        })
    });
    json!({
        "candidates": candidates.collect::<Vec<_>>(),
        "both_pass": agreement.count((true, true)),
        "only_apart": agreement.count((true, false)),
        "only_together": agreement.count((false, true)),
        "neither": agreement.count((false, false)),
        "per_minute_together": agreement.per_minute(),
    })
}

fn as_text(agreement: &BranchAgreement) -> String {
    let mut counts = Table::new(&["", ">passes together", ">does not"]);
    for (name, apart) in [("passes apart", true), ("does not", false)] {
        let cell = |together| agreement.count((apart, together)).to_string();
        counts.row([name.to_owned(), cell(true), cell(false)]);
    }
    let same = agreement.count((true, true)) + agreement.count((false, false));
    let all = agreement.candidates.len();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let share = 100.0 * same as f64 / all.max(1) as f64;
    let rate = agreement.per_minute();
    format!(
        "{counts}\nthe two agree on {same} of {all} candidates: {share:.1} %\n\
         all branches together, {rate:.0} candidates a minute\n"
    )
}
