//! A run on disk: `DIR/run.sqlite` in a [`Folder`] that the writing process has claimed.
//!
//! [`Recorder`] writes, [`Store`] reads, also while another process writes. The database is in
//! write-ahead mode and syncs at every commit, so that a commit survives the process's and the
//! machine's sudden end; commits are batched except for results of trainings.

mod folder;
mod format;
mod query;
mod record;
mod row;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use folder::{Folder, FolderError};
pub use format::FORMAT;
pub use query::{CandidateRow, RunBranch, RunInfo, WorkerSummary};
pub use record::{NewRun, Recorder};

use crate::settings::SettingsError;

/// Minor version of the first format whose candidates were scored on a search set.
const FIRST_WITH_SEARCH_SET: u32 = 2;

/// Minor version of the first format whose runs end with full training.
const FIRST_WITH_FULL_TRAINING: u32 = 3;

/// Minor version of the first format with scores of trainings on the way.
const FIRST_WITH_REPORTS: u32 = 4;

/// Minor version of the first format with the task's branches and the workers of its trials.
const FIRST_WITH_BRANCHES: u32 = 6;

/// Marks the database as a run of this program.
const APPLICATION_ID: i32 = 0x414C_6F73;

const FILE: &str = "run.sqlite";

/// Purpose of the further trainings of leaders.
const REPEAT: &str = "repeat";

/// Purpose of the trainings of an earlier run.
const EARLIER: &str = "earlier";

/// Activation of a branch whose prediction is probabilities, and of one whose prediction is numbers.
const SOFTMAX: &str = "softmax";
const NONE: &str = "none";

/// Error of a run on disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is a run already.
    #[error("{} already holds a run; choose another directory, or go on with `resume`", .0.display())]
    Exists(PathBuf),
    /// There is no run.
    #[error("{} holds no run (no file {FILE}){}", .0.display(), never_begun(.0))]
    NoRun(PathBuf),
    /// The folder cannot be claimed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Not a database of this program.
    #[error("{} is not a run: {reason}", path.display())]
    NotARun {
        /// The file.
        path: PathBuf,
        /// Its real nature.
        reason: String,
    },
    /// Written by a version whose tables differ.
    #[error(
        "{} has run format {}.{}, this program understands {}.x; use the version that wrote it",
        path.display(), found.0, found.1, FORMAT.0
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Major and minor format version of the file.
        found: (u32, u32),
    },
    /// Its scores mean something else than those of this version.
    #[error(
        "{} is from {}, and cannot go on with other scores; `show` and `report` read it, `search` begins a new \
         run",
        path.display(), earlier(*minor)
    )]
    Earlier {
        /// The folder.
        path: PathBuf,
        /// Minor version of its format.
        minor: u32,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
    /// `SQLite` refused.
    #[error("{}: {}", path.display(), explain(source))]
    Sql {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: rusqlite::Error,
    },
    /// The stored settings cannot be used.
    #[error("{}: {source}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Their fault.
        source: SettingsError,
    },
    /// A stored value is none that this program writes.
    #[error(
        "{}: the file is damaged: {what}; restore it from a copy, or begin a new run",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Place and value, and the expected one.
        what: String,
    },
    /// A stored value of a run of a later minor version is none that this program writes.
    #[error(
        "{} was written by a newer version (run format {}.{minor}, this program knows {}.{}) and holds \
         something unknown: {what}; use the version that wrote it",
        path.display(), FORMAT.0, FORMAT.0, FORMAT.1
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Minor version of its format.
        minor: u32,
        /// Place and value, and the expected one.
        what: String,
    },
    /// Reading it needs a file beside it that cannot be written.
    #[error(
        "{}: cannot be read here: the folder is read-only and the run was not ended in order, so that a part of \
         it is still in {FILE}-wal; copy the folder to a place where you may write",
        .0.display()
    )]
    ReadOnlyUnfinished(PathBuf),
}

/// Explains a folder whose search was stopped before its run was on disk.
fn never_begun(dir: &Path) -> &'static str {
    match folder::was_claimed(dir) {
        true => {
            ": its search was stopped before anything was begun; start the search again, it may use this folder"
        }
        false => "",
    }
}

/// The meaning of the scores of an earlier format.
const fn earlier(minor: u32) -> &'static str {
    match minor < FIRST_WITH_SEARCH_SET {
        true => {
            "before the training data were split: it scored its candidates on the validation set"
        }
        false => "before full training: it compares its losses by the proxy at the end",
    }
}

