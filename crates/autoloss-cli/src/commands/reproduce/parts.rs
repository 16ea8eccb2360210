//! The parts of the search that the paper does not have, each switched on or off: the losses found in equal time
//! over several run seeds, in full training.

use std::path::Path;

use anyhow::{Context, Result, bail};
use autoloss_search::{EvaluationSet, Paired, Settings, Store, parse_toml};
use toml::Value;

use super::output::{Cell, Output};
use super::plan::{
    Changes, Data, Group, Plan, Row, Scale, Search, Setup, Sheet, flatten, searched_in,
};
use super::searches::folder;
use super::trainings::OfSetup;
use crate::config::Config;

/// Run seeds of each arm.
const RUN_SEEDS: usize = 5;

/// Full trainings of each loss found.
const TRAININGS: usize = 2;

/// A search with one thing changed.
pub(super) struct Arm {
    key: &'static str,
    name: &'static str,
    /// Share of the time of the others.
    time: f64,
    /// Differences from the task's settings, as `--set` takes them.
    settings: &'static [&'static str],
}

const fn arm(key: &'static str, name: &'static str, settings: &'static [&'static str]) -> Arm {
    Arm {
        key,
        name,
        time: 1.0,
        settings,
    }
}

/// Key of the setting that limits the time of a search.
const TIME: &str = "search.time";

/// Key of the arm without any change.
const DEFAULTS: &str = "defaults";

/// Key of the arm with the published configuration.
const PAPER: &str = "paper";

/// Key of the arm that is compared with the published configuration.
const HALF: &str = "half";

/// The second and the third are those of the table of halves.
const ARMS: &[Arm] = &[
    arm(DEFAULTS, "the defaults", &[]),
    arm(PAPER, "the paper's configuration (--preset paper)", &[]),
    Arm {
        time: 0.5,
        ..arm(HALF, "the defaults in half of the time", &[])
    },
    arm("random", "random search", &["search.strategy=random"]),
    arm("unpredicted", "without predictions", &["search.choices=1"]),
    arm(
        "unsearched",
        "without the local search among the choices",
        &["search.local_search=0"],
    ),
    arm(
        "unending",
        "in a single climb, without end",
        &["search.patience=0"],
    ),
    arm(
        "tournament",
        "with parents from smaller tournaments",
        &["search.tournament=0.05"],
    ),
    arm(
        "rungs",
        "with rungs at 1/4 and 1/2",
        &["search.rungs=[0.25, 0.5]"],
    ),
    arm(
        "racing",
        "with 3 trainings of each leader",
        &["search.leader_trainings=3"],
    ),
    arm("constants", "with constants", &["search.constants=0.2"]),
    arm(
        "tuning",
        "with constants, tuned at the end",
        &["search.constants=0.2", "search.tuning=0.2"],
    ),
    arm("crossover", "with crossover", &["search.crossover=0.3"]),
    arm(
        "zoo",
        "from the hand-written losses (--start zoo)",
        &["search.start=[\"zoo\"]"],
    ),
];

/// The arms of a table. The others are compared with the first.
pub(super) fn arms(sheet: Sheet) -> &'static [Arm] {
    match sheet {
        Sheet::Half => &ARMS[1..3],
        _ => ARMS,
    }
}

/// Searches and trainings of arms.
///
/// # Errors
/// A time among the user's own settings that is no number.
pub(super) fn plan(
    arms: &[Arm],
    scale: Scale,
    data: &Data<'_>,
    own: &[(String, Value)],
) -> Result<Plan> {
    let mut setup = searched_in(["digits", "voc"], scale, data, &[Group::SegmentationProxy])?;
    // Each arm has its share of the time.
    let (own_time, others): (Vec<_>, Vec<_>) =
        own.iter().cloned().partition(|(key, _)| key == TIME);
    setup.own = others;
    let time = match own_time.last() {
        Some((_, Value::Float(seconds))) => *seconds,
        Some((_, Value::Integer(seconds))) => *seconds as f64,
        Some((key, other)) => bail!("{key} is {other}, expected a number of seconds"),
        None => time(scale),
    };
    let mut searches = Vec::new();
    let mut rows = vec![
        Row::Written("cross entropy", "zoo:cross_entropy".to_owned()),
        Row::Written("Dice", "zoo:dice".to_owned()),
    ];
    // Seed by seed, so that an interrupted table has all arms of the first seeds.
    for seed in 0..RUN_SEEDS {
        for arm in arms {
            let search = search(arm, seed, &setup, time)?;
            rows.push(Row::Found {
                name: row_name(arm, seed),
                search: search.key.clone(),
                metric: "",
            });
            searches.push(search);
        }
    }
    Ok(Plan {
        title: "Losses found with and without each part of the search, in equal time",
        searches,
        rows,
        setups: vec![setup],
        metrics: Vec::new(),
        seeds: TRAININGS,
        published: Vec::new(),
    })
}

