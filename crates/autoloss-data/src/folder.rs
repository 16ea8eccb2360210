//! Folders as people keep them: files of a desktop are skipped, endings may have capitals, and lists may name files
//! without ending or folder.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// Endings of images, the preferred ones first.
pub(super) const IMAGE_ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Endings of label maps.
pub(super) const LABEL_ENDINGS: [&str; 1] = ["png"];

/// Depth to which folders in folders are searched.
const DEEPEST: usize = 4;

/// The paths in a folder in the order of names, without files of a desktop.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let listed: io::Result<Vec<PathBuf>> = fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    });
    let mut paths = listed.map_err(|source| DataError::Read {
        path: dir.to_owned(),
        source,
    })?;
    paths.retain(|path| !is_of_desktop(&file_name(path)));
    paths.sort();
    Ok(paths)
}

/// The files with one of the endings in a folder and the folders in it, in the order of names.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn files(dir: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    collect(dir, endings, DEEPEST, &mut found)?;
    Ok(found)
}

fn collect(
    dir: &Path,
    endings: &[&str],
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    for path in entries(dir)? {
        if has_ending(&file_name(&path), endings) && path.is_file() {
            found.push(path);
        } else if depth > 0 && path.is_dir() {
            collect(&path, endings, depth - 1, found)?;
        }
    }
    Ok(())
}

/// True for files that a desktop makes for itself: `.DS_Store`, `._x.png`, `Thumbs.db`.
fn is_of_desktop(name: &str) -> bool {
    let others = ["thumbs.db", "desktop.ini", "__macosx"];
    name.starts_with('.') || others.contains(&name.to_lowercase().as_str())
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn has_ending(name: &str, endings: &[&str]) -> bool {
    ending(name, endings).is_some()
}

/// The position of a name's ending in `endings`, whatever its capitals.
fn ending(name: &str, endings: &[&str]) -> Option<usize> {
    let (_, own) = name.rsplit_once('.')?;
    endings
        .iter()
        .position(|ending| own.eq_ignore_ascii_case(ending))
}

/// A name without the ending of an image. Other endings stay.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, _)) if has_ending(name, &IMAGE_ENDINGS) => stem,
        _ => name,
    }
}

/// A path relative to `dir`, with `/` between its parts.
pub(super) fn relative(dir: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(dir).unwrap_or(path).components();
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// Index of the files of a folder by their names without ending.
pub(super) struct Index {
    dir: PathBuf,
    endings: &'static [&'static str],
    by_stem: HashMap<String, Vec<PathBuf>>,
}

impl Index {
    /// Lists a folder and the folders in it. A missing folder has no files.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn of(dir: PathBuf, endings: &'static [&'static str]) -> Result<Self, DataError> {
        let mut by_stem: HashMap<String, Vec<PathBuf>> = HashMap::new();
        if dir.is_dir() {
            for path in files(&dir, endings)? {
                let name = relative(&dir, &path);
                by_stem
                    .entry(stem(&name).to_owned())
                    .or_default()
                    .push(path);
            }
        }
        for paths in by_stem.values_mut() {
            paths.sort_by_key(|path| ending(&file_name(path), endings));
        }
        Ok(Self {
            dir,
            endings,
            by_stem,
        })
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that a list means by a name. The name may lack its ending, have `/` or `\` between folders, and begin
    /// with folders above this one.
    pub(super) fn find(&self, name: &str) -> Option<&Path> {
        let name = name.replace('\\', "/");
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
        let names = (0..parts.len()).map(|from| parts[from..].join("/"));
        names.clone().find_map(|name| self.exactly(&name))
    }

    fn exactly(&self, name: &str) -> Option<&Path> {
        if let Some(paths) = self.by_stem.get(name) {
            return paths.first().map(PathBuf::as_path);
        }
        let paths = self.by_stem.get(stem(name))?;
        let own = ending(name, self.endings);
        let same = |path: &&PathBuf| own.is_some() && ending(&file_name(path), self.endings) == own;
        let path = paths.iter().find(same).or(paths.first());
        path.map(PathBuf::as_path)
    }

    /// The most similar name in the folder, if one is similar.
    pub(super) fn nearest(&self, name: &str) -> Option<String> {
        let name = stem(name).to_lowercase();
        let distance = |path: &&PathBuf| {
            strsim::damerau_levenshtein(&stem(&relative(&self.dir, path)).to_lowercase(), &name)
        };
        let paths = self.by_stem.values().flatten();
        let nearest = paths.min_by_key(|path| (distance(path), (*path).clone()))?;
        let near = distance(&nearest) <= name.chars().count() / 3;
        near.then(|| relative(&self.dir, nearest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write_text;
    use tempfile::tempdir;

    #[test]
    fn names_in_lists_find_their_files() {
        let dir = tempdir().unwrap();
        let root = dir.path();
        for name in [
            "a.JPG",
            "b.jpeg",
            "b.png",
            "ulm/c.PNG",
            "d.e.jpg",
            "f.jpg.png",
        ] {
            write_text(&root.join(name), "");
        }
        for name in [
            ".DS_Store",
            "._a.JPG",
            "._g.jpg",
            "Thumbs.db",
            "__MACOSX/h.jpg",
            "i.txt",
        ] {
            write_text(&root.join(name), "");
        }
        let index = Index::of(root.to_owned(), &IMAGE_ENDINGS).unwrap();
        let found = |name: &str| index.find(name).map(|path| relative(root, path));
        for (name, file) in [
            ("a", "a.JPG"),
            ("a.jpg", "a.JPG"),
            ("JPEGImages/a", "a.JPG"),
            ("/data/JPEGImages/a.JPG", "a.JPG"),
            ("JPEGImages\\a.jpg", "a.JPG"),
            ("b", "b.jpeg"),
            ("b.png", "b.png"),
            ("ulm/c", "ulm/c.PNG"),
            ("images/ulm/c.png", "ulm/c.PNG"),
            ("d.e", "d.e.jpg"),
            ("f.jpg", "f.jpg.png"),
        ] {
            assert_eq!(found(name).as_deref(), Some(file), "{name}");
        }
        for name in ["c", "g", "._g", "h", "i", "", "bonn/ulm"] {
            assert_eq!(found(name), None, "{name}");
        }
        assert_eq!(index.nearest("A.png").as_deref(), Some("a.JPG"));
        assert_eq!(index.nearest("something else"), None);
        let absent = Index::of(root.join("none"), &IMAGE_ENDINGS).unwrap();
        assert_eq!(absent.find("a"), None);
    }
}
