//! The variants of the search: figure 4 and table 8.

use std::path::Path;

use anyhow::Result;
use autoloss_report::plot::{Plot, Series};
use autoloss_search::{EvaluationSet, Store};
use toml::Value;

use super::output::{Cell, Output};
use super::plan::{Data, Group, Scale, Search, Setup, Sheet, searched_in};
use super::searches::folder;
use crate::files::write_text;

/// Seeds of each variant.
const SEEDS: u64 = 3;

/// The evaluation from which on variants are compared, and the step of the table's columns.
const FROM: usize = 20;

/// A variant of the search, and which of the parts of the method it has.
struct Variant {
    key: &'static str,
    name: &'static str,
    strategy: &'static str,
    stop: bool,
    rejection: bool,
    equivalence: bool,
    /// Whether each training is the most promising of several, which the paper does not have.
    choice: bool,
}

const fn variant(key: &'static str, name: &'static str, parts: usize) -> Variant {
    Variant {
        key,
        name,
        strategy: if parts == 0 { "random" } else { "evolution" },
        stop: parts > 1,
        rejection: parts > 2,
        equivalence: parts > 3,
        choice: parts > 4,
    }
}

/// In the paper's order, each with one part more; the last one is not the paper's.
const VARIANTS: [Variant; 6] = [
    variant("random", "random search", 0),
    variant("evolution", "evolution without help", 1),
    variant("stop", "+ stop on invalid values", 2),
    variant("rejection", "+ loss rejection", 3),
    variant("equivalence", "+ equivalence check: all of the paper's", 4),
    variant("full", "+ choice of the most promising: the full method", 5),
];

/// The searches; figure 4 and table 8 share them.
pub(super) fn searches(
    scale: Scale,
    data: &Data<'_>,
    own: &[(String, Value)],
) -> Result<Vec<Search>> {
    let setup = setup(scale, data, own)?;
    let count = VARIANTS.len() as f64 * SEEDS as f64;
    let time = match scale {
        Scale::Tiny => 1140.0 / count,
        Scale::Small => 2.0 * 3600.0,
        Scale::Paper => 48.0 * 3600.0,
    };
    let mut searches = Vec::new();
    // Seed by seed, so that an interrupted figure has all variants of the first seeds.
    for seed in 0..SEEDS {
        for variant in &VARIANTS {
            let mut settings = vec![
                (
                    "search.strategy",
                    Value::String(variant.strategy.to_owned()),
                ),
                ("search.seed", Value::Integer(seed.cast_signed())),
                ("search.stop_on_invalid", Value::Boolean(variant.stop)),
                ("search.equivalence", Value::Boolean(variant.equivalence)),
                ("screening.rejection", Value::Boolean(variant.rejection)),
                ("search.time", Value::Float(time)),
                ("search.final_losses", Value::Integer(0)),
            ];
            if !variant.choice {
                settings.push(("search.choices", Value::Integer(1)));
            }
            searches.push(search(
                format!("ablation-{}-{seed}", variant.key),
                &setup,
                settings,
            ));
        }
    }
    Ok(searches)
}

/// Setup that the variants search in.
fn setup(scale: Scale, data: &Data<'_>, own: &[(String, Value)]) -> Result<Setup> {
    let mut setup = searched_in(["digits", "voc"], scale, data, &[Group::SegmentationProxy])?;
    setup.own = own.to_vec();
    Ok(setup)
}

fn search(key: String, setup: &Setup, settings: Vec<(&str, Value)>) -> Search {
    Search {
        key,
        setup: setup.clone(),
        settings: settings
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    }
}

/// Candidates for each training in the search of table 8 that shows the number the full method explores.
const CHOICES: i64 = 300;

