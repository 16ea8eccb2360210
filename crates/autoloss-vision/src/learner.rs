//! The network side of a task: trainings with a loss, scores and kept files, the same for all networks.

use std::time::{Duration, Instant};

use autoloss_data::{DataError, Split, Summary};
use autoloss_expr::{Loss, Tree};
use autoloss_search::{
    Evaluation, EvaluationSet, Interrupt, Job, Keeping, Outcome, Report, Reporter, SEARCH_SCORE,
    TaskError,
};
use burn::module::Module;

use crate::checkpoint::{Checkpoints, load_network, save_network};
use crate::train::{
    Begin, Between, Course, LossOf, Progress, READ_EVERY, TrainError, Trained, TrainingSettings,
    train,
};

/// A network, its training and its score.
pub(crate) trait Learner: Send + Sync {
    /// The network.
    type Net: Module;

    /// The schedule of its training.
    fn training(&self) -> &TrainingSettings;

    /// The metric that candidates are scored by.
    fn searched_metric(&self) -> &str;

    /// Remark for the user before a run, such as a setting that was adapted to the data.
    fn note(&self) -> Option<String> {
        None
    }

    /// Summary of the data: images, and how often each class occurs, set by set.
    fn summary(&self) -> Result<Summary, DataError>;

    /// A fresh network, and the function that computes its loss at each update after the first `done`.
    fn start(
        &self,
        loss: &Loss,
        seed: u64,
        done: usize,
    ) -> Result<(Self::Net, LossOf<'_, Self::Net>), TaskError>;

    /// The network's scores on a set by name: that of the searched metric, or `all`.
    fn score(
        &self,
        net: &Self::Net,
        set: EvaluationSet,
        all: bool,
        interrupt: &Interrupt,
    ) -> Result<Vec<(String, f64)>, TrainError>;

    /// Predictions for the first `count` examples of the validation set: PNG files of image, target and prediction
    /// side by side.
    fn pictures(&self, net: &Self::Net, count: usize) -> Result<Vec<Vec<u8>>, TrainError>;
}

/// A value for each set that networks are scored on.
pub(crate) struct PerSet<T> {
    search: T,
    validation: T,
}

impl<T> PerSet<T> {
    /// The function's results for both sets.
    ///
    /// # Errors
    /// The first error of the function.
    pub(crate) fn new<E>(of: impl Fn(EvaluationSet) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            search: of(EvaluationSet::Search)?,
            validation: of(EvaluationSet::Validation)?,
        })
    }

    /// The value of a set.
    pub(crate) fn get(&self, set: EvaluationSet) -> &T {
        match set {
            EvaluationSet::Search => &self.search,
            EvaluationSet::Validation => &self.validation,
        }
    }
}

/// Trains a network with the loss and scores it on the job's set; keeps the files and makes the reports that the job
/// asks for.
///
/// # Errors
/// [`TaskError::Interrupted`] if the interrupt was set; data that cannot be read, files that cannot be written or
/// read.
pub(crate) fn evaluate<L: Learner>(
    learner: &L,
    loss: &Loss,
    job: &Job,
    interrupt: &Interrupt,
    report: Reporter<'_>,
) -> Result<Evaluation, TaskError> {
    on_threads(learner.training().threads, || match &job.keeping {
        None => train_and_score(learner, loss, job, interrupt, report),
        Some(keeping) => train_and_keep(learner, loss, job, keeping, interrupt, report),
    })?
}

/// Fewest and most updates by which the duration of a training is measured.
const MEASURED: std::ops::RangeInclusive<usize> = 5..=40;

/// Time after which no further update is measured.
const MEASURED_TIME: Duration = Duration::from_millis(400);

/// Expected seconds of a training with a loss: the fastest of a few updates, times their number, and a tenth for the
/// scoring.
///
/// # Errors
/// If the task cannot make a training.
pub(crate) fn expected_seconds<L: Learner>(learner: &L, loss: &Loss) -> Result<f64, TaskError> {
    let settings = learner.training();
    let few = TrainingSettings {
        steps: settings.steps.min(*MEASURED.end()),
        ..settings.clone()
    };
    let ends = on_threads(settings.threads, || {
        let (net, mut loss) = learner.start(loss, 0, 0)?;
        let enough = Interrupt::default();
        let course = Course {
            settings: &few,
            stop_on_invalid: false,
            interrupt: &enough,
            read_every: 1,
        };
        let mut ends = vec![Instant::now()];
        let begin = Begin::fresh(&few);
        let trained = train(net, &mut loss, &course, begin, &mut |_| {
            ends.push(Instant::now());
            if ends.len() > *MEASURED.start() && ends[0].elapsed() > MEASURED_TIME {
                enough.set();
            }
            Ok(())
        });
        match trained.map(|_| ()) {
            Ok(()) | Err(TrainError::Interrupted) => Ok(ends),
            Err(error) => Err(ended(error)),
        }
    })??;
    let updates = ends.windows(2).map(|pair| pair[1] - pair[0]);
    let fastest = updates.min().unwrap_or_default().as_secs_f64();
    Ok(1.1 * fastest * settings.steps as f64)
}

