//! A search on many workers in simulated time: the share of the time in which they train, and the evaluations that it
//! costs that parents are older, the more trainings run side by side.
//!
//! Durations are those of a recorded run, its trainings' times a factor; candidates are found on some cores of one
//! machine, as in a search on a cluster. A score says how much like a hidden loss one is, which takes microseconds: one
//! of five losses, by the run seed.
//!
//! ```sh
//! cargo run --release -p autoloss-search --example simulated_workers -- runs/digits 150 2 1000 10 0.9 1 8 64 512
//! ```
//!
//! Settings of the searches may follow, which makes it a quick comparison of them:
//!
//! ```sh
//! cargo run --release -p autoloss-search --example simulated_workers -- runs/digits 1 2 200 30 0.9 2 search.crossover=0.3
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::path::Path;
use std::time::Instant;

use autoloss_expr::{Loss, Program, Shape, Workspace};
use autoloss_search::study::{Context, Plan, Study, TrialOutcome};
use autoloss_search::toy::Toy;
use autoloss_search::{
    BranchSpec, Evaluation, Interrupt, Job, Reporter, Sample, Scratch, Settings, Store, Task,
    TaskError, key_value, parse_loss, set_key, train,
};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

type Error = Box<dyn std::error::Error>;

const USAGE: &str =
    "usage: simulated_workers RUN FACTOR CORES EVALUATIONS SEEDS SCORE WORKERS... [KEY=VALUE...]";

/// Settings of the searches, beside defaults and given ones.
const SETTINGS: [&str; 4] = [
    "search.tournament=0.3",
    "screening.steps=60",
    "screening.step_size=0.05",
    "screening.normalise=true",
];

/// Losses that are to be found, one in a search: Dice and four that searches came by.
const HIDDEN: [&str; 5] = [
    "1 - 2 * mean_nhw(y * yhat) / mean_nhw(y + yhat)",
    "tanh(log(mean_nhw(yhat))) + sqrt(log(-(yhat * y * yhat)))",
    "min_pool(abs(sqrt(mean_nhw(abs(square(min_pool(tanh(y)) + (y + yhat))) * log(yhat)))) + yhat)",
    "sqrt(-yhat) * (square(y + y) + mean_nhw(-(max_pool(min_pool(y)) + yhat)))",
    "1 + -yhat * (tanh(y + min_pool(y)) + mean_nhw(-(y + max_pool(mean_c(y + square(yhat))))))",
];

/// The toy task with another score, which takes a search many evaluations to raise: the mean cosine between the
/// gradients of a loss and of the hidden one, on pictures and on the way to their targets.
struct Likeness {
    toy: Toy,
    /// Prediction, target, and the hidden loss's gradient.
    pictures: Vec<(Shape, [Vec<f32>; 2], Vec<f32>)>,
}

impl Likeness {
    fn new(hidden: &str) -> Result<Self, TaskError> {
        let toy = Toy::new();
        let hidden = parse_loss(&toy, hidden).map_err(|e| TaskError::Failed(e.to_string()))?;
        let mut pictures = Vec::new();
        for sample in toy.samples(4, 1)? {
            for way in [0.0, 0.5, 0.9] {
                let branch = &sample.branches[0];
                let (shape, target) = (branch.shape, branch.inputs[1].clone());
                let pairs = branch.inputs[0].iter().zip(&target);
                let prediction = pairs.map(|(p, y)| p + way * (y - p)).collect();
                let inputs = [prediction, target];
                let gradient = gradient(&hidden, shape, &inputs)?;
                pictures.push((shape, inputs, gradient));
            }
        }
        Ok(Self { toy, pictures })
    }
}

