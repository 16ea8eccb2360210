//! The other side of the messages: a task of this program, described, sampled, scored and trained for a search in another.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use autoloss_expr::{Loss, ZooLoss};
use autoloss_search::{
    BranchSample, BranchSpec, Further, Role, Sample, Schedule, Task, serve_with,
};
use serde_json::Value;
use toml::Table;

use crate::message::{
    Activation, Answer, Ask, BranchDescription, Description, GivenBranch, GivenSample, Predicted,
    Seconds,
};
use crate::npy;

/// Serves a search until the input ends. `open` opens the task from the text that the search sends first, or says why
/// it cannot; `settings` are those of a search that suit the task, by the tables `search` and `screening`.
///
/// # Errors
/// If the output cannot be written, which is so when the search has ended.
pub fn serve(
    open: impl FnOnce(&str) -> Result<Box<dyn Task>, String>,
    settings: Table,
    input: impl BufRead,
    output: impl Write + Send,
) -> io::Result<()> {
    let mut desk = Desk {
        settings,
        samples: Vec::new(),
    };
    serve_with(open, &mut desk, input, output)
}

/// Answers to messages beside trainings.
struct Desk {
    settings: Table,
    /// The samples that were given last.
    samples: Vec<Sample>,
}

impl Further for Desk {
    fn describe(&mut self, task: &dyn Task) -> Result<Value, String> {
        let branches = task.branches();
        branches.iter().try_for_each(|spec| fits(task, spec))?;
        let sample = task.samples(1, 0).map_err(|error| error.to_string())?.pop();
        let sample = sample.ok_or("the task gives no screening sample")?;
        let both = branches.iter().zip(&sample.branches);
        let seconds = |schedule| {
            task.expected_seconds(schedule)
                .map_err(|error| error.to_string())
        };
        let baselines = task.baselines();
        let description = Description {
            name: task.name().to_owned(),
            metric: task.metric().to_owned(),
            branches: both.map(|(spec, sample)| described(spec, sample)).collect(),
            baselines: baselines.iter().map(text).collect(),
            seconds: Seconds {
                proxy: seconds(Schedule::Proxy)?,
                full: seconds(Schedule::Full)?,
            },
            fingerprint: task.fingerprint(),
            settings: self.settings.clone(),
        };
        serde_json::to_value(description).map_err(|error| error.to_string())
    }

    fn answer(&mut self, task: &dyn Task, line: &str) -> Option<String> {
        let answered = match serde_json::from_str(line).ok()? {
            Ask::Samples {
                count,
                seed,
                folder,
            } => self
                .give(task, count, seed, &folder)
                .map(|()| given(task, &self.samples)),
            Ask::Score { id, predictions } => predictions
                .iter()
                .map(|predicted| self.score(task, predicted))
                .collect::<Result<_, _>>()
                .map(|scores| Answer::Scores { id, scores }),
        };
        let answer = answered.unwrap_or_else(|message| Answer::Error { message });
        // All keys are texts and all values have a form in JSON.
        Some(serde_json::to_string(&answer).expect("messages can be written as JSON"))
    }
}

/// Refuses a branch with inputs that the messages do not have.
fn fits(task: &dyn Task, spec: &BranchSpec) -> Result<(), String> {
    let is_further = |role| !matches!(role, Role::Prediction { .. } | Role::Target);
    let further = spec.inputs.iter().filter(|input| is_further(input.role));
    let further: Vec<String> = further.map(|input| format!("`{}`", input.name)).collect();
    match further.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the branch `{}` of the task {} has the inputs {} beside prediction and target, for which there are no \
             messages: search for this task on one machine by `autoloss search --task {}`",
            spec.name,
            task.name(),
            further.join(", "),
            task.name()
        )),
    }
}

fn described(spec: &BranchSpec, sample: &BranchSample) -> BranchDescription {
    BranchDescription {
        name: spec.name.clone(),
        channels: sample.shape.c,
        activation: match spec.inputs[spec.prediction()].is_softmax() {
            true => Activation::Softmax,
            false => Activation::None,
        },
        // Ignored positions have the same prediction and target in samples.
        ignore_index: None,
        scored: sample.scorer.is_some(),
    }
}

