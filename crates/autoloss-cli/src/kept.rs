//! Trainings of comparisons and tables, each kept in a file of its own as soon as it is made, so that
//! what was interrupted goes on where it was.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use autoloss_search::{Entry, Interrupt, SearchError, Task, Training, train_all};
use serde_json::{Value, json};

use crate::files::write_json;

/// A folder of trainings made with the same settings.
pub(crate) struct Kept<'a> {
    dir: &'a Path,
    settings: String,
}

impl<'a> Kept<'a> {
    /// A folder, which is made where it does not exist, for trainings with these settings.
    pub(crate) fn new(dir: &'a Path, settings: String) -> Result<Self> {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("{}: cannot be made", dir.display()))?;
        Ok(Self { dir, settings })
    }

    /// The trainings, those that are missing made on so many threads; fewer after an interrupt.
    /// `on_done` is told each that is made, with how many are made then, of how many.
    pub(crate) fn train(
        &self,
        task: &dyn Task,
        entries: &[Entry],
        workers: usize,
        interrupt: &Interrupt,
        on_done: &mut dyn FnMut(&Training, (usize, usize)),
    ) -> Result<Vec<Training>> {
        let known: Vec<Option<Training>> = entries.iter().map(|e| self.read(e)).collect();
        let missing = entries
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none());
        let missing: Vec<Entry> = missing.map(|(entry, _)| entry.clone()).collect();
        let mut made = 0;
        let new = train_all(task, &missing, workers, interrupt, &mut |training| {
            made += 1;
            on_done(training, (made, missing.len()));
            let path = self.file(&training.name, &training.formula, training.seed);
            self.write(&path, training)
                .map_err(|error| SearchError::Worker(format!("{}: {error:#}", path.display())))
        })?;
        let mut all: Vec<Training> = known.into_iter().flatten().chain(new).collect();
        let place = |t: &Training| {
            entries
                .iter()
                .position(|e| e.name == t.name && e.job.seed == t.seed)
        };
        all.sort_by_key(place);
        Ok(all)
    }

    /// A name that people recognise and that no other loss has.
    fn file(&self, name: &str, formula: &str, seed: u64) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let short: String = name.chars().map(plain).take(60).collect();
        let hash = fnv(name.bytes().chain(formula.bytes()));
        self.dir.join(format!("{short}-{hash:016x}-{seed}.json"))
    }

    /// A training made before, if it was made with this loss and these settings.
    fn read(&self, entry: &Entry) -> Option<Training> {
        let path = self.file(&entry.name, &entry.loss.to_string(), entry.job.seed);
        let value: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let same = value["loss"] == entry.loss.to_string()
            && value["set"] == json!(entry.job.set)
            && value["settings"] == self.settings;
        let number = |value: &Value| value.as_f64();
        let metrics = value["metrics"].as_object()?.iter();
        let metrics = metrics.filter_map(|(name, value)| Some((name.clone(), number(value)?)));
        same.then_some(Training {
            name: entry.name.clone(),
            formula: entry.loss.to_string(),
            seed: entry.job.seed,
            set: entry.job.set,
            score: number(&value["score"])?,
            seconds: number(&value["seconds"])?,
            note: value["note"].as_str().map(str::to_owned),
            curve: Vec::new(),
            metrics: metrics.collect(),
            pictures: Vec::new(),
        })
    }

    fn write(&self, path: &Path, training: &Training) -> Result<()> {
        let metrics = training.metrics.iter();
        let metrics: serde_json::Map<String, Value> = metrics
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let value = json!({
            "name": training.name, "loss": training.formula, "seed": training.seed,
            "set": training.set, "score": training.score, "seconds": training.seconds, "note": training.note,
            "metrics": metrics, "settings": self.settings,
        });
        write_json(path, &value)
    }
}

/// The FNV-1a hash, which is the same on every machine and in every version.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_expr::{Loss, Tree};
    use autoloss_search::{EvaluationSet, Job};

    #[test]
    fn a_kept_training_is_taken_only_for_its_loss_and_settings() {
        let dir = tempfile::tempdir().unwrap();
        let kept = |settings: &str| Kept::new(dir.path(), settings.to_owned()).unwrap();
        let tree = |text| Tree::parse(text, &["yhat", "y"]).unwrap();
        let entry = |text| Entry {
            name: "Lovász".to_owned(),
            loss: Loss::single("s", tree(text)),
            job: Job {
                seed: 7,
                ..Job::default()
            },
        };
        let training = Training {
            name: "Lovász".to_owned(),
            formula: entry("yhat - y").loss.to_string(),
            seed: 7,
            set: EvaluationSet::Search,
            score: 0.25,
            seconds: 1.5,
            note: None,
            curve: Vec::new(),
            metrics: vec![("miou".to_owned(), 0.25)],
            pictures: Vec::new(),
        };
        let path = kept("").file(&training.name, &training.formula, 7);
        let training_name = training.name.clone();
        kept("steps = 1").write(&path, &training).unwrap();
        assert_eq!(kept("steps = 1").read(&entry("yhat - y")), Some(training));
        assert_eq!(kept("steps = 1").read(&entry("yhat + y")), None);
        assert_eq!(kept("steps = 2").read(&entry("yhat - y")), None);
        let mut other_set = entry("yhat - y");
        other_set.job.set = EvaluationSet::Validation;
        assert_eq!(kept("steps = 1").read(&other_set), None);
        // What another loss of that name left is not in its way, nor is what is damaged.
        let other = kept("").file(&training_name, "yhat + y", 7);
        assert_ne!(path, other);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(kept("steps = 1").read(&entry("yhat - y")), None);
    }
}