/// Trains as [`evaluate`] does and keeps files: a checkpoint every `keeping.every` updates, from the last of which an
/// interrupted training goes on, and `network.safetensors` at the end. The best checkpoint is that of the best score
/// on the search set.
fn train_and_keep<L: Learner>(
    learner: &L,
    loss: &Loss,
    job: &Job,
    keeping: &Keeping,
    interrupt: &Interrupt,
    report: Reporter<'_>,
) -> Result<Evaluation, TaskError> {
    let start = Instant::now();
    let checkpoints = Checkpoints(&keeping.dir);
    let best_path = keeping.dir.join("best.safetensors");
    let mut progressed = checkpoints.progressed().map_err(TaskError::Failed)?;
    let before = progressed.seconds;
    let seconds = || before + start.elapsed().as_secs_f64();
    let (mut net, loss) = learner.start(loss, job.seed, progressed.update)?;
    let mut begin = Begin::fresh(learner.training());
    if progressed.update > 0 {
        let loaded = checkpoints.load(progressed.update, net, begin.optimiser);
        (net, begin.optimiser) = loaded.map_err(TaskError::Failed)?;
        begin.update = progressed.update;
        let known = progressed.curve.iter();
        begin.curve = known
            .map(|(u, value)| (*u, value.unwrap_or(f64::NAN)))
            .collect();
    }
    let of = learner.training().steps;
    let mut between = |progress: Progress<'_, L::Net>| {
        if let (update, Some(loss_value)) = (progress.update, progress.loss_value) {
            report(Report::Update {
                update,
                of,
                loss_value,
            });
        }
        report_scores(learner, job, &progress, interrupt, report)?;
        if !progress.update.is_multiple_of(keeping.every) {
            return Ok(());
        }
        if keeping.best {
            let score = search_score(learner, progress.net, interrupt);
            let score = score.map_err(|error| error.to_string())?;
            if progressed.best.is_none_or(|(_, best)| score > best) {
                save_network(progress.net, &best_path)?;
                progressed.best = Some((progress.update, score));
            }
        }
        progressed.update = progress.update;
        progressed.seconds = seconds();
        let curve = progress.curve.iter();
        progressed.curve = curve
            .map(|(u, v)| (*u, v.is_finite().then_some(*v)))
            .collect();
        checkpoints.save(progress.net, progress.optimiser, &progressed)
    };
    let mut trained = trained(learner, (net, loss), begin, job, interrupt, &mut between)?;
    if let (true, Some((_, best)), Outcome::Finished) =
        (keeping.best, progressed.best, &trained.outcome)
        && best > search_score(learner, &trained.net, interrupt).map_err(ended)?
    {
        load_network(&mut trained.net, &best_path).map_err(TaskError::Failed)?;
    }
    let evaluation = scored(learner, &trained, job, interrupt, &seconds)?;
    if evaluation.outcome == Outcome::Finished {
        let path = keeping.dir.join("network.safetensors");
        save_network(&trained.net, &path).map_err(TaskError::Failed)?;
    }
    Ok(evaluation)
}

/// Reports the scores on the way that the job asks for after this update.
fn report_scores<L: Learner>(
    learner: &L,
    job: &Job,
    progress: &Progress<'_, L::Net>,
    interrupt: &Interrupt,
    report: Reporter<'_>,
) -> Result<(), String> {
    for share in job.reports_after(progress.update, learner.training().steps) {
        let score = search_score(learner, progress.net, interrupt);
        let score = score.map_err(|error| error.to_string())?;
        report(Report::Score { share, score });
    }
    Ok(())
}

/// The searched metric of a network on the search set.
fn search_score<L: Learner>(
    learner: &L,
    net: &L::Net,
    interrupt: &Interrupt,
) -> Result<f64, TrainError> {
    let scores = learner.score(net, EvaluationSet::Search, false, interrupt)?;
    Ok(searched(learner, &scores))
}

