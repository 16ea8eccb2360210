//! The writing side of a run.

mod rows;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags, params};

use super::format::{FORMAT, SCHEMA, SINCE_1_1, SINCE_1_2, SINCE_1_4, SINCE_1_6, upgrade};
use super::{APPLICATION_ID, FILE, Folder, NONE, SOFTMAX, Store, StoreError};
use crate::event::Event;
use crate::settings::Settings;
use crate::task::{BranchSpec, Task};
use rows::write;

/// At most this many events wait for the next commit, and none longer than [`PATIENCE`].
const BATCH: usize = 256;
const PATIENCE: Duration = Duration::from_secs(1);

/// Task and settings of a run to begin.
pub struct NewRun<'a> {
    /// The task's name.
    pub task: &'a str,
    /// The metric's name.
    pub metric: &'a str,
    /// The settings of the search.
    pub settings: &'a Settings,
    /// The settings of the task as TOML, for whoever builds the task again.
    pub task_settings: &'a str,
}

impl<'a> NewRun<'a> {
    /// A run of a task that has no settings of its own.
    #[must_use]
    pub fn of(task: &'a dyn Task, settings: &'a Settings) -> Self {
        Self {
            task: task.name(),
            metric: task.metric(),
            settings,
            task_settings: "",
        }
    }
}

/// Writes a run; while it lives, no other process can.
pub struct Recorder {
    store: Store,
    /// Events with the seconds into the run at which they happened.
    pending: Vec<(Event, f64)>,
    /// Whether the result of a training is among them.
    due: bool,
    elapsed: f64,
    last_commit: Instant,
    batch: usize,
    /// Claimed for as long as the recorder lives. Last, so that the database is closed before.
    folder: Folder,
}

impl Recorder {
    /// Begins a run in a directory, which is made where it does not exist.
    ///
    /// # Errors
    /// If it holds a run already, is in use, or cannot be written.
    pub fn create(dir: &Path, run: &NewRun<'_>) -> Result<Self, StoreError> {
        match dir.join(FILE).exists() {
            true => Err(StoreError::Exists(dir.to_owned())),
            false => Self::create_in(Folder::claim(dir)?, run),
        }
    }

    /// Begins a run in a folder that is claimed.
    ///
    /// # Errors
    /// If it holds a run already or cannot be written.
    pub fn create_in(folder: Folder, run: &NewRun<'_>) -> Result<Self, StoreError> {
        let path = folder.path().join(FILE);
        if path.exists() {
            return Err(StoreError::Exists(folder.path().to_owned()));
        }
        // Under another name until it is whole: a run that was killed here was never begun.
        let aside = folder.path().join(format!("{FILE}.new"));
        let journal = folder.path().join(format!("{FILE}.new-journal"));
        let clear = || {
            for left in [&aside, &journal] {
                let _ = std::fs::remove_file(left);
            }
        };
        clear();
        create_tables(&aside, run).map_err(|source| {
            clear();
            StoreError::Sql {
                path: path.clone(),
                source,
            }
        })?;
        std::fs::rename(&aside, &path).map_err(|source| StoreError::Io { path, source })?;
        Self::open(folder)
    }

    /// Takes up a run that was interrupted.
    ///
    /// # Errors
    /// If there is no run, it is in use, damaged, or of another format version.
    pub fn resume(dir: &Path) -> Result<Self, StoreError> {
        if !dir.join(FILE).exists() {
            return Err(StoreError::NoRun(dir.to_owned()));
        }
        Self::open(Folder::claim(dir)?)
    }