fn row_name(arm: &Arm, seed: usize) -> String {
    format!("{}, seed {seed}", arm.key)
}

/// Seconds of a search.
fn time(scale: Scale) -> f64 {
    match scale {
        Scale::Tiny => 300.0,
        Scale::Small => 3600.0,
        Scale::Paper => 48.0 * 3600.0,
    }
}

fn search(arm: &Arm, seed: usize, setup: &Setup, time: f64) -> Result<Search> {
    let mut settings = match arm.key == PAPER {
        true => of_paper()?,
        false => Vec::new(),
    };
    for text in arm.settings {
        settings.push(Config::setting(text)?);
    }
    settings.extend([
        ("search.seed".to_owned(), Value::Integer(seed as i64)),
        (TIME.to_owned(), Value::Float(arm.time * time)),
        // The table itself is the final comparison, and trainings of finalists would take most of a short search.
        ("search.finalist_seeds".to_owned(), Value::Integer(0)),
        ("search.final_seeds".to_owned(), Value::Integer(0)),
    ]);
    Ok(Search {
        key: format!("parts-{}-{seed}", arm.key),
        setup: setup.clone(),
        settings,
    })
}

/// The keys of the published configuration.
fn of_paper() -> Result<Changes> {
    let table = parse_toml(Settings::PAPER_TOML).map_err(anyhow::Error::msg)?;
    let mut settings = Vec::new();
    flatten(String::new(), table.into(), &mut settings);
    Ok(settings)
}

/// Results of an arm, a number a run seed.
struct FoundByArm {
    key: &'static str,
    name: &'static str,
    /// Mean scores of the losses found, in full training.
    full: Vec<f64>,
    /// Scores of the losses found, by the proxy.
    proxy: Vec<f64>,
    trainings: Vec<f64>,
}

/// The table: a row an arm, means over the run seeds.
pub(super) fn output(arms: &[Arm], plan: &Plan, trained: &OfSetup, out: &Path) -> Result<Output> {
    let written = plan
        .rows
        .iter()
        .zip(trained)
        .filter(|(row, _)| row.is_written());
    let mut rows: Vec<(String, Vec<Option<Cell>>)> = Vec::new();
    for (row, comparison) in written {
        let comparison = comparison
            .as_ref()
            .context("a hand-written loss is trained")?;
        let scores: Vec<f64> = comparison.trainings.iter().map(|t| t.score).collect();
        rows.push((row.name().to_owned(), vec![Cell::of(&scores)]));
    }
    let arms: Vec<FoundByArm> = arms
        .iter()
        .map(|arm| read(arm, plan, trained, out))
        .collect::<Result<_>>()?;
    let first = arms.first().context("a table has arms")?;
    for done in &arms {
        let differences = done.less(first);
        rows.push((
            done.name.to_owned(),
            vec![
                Cell::of(&done.full),
                Cell::of(&differences).filter(|_| done.name != first.name),
                Cell::of(&done.proxy),
                Cell::of(&done.trainings),
            ],
        ));
    }
    Ok(Output {
        title: plan.title.to_owned(),
        set: EvaluationSet::Validation,
        command: String::new(),
        columns: vec![
            "full training".to_owned(),
            format!("against {}", first.name),
            "by the proxy".to_owned(),
            "proxy trainings".to_owned(),
        ],
        rows,
        published: Vec::new(),
        notes: notes(&arms),
    })
}