fn train_and_score<L: Learner>(
    learner: &L,
    loss: &Loss,
    job: &Job,
    interrupt: &Interrupt,
    report: Reporter<'_>,
) -> Result<Evaluation, TaskError> {
    let start = Instant::now();
    let fresh = learner.start(loss, job.seed, 0)?;
    let mut between =
        |progress: Progress<'_, L::Net>| report_scores(learner, job, &progress, interrupt, report);
    let begin = Begin::fresh(learner.training());
    let trained = trained(learner, fresh, begin, job, interrupt, &mut between)?;
    let seconds = || start.elapsed().as_secs_f64();
    scored(learner, &trained, job, interrupt, &seconds)
}

/// Trains a network with a loss by the job, and calls `between` after every update.
///
/// # Errors
/// [`TaskError::Interrupted`] if the interrupt was set, also where it broke off a scoring on the way; data that cannot
/// be read, or an error of `between`.
fn trained<L: Learner>(
    learner: &L,
    (net, mut loss): (L::Net, LossOf<'_, L::Net>),
    begin: Begin,
    job: &Job,
    interrupt: &Interrupt,
    between: &mut Between<'_, L::Net>,
) -> Result<Trained<L::Net>, TaskError> {
    let course = Course {
        settings: learner.training(),
        stop_on_invalid: job.stop_on_invalid,
        interrupt,
        read_every: READ_EVERY,
    };
    train(net, &mut loss, &course, begin, between).map_err(|error| match interrupt.is_set() {
        true => TaskError::Interrupted,
        false => ended(error),
    })
}

/// Evaluation of a training by the scores of its network.
fn scored<L: Learner>(
    learner: &L,
    trained: &Trained<L::Net>,
    job: &Job,
    interrupt: &Interrupt,
    seconds: &dyn Fn() -> f64,
) -> Result<Evaluation, TaskError> {
    let mut metrics = match trained.outcome {
        Outcome::Stopped { .. } => vec![(learner.searched_metric().to_owned(), 0.0)],
        Outcome::Finished => learner
            .score(&trained.net, job.set, job.all_metrics, interrupt)
            .map_err(ended)?,
    };
    if job.set == EvaluationSet::Validation {
        let score = match trained.outcome {
            Outcome::Stopped { .. } => 0.0,
            Outcome::Finished => search_score(learner, &trained.net, interrupt).map_err(ended)?,
        };
        metrics.push((SEARCH_SCORE.to_owned(), score));
    }
    let pictures = match trained.outcome {
        Outcome::Finished if job.pictures > 0 => learner.pictures(&trained.net, job.pictures),
        _ => Ok(Vec::new()),
    };
    Ok(Evaluation {
        score: searched(learner, &metrics),
        outcome: trained.outcome.clone(),
        curve: trained.curve.clone(),
        metrics,
        pictures: pictures.map_err(ended)?,
        seconds: seconds(),
    })
}

/// The searched metric among scores.
fn searched<L: Learner>(learner: &L, metrics: &[(String, f64)]) -> f64 {
    let found = metrics
        .iter()
        .find(|(name, _)| name == learner.searched_metric());
    found.map_or(0.0, |(_, value)| *value)
}

/// The tree of a task's only branch, whether the loss names it or not.
///
/// # Errors
/// A loss without branches.
pub(crate) fn only_tree<'a>(loss: &'a Loss, branch: &str) -> Result<&'a Tree, TaskError> {
    let first = || loss.branches.first().map(|branch| &branch.tree);
    let tree = loss.tree(branch).or_else(first);
    tree.ok_or_else(|| TaskError::Failed("the loss has no branch".to_owned()))
}

/// Runs `f` on a pool of `threads` threads.
pub(crate) fn on_threads<T: Send>(
    threads: usize,
    f: impl FnOnce() -> T + Send,
) -> Result<T, TaskError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| TaskError::Failed(format!("no threads left: {error}")))?;
    Ok(pool.install(f))
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(crate) fn failed(error: impl ToString) -> TaskError {
    TaskError::Failed(error.to_string())
}

fn ended(error: TrainError) -> TaskError {
    match error {
        TrainError::Interrupted => TaskError::Interrupted,
        other => failed(other),
    }
}

/// The part of a data set that holds the examples of an evaluation set.
pub(crate) const fn split_of(set: EvaluationSet) -> Split {
    match set {
        EvaluationSet::Search => Split::Search,
        EvaluationSet::Validation => Split::Val,
    }
}

#[cfg(test)]
mod tests;
