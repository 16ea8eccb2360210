//! The task of a program.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use autoloss_expr::Loss;
use autoloss_search::{
    BranchSample, BranchScorer, BranchSpec, Derived, Evaluation, InputSpec, Interrupt, Job,
    Reporter, Role, Sample, Schedule, Scorer, Settings, Task, TaskError, identity, resolve,
};
use toml::Table;

use crate::child::{Child, Start};
use crate::message::{Activation, BranchDescription, Description, GivenSample};
use crate::sample::{self, Fields};
use crate::scores::{Faults, Prediction, Question, Restart, Scoring, Unscored, ask, scores};
use crate::settings::{ProgramError, ProgramSettings};

/// A task whose network, data and metric are another program's. Its trainings are made by worker processes of the same
/// command, not by [`Task::evaluate`].
pub struct ProgramTask {
    settings: ProgramSettings,
    about: Description,
    branches: Vec<BranchSpec>,
    baselines: Vec<(String, Loss)>,
    screening: Mutex<Screening>,
    faults: Faults,
}

/// A branch as its program describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchAbout<'a> {
    /// Name in formulas.
    pub name: &'a str,
    /// Extent of the second dimension of its predictions.
    pub channels: usize,
    /// Whether its predictions are class probabilities; else numbers.
    pub softmax: bool,
    /// The class of positions that count nowhere.
    pub ignore_index: Option<i64>,
}

/// The process beside the trainings.
enum Screening {
    /// It has described the task.
    Described(Child),
    /// It has given samples, and scores predictions for them.
    Given(Given),
    /// It failed.
    Ended,
}

/// Samples of a program, and the way of questions to it.
#[derive(Clone)]
struct Given {
    /// Their number and seed.
    asked: (usize, u64),
    samples: Vec<Vec<Fields>>,
    questions: Sender<Question>,
}

impl ProgramTask {
    /// Starts the program and takes its description.
    ///
    /// # Errors
    /// A program that does not start or answer; a description that is no task.
    pub fn open(settings: &ProgramSettings) -> Result<Self, ProgramError> {
        let broken = |reason| ProgramError::Program {
            command: settings.command.clone(),
            reason,
        };
        let (child, about) = Start::of(settings)?.begin().map_err(&broken)?;
        check(&about).map_err(&broken)?;
        let mut task = Self {
            branches: about.branches.iter().map(spec).collect(),
            baselines: Vec::new(),
            about,
            screening: Mutex::new(Screening::Described(child)),
            faults: Faults::default(),
            settings: settings.clone(),
        };
        for text in &task.about.baselines {
            let named = resolve::resolve(text, &task);
            let named = named.map_err(|error| broken(format!("its baselines: {error}")))?;
            task.baselines.push((named.name, named.loss));
        }
        Ok(task)
    }

    /// Settings of a search that the program gives for its task, by the tables `search` and `screening`; those of the
    /// person who searches come first.
    #[must_use]
    pub const fn search_settings(&self) -> &Table {
        &self.about.settings
    }

