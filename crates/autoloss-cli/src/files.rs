//! Writing files so that they appear whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file under another name beside `path`, then renames it. What is no plain file, such as a
/// pipe or a device, is written directly; a link is followed.
pub(crate) fn write_aside(path: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return write(&mut File::options().write(true).open(&path)?);
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut file =
        temporary(dir).with_context(|| format!("{}: no file can be made there", dir.display()))?;
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// Writes a text so that it appears whole or not at all.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<()> {
    write_aside(path, |file| Ok(file.write_all(text.as_bytes())?))
}

/// Writes a JSON value on lines of its own, whole or not at all.
pub(crate) fn write_json(path: &Path, value: &serde_json::Value) -> Result<()> {
    write_text(path, &format!("{value:#}\n"))
}

/// A temporary file that others may read as any file of the user's.
fn temporary(dir: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    builder.tempfile_in(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_aside(&path, |file| Ok(file.write_all(b"old")?)).unwrap();
        let failed = write_aside(&path, |file| {
            file.write_all(b"half")?;
            anyhow::bail!("the disk is full")
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_and_devices_are_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_aside(&link, |file| Ok(file.write_all(b"new")?)).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        write_aside(Path::new("/dev/null"), |file| Ok(file.write_all(b"x")?)).unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