/// The gradient of a loss for the prediction.
fn gradient(loss: &Loss, shape: Shape, inputs: &[Vec<f32>; 2]) -> Result<Vec<f32>, TaskError> {
    let program = Program::new(&loss.branches[0].tree, &[("yhat", true), ("y", false)])
        .map_err(|e| TaskError::Failed(e.to_string()))?;
    let mut gradients = [Vec::new(), Vec::new()];
    let inputs = [inputs[0].as_slice(), inputs[1].as_slice()];
    program.gradient(&mut Workspace::new(), shape, &inputs, &mut gradients);
    Ok(std::mem::take(&mut gradients[0]))
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

impl Task for Likeness {
    fn name(&self) -> &str {
        "likeness"
    }

    fn metric(&self) -> &str {
        "cosine"
    }

    fn branches(&self) -> &[BranchSpec] {
        self.toy.branches()
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        self.toy.samples(count, seed)
    }

    fn evaluate_reporting(
        &self,
        loss: &Loss,
        _: &Job,
        _: &Interrupt,
        _: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let mut score = 0.0;
        for (shape, inputs, hidden) in &self.pictures {
            score += cosine(&gradient(loss, *shape, inputs)?, hidden) / self.pictures.len() as f64;
        }
        let score = if score.is_finite() { score } else { 0.0 };
        Ok(Evaluation::finished(score, 0.0))
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        self.toy.baselines()
    }
}

/// Seconds of a recorded run's work.
struct Durations {
    /// Of each training, times the factor.
    trainings: Vec<f64>,
    /// Of one core for each candidate to train.
    finding: f64,
}

impl Durations {
    fn recorded(dir: &Path, factor: f64) -> Result<Self, Error> {
        let store = Store::open(dir)?;
        let seconds = store.candidates()?.into_iter();
        let recorded: Vec<f64> = seconds.filter_map(|row| row.training_seconds).collect();
        let workers = store.workers()?;
        let trials: u64 = workers.iter().map(|worker| worker.trials).sum();
        let busy: f64 = workers.iter().map(|worker| worker.busy).sum();
        if recorded.is_empty() || busy == 0.0 {
            return Err(
                format!("{}: no trainings with workers and durations", dir.display()).into(),
            );
        }
        // Workers that share the cores find candidates while they do not train.
        let trained: f64 = recorded.iter().sum();
        let idle = workers.len() as f64 - busy;
        Ok(Self {
            finding: trained * idle / busy / trials as f64,
            trainings: recorded
                .into_iter()
                .map(|seconds| factor * seconds)
                .collect(),
        })
    }
}

/// Something that happens at a moment of simulated time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A core has found a candidate, which can be trained now.
    Found,
    /// A worker has trained.
    Trained { worker: usize, number: usize },
}

/// The course of a search.
struct Course {
    /// Share of the workers' time in which they trained, until the last training was given out.
    busy: f64,
    /// Best score and seconds into the search after each evaluation.
    best: Vec<(f64, f64)>,
}

impl Course {
    fn last_score(&self) -> f64 {
        self.best.last().map_or(0.0, |(score, _)| *score)
    }

    /// Evaluations and seconds until a score.
    fn until(&self, score: f64) -> (f64, f64) {
        let place = self.best.iter().position(|(best, _)| *best >= score);
        let reached = place.map(|place| (place as f64 + 1.0, self.best[place].1));
        reached.unwrap_or((f64::INFINITY, f64::INFINITY))
    }
}

/// A search on simulated workers.
struct Simulation<'a> {
    task: &'a Likeness,
    context: &'a Context,
    study: Study,
    scratch: Scratch,
    durations: &'a Durations,
    rng: ChaCha8Rng,
    /// With their moments in milliseconds; the earliest comes first.
    happenings: BinaryHeap<Reverse<(u64, Happening)>>,
    /// Trials by their numbers, with the outcomes of those that were not told yet.
    trials: Vec<Option<(u64, TrialOutcome)>>,
    now: u64,
    /// Workers without a trial.
    free: BTreeSet<usize>,
    workers: usize,
    /// Cores that find nothing at the moment.
    idle: usize,
    /// Trials that wait for a worker.
    ready: usize,
    /// Begin and end of each training, in milliseconds.
    trainings: Vec<(u64, u64)>,
    /// Best score and seconds into the search after each evaluation.
    best: Vec<(f64, f64)>,
}

