//! The page of settings, from the commented files that `autoloss search --print-config` prints.

use std::fmt::Write;

use autoloss_search::Settings;
use autoloss_vision::tasks::TaskName;
use toml::{Table, Value};

use super::{cell, program};

/// A setting in the file of one task.
struct Line {
    table: String,
    keys: String,
    value: String,
    comment: String,
}

/// A setting over all tasks that have it.
struct Setting {
    table: String,
    keys: String,
    /// Values with the tasks that have them, in the order of the tasks.
    values: Vec<(String, Vec<TaskName>)>,
    comments: Vec<(String, Vec<TaskName>)>,
}

/// Settings of a commented file in TOML. Keys without a comment of their own belong to the comment above them.
fn lines(file: &str) -> Vec<Line> {
    let (mut found, mut table, mut comment) = (Vec::<Line>::new(), String::new(), String::new());
    // Whether the line before was a setting, so that this one may share its comment.
    let mut after_setting = false;
    for line in file.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
            comment.clear();
            after_setting = false;
        } else if let Some((key, value)) = setting(line) {
            match found.last_mut() {
                Some(last) if comment.is_empty() && after_setting && last.table == table => {
                    last.keys = format!("{}, {key}", last.keys);
                    last.value = format!("{}, {value}", last.value);
                }
                _ => found.push(Line {
                    table: table.clone(),
                    keys: key,
                    value,
                    comment: std::mem::take(&mut comment),
                }),
            }
            after_setting = true;
        } else if let Some(words) = line.strip_prefix("# ") {
            let space = if comment.is_empty() { "" } else { " " };
            comment = format!("{comment}{space}{words}");
            after_setting = false;
        } else {
            comment.clear();
            after_setting = false;
        }
    }
    found
}

/// Key and value of a line; one that is commented out, since the setting has no default, has no value.
fn setting(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once(" = ")?;
    let is_key = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let absent = key.strip_prefix("# ").filter(|key| is_key(key));
    match absent {
        Some(key) => Some((
            format!("`{key}`"),
            format!("not set, for example `{value}`"),
        )),
        None => is_key(key).then(|| (format!("`{key}`"), format!("`{value}`"))),
    }
}

/// Keys of a table and of the tables in it, with their paths.
fn keys(table: &Table, path: &str) -> Vec<String> {
    let of = |(key, value): (&String, &Value)| match value {
        Value::Table(inner) => keys(inner, &format!("{path}{key}.")),
        _ => vec![format!("{path}{key}")],
    };
    table.iter().flat_map(of).collect()
}

/// Fails where a key of the file has no line, in whatever form it is written.
fn assert_complete(file: &str, lines: &[Line]) {
    let listed = lines.iter().flat_map(|line| {
        let keys = line.keys.split(", ");
        keys.map(move |key| format!("{}.{}", line.table, key.trim_matches('`')))
    });
    let listed: Vec<String> = listed.collect();
    for key in keys(&file.parse().unwrap(), "") {
        assert!(listed.contains(&key), "{key} is missing on the page");
    }
}

/// Adds a task to those of an equal text.
fn note(texts: &mut Vec<(String, Vec<TaskName>)>, text: String, task: TaskName) {
    match texts.iter_mut().find(|(known, _)| *known == text) {
        Some((_, tasks)) => tasks.push(task),
        None => texts.push((text, vec![task])),
    }
}

/// Settings of all tasks, in the order of the files.
fn all() -> Vec<Setting> {
    let mut settings = Vec::<Setting>::new();
    for task in TaskName::ALL {
        let mut after = 0;
        let file = program(&["search", "--task", task.name(), "--print-config"]);
        let lines = lines(&file);
        assert_complete(&file, &lines);
        for line in lines {
            let same = |s: &Setting| s.table == line.table && s.keys == line.keys;
            let at = settings.iter().position(same).unwrap_or_else(|| {
                let new = Setting {
                    table: line.table.clone(),
                    keys: line.keys.clone(),
                    values: Vec::new(),
                    comments: Vec::new(),
                };
                settings.insert(after, new);
                after
            });
            note(&mut settings[at].values, line.value, task);
            note(&mut settings[at].comments, line.comment, task);
            after = at + 1;
        }
    }
    settings
}

/// The alternatives of a setting, each with its tasks where they are not all the same. The one of most tasks comes
/// first, without its tasks where all tasks have the setting.
fn told(alternatives: &[(String, Vec<TaskName>)], between: &str) -> String {
    let having: usize = alternatives.iter().map(|(_, tasks)| tasks.len()).sum();
    let most = alternatives
        .iter()
        .rev()
        .max_by_key(|(_, tasks)| tasks.len());
    let Some((most, most_tasks)) = most else {
        return String::new();
    };
    let named = |tasks: &[TaskName]| {
        let names: Vec<&str> = tasks.iter().map(|task| task.name()).collect();
        names.join(", ")
    };
    let mut texts = vec![match (alternatives.len(), having == TaskName::ALL.len()) {
        (1, _) | (_, true) => most.clone(),
        _ => format!("{most} ({})", named(most_tasks)),
    }];
    let others = alternatives.iter().filter(|(text, _)| text != most);
    texts.extend(
        others
            .filter(|(text, _)| !text.is_empty())
            .map(|(text, tasks)| format!("{text} ({})", named(tasks))),
    );
    cell(&texts.join(between))
}

/// The page.
pub(super) fn page() -> String {
    let mut body = "A setting is given in a file, `--config FILE`, or by itself, `--set search.time=600`. \
        `autoloss search --task NAME --print-config` prints the file of a task to start from. The order is: defaults, \
        the task's own values, the file, `--set`, the flags of the command. A run keeps the settings that it was made \
        with.\n\nThe values below are those of the built-in tasks. A value that is followed by names in brackets is \
        that of these tasks; the first one is that of the others. \"Paper\" is AutoLoss-Zero, \"ours\" a choice that \
        the paper leaves open.\n"
        .to_owned();
    let settings = all();
    let mut tables: Vec<&str> = Vec::new();
    for setting in &settings {
        if !tables.contains(&setting.table.as_str()) {
            tables.push(&setting.table);
        }
    }
    for table in tables {
        write!(
            body,
            "\n## [{table}]\n\n| setting | value | meaning |\n|---|---|---|\n"
        )
        .unwrap();
        for setting in settings.iter().filter(|setting| setting.table == table) {
            let value = told(&setting.values, "; ");
            let meaning = told(&setting.comments, "<br>");
            writeln!(body, "| {} | {value} | {meaning} |", setting.keys).unwrap();
        }
    }
    write!(
        body,
        "\n## --preset paper\n\nThe values that `search --preset paper` sets:\n\n```toml\n{}\n```\n",
        Settings::PAPER_TOML.trim_end()
    )
    .unwrap();
    body
}
