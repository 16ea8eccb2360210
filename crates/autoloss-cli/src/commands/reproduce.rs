//! `autoloss reproduce`: the paper's tables and figures.

mod ablation;
mod output;
mod parts;
mod plan;
mod searches;
mod trainings;

use std::path::{Path, PathBuf};

use anyhow::Result;
use autoloss_search::{Comparison, EvaluationSet, Folder, Interrupt, Training};
use clap::{Args, ValueEnum};
use toml::Value;

use crate::config::Config;
use crate::exit::usage;
use crate::interrupt::interrupt_on_ctrl_c;
use crate::output::{print, print_json};
use crate::shell;
use output::{Cell, Output};
use plan::{Data, Plan, Row, Scale, Sheet};
use trainings::OfSetup;

/// Make one of the paper's tables or figures: searches, trainings, the table beside the paper's.
///
/// An interrupted table goes on with the same command; tables in one folder share their searches.
#[derive(Args)]
#[command(after_help = "Examples:
  autoloss reproduce figure4
  autoloss reproduce table2 --scale small --data VOC2012
  autoloss reproduce table3 --scale paper --data VOC2012 --transfer-data cityscapes")]
pub(crate) struct Arguments {
    /// Table or figure.
    #[arg(value_enum)]
    sheet: Sheet,
    /// Size of the reproduction.
    #[arg(long, value_enum, default_value_t = Scale::Tiny)]
    scale: Scale,
    /// Folder of the searches, trainings and tables; default: reproduced/SCALE.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder of the data set that is searched on: VOC's or COCO's layout; not for scale tiny.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the data set that losses are transferred to: Cityscapes, or COCO's layout.
    #[arg(long, value_name = "DIR")]
    transfer_data: Option<PathBuf>,
    /// One setting of all searches and trainings, as in search.time=600. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Worker threads; default: one a core.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let interrupt = interrupt_on_ctrl_c("the same command goes on")?;
    let (sheet, scale) = (arguments.sheet, arguments.scale);
    check_folders(arguments)?;
    let out = match &arguments.out {
        Some(dir) => dir.clone(),
        None => PathBuf::from("reproduced").join(scale.name()),
    };
    let workers = match arguments.workers {
        Some(workers) => workers.clamp(1, 1024),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let data = Data {
        searched: arguments.data.as_deref(),
        transfer: arguments.transfer_data.as_deref(),
    };
    let own = arguments.set.iter().map(|text| Config::setting(text));
    let own = own.collect::<Result<Vec<_>>>()?;
    let folder = Folder::claim(&out)?;
    let mut table = match sheet {
        Sheet::Table8 | Sheet::Figure4 => {
            let searches = ablation::searches(scale, &data, &own)?;
            searches::run_all(&searches, &out, workers, &interrupt)?;
            let longest = match sheet {
                Sheet::Table8 => Some(ablation::longest(scale, &data, &own)?),
                _ => None,
            };
            searches::run_all(longest.as_slice(), &out, workers, &interrupt)?;
            ablation::output(sheet, &searches, longest.as_ref(), &out)?
        }
        _ => {
            let plan = plan_of(sheet, scale, &data, &own)?;
            of_plan(sheet, &plan, &out, workers, &interrupt)?
        }
    };
    let name = sheet
        .to_possible_value()
        .map_or_else(String::new, |v| v.get_name().to_owned());
    let sets: String = arguments
        .set
        .iter()
        .map(|s| format!(" --set {}", shell::word(s)))
        .collect();
    table.command = format!("autoloss reproduce {name} --scale {}{sets}", scale.name());
    table.write(&out, &name)?;
    folder.check()?;
    drop(folder);
    if arguments.json {
        return print_json(&table.json());
    }
    print(&format!(
        "{}\n{}\n",
        table.markdown(),
        out.join(format!("{name}.md")).display()
    ))
}

/// Refuses the folder of a data set that nothing would be read from.
fn check_folders(arguments: &Arguments) -> Result<()> {
    let tiny = arguments.scale == Scale::Tiny;
    let transfers = matches!(arguments.sheet, Sheet::Table3 | Sheet::Table5);
    for (flag, folder) in [
        ("--data", &arguments.data),
        ("--transfer-data", &arguments.transfer_data),
    ] {
        if folder.is_some() && tiny {
            return Err(usage(format!(
                "{flag} is not for --scale tiny, which brings its own data; add --scale small or \
                 --scale paper"
            )));
        }
    }
    match arguments.transfer_data.is_some() && !transfers {
        true => Err(usage(
            "--transfer-data is for table3 and table5 alone: no other table transfers losses",
        )),
        false => Ok(()),
    }
}

fn of_plan(
    sheet: Sheet,
    plan: &Plan,
    out: &Path,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<Output> {
    searches::run_all(&plan.searches, out, workers, interrupt)?;
    let trained = trainings::train(plan, out, workers, interrupt)?;
    if matches!(sheet, Sheet::Parts | Sheet::Half) {
        return parts::output(parts::arms(sheet), plan, &trained[0], out);
    }
    let several = plan.setups.len() > 1;
    let columns = plan.setups.iter().flat_map(|setup| {
        plan.metrics.iter().map(move |metric| match several {
            true => format!("{}: {metric}", setup.title),
            false => (*metric).to_owned(),
        })
    });
    let row = |(place, row): (usize, &Row)| {
        let cells = trained.iter().flat_map(|setup| {
            let comparison = setup[place].as_ref();
            plan.metrics
                .iter()
                .map(move |metric| Cell::of(&scores(comparison?, metric)))
        });
        (row.name().to_owned(), cells.collect())
    };
    let published = plan.published.iter().map(|(row, percents)| {
        let cells = percents.iter().map(|percent| Cell::of(&[percent / 100.0]));
        ((*row).to_owned(), cells.collect())
    });
    Ok(Output {
        title: plan.title.to_owned(),
        set: EvaluationSet::Validation,
        command: String::new(),
        columns: columns.collect(),
        rows: plan.rows.iter().enumerate().map(row).collect(),
        published: published.collect(),
        notes: notes(plan, &trained),
    })
}

/// A training's score in one metric; 0 where it was stopped.
fn score(training: &Training, metric: &str) -> f64 {
    let mut metrics = training.metrics.iter();
    metrics
        .find(|(name, _)| name == metric)
        .map_or(0.0, |(_, score)| *score)
}

/// The scores of a loss's trainings in one metric.
fn scores(comparison: &Comparison, metric: &str) -> Vec<f64> {
    let trainings = comparison.trainings.iter();
    trainings.map(|training| score(training, metric)).collect()
}

/// The comparison with another metric as the score.
fn by_metric(comparison: &Comparison, metric: &str) -> Comparison {
    let comparison = comparison.clone();
    comparison.scored_by(|training| score(training, metric))
}

/// The trainings that failed, which count in no cell.
fn failures(trained: &[OfSetup]) -> Vec<String> {
    let failed = trained
        .iter()
        .flatten()
        .flatten()
        .flat_map(|comparison| &comparison.failed);
    failed
        .map(|failed| format!("{failed}; the same command tries again."))
        .collect()
}

/// For each searched loss whether it is at or above every hand-written one, in its metric.
fn notes(plan: &Plan, trained: &[OfSetup]) -> Vec<String> {
    let mut notes = failures(trained);
    for (setup, comparisons) in plan.setups.iter().zip(trained) {
        for (row, comparison) in plan.rows.iter().zip(comparisons) {
            let Row::Found { name, metric, .. } = row else {
                continue;
            };
            let Some(found) = comparison else {
                notes.push(format!("{name}: the search found no loss."));
                continue;
            };
            let found = by_metric(found, metric);
            let Some(mean) = found.mean else { continue };
            let written = plan
                .rows
                .iter()
                .zip(comparisons)
                .filter(|(row, _)| row.is_written());
            let written = written.filter_map(|(_, c)| Some(by_metric(c.as_ref()?, metric)));
            let best = written
                .filter_map(|c| Some((c.mean?, c)))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let Some((best_mean, best)) = best else {
                continue;
            };
            let p = found.against(&best).and_then(|paired| paired.p);
            notes.push(format!(
                "{name} ({}): {} every hand-written loss in {metric}: {:.4} against {:.4} of {}{}. `{}`",
                setup.title,
                if mean >= best_mean { "at or above" } else { "NOT above" },
                mean,
                best_mean,
                best.name,
                p.map_or_else(String::new, |p| format!(", paired t-test p = {p:.3}")),
                found.formula
            ));
        }
    }
    notes
}

/// The trainings of a table, after its searches.
fn plan_of(sheet: Sheet, scale: Scale, data: &Data<'_>, own: &[(String, Value)]) -> Result<Plan> {
    match sheet {
        Sheet::Parts | Sheet::Half => parts::plan(parts::arms(sheet), scale, data, own),
        _ => Plan::new(sheet, scale, data, own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_valid_settings_at_every_scale() {
        let tables: Vec<Sheet> = Sheet::value_variants()
            .iter()
            .copied()
            .filter(|sheet| !matches!(sheet, Sheet::Table8 | Sheet::Figure4))
            .collect();
        let data = Data {
            searched: Some(Path::new("searched")),
            transfer: Some(Path::new("transfer")),
        };
        for (sheet, scale) in tables.iter().flat_map(|sheet| {
            Scale::value_variants()
                .iter()
                .map(move |scale| (*sheet, *scale))
        }) {
            let plan = plan_of(sheet, scale, &data, &[]).unwrap();
            for search in &plan.searches {
                let config = search.setup.config(&search.settings).unwrap();
                config.search.validate().unwrap();
            }
            for setup in &plan.setups {
                setup.config(&[]).unwrap();
            }
            let names: std::collections::HashSet<&str> = plan.rows.iter().map(Row::name).collect();
            assert_eq!(names.len(), plan.rows.len(), "{sheet:?} at {scale:?}");
            let found = |row: &Row| match row {
                Row::Found { search, .. } => plan.search(search).is_ok(),
                Row::Written(..) => true,
            };
            assert!(plan.rows.iter().all(found));
        }
    }
}