/// The search of table 8 that chooses among [`CHOICES`] candidates.
pub(super) fn longest(scale: Scale, data: &Data<'_>, own: &[(String, Value)]) -> Result<Search> {
    let setup = setup(scale, data, own)?;
    let time = match scale {
        Scale::Tiny => 480.0,
        Scale::Small => 12.0 * 3600.0,
        Scale::Paper => 48.0 * 3600.0,
    };
    let settings = vec![
        ("search.time", Value::Float(time)),
        ("search.final_losses", Value::Integer(0)),
        ("search.choices", Value::Integer(CHOICES)),
    ];
    Ok(search("explored".to_owned(), &setup, settings))
}

/// Results of the searches of one variant.
struct VariantResult {
    name: &'static str,
    explored: Vec<f64>,
    evaluations: Vec<usize>,
    /// For each seed the best score after each evaluation.
    best: Vec<Vec<f64>>,
    /// Seconds of each.
    seconds: Vec<f64>,
}

impl VariantResult {
    /// The mean over the seeds of the best score after a number of evaluations; `None` where a seed has
    /// fewer.
    fn after(&self, evaluations: usize) -> Option<Vec<f64>> {
        self.best
            .iter()
            .map(|best| best.get(evaluations - 1).copied())
            .collect()
    }
}

fn read(searches: &[Search], out: &Path) -> Result<Vec<VariantResult>> {
    let variants = VARIANTS.iter().enumerate();
    variants
        .map(|(place, variant)| {
            let of_variant = searches.iter().skip(place).step_by(VARIANTS.len());
            read_one(variant.name, of_variant, out)
        })
        .collect()
}

fn read_one<'a>(
    name: &'static str,
    searches: impl Iterator<Item = &'a Search>,
    out: &Path,
) -> Result<VariantResult> {
    let mut done = VariantResult {
        name,
        explored: Vec::new(),
        evaluations: Vec::new(),
        best: Vec::new(),
        seconds: Vec::new(),
    };
    for search in searches {
        let store = Store::open(&folder(out, search))?;
        let tally = store.tally()?;
        let evaluations = usize::try_from(tally.evaluations).unwrap_or(usize::MAX);
        let mut best = vec![0.0; evaluations];
        for (number, score) in &tally.progress {
            let from = usize::try_from(*number).unwrap_or(1).max(1) - 1;
            best.iter_mut().skip(from).for_each(|b| *b = *score);
        }
        done.explored.push(tally.drawn as f64);
        done.evaluations.push(evaluations);
        done.best.push(best);
        done.seconds.push(store.info()?.elapsed);
    }
    Ok(done)
}

/// The table, and for figure 4 the picture beside it.
///
/// `longest` is the search that table 8 has beside the variants.
pub(super) fn output(
    sheet: Sheet,
    searches: &[Search],
    longest: Option<&Search>,
    out: &Path,
) -> Result<Output> {
    let variants = read(searches, out)?;
    if sheet == Sheet::Figure4 {
        let svg = plot(&variants).file();
        write_text(&out.join("figure4.svg"), &svg)?;
    }
    let most = variants
        .iter()
        .flat_map(|v| &v.evaluations)
        .copied()
        .max()
        .unwrap_or(0);
    let steps: Vec<usize> = (FROM..=most).step_by(FROM / 2).collect();
    let mut columns = vec![
        "losses explored".to_owned(),
        "evaluations".to_owned(),
        "seconds".to_owned(),
        "best score".to_owned(),
    ];
    if sheet == Sheet::Figure4 {
        columns.extend(steps.iter().map(|n| format!("best after {n}")));
    }
    let row = |done: &VariantResult| {
        let evaluations: Vec<f64> = done.evaluations.iter().map(|n| *n as f64).collect();
        let last = done
            .best
            .iter()
            .map(|best| best.last().copied().unwrap_or(0.0));
        let mut cells = vec![
            Cell::of(&done.explored),
            Cell::of(&evaluations),
            Cell::of(&done.seconds),
            Cell::of(&last.collect::<Vec<_>>()),
        ];
        if sheet == Sheet::Figure4 {
            cells.extend(steps.iter().map(|n| Cell::of(&done.after(*n)?)));
        }
        (done.name.to_owned(), cells)
    };
    let notes = notes(&variants);
    let mut rows: Vec<_> = variants.iter().map(row).collect();
    if let Some(search) = longest {
        let name = "the full method with 300 to choose from, for longer";
        rows.push(row(&read_one(name, std::iter::once(search), out)?));
    }
    Ok(Output {
        title: match sheet {
            Sheet::Figure4 => "Best score against evaluations, for each variant of the search",
            _ => "Losses explored by each variant of the search in equal time",
        }
        .to_owned(),
        set: EvaluationSet::Search,
        command: String::new(),
        columns,
        rows,
        published: Vec::new(),
        notes,
    })
}

