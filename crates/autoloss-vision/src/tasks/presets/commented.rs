//! Files of settings with their comments, put one above the other.

use std::fmt;

/// A TOML file as tables of commented keys, in the file's order.
pub(super) struct Commented {
    /// Comment at the head of the file.
    head: Vec<&'static str>,
    tables: Vec<CommentedTable>,
}

struct CommentedTable {
    name: &'static str,
    /// Comment above the table's name.
    comment: Vec<&'static str>,
    keys: Vec<Key>,
}

struct Key {
    name: &'static str,
    comment: Vec<&'static str>,
    /// Lines of key and value.
    lines: Vec<&'static str>,
}

/// Table of settings that full training changes; it comes last.
const FULL: &str = "task.full";

impl Commented {
    /// The keys of a file that is known to be TOML, one key a line, each table under its full name. Comments belong
    /// to the key or table below them.
    pub(super) fn read(text: &'static str) -> Self {
        let mut file = Self {
            head: Vec::new(),
            tables: Vec::new(),
        };
        let mut comment = Vec::new();
        for line in text.lines() {
            if line.starts_with('#') {
                comment.push(line);
            } else if let Some(name) = line.strip_prefix('[') {
                file.tables.push(CommentedTable {
                    name: name.trim_end_matches(']'),
                    comment: std::mem::take(&mut comment),
                    keys: Vec::new(),
                });
            } else if line.is_empty() && file.tables.is_empty() {
                file.head.append(&mut comment);
            } else if let (Some((name, _)), Some(table)) =
                (line.split_once(" = "), file.tables.last_mut())
            {
                table.keys.push(Key {
                    name,
                    comment: std::mem::take(&mut comment),
                    lines: vec![line],
                });
            } else if let (Some(table), false) = (file.tables.last_mut(), comment.is_empty()) {
                // Comments of keys that are left out.
                table.keys.push(Key {
                    name: "",
                    comment: std::mem::take(&mut comment),
                    lines: Vec::new(),
                });
            }
        }
        file
    }

    /// Puts the values of a file above those of this one. Comments of both stay; the head of the
    /// upper file becomes the comment of the table `task`.
    pub(super) fn put(&mut self, upper: Self) {
        for table in upper.tables {
            let known = self
                .tables
                .iter_mut()
                .find(|known| known.name == table.name);
            match known {
                None => self.tables.push(table),
                Some(known) => known.put(table),
            }
        }
        // The head of the lowest file, the defaults of a search, stays where it is.
        if let Some(task) = self.tables.iter_mut().find(|table| table.name == "task") {
            task.comment = upper.head;
        }
        self.tables
            .sort_by_key(|table| table.name.starts_with(FULL));
    }

    /// Keys of this file that neither change the value of the file below nor comment on it.
    #[cfg(test)]
    pub(super) fn idle_above(&self, below: &Self) -> Vec<&'static str> {
        let is_idle = |table: &CommentedTable, key: &Key| {
            let mut known = below.tables.iter().filter(|known| known.name == table.name);
            let same = |other: &Key| other.name == key.name && other.lines == key.lines;
            key.comment.is_empty() && known.any(|known| known.keys.iter().any(same))
        };
        let tables = self.tables.iter();
        let keys = tables.flat_map(|table| table.keys.iter().map(move |key| (table, key)));
        keys.filter(|(table, key)| is_idle(table, key))
            .map(|(_, key)| key.name)
            .collect()
    }
}

impl CommentedTable {
    fn put(&mut self, upper: Self) {
        self.comment.extend(upper.comment);
        for key in upper.keys {
            let known = self.keys.iter_mut().find(|known| known.name == key.name);
            match known {
                Some(known) if !key.name.is_empty() => {
                    let new = key
                        .comment
                        .iter()
                        .filter(|line| !known.comment.contains(line));
                    let new: Vec<&str> = new.copied().collect();
                    known.comment.extend(new);
                    known.lines = key.lines;
                }
                _ => self.keys.push(key),
            }
        }
    }
}

impl fmt::Display for Commented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = |f: &mut fmt::Formatter<'_>, lines: &[&str]| {
            lines.iter().try_for_each(|line| writeln!(f, "{line}"))
        };
        write(f, &self.head)?;
        for table in &self.tables {
            writeln!(f)?;
            write(f, &table.comment)?;
            writeln!(f, "[{}]", table.name)?;
            for key in &table.keys {
                write(f, &key.comment)?;
                write(f, &key.lines)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_comments_are_put_above_those_of_another_file() {
        let mut file = Commented::read(
            "# Head.\n\n[task]\n# Left out.\n# a = 1\n# B.\nb = 2\nc = 3\n\n# Full.\n[task.full]\n# D.\nd = 4\n",
        );
        file.put(Commented::read(
            "# Task.\n\n[task]\n# Why.\nb = 5\n# E.\ne = 6\n\n[task.x]\n# F.\nf = 7\n",
        ));
        assert_eq!(
            file.to_string(),
            "# Head.\n\n# Task.\n[task]\n# Left out.\n# a = 1\n# B.\n# Why.\nb = 5\nc = 3\n# E.\ne = 6\n\n\
             [task.x]\n# F.\nf = 7\n\n# Full.\n[task.full]\n# D.\nd = 4\n"
        );
        let idle = Commented::read("[task]\nc = 3\n# Why.\nb = 5\n");
        assert_eq!(idle.idle_above(&file), ["c"]);
    }
}
