//! The settings that a task starts from: commented TOML files in layers, each with its differences from those below.
//! A file has the tables of a user's file of settings, `search` and `screening` included.

mod commented;

use autoloss_search::Settings;
use toml::{Table, Value};

use super::name::TaskName;
use commented::Commented;

impl TaskName {
    /// The settings that a user's settings change: the table `task`.
    #[must_use]
    pub fn preset(self) -> Table {
        match self.tables().remove("task") {
            Some(Value::Table(task)) => task,
            _ => Table::new(),
        }
    }

    /// Settings of a search whose defaults depend on the task: the tables `search` and `screening`. (ours)
    #[must_use]
    pub fn search_preset(self) -> Table {
        let mut tables = self.tables();
        tables.remove("task");
        tables
    }

    /// All settings of a search and of the task as a file with comments.
    #[must_use]
    pub fn commented_preset(self) -> String {
        let mut file = Commented::read(Settings::DEFAULT_TOML);
        for layer in self.layers() {
            file.put(Commented::read(layer));
        }
        file.to_string()
    }

    /// The tables of the files, one above the other.
    fn tables(self) -> Table {
        let mut tables = Table::new();
        for layer in self.layers() {
            let layer: Table = toml::from_str(layer).expect("presets are TOML, as tested");
            merge(&mut tables, &layer);
        }
        tables
    }
}

/// Puts the values of `changes` into `table`, table by table.
pub(super) fn merge(table: &mut Table, changes: &Table) {
    for (key, value) in changes {
        match (table.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(changes)) => merge(inner, changes),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::settings::TaskSettings;
    use super::*;

    /// Keys with their tables, as in `task.training.steps`.
    fn keys(table: &Table, place: &str) -> BTreeSet<String> {
        let of = |(key, value): (&String, &Value)| match value {
            Value::Table(inner) => keys(inner, &format!("{place}{key}.")),
            _ => BTreeSet::from([format!("{place}{key}")]),
        };
        table.iter().flat_map(of).collect()
    }

    fn with_data(task: TaskName) -> Table {
        let mut table = task.preset();
        if !task.is_embedded() {
            table.insert("data".to_owned(), "d".into());
        }
        table
    }

    #[test]
    fn the_commented_file_holds_the_settings() {
        for task in TaskName::ALL {
            let mut table: Table = toml::from_str(&task.commented_preset()).unwrap();
            assert_eq!(table.remove("task"), Some(task.preset().into()), "{task}");
            let want = Settings::from_table(task.search_preset()).unwrap();
            assert_eq!(Settings::from_table(table).unwrap(), want, "{task}");
        }
    }

    #[test]
    fn every_setting_is_in_the_commented_file_with_a_comment() {
        for task in TaskName::ALL {
            let text = task.commented_preset();
            let told = keys(&toml::from_str(&text).unwrap(), "");
            let settings = TaskSettings::from_table(&with_data(task)).unwrap();
            let mut used = keys(&toml::from_str(&settings.to_toml()).unwrap(), "task.");
            // Given by a flag; scenes are those of embedded tasks.
            used.remove("task.data");
            if !task.is_embedded() {
                used.retain(|key| {
                    !key.starts_with("task.digits.") && !key.starts_with("task.figures.")
                });
            }
            let untold: Vec<&String> = used.difference(&told).collect();
            assert!(untold.is_empty(), "{task}: {untold:?} are in no preset");
            let mut commented = false;
            for line in text.lines().skip_while(|line| *line != "[task]") {
                let is_comment = line.starts_with('#');
                let is_key = line.contains(" = ") && !is_comment;
                assert!(!is_key || commented, "{task}: `{line}` has no comment");
                // A comment serves the keys right below it.
                commented = is_comment || commented && is_key;
            }
        }
    }

    #[test]
    fn files_hold_nothing_that_is_the_same_below_but_for_a_comment() {
        for task in TaskName::ALL {
            let mut below = Commented::read(Settings::DEFAULT_TOML);
            for layer in task.layers() {
                let layer = Commented::read(layer);
                let idle = layer.idle_above(&below);
                assert!(idle.is_empty(), "{task}: {idle:?} change nothing");
                below.put(layer);
            }
        }
    }

    #[test]
    fn settings_of_a_search_are_those_of_the_layers() {
        let of = |task: TaskName| Settings::from_table(task.search_preset()).unwrap();
        assert_eq!(of(TaskName::Voc), Settings::default());
        let digits = of(TaskName::DigitsInstances);
        assert_eq!((digits.search.initial, digits.search.choices), (10, 30));
        assert_eq!(digits.screening.early_share, 0.0);
        let pose = of(TaskName::CocoPose);
        assert_eq!((pose.search.initial, pose.search.choices), (5, 1));
        assert_eq!(pose.screening.threshold, 0.9);
    }
}
