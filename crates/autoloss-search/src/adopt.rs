//! Trainings made by another search as the first evaluations of a run: they are screened by this run's
//! screening and scored by its own metric, and no training is made again.

use autoloss_expr::Loss;

use crate::equivalence::Distinct;
use crate::error::SearchError;
use crate::event::{Candidate, Event, Fate, Origin};
use crate::screening::{Judgement, Scratch, Screened, Screening, Verdict};
use crate::settings::Settings;
use crate::store::{Recorder, Store};
use crate::task::{Task, parse_loss};

/// A training that another search made.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedTraining {
    /// The loss.
    pub formula: String,
    /// Its score by this run's metric.
    pub score: f64,
    /// All metrics, for the record.
    pub metrics: Vec<(String, f64)>,
}

impl SharedTraining {
    /// The trainings of a run that came to their end and have a score by the metric, in their order.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn of_run(store: &Store, metric: &str) -> Result<Vec<Self>, SearchError> {
        let mut rows = store.candidates()?;
        rows.retain(|row| row.fate == Fate::Scored);
        rows.sort_by_key(|row| row.joined);
        let made = rows.into_iter().filter_map(|row| {
            let score = row.metrics.iter().find(|(name, _)| name == metric)?.1;
            Some(Self {
                formula: row.candidate.formula,
                score,
                metrics: row.metrics,
            })
        });
        Ok(made.collect())
    }
}

/// Records trainings of other searches with the same task, seed and search set as the first evaluations of a
/// fresh run: those that pass its screening, each equivalent loss once. Gives their number.
///
/// # Errors
/// If the task does not work or the run cannot be written.
pub fn adopt(
    task: &dyn Task,
    settings: &Settings,
    recorder: &mut Recorder,
    made: &[SharedTraining],
) -> Result<u64, SearchError> {
    let screening = Screening::new(task, settings)?;
    let mut scratch = Scratch::default();
    let mut distinct = Distinct::default();
    let mut adopted = 0;
    for made in made {
        let Ok(loss) = parse_loss(task, &made.formula) else {
            continue;
        };
        let (Screened::Judged(verdict), _) = screening.screen(&loss, &mut scratch) else {
            continue;
        };
        if verdict.judgement != Judgement::Passed
            || !distinct.is_new(&verdict.canonical, &verdict.norms)
        {
            continue;
        }
        let candidate = candidate(adopted, &loss, &verdict);
        let drawn = Event::Drawn {
            proposal: adopted,
            drawn: 1,
            structural: 0,
            cached: 0,
        };
        let evaluated = Event::Evaluated {
            candidate,
            fate: Fate::Scored,
            reason: None,
            score: made.score,
            seconds: 0.0,
            curve: Vec::new(),
            metrics: made.metrics.clone(),
            joined: adopted,
            worker: None,
        };
        recorder.record(&drawn, 0.0)?;
        recorder.record(&evaluated, 0.0)?;
        adopted += 1;
    }
    Ok(adopted)
}

fn candidate(place: u64, loss: &Loss, verdict: &Verdict) -> Candidate {
    Candidate {
        id: place + 1,
        proposal: place,
        draw: 1,
        parent: None,
        origin: Origin::Random,
        formula: loss.to_string(),
        canonical: verdict.canonical.clone(),
        g: verdict.g,
        norms: verdict.norms.clone(),
        seconds: 0.0,
        worker: 0,
    }
}