/// A loss by its name in the zoo, if it is that one, else its formula.
fn text((name, loss): &(String, Loss)) -> String {
    let is_it = |zoo: &ZooLoss| match loss.branches.as_slice() {
        [only] => only.tree == zoo.tree(),
        _ => false,
    };
    match ZooLoss::from_name(name).is_some_and(is_it) {
        true => format!("zoo:{name}"),
        false => loss.to_string(),
    }
}

/// Name of a sample's file.
fn file(kind: &str, sample: usize, branch: usize) -> PathBuf {
    format!("{kind}-{sample}-{branch}.npy").into()
}

const PREDICTION: &str = "prediction";
const TARGET: &str = "target";

/// The answer that names the files of samples.
fn given(task: &dyn Task, samples: &[Sample]) -> Answer {
    let of_branch = |sample, branch| GivenBranch {
        prediction: file(PREDICTION, sample, branch),
        target: file(TARGET, sample, branch),
        from_logits: false,
    };
    let of_sample = |sample| GivenSample {
        branches: (0..task.branches().len())
            .map(|branch| of_branch(sample, branch))
            .collect(),
    };
    Answer::Samples((0..samples.len()).map(of_sample).collect())
}

impl Desk {
    /// Makes samples and writes their files.
    fn give(
        &mut self,
        task: &dyn Task,
        count: usize,
        seed: u64,
        folder: &Path,
    ) -> Result<(), String> {
        self.samples = task
            .samples(count, seed)
            .map_err(|error| error.to_string())?;
        for (number, sample) in self.samples.iter().enumerate() {
            for (place, (spec, branch)) in task.branches().iter().zip(&sample.branches).enumerate()
            {
                let both = [(PREDICTION, spec.prediction()), (TARGET, spec.target())];
                for (kind, input) in both {
                    let path = folder.join(file(kind, number, place));
                    let write =
                        |mut file| npy::write(&mut file, &extents(branch), &branch.inputs[input]);
                    File::create(&path).and_then(write).map_err(|error| {
                        format!("{}: cannot be written: {error}", path.display())
                    })?;
                }
            }
        }
        Ok(())
    }

    /// The score of a prediction; `None` where it has none.
    fn score(&self, task: &dyn Task, predicted: &Predicted) -> Result<Option<f64>, String> {
        let number = predicted.sample;
        let sample = self.samples.get(number).ok_or_else(|| {
            let count = self.samples.len();
            format!("sample {number} is to be scored, but {count} samples were given")
        })?;
        let score = match &predicted.branch {
            None => {
                let fields = read(predicted, &sample.branches.iter().collect::<Vec<_>>())?;
                let fields: Vec<&[f32]> = fields.iter().map(Vec::as_slice).collect();
                (sample.scorer)(&fields)
            }
            Some(name) => {
                let place = task.branches().iter().position(|spec| spec.name == *name);
                let branch = place.map(|place| &sample.branches[place]);
                let scored = branch.and_then(|branch| Some((branch, branch.scorer.as_ref()?)));
                let (branch, scorer) =
                    scored.ok_or_else(|| format!("no branch `{name}` that is scored by itself"))?;
                scorer(&read(predicted, &[branch])?[0])
            }
        };
        Ok(Some(score).filter(|score| score.is_finite()))
    }
}

/// Extents of a branch's fields.
const fn extents(branch: &BranchSample) -> [usize; 4] {
    let shape = branch.shape;
    [shape.n, shape.c, shape.h, shape.w]
}

/// The fields of a prediction, one a branch.
fn read(predicted: &Predicted, branches: &[&BranchSample]) -> Result<Vec<Vec<f32>>, String> {
    if predicted.files.len() != branches.len() {
        return Err(format!(
            "{} files of a prediction, expected {}",
            predicted.files.len(),
            branches.len()
        ));
    }
    let both = predicted.files.iter().zip(branches);
    let field = |(path, branch): (&PathBuf, &&BranchSample)| {
        let array = npy::read(path).map_err(|error| error.to_string())?;
        match array.shape == extents(branch) {
            true => Ok(array.values),
            false => Err(format!(
                "{}: shape {:?}, expected {:?}",
                path.display(),
                array.shape,
                extents(branch)
            )),
        }
    };
    both.map(field).collect()
}
