//! Trainings of comparisons and tables, each kept in a file of its own as soon as it is made, so that
//! an interrupted command goes on with the missing ones.

use std::path::{Path, PathBuf};

use anyhow::Result;
use autoloss_search::{
    Ended, Entry, Folder, Interrupt, News, SearchError, Task, Training, Workers, train_all,
};
use serde_json::{Value, json};

use crate::files::write_json;

/// The trainings in the order of the entries, those that are missing made by the workers; fewer after an interrupt.
/// With `kept`, each is written to its folder as it ends, and those in the folder are not made again; a failed one is
/// not kept: the next call tries it again. `on_done` is told each that ended, the number that has ended, and of all.
///
/// # Errors
/// Workers that cannot work, or a folder that cannot be written to.
pub(crate) fn train(
    kept: Option<&TrainingFolder>,
    task: &dyn Task,
    entries: &[Entry],
    workers: Workers<'_>,
    interrupt: &Interrupt,
    on_done: &mut dyn FnMut(&Ended, (usize, usize)),
) -> Result<Vec<Ended>> {
    let known = |entry: &Entry| kept.and_then(|kept| kept.read(entry));
    let known: Vec<Option<Training>> = entries.iter().map(known).collect();
    let missing = entries
        .iter()
        .zip(&known)
        .filter(|(_, known)| known.is_none());
    let missing: Vec<Entry> = missing.map(|(entry, _)| entry.clone()).collect();
    let mut made = 0;
    let new = train_all(task, &missing, workers, interrupt, &mut |news| {
        let News::Ended(entry, ended) = news else {
            return Ok(());
        };
        made += 1;
        on_done(ended, (made, missing.len()));
        match (kept, ended) {
            (Some(kept), Ok(training)) => kept.keep(entry, training),
            _ => Ok(()),
        }
    })?;
    if let Some(kept) = kept {
        kept.folder.check()?;
    }
    let known = known.into_iter().flatten().map(Ok);
    let mut all: Vec<Ended> = known.chain(new).collect();
    all.sort_by_key(|ended| entries.iter().position(|entry| entry.is_of(ended)));
    Ok(all)
}

/// A folder of trainings made with the same settings, claimed by this process.
pub(crate) struct TrainingFolder {
    folder: Folder,
    settings: String,
}

impl TrainingFolder {
    /// A folder, which is made where it does not exist, for trainings with these settings.
    ///
    /// # Errors
    /// If another process writes to the folder, or it cannot be written to.
    pub(crate) fn new(dir: &Path, settings: String) -> Result<Self> {
        let folder = Folder::claim(dir)?;
        Ok(Self { folder, settings })
    }

    /// Keeps the training of an entry.
    fn keep(&self, entry: &Entry, training: &Training) -> Result<(), SearchError> {
        let path = self.file(entry);
        self.write(&path, entry, training)
            .map_err(|error| SearchError::Worker(format!("{}: {error:#}", path.display())))
    }

    /// Whether the training of an entry was made before, with these settings.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        self.read(entry).is_some()
    }

    /// Everything that a training follows from.
    fn origin(&self, entry: &Entry) -> Value {
        json!({
            "name": entry.name, "loss": entry.loss.to_string(), "seed": entry.job.seed,
            "job": entry.job, "settings": self.settings,
        })
    }

    /// A name that people recognise and that no other training has.
    fn file(&self, entry: &Entry) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let short: String = entry.name.chars().map(plain).take(60).collect();
        let hash = fnv(self.origin(entry).to_string().bytes());
        let seed = entry.job.seed;
        self.folder
            .path()
            .join(format!("{short}-{hash:016x}-{seed}.json"))
    }

    /// The training made before for this entry, with these settings.
    fn read(&self, entry: &Entry) -> Option<Training> {
        let value: Value = serde_json::from_slice(&std::fs::read(self.file(entry)).ok()?).ok()?;
        let origin = self.origin(entry);
        let mut parts = origin.as_object()?.iter();
        let same = parts.all(|(key, part)| value[key] == *part);
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

    fn write(&self, path: &Path, entry: &Entry, training: &Training) -> Result<()> {
        let metrics = training.metrics.iter();
        let metrics: serde_json::Map<String, Value> = metrics
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let mut value = self.origin(entry);
        value["score"] = json!(training.score);
        value["seconds"] = json!(training.seconds);
        value["note"] = json!(training.note);
        value["metrics"] = Value::Object(metrics);
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
    use autoloss_search::toy::Toy;
    use autoloss_search::{EvaluationSet, Job};

    fn entry(text: &str) -> Entry {
        let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
        Entry {
            name: "Lovász".to_owned(),
            loss: Loss::single("s", tree),
            job: Job {
                seed: 7,
                ..Job::default()
            },
        }
    }

    fn training(entry: &Entry) -> Training {
        Training {
            name: entry.name.clone(),
            formula: entry.loss.to_string(),
            seed: entry.job.seed,
            set: entry.job.set,
            score: 0.25,
            seconds: 1.5,
            note: None,
            curve: Vec::new(),
            metrics: vec![("miou".to_owned(), 0.25)],
            pictures: Vec::new(),
        }
    }

    #[test]
    fn a_training_is_kept_under_everything_that_it_follows_from() {
        let dir = tempfile::tempdir().unwrap();
        let kept = |settings: &str| TrainingFolder::new(dir.path(), settings.to_owned()).unwrap();
        let first = entry("yhat - y");
        let mut without_stop = first.clone();
        without_stop.job.stop_on_invalid = !first.job.stop_on_invalid;
        let mut seeded = first.clone();
        seeded.job.seed = 8;
        let mut other_set = first.clone();
        other_set.job.set = EvaluationSet::Validation;
        let mut named = first.clone();
        named.name = "Lovasz".to_owned();
        let all = [
            ("steps = 1", &first),
            ("steps = 2", &first),
            ("steps = 1", &entry("yhat + y")),
            ("steps = 1", &without_stop),
            ("steps = 1", &seeded),
            ("steps = 1", &other_set),
            ("steps = 1", &named),
        ];
        for (number, (settings, entry)) in all.iter().enumerate() {
            let kept = kept(settings);
            assert_eq!(kept.read(entry), None, "{number}");
            let made = training(entry);
            kept.write(&kept.file(entry), entry, &made).unwrap();
            assert_eq!(kept.read(entry), Some(made), "{number}");
        }
        // None has overwritten another, and a damaged one is made again.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), all.len());
        std::fs::write(kept("steps = 1").file(&first), "{").unwrap();
        assert_eq!(kept("steps = 1").read(&first), None);
    }

    #[test]
    fn a_failed_training_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let kept = TrainingFolder::new(dir.path(), String::new()).unwrap();
        let task = Toy::new();
        let mut entries: Vec<Entry> = task
            .baselines()
            .into_iter()
            .map(|(name, loss)| Entry {
                name,
                loss,
                job: Job::default(),
            })
            .collect();
        // The toy task refuses losses that are no trees of operators.
        entries[0].loss = Loss::parse("lovasz_softmax()", &[("class", vec!["yhat", "y"])]).unwrap();
        let train = |entries: &[Entry]| {
            let mut told = 0;
            let interrupt = Interrupt::default();
            let ended = super::train(
                Some(&kept),
                &task,
                entries,
                Workers::Threads(1),
                &interrupt,
                &mut |_, _| told += 1,
            );
            let failed = ended.unwrap().iter().filter(|e| e.is_err()).count();
            (told, failed)
        };
        assert_eq!(train(&entries), (2, 1));
        assert_eq!(train(&entries), (1, 1), "the failed one alone");
        drop(kept);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