    /// The branches as the program describes them.
    pub fn branch_descriptions(&self) -> impl Iterator<Item = BranchAbout<'_>> {
        self.about.branches.iter().map(|branch| BranchAbout {
            name: &branch.name,
            channels: branch.channels,
            softmax: branch.activation == Activation::Softmax,
            ignore_index: branch.ignore_index,
        })
    }

    fn broken(&self, reason: &str) -> TaskError {
        TaskError::Failed(format!("the program `{}`: {reason}", self.settings.command))
    }

    /// The samples, which the program is asked for once.
    fn given(&self, asked: (usize, u64)) -> Result<Given, String> {
        let mut screening = self
            .screening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let child = match std::mem::replace(&mut *screening, Screening::Ended) {
            Screening::Given(given) if given.asked == asked => {
                *screening = Screening::Given(given.clone());
                return Ok(given);
            }
            Screening::Described(child) => child,
            Screening::Given(_) | Screening::Ended => {
                self.start().again(&self.about.fingerprint)?.0
            }
        };
        let given = self.ask_for_samples(child, asked)?;
        *screening = Screening::Given(given.clone());
        Ok(given)
    }

    fn ask_for_samples(&self, mut child: Child, asked: (usize, u64)) -> Result<Given, String> {
        let (count, seed) = asked;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let given = child.samples(count, seed, folder.path())?;
        let mut samples = Vec::with_capacity(count);
        for (number, sample) in given.iter().enumerate() {
            let of_sample = |error| format!("sample {number}: {error}");
            samples.push(self.fields(folder.path(), sample).map_err(of_sample)?);
        }
        self.check_metric(&mut child, &samples, folder.path())?;
        let about = Restart {
            start: self.start(),
            fingerprint: self.about.fingerprint.clone(),
            samples: asked,
        };
        let scoring = Scoring::new(child, about, self.faults.clone())
            .map_err(|error| format!("no folder for predictions: {error}"))?;
        let (questions, receiver) = channel();
        // It ends with the last scorer, and this task.
        std::thread::spawn(move || scoring.serve(&receiver));
        Ok(Given {
            asked,
            samples,
            questions,
        })
    }

    /// Refuses a metric that is not at most 1, or not higher for the targets than for the untrained network.
    fn check_metric(
        &self,
        child: &mut Child,
        samples: &[Vec<Fields>],
        folder: &Path,
    ) -> Result<(), String> {
        let of = |values: fn(&Fields) -> &Vec<f32>| {
            let samples = samples.iter().enumerate();
            samples.map(move |(sample, fields)| Prediction {
                sample,
                branch: None,
                fields: fields
                    .iter()
                    .map(|f| (f.extents.clone(), values(f).clone()))
                    .collect(),
            })
        };
        let all: Vec<Prediction> = of(|f| &f.prediction).chain(of(|f| &f.target)).collect();
        let all: Vec<&Prediction> = all.iter().collect();
        let scores = scores(child, 0, &all, folder).map_err(Unscored::reason)?;
        let (before, perfect) = scores.split_at(samples.len());
        for (sample, scores) in before.iter().zip(perfect).enumerate() {
            match scores {
                (Some(before), Some(perfect)) if perfect < before => {
                    return Err(format!(
                        "its metric is {perfect} for the targets of sample {sample} as predictions and {before} for the \
                         untrained network's, expected more for the targets: higher is better"
                    ));
                }
                (Some(score), _) | (_, Some(score)) if *score > 1.0 => {
                    return Err(format!(
                        "its metric is {score} for sample {sample}, expected at most 1; an error e can be given as \
                         1 / (1 + e)"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fields(&self, folder: &Path, given: &GivenSample) -> Result<Vec<Fields>, String> {
        if given.branches.len() != self.about.branches.len() {
            return Err(format!(
                "{} branches, expected {}",
                given.branches.len(),
                self.about.branches.len()
            ));
        }
        let both = self.about.branches.iter().zip(&given.branches);
        both.map(|(branch, given)| {
            sample::read(folder, branch, given)
                .map_err(|error| format!("branch `{}`: {error}", branch.name))
        })
        .collect()
    }

    /// The start of the program; its command was read when the task was opened.
    fn start(&self) -> Start {
        Start::of(&self.settings).expect("the command was read before")
    }

    /// A sample of the search, scored by questions to the program.
    fn sample(&self, sample: usize, fields: Vec<Fields>, questions: &Sender<Question>) -> Sample {
        let extents: Vec<Vec<usize>> = fields.iter().map(|field| field.extents.clone()).collect();
        let both = self.about.branches.iter().zip(fields);
        let branches = both.map(|(branch, fields)| BranchSample {
            scorer: branch
                .scored
                .then(|| of_branch(sample, branch, &fields, questions)),
            shape: fields.shape,
            derived: fields.boxes.clone().map(|boxes| boxes as Arc<dyn Derived>),
            inputs: fields.inputs(),
        });
        let questions = questions.clone();
        let scorer: Scorer = Box::new(move |predictions| {
            let fields = extents.iter().zip(predictions);
            let fields = fields.map(|(extents, values)| (extents.clone(), values.to_vec()));
            let prediction = Prediction {
                sample,
                branch: None,
                fields: fields.collect(),
            };
            ask(&questions, prediction)
        });
        Sample {
            branches: branches.collect(),
            scorer,
        }
    }
}

/// The metric of one branch of a sample by itself.
fn of_branch(
    sample: usize,
    branch: &BranchDescription,
    fields: &Fields,
    questions: &Sender<Question>,
) -> BranchScorer {
    let (questions, name) = (questions.clone(), branch.name.clone());
    let extents = fields.extents.clone();
    Box::new(move |values| {
        let prediction = Prediction {
            sample,
            branch: Some(name.clone()),
            fields: vec![(extents.clone(), values.to_vec())],
        };
        ask(&questions, prediction)
    })
}

/// Whether formulas can use it as a name.
fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(letters) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Refuses a description that is no task.
fn check(about: &Description) -> Result<(), String> {
    if about.branches.is_empty() {
        return Err("its task has no branches, expected at least one".to_owned());
    }
    for (place, branch) in about.branches.iter().enumerate() {
        let name = &branch.name;
        if !is_name(name) {
            return Err(format!(
                "the branch {name:?}: expected a name of letters, digits and `_`, as formulas use it"
            ));
        }
        if about.branches[..place]
            .iter()
            .any(|other| other.name == *name)
        {
            return Err(format!(
                "two branches are named `{name}`, expected distinct names"
            ));
        }
        if branch.channels == 0 {
            return Err(format!("branch `{name}`: 0 channels, expected at least 1"));
        }
        if branch.boxes && (branch.channels, branch.activation) != (4, Activation::None) {
            return Err(format!(
                "branch `{name}`: `boxes` with other predictions than numbers in 4 channels, the deltas of boxes"
            ));
        }
        let inputs = spec(branch).inputs;
        for (place, input) in inputs.iter().enumerate() {
            let known = inputs[..place].iter().any(|other| other.name == input.name);
            if known || !is_name(&input.name) {
                return Err(format!(
                    "branch `{name}`: the input {:?}, expected distinct names of letters, digits and `_`",
                    input.name
                ));
            }
        }
    }
    if let Err(error) = Settings::from_table(about.settings.clone()) {
        return Err(format!("its settings of a search: {error}"));
    }
    let unscored = about.branches.iter().find(|branch| !branch.scored);
    match unscored.filter(|_| about.branches.len() > 1) {
        Some(branch) => Err(format!(
            "branch `{}`: expected `scored`: true, as each of several branches is screened by itself",
            branch.name
        )),
        None => Ok(()),
    }
}

fn spec(branch: &BranchDescription) -> BranchSpec {
    BranchSpec {
        name: branch.name.clone(),
        inputs: {
            let mut inputs = match branch.activation {
                Activation::Softmax => InputSpec::probabilities_and_target(),
                Activation::None => InputSpec::numbers_and_target(),
            };
            let given = branch.given.iter();
            inputs.extend(given.map(|name| InputSpec::new(name, Role::Constant)));
            if branch.boxes {
                inputs.extend(InputSpec::overlaps());
            }
            inputs
        },
    }
}

impl Task for ProgramTask {
    fn name(&self) -> &str {
        &self.about.name
    }

    fn metric(&self) -> &str {
        &self.about.metric
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        let given = self
            .given((count, seed))
            .map_err(|reason| self.broken(&reason))?;
        let samples = given.samples.into_iter().enumerate();
        let sample = |(number, fields)| self.sample(number, fields, &given.questions);
        Ok(samples.map(sample).collect())
    }

    fn evaluate_reporting(
        &self,
        _: &Loss,
        _: &Job,
        _: &Interrupt,
        _: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        Err(self.broken(
            "its trainings are made by processes of their own: set search.executor to \"processes\"",
        ))
    }

    fn fingerprint(&self) -> String {
        match self.about.fingerprint.as_str() {
            "" => identity(self),
            own => own.to_owned(),
        }
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        self.baselines.clone()
    }

    fn remark(&self) -> Option<String> {
        self.faults.remark()
    }

    fn expected_seconds(&self, schedule: Schedule) -> Result<Option<f64>, TaskError> {
        Ok(match schedule {
            Schedule::Proxy => self.about.seconds.proxy,
            Schedule::Full => self.about.seconds.full,
        })
    }
}