/// Claims of the paper beside the results here.
fn notes(variants: &[VariantResult]) -> Vec<String> {
    let (Some(full), Some(plain)) = (variants.last(), variants.get(1)) else {
        return Vec::new();
    };
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
    let ratio = mean(&full.explored) / mean(&plain.explored).max(1.0);
    let mut lower = Vec::new();
    let mut compared = 0;
    for n in FROM + 1.. {
        let (Some(a), Some(b)) = (full.after(n), plain.after(n)) else {
            break;
        };
        compared += 1;
        if mean(&a) <= mean(&b) {
            lower.push(n);
        }
    }
    let claim = match (compared, lower.as_slice()) {
        (0, _) => format!("No seed of both has more than {FROM} evaluations: nothing to compare."),
        (_, []) => format!(
            "The full method's mean best score is higher than that of evolution without help at each \
             of the {compared} equal numbers of evaluations past {FROM} that all seeds reached."
        ),
        (_, lower) => format!(
            "The full method's mean best score is NOT higher than that of evolution without help at {} of \
             the {compared} equal numbers of evaluations past {FROM}.",
            lower.len()
        ),
    };
    vec![
        format!(
            "In equal time the full method explored {ratio:.1} times as many losses as evolution without \
             help ({SEEDS} seeds). The paper: over a million in 48 hours on 4 V100."
        ),
        claim,
    ]
}

fn plot(variants: &[VariantResult]) -> Plot {
    let series = variants.iter().enumerate().map(|(colour, done)| {
        let points = (1..).map_while(|n| {
            let scores = done.after(n)?;
            Some((n as f64, scores.iter().sum::<f64>() / scores.len() as f64))
        });
        Series::line(done.name, colour, points.collect())
    });
    Plot {
        title: format!("mean best score over {SEEDS} seeds"),
        x: "evaluations".to_owned(),
        y: "best score so far".to_owned(),
        series: series.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(explored: f64, best: Vec<f64>) -> VariantResult {
        VariantResult {
            name: "a",
            explored: vec![explored],
            evaluations: vec![best.len()],
            best: vec![best],
            seconds: vec![1.0],
        }
    }

    #[test]
    fn claims_are_told_as_they_are() {
        let plain = done(10.0, vec![0.1; 25]);
        let better = done(250.0, vec![0.2; 23]);
        let text = |variants: Vec<VariantResult>| notes(&variants).join(" ");
        let of = |last: VariantResult| {
            text(vec![
                done(1.0, Vec::new()),
                done(10.0, plain.best[0].clone()),
                last,
            ])
        };
        let told = of(better);
        assert!(
            told.contains("25.0 times") && told.contains("at each of the 3 equal"),
            "{told}"
        );
        assert!(
            of(done(5.0, vec![0.1; 22])).contains("NOT higher"),
            "ties are not higher"
        );
        assert!(of(done(5.0, vec![0.3; 20])).contains("nothing to compare"));
    }

    #[test]
    fn variants_add_one_part_each() {
        let parts = |v: &Variant| {
            [
                v.strategy == "evolution",
                v.stop,
                v.rejection,
                v.equivalence,
                v.choice,
            ]
            .map(usize::from)
            .iter()
            .sum::<usize>()
        };
        assert_eq!(VARIANTS.each_ref().map(parts), [0, 1, 2, 3, 4, 5]);
    }
}
