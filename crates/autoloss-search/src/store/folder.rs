//! Folders that one process at a time writes to, and that it alone may change while it does.
//!
//! Whoever writes results claims their folder first. `FOLDER/lock` is held until the claim ends and is
//! deleted then; after a sudden end the system gives the lock back and the next claim takes the file
//! over. A lock counts only if its file is still the one in the folder, so that neither deleting the file
//! at the end nor deleting the folder meanwhile lets two processes in.

use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Name of the file that is locked.
const LOCK: &str = "lock";

/// Reasons why a folder cannot be claimed or is lost.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has claimed it.
    #[error("{} is in use by another process; wait until it has ended, or stop it", .0.display())]
    InUse(PathBuf),
    /// The folder exists, but was to be new.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The folder was deleted or replaced while this process wrote to it.
    #[error(
        "{} was deleted or replaced by another process while it was written to; its results are lost",
        .0.display()
    )]
    Gone(PathBuf),
    /// The folder may not be written to.
    #[error(
        "{}: the folder cannot be written to ({reason}); choose another one, or copy it first",
        path.display()
    )]
    ReadOnly {
        /// The folder.
        path: PathBuf,
        /// The reason, in the system's words.
        reason: String,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: Error,
    },
}

/// A folder that this process has claimed; no other process can until this value is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Claims a folder, which is made where it does not exist.
    ///
    /// # Errors
    /// If another process has claimed it or it cannot be written to.
    pub fn claim(path: &Path) -> Result<Self, FolderError> {
        // Each round lost to a process that made or deleted the folder or its lock at the same moment.
        for _ in 0..100 {
            std::fs::create_dir_all(path).map_err(|error| refused(path, error))?;
            match Self::try_claim(path)? {
                Some(folder) => return Ok(folder),
                None => std::thread::yield_now(),
            }
        }
        Err(FolderError::InUse(path.to_owned()))
    }

    /// Makes and claims a folder that does not exist yet. Of several processes that try the same name at
    /// once, one gets it.
    ///
    /// # Errors
    /// The errors of [`Folder::claim`], and a file or folder of that name.
    pub fn claim_new(path: &Path) -> Result<Self, FolderError> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|error| refused(parent, error))?;
        }
        match std::fs::create_dir(path) {
            Ok(()) => Self::claim(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(FolderError::Exists(path.to_owned()))
            }
            Err(error) => Err(refused(path, error)),
        }
    }

    /// A single try; `None` where the folder or its lock went away meanwhile.
    fn try_claim(path: &Path) -> Result<Option<Self>, FolderError> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        let lock = match options.open(path.join(LOCK)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(path, error)),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(refused(path, error)),
        }
        let folder = Self {
            path: path.to_owned(),
            lock,
        };
        match folder.is_there() {
            true => Ok(Some(folder)),
            false => Ok(None),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the folder is still the one that was claimed.
    ///
    /// # Errors
    /// If it was deleted or replaced.
    pub fn check(&self) -> Result<(), FolderError> {
        match self.is_there() {
            true => Ok(()),
            false => Err(FolderError::Gone(self.path.clone())),
        }
    }

    /// Whether the folder holds nothing but files of claims.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn is_empty(&self) -> Result<bool, FolderError> {
        let entries = std::fs::read_dir(&self.path);
        let entries = entries.map_err(|error| refused(&self.path, error))?;
        let mut names = entries.flatten().map(|entry| entry.file_name());
        Ok(names.all(|name| name == LOCK))
    }

    /// Whether the locked file is the one in the folder.
    fn is_there(&self) -> bool {
        let held = self.lock.metadata();
        let found = std::fs::metadata(self.path.join(LOCK));
        matches!((held, found), (Ok(held), Ok(found)) if is_same(&held, &found))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // While the lock is held: whoever opened this file before sees that it is not in the folder.
        if self.is_there() {
            let _ = std::fs::remove_file(self.path.join(LOCK));
        }
    }
}

/// Whether a process was once stopped in this folder before it wrote anything.
pub(super) fn was_claimed(path: &Path) -> bool {
    path.join(LOCK).exists()
}

#[cfg(unix)]
fn is_same(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Elsewhere an open file cannot be replaced.
#[cfg(not(unix))]
fn is_same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
}

fn refused(path: &Path, source: Error) -> FolderError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::ReadOnlyFilesystem => FolderError::ReadOnly {
            path,
            reason: "the file system is read-only".to_owned(),
        },
        ErrorKind::PermissionDenied => FolderError::ReadOnly {
            path,
            reason: "permission denied".to_owned(),
        },
        _ => FolderError::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let folder = Folder::claim(&path).unwrap();
        assert!(matches!(Folder::claim(&path), Err(FolderError::InUse(_))));
        assert!(folder.is_empty().unwrap());
        std::fs::write(path.join("x"), "").unwrap();
        assert!(!folder.is_empty().unwrap());
        drop(folder);
        assert!(!path.join(LOCK).exists());
        // A lock file that a sudden end left is taken over.
        std::fs::write(path.join(LOCK), "").unwrap();
        Folder::claim(&path).unwrap().check().unwrap();
    }

    #[test]
    fn of_many_that_want_a_name_each_gets_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let claim = || {
            let names = (1..).map(|n| dir.path().join(format!("run-{n}")));
            let mut claims = names.map(|path| Folder::claim_new(&path));
            claims.find_map(Result::ok).unwrap()
        };
        let folders: Vec<Folder> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let mut paths: Vec<&Path> = folders.iter().map(Folder::path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), 8);
    }

    #[test]
    fn claims_in_turn_never_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shared");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        let claim = || {
            for _ in 0..200 {
                if let Ok(folder) = Folder::claim(&path) {
                    let others = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    assert_eq!(others, 0, "two owners");
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(folder);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(claim);
            }
        });
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_that_is_deleted_or_replaced_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let folder = Folder::claim(&path).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        assert!(matches!(folder.check(), Err(FolderError::Gone(_))));
        let other = Folder::claim(&path).unwrap();
        assert!(matches!(folder.check(), Err(FolderError::Gone(_))));
        drop(folder);
        other.check().unwrap();
    }
}