    fn open(folder: Folder) -> Result<Self, StoreError> {
        let mut store = Store::open_with(folder.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let journal = store.connection.pragma_update(None, "journal_mode", "WAL");
        store.sql(journal)?;
        let synced = store.connection.pragma_update(None, "synchronous", "FULL");
        store.sql(synced)?;
        store.sql(upgrade(&store.connection, store.minor))?;
        store.minor = store.minor.max(FORMAT.1);
        let elapsed = store.info()?.elapsed;
        Ok(Self {
            store,
            pending: Vec::new(),
            due: false,
            elapsed,
            last_commit: Instant::now(),
            batch: BATCH,
            folder,
        })
    }

    /// The reading side, which sees all commits.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Checks that the run's folder was not deleted or replaced meanwhile.
    ///
    /// # Errors
    /// If it was.
    pub fn check_folder(&self) -> Result<(), StoreError> {
        Ok(self.folder.check()?)
    }

    /// Writes an event, `elapsed` seconds into the run: at once where it is the result of a
    /// training, else with the next batch.
    ///
    /// # Errors
    /// If the file cannot be written; the events since the last commit are kept and tried again.
    pub fn record(&mut self, event: &Event, elapsed: f64) -> Result<(), StoreError> {
        self.note(event, elapsed)?;
        self.tick(elapsed)
    }

    /// Keeps an event, `elapsed` seconds into the run, for the next [`tick`](Self::tick): the results of several
    /// trainings share a commit, which takes the disk some milliseconds.
    ///
    /// # Errors
    /// The errors of [`Recorder::record`], as many events are committed at once.
    pub fn note(&mut self, event: &Event, elapsed: f64) -> Result<(), StoreError> {
        let result = match event {
            Event::Reference { .. }
            | Event::Evaluated { .. }
            | Event::Failed { .. }
            | Event::Pruned { .. }
            | Event::Repeated { .. }
            | Event::Learned { .. }
            | Event::SearchEnded { .. }
            | Event::Trained { .. } => true,
            Event::Drawn { .. }
            | Event::Screened { .. }
            | Event::Reported { .. }
            | Event::Lost { .. }
            | Event::Equivalent { .. } => false,
            Event::Started { .. }
            | Event::Parked { .. }
            | Event::EvaluationStarted { .. }
            | Event::StageStarted { .. } => {
                return Ok(());
            }
        };
        self.elapsed = elapsed;
        self.due |= result;
        self.pending.push((event.clone(), elapsed));
        match self.pending.len() >= self.batch {
            true => self.commit(),
            false => Ok(()),
        }
    }

    /// Commits the results of trainings, and events that have waited for a second.
    ///
    /// # Errors
    /// The errors of [`Recorder::record`].
    pub fn tick(&mut self, elapsed: f64) -> Result<(), StoreError> {
        self.elapsed = elapsed;
        let late = !self.pending.is_empty() && self.last_commit.elapsed() >= PATIENCE;
        match self.due || late {
            true => self.commit(),
            false => Ok(()),
        }
    }

    /// Commits everything.
    ///
    /// # Errors
    /// The errors of [`Recorder::record`].
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let span = tracing::debug_span!("commit", events = self.pending.len());
        let written = write(&mut self.store.connection, &self.pending, self.elapsed);
        drop(span);
        self.store.sql(written)?;
        self.pending.clear();
        self.due = false;
        self.last_commit = Instant::now();
        Ok(())
    }

    /// Writes the branches of the run's task, for readers that do not know the task.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn describe(&mut self, branches: &[BranchSpec]) -> Result<(), StoreError> {
        let written = write_branches(&mut self.store.connection, branches);
        self.store.sql(written)
    }

    /// Gives the run other settings from here on, such as a larger budget; a search that had ended
    /// goes on if they allow it.
    ///
    /// # Errors
    /// If the settings are not valid or the file cannot be written; the run then keeps those it had.
    pub fn change_settings(&mut self, settings: &Settings) -> Result<(), StoreError> {
        settings.validate().map_err(|source| StoreError::Settings {
            path: self.store.path.clone(),
            source,
        })?;
        let connection = &self.store.connection;
        let sql = "UPDATE run SET settings = ?, ended = NULL";
        let changed = connection.execute(sql, [settings.to_toml()]);
        self.store.sql(changed).map(|_| ())
    }

    /// Forgets the candidates and counts of proposals without outcome, which a study restored from the record
    /// makes again, see [`Study::restore`](crate::study::Study::restore).
    ///
    /// # Errors
    /// The errors of [`Recorder::record`].
    pub fn discard_unfinished(&mut self) -> Result<(), StoreError> {
        const UNFINISHED: &str = "proposal NOT IN \
            (SELECT proposal FROM candidate WHERE joined IS NOT NULL OR fate IN ('failed', 'lost', 'pruned'))";
        let discarded = self.store.connection.execute_batch(&format!(
            "BEGIN; DELETE FROM candidate WHERE {UNFINISHED}; DELETE FROM drawn WHERE {UNFINISHED}; \
             DELETE FROM report WHERE candidate NOT IN (SELECT id FROM candidate); \
             UPDATE run SET ended = NULL; COMMIT;"
        ));
        self.store.sql(discarded)
    }

    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) {
        let limit = self
            .store
            .connection
            .pragma_update(None, "max_page_count", pages);
        limit.unwrap();
    }

    #[cfg(test)]
    pub(crate) fn commit_after(&mut self, events: usize) {
        self.batch = events;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Whoever wants to hear of errors commits before.
        let _ = self.commit();
    }
}

fn write_branches(
    connection: &mut Connection,
    branches: &[BranchSpec],
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM branch", [])?;
    for (number, branch) in (0_i64..).zip(branches) {
        let softmax = branch.inputs[branch.prediction()].is_softmax();
        let activation = if softmax { SOFTMAX } else { NONE };
        let sql = "INSERT INTO branch VALUES (?, ?, ?)";
        transaction.execute(sql, params![number, branch.name, activation])?;
    }
    transaction.commit()
}

fn create_tables(path: &Path, run: &NewRun<'_>) -> Result<(), rusqlite::Error> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute_batch(SINCE_1_1)?;
    transaction.execute_batch(SINCE_1_2)?;
    transaction.execute_batch(SINCE_1_4)?;
    transaction.execute_batch(SINCE_1_6)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", (FORMAT.0 << 16) | FORMAT.1)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    transaction.execute(
        "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL)",
        params![
            concat!("autoloss ", env!("CARGO_PKG_VERSION")),
            run.task,
            run.metric,
            run.settings.to_toml(),
            run.task_settings,
            run.settings.search.seed.cast_signed(),
            std::thread::available_parallelism().map_or(1, |n| n.get() as i64),
            std::env::consts::ARCH,
            now.map_or(0, |d| d.as_secs().cast_signed()),
        ],
    )?;
    transaction.commit()
}