impl StoreError {
    /// Whether the file, or one beside it, cannot be opened.
    fn cannot_open(&self) -> bool {
        let code = match self {
            Self::Sql { source, .. } => source.sqlite_error_code(),
            _ => None,
        };
        matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
    }
}

/// Advice about a refusal of `SQLite`, and its own words.
fn explain(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space and resume",
        Some(ErrorCode::ReadOnly) => "the file may not be written to",
        Some(ErrorCode::DatabaseCorrupt) => "the file is damaged",
        Some(ErrorCode::NotADatabase) => "the file is no SQLite database",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the file is locked by another process"
        }
        Some(ErrorCode::CannotOpen) => {
            "the file, or one beside it, cannot be opened; check the folder's permissions"
        }
        Some(ErrorCode::PermissionDenied) => "the file may not be opened",
        Some(ErrorCode::SystemIoFailure) => "reading or writing the file failed",
        Some(ErrorCode::OutOfMemory) => "there is not enough memory for the file",
        _ => "the file is damaged, or its tables are not those of a run",
    };
    format!("{advice} ({error})")
}

/// The reading side of a run.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Minor version of the file's format.
    minor: u32,
}

impl Store {
    /// Opens a run for reading; another process may write to it meanwhile.
    ///
    /// # Errors
    /// If there is no run, it is damaged, or of another format version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn open_with(dir: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let length = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NoRun(dir.to_owned()));
            }
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let log = std::fs::metadata(dir.join(format!("{FILE}-wal"))).map_or(0, |m| m.len());
        if length == 0 && log == 0 {
            return Err(StoreError::NotARun {
                path,
                reason: "the file is empty; delete the directory and search again".to_owned(),
            });
        }
        let for_writing = flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
        let store = match Self::connect(&path, &path, flags) {
            Err(error) if error.cannot_open() && !for_writing => {
                // A reader writes to the file beside it that readers and writers share.
                if log > 0 {
                    return Err(StoreError::ReadOnlyUnfinished(dir.to_owned()));
                }
                let flags = flags | OpenFlags::SQLITE_OPEN_URI;
                Self::connect(&path, &unchanging(&path), flags)?
            }
            other => other?,
        };
        if store.minor < FIRST_WITH_FULL_TRAINING && for_writing {
            return Err(StoreError::Earlier {
                path: dir.to_owned(),
                minor: store.minor,
            });
        }
        store.sql(format::show_upgraded(&store.connection, store.minor))?;
        Ok(store)
    }

    /// Opens a file by its path or another name, and looks at its format.
    fn connect(path: &Path, name: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(name, flags);
        let connection = connection.map_err(|source| StoreError::Sql {
            path: path.to_owned(),
            source,
        })?;
        let mut store = Self {
            connection,
            path: path.to_owned(),
            minor: 0,
        };
        let patience = store.connection.busy_timeout(Duration::from_secs(20));
        store.sql(patience)?;
        store.minor = store.checked_minor()?;
        Ok(store)
    }

    /// The minor version of the file's format, if it is a run of a version that this one can read.
    fn checked_minor(&self) -> Result<u32, StoreError> {
        let pragma = |name| {
            let value = self
                .connection
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0));
            self.sql(value)
        };
        if pragma("application_id")? != APPLICATION_ID {
            return Err(StoreError::NotARun {
                path: self.path.clone(),
                reason: "it is an SQLite database of another program".to_owned(),
            });
        }
        let version = pragma("user_version")?.cast_unsigned();
        let found = (version >> 16, version & 0xFFFF);
        if found.0 != FORMAT.0 {
            return Err(StoreError::Version {
                path: self.path.clone(),
                found,
            });
        }
        Ok(found.1)
    }

    fn sql<T>(&self, result: Result<T, rusqlite::Error>) -> Result<T, StoreError> {
        result.map_err(|source| StoreError::Sql {
            path: self.path.clone(),
            source,
        })
    }

    /// Whether a later minor version wrote the run.
    const fn is_newer(&self) -> bool {
        self.minor > FORMAT.1
    }

    /// The error about something that this program does not write.
    pub(crate) fn damaged(&self, what: String) -> StoreError {
        let path = self.path.clone();
        match self.is_newer() {
            true => StoreError::Newer {
                path,
                minor: self.minor,
                what,
            },
            false => StoreError::Damaged { path, what },
        }
    }
}

/// The name by which `SQLite` opens a file that nobody changes, so that it writes nothing beside it.
fn unchanging(path: &Path) -> PathBuf {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let name: String = bytes
        .map(|byte| match plain(*byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!("file:{name}?immutable=1").into()
}