impl<'a> Simulation<'a> {
    fn new(
        task: &'a Likeness,
        context: &'a Context,
        settings: &Settings,
        (durations, cores, workers): (&'a Durations, usize, usize),
    ) -> Result<Self, Error> {
        let plan = Plan::new(task, &settings.search, workers)?;
        Ok(Self {
            task,
            context,
            study: Study::new(task, settings, plan)?,
            scratch: Scratch::default(),
            durations,
            rng: ChaCha8Rng::seed_from_u64(settings.search.seed),
            happenings: BinaryHeap::new(),
            trials: Vec::new(),
            now: 0,
            free: (0..workers).collect(),
            workers,
            idle: cores,
            // The task's usual loss is found by nobody.
            ready: 1,
            trainings: Vec::new(),
            best: Vec::new(),
        })
    }

    fn run(mut self) -> Result<Course, Error> {
        loop {
            self.hand_out()?;
            let Some(Reverse((moment, happening))) = self.happenings.pop() else {
                return Ok(self.course());
            };
            self.now = moment;
            match happening {
                Happening::Found => {
                    self.idle += 1;
                    self.ready += 1;
                }
                Happening::Trained { worker, number } => {
                    self.free.insert(worker);
                    if let Some((id, outcome)) = self.trials[number].take() {
                        self.study.tell(id, outcome, self.elapsed())?;
                        let tally = self.study.tally();
                        let best = tally.best.as_ref().map_or(0.0, |best| best.score);
                        let evaluations = usize::try_from(tally.evaluations)?;
                        self.best.resize(evaluations, (best, self.elapsed()));
                    }
                }
            }
            self.study.drain();
        }
    }

    fn course(self) -> Course {
        let last = self.trainings.last().map_or(0, |(begin, _)| *begin);
        let trained = self
            .trainings
            .iter()
            .map(|(begin, end)| end.min(&last) - begin);
        Course {
            busy: trained.sum::<u64>() as f64 / (last * self.workers as u64) as f64,
            best: self.best,
        }
    }

    fn elapsed(&self) -> f64 {
        self.now as f64 / 1e3
    }

    fn after(&mut self, seconds: f64, happening: Happening) {
        let moment = self.now + (1e3 * seconds) as u64;
        self.happenings.push(Reverse((moment, happening)));
    }

    /// As the driver of a cluster does it: trials to workers, then candidates for as many and one more.
    fn hand_out(&mut self) -> Result<(), Error> {
        while self.ready > 0
            && let Some(worker) = self.free.first().copied()
            && let Some(trial) = self.study.next_trial(self.elapsed(), worker)
        {
            self.ready -= 1;
            self.free.remove(&worker);
            let seconds = *self
                .durations
                .trainings
                .choose(&mut self.rng)
                .ok_or("no durations")?;
            let mut outcome = train(self.task, &trial, &Interrupt::default(), &|_| ());
            if let TrialOutcome::Trained(trained) = &mut outcome {
                trained.seconds = seconds;
            }
            let end = self.now + (1e3 * seconds) as u64;
            self.trainings.push((self.now, end));
            self.trials.push(Some((trial.id, outcome)));
            let number = self.trials.len() - 1;
            self.after(seconds, Happening::Trained { worker, number });
        }
        loop {
            let wanted = self.idle > 0 && self.study.in_training() <= self.workers;
            let start = Instant::now();
            if !wanted || !self.find()? {
                return Ok(());
            }
            self.idle -= 1;
            let seconds = start.elapsed().as_secs_f64() + self.durations.finding;
            self.after(seconds, Happening::Found);
        }
    }

    /// Finds a candidate to train; false where the search ends.
    fn find(&mut self) -> Result<bool, Error> {
        let before = self.study.in_training();
        while self.study.in_training() == before {
            let Some(finder) = self.study.next_finder(self.elapsed(), 0) else {
                return Ok(false);
            };
            let finding = finder.run(self.context, &mut self.scratch, &Interrupt::default());
            self.study.admit(finding, self.elapsed())?;
        }
        Ok(true)
    }
}

/// Middle one of some numbers; infinite where it is that of a search that did not come there.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A search for each run seed.
fn searches(
    settings: &Settings,
    seeds: u64,
    places: (&Durations, usize, usize),
) -> Result<Vec<Course>, Error> {
    let mut settings = settings.clone();
    let mut courses = Vec::new();
    for (seed, hidden) in (0..seeds).zip(HIDDEN.iter().cycle()) {
        settings.search.seed = seed;
        let task = Likeness::new(hidden)?;
        let context = Context::new(&task, &settings)?;
        courses.push(Simulation::new(&task, &context, &settings, places)?.run()?);
    }
    Ok(courses)
}

fn main() -> Result<(), Error> {
    let (set, arguments): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.contains('='));
    let [run, factor, cores, evaluations, seeds, score, workers @ ..] = &arguments[..] else {
        return Err(USAGE.into());
    };
    let durations = Durations::recorded(Path::new(run), factor.parse()?)?;
    let (cores, seeds, score): (usize, u64, f64) = (cores.parse()?, seeds.parse()?, score.parse()?);
    let mut table = toml::Table::new();
    for text in SETTINGS.into_iter().chain(set.iter().map(String::as_str)) {
        let (key, value) = key_value(text)?;
        set_key(&mut table, &key, value)?;
    }
    let mut settings = Settings::from_table(table)?;
    settings.search.evaluations = Some(evaluations.parse()?);
    println!(
        "trainings of {:.1} s, a candidate in {:.2} s of one of {cores} cores and the time that it takes here",
        durations.trainings.iter().sum::<f64>() / durations.trainings.len() as f64,
        durations.finding
    );
    println!("middle ones of {seeds} searches of {evaluations} evaluations:");
    println!("workers   busy  best score  evaluations to {score}    hours");
    for workers in workers {
        let workers = workers.parse()?;
        let courses = searches(&settings, seeds, (&durations, cores, workers))?;
        let middle = |of: &dyn Fn(&Course) -> f64| median(courses.iter().map(of).collect());
        println!(
            "{workers:>7}  {:>4.1} %  {:>10.3}  {:>22}  {:>7.2}",
            100.0 * middle(&|course| course.busy),
            middle(&Course::last_score),
            middle(&|course| course.until(score).0),
            middle(&|course| course.until(score).1 / 3600.0),
        );
    }
    Ok(())
}
