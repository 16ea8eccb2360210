//! The other side of the messages: a task of this program, described, sampled, scored and trained for a search in another.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use autoloss_boxes::{BoxPairs, Corners};
use autoloss_expr::{Loss, ZooLoss};
use autoloss_search::{
    BranchSample, BranchSpec, Further, InputSpec, Role, Sample, Schedule, Task, serve_with,
};
use serde_json::Value;
use toml::Table;

use crate::message::{
    Activation, Answer, Ask, BranchDescription, Description, GivenBoxes, GivenBranch, GivenSample,
    Predicted, Seconds,
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
        let sample = task.samples(1, 0).map_err(|error| error.to_string())?.pop();
        let sample = sample.ok_or("the task gives no screening sample")?;
        let both = branches.iter().zip(&sample.branches);
        let described = both.map(|(spec, sample)| described(task, spec, sample));
        let described = described.collect::<Result<_, _>>()?;
        let seconds = |schedule| {
            task.expected_seconds(schedule)
                .map_err(|error| error.to_string())
        };
        let baselines = task.baselines();
        let description = Description {
            name: task.name().to_owned(),
            metric: task.metric().to_owned(),
            branches: described,
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
            } => self.give(task, count, seed, &folder),
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

/// Describes a branch; one with inputs that follow from the prediction in a way that the messages do not have is refused.
fn described(
    task: &dyn Task,
    spec: &BranchSpec,
    sample: &BranchSample,
) -> Result<BranchDescription, String> {
    let of = |role: Role| spec.inputs.iter().filter(move |input| input.role == role);
    let boxes = sample.derived.as_ref().is_some_and(|d| d.boxes().is_some());
    let derived: Vec<&InputSpec> = of(Role::Derived).collect();
    if !(derived.is_empty() || boxes && derived.into_iter().eq(&InputSpec::overlaps())) {
        let names: Vec<String> = of(Role::Derived)
            .map(|input| format!("`{}`", input.name))
            .collect();
        return Err(format!(
            "the branch `{}` of the task {} has the inputs {}, which follow from its prediction, and there are no messages \
             for them: search for this task on one machine by `autoloss search --task {}`",
            spec.name,
            task.name(),
            names.join(", "),
            task.name()
        ));
    }
    Ok(BranchDescription {
        name: spec.name.clone(),
        channels: sample.shape.c,
        activation: match spec.inputs[spec.prediction()].is_softmax() {
            true => Activation::Softmax,
            false => Activation::None,
        },
        // Ignored positions have the same prediction and target in samples.
        ignore_index: None,
        scored: sample.scorer.is_some(),
        given: of(Role::Constant).map(|input| input.name.clone()).collect(),
        boxes: of(Role::Derived).next().is_some(),
    })
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

/// The files of a branch of a sample.
struct Files<'a> {
    folder: &'a Path,
    sample: usize,
    branch: usize,
}

impl Files<'_> {
    /// Writes an array, and gives the name of its file.
    fn write(&self, kind: &str, extents: &[usize], values: &[f32]) -> Result<PathBuf, String> {
        let name = format!("{kind}-{}-{}.npy", self.sample, self.branch);
        let path = self.folder.join(&name);
        File::create(&path)
            .and_then(|mut file| npy::write(&mut file, extents, values))
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
        Ok(name.into())
    }

    /// Writes all that the search is to know of the branch, and gives the part of the answer that names it.
    fn give(&self, spec: &BranchSpec, stored: &BranchSample) -> Result<GivenBranch, String> {
        let extents = extents(stored);
        let input = |kind: &str, place: usize| self.write(kind, &extents, &stored.inputs[place]);
        let inputs = spec.inputs.iter().enumerate();
        let constants = inputs.filter(|(_, input)| input.role == Role::Constant);
        let given = constants.map(|(place, constant)| {
            let name = constant.name.clone();
            input(&format!("given-{name}"), place).map(|file| (name, file))
        });
        let boxes = stored.derived.as_ref().and_then(|derived| derived.boxes());
        Ok(GivenBranch {
            prediction: input("prediction", spec.prediction())?,
            target: input("target", spec.target())?,
            from_logits: false,
            given: given.collect::<Result<_, _>>()?,
            boxes: boxes.map(|pairs| self.give_boxes(pairs)).transpose()?,
        })
    }

    fn give_boxes(&self, pairs: &BoxPairs) -> Result<GivenBoxes, String> {
        let extents = [pairs.references.len(), 4];
        let corners =
            |kind: &str, boxes: &[Corners]| self.write(kind, &extents, boxes.as_flattened());
        Ok(GivenBoxes {
            references: corners("references", &pairs.references)?,
            objects: corners("objects", &pairs.objects)?,
            scales: self.write("scales", &extents[..1], &pairs.scales)?,
            weights: pairs.weights,
        })
    }
}

impl Desk {
    /// Makes samples and writes their files, which the answer names.
    fn give(
        &mut self,
        task: &dyn Task,
        count: usize,
        seed: u64,
        folder: &Path,
    ) -> Result<Answer, String> {
        self.samples = task
            .samples(count, seed)
            .map_err(|error| error.to_string())?;
        let mut samples = Vec::new();
        for (number, sample) in self.samples.iter().enumerate() {
            let mut branches = Vec::new();
            for (place, (spec, stored)) in task.branches().iter().zip(&sample.branches).enumerate()
            {
                let files = Files {
                    folder,
                    sample: number,
                    branch: place,
                };
                branches.push(files.give(spec, stored)?);
            }
            samples.push(GivenSample { branches });
        }
        Ok(Answer::Samples(samples))
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

#[cfg(test)]
mod tests {
    use autoloss_search::toy::Toy;

    use super::*;

    #[test]
    fn inputs_that_follow_from_predictions_in_another_way_are_refused() {
        let task = Toy::new();
        let sample = &task.samples(1, 0).unwrap()[0].branches[0];
        let mut spec = task.branches()[0].clone();
        spec.inputs.push(InputSpec::new("w", Role::Constant));
        let about = described(&task, &spec, sample).unwrap();
        assert_eq!((about.given, about.boxes), (vec!["w".to_owned()], false));
        spec.inputs.push(InputSpec::new("i", Role::Derived));
        let said = described(&task, &spec, sample).unwrap_err();
        let expected = "the branch `class` of the task toy has the inputs `i`, which follow";
        assert!(said.starts_with(expected), "{said}");
    }
}