fn read(arm: &Arm, plan: &Plan, trained: &OfSetup, out: &Path) -> Result<FoundByArm> {
    let mut done = FoundByArm {
        key: arm.key,
        name: arm.name,
        full: Vec::new(),
        proxy: Vec::new(),
        trainings: Vec::new(),
    };
    for seed in 0..RUN_SEEDS {
        let name = row_name(arm, seed);
        let place = plan.rows.iter().position(|row| row.name() == name);
        let place = place.context("every arm has a row a seed")?;
        let Row::Found { search, .. } = &plan.rows[place] else {
            continue;
        };
        let store = Store::open(&folder(out, plan.search(search)?))?;
        let tally = store.tally()?;
        done.trainings
            .push((tally.evaluations + tally.repeated) as f64);
        let found = store.best_found()?.and_then(|row| row.score);
        done.proxy.push(found.unwrap_or(0.0));
        let mean = trained[place]
            .as_ref()
            .and_then(|comparison| comparison.mean);
        done.full.push(mean.unwrap_or(0.0));
    }
    Ok(done)
}

impl FoundByArm {
    /// Differences of the scores in full training from those of another arm, a run seed each.
    fn less(&self, other: &Self) -> Vec<f64> {
        let pairs = self.full.iter().zip(&other.full);
        pairs.map(|(a, b)| a - b).collect()
    }
}

/// Each arm against the first, and half of the defaults' time against the published configuration.
fn notes(arms: &[FoundByArm]) -> Vec<String> {
    let Some((first, others)) = arms.split_first() else {
        return Vec::new();
    };
    let of = |key: &str| others.iter().find(|done| done.key == key);
    let with_first = others.iter().map(|done| (done, first));
    let pairs = with_first.chain(of(HALF).zip(of(PAPER)));
    pairs
        .filter_map(|(done, other)| note(done, other))
        .collect()
}

fn note(done: &FoundByArm, other: &FoundByArm) -> Option<String> {
    let paired = Paired::of(&done.less(other))?;
    let p = paired
        .p
        .map_or_else(String::new, |p| format!(", paired t-test p = {p:.3}"));
    Some(format!(
        "{}: {:+.4} against {} over {} run seeds{p}.",
        done.name, paired.difference, other.name, paired.seeds
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arm_has_settings_that_the_task_takes() {
        let data = Data {
            searched: None,
            transfer: None,
        };
        let own = [(TIME.to_owned(), Value::Integer(120))];
        let plan = plan(ARMS, Scale::Tiny, &data, &own).unwrap();
        assert_eq!(plan.searches.len(), ARMS.len() * RUN_SEEDS);
        let mut seen = std::collections::BTreeSet::new();
        for search in &plan.searches {
            let config = search.setup.config(&search.settings).unwrap();
            let key = &search.key;
            assert!(
                seen.insert(config.search.to_toml()),
                "{key} is like another one"
            );
            let paper = config.search.search.initial == 20;
            assert_eq!(key.contains(PAPER), paper, "{key}");
            let time = if key.contains(HALF) { 60.0 } else { 120.0 };
            assert_eq!(config.search.search.time, Some(time), "{key}");
        }
    }

    #[test]
    fn halves_are_compared_with_the_published_configuration() {
        let keys: Vec<&str> = arms(Sheet::Half).iter().map(|arm| arm.key).collect();
        assert_eq!(keys, [PAPER, HALF]);
    }

    #[test]
    fn arms_are_told_by_their_run_seeds() {
        let done = |key, full: &[f64]| FoundByArm {
            key,
            name: key,
            full: full.to_vec(),
            proxy: Vec::new(),
            trainings: Vec::new(),
        };
        let told = notes(&[
            done(DEFAULTS, &[0.1, 0.2, 0.3]),
            done(HALF, &[0.2, 0.2, 0.5]),
            done(PAPER, &[0.1, 0.2, 0.3]),
        ]);
        assert_eq!(
            told,
            [
                "half: +0.1000 against defaults over 3 run seeds, paired t-test p = 0.225.",
                "paper: +0.0000 against defaults over 3 run seeds.",
                "half: +0.1000 against paper over 3 run seeds, paired t-test p = 0.225.",
            ]
        );
    }
}
