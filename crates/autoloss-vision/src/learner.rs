//! The network side of a task: what is trained and how it is scored. Evaluating a candidate and
//! re-training with a loss are the same for all of them.

use std::path::Path;
use std::time::Instant;

use autoloss_expr::{Loss, Tree};
use autoloss_search::{Evaluation, Interrupt, Job, Outcome, TaskError};
use burn::module::Module;
use burn_store::{ModuleSnapshot, SafetensorsStore};

use crate::train::{Course, LossOf, Progress, TrainError, Trained, TrainingSettings, train};

/// What is trained, and how it is scored.
pub(crate) trait Learner: Send + Sync {
    /// The network.
    type Net: Module;

    /// The schedule of its training.
    fn training(&self) -> &TrainingSettings;

    /// The metric that candidates are scored by.
    fn searched_metric(&self) -> &str;

    /// What a user should know before a run, such as a setting that was adapted to the data.
    fn note(&self) -> Option<String> {
        None
    }

    /// A fresh network, and what computes the loss of it at each update.
    fn start(
        &self,
        loss: &Loss,
        seed: u64,
    ) -> Result<(Self::Net, LossOf<'_, Self::Net>), TaskError>;

    /// The network's scores on the evaluation set by name: that of the searched metric, or `all`.
    fn score(
        &self,
        net: &Self::Net,
        all: bool,
        interrupt: &Interrupt,
    ) -> Result<Vec<(String, f64)>, TrainError>;

    /// What the network makes of the first `count` examples of the evaluation set: PNG files of image,
    /// target and prediction side by side.
    fn pictures(&self, net: &Self::Net, count: usize) -> Result<Vec<Vec<u8>>, TrainError>;
}

/// What looks on between updates.
type Between<'a, N> = dyn FnMut(Progress<'_, N>) -> Result<(), String> + Send + 'a;

/// Trains a fresh network with the loss and scores it by the searched metric.
///
/// # Errors
/// [`TaskError::Interrupted`] if the interrupt was set; otherwise what went wrong.
pub(crate) fn evaluate<L: Learner>(
    learner: &L,
    loss: &Loss,
    job: &Job,
    interrupt: &Interrupt,
) -> Result<Evaluation, TaskError> {
    let evaluated = on_threads(learner.training().threads, || {
        train_and_score(learner, loss, job, interrupt, &mut |_| Ok(()))
    })?;
    evaluated.map(|(evaluation, _)| evaluation)
}

/// Full training with one loss: writes `checkpoint.safetensors` into `dir` every `every` updates and
/// `network.safetensors` at the end, calls `on_update` after each update with the update and its
/// loss value, and scores all metrics.
///
/// # Errors
/// An interrupt, data that cannot be read, files that cannot be written.
pub(crate) fn retrain<L: Learner>(
    learner: &L,
    loss: &Loss,
    job: &Job,
    (dir, every): (&Path, usize),
    interrupt: &Interrupt,
    on_update: &mut (dyn FnMut(usize, f64) + Send),
) -> Result<Evaluation, TaskError> {
    let mut between = |progress: Progress<'_, L::Net>| {
        on_update(progress.update, progress.loss_value);
        if progress.update.is_multiple_of(every) {
            save(progress.net, &dir.join("checkpoint.safetensors"))?;
        }
        Ok(())
    };
    let job = &Job {
        all_metrics: true,
        ..job.clone()
    };
    let (evaluation, trained) = on_threads(learner.training().threads, || {
        train_and_score(learner, loss, job, interrupt, &mut between)
    })??;
    if evaluation.outcome == Outcome::Finished {
        save(&trained.net, &dir.join("network.safetensors")).map_err(TaskError::Failed)?;
    }
    Ok(evaluation)
}

fn train_and_score<L: Learner>(
    learner: &L,
    loss: &Loss,
    job: &Job,
    interrupt: &Interrupt,
    between: &mut Between<'_, L::Net>,
) -> Result<(Evaluation, Trained<L::Net>), TaskError> {
    let start = Instant::now();
    let (net, mut loss) = learner.start(loss, job.seed)?;
    let course = Course {
        settings: learner.training(),
        stop_on_invalid: job.stop_on_invalid,
        interrupt,
    };
    let trained = train(net, &mut loss, &course, between).map_err(ended)?;
    drop(loss);
    let searched = learner.searched_metric();
    let metrics = match trained.outcome {
        Outcome::Stopped { .. } => vec![(searched.to_owned(), 0.0)],
        Outcome::Finished => learner
            .score(&trained.net, job.all_metrics, interrupt)
            .map_err(ended)?,
    };
    let pictures = match trained.outcome {
        Outcome::Finished if job.pictures > 0 => learner.pictures(&trained.net, job.pictures),
        _ => Ok(Vec::new()),
    };
    let score = metrics.iter().find(|(name, _)| name == searched);
    let evaluation = Evaluation {
        score: score.map_or(0.0, |(_, value)| *value),
        outcome: trained.outcome.clone(),
        curve: trained.curve.clone(),
        metrics,
        pictures: pictures.map_err(ended)?,
        seconds: start.elapsed().as_secs_f64(),
    };
    Ok((evaluation, trained))
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

/// Runs `f` on so many threads.
pub(crate) fn on_threads<T: Send>(
    threads: usize,
    f: impl FnOnce() -> T + Send,
) -> Result<T, TaskError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| TaskError::Failed(format!("no threads left: {error}")))?;
    Ok(pool.install(f))
}

/// Writes the network's parameters; the file appears whole or not at all.
fn save(net: &impl Module, path: &Path) -> Result<(), String> {
    let mut store = SafetensorsStore::from_file(path).overwrite(true);
    net.save_into(&mut store)
        .map_err(|error| format!("{}: cannot write the network: {error}", path.display()))
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
