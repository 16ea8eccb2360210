//! Settings as people write them: TOML, and single ones as `KEY=VALUE`. Faults are told by place or key,
//! in the terms of this program.

use autoloss_expr::nearest;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// The most parts that the key of a setting has, and more.
const PARTS: usize = 8;

/// Characters of a value or name that a message shows.
const SHOWN: usize = 60;

/// Reads TOML.
///
/// # Errors
/// Line, column and fault.
pub fn parse_toml(text: &str) -> Result<Table, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(line) = text.lines().position(is_too_deep) {
        return Err(format!(
            "line {}: a key of too many parts, expected at most {PARTS}",
            line + 1
        ));
    }
    text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = String::from_utf8_lossy(&text.as_bytes()[..at]);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!(
            "line {line}, column {column}: {}",
            cut(error.message(), 200)
        )
    })
}

/// Whether a line begins with a key or a table's name of too many parts. Tables in tables are read by
/// recursion.
fn is_too_deep(line: &str) -> bool {
    let key = line.trim_start_matches([' ', '\t', '[']);
    let end = key.find(['=', ']', '"', '\'', '#']).unwrap_or(key.len());
    key[..end].matches('.').count() >= PARTS
}

/// Adds the settings that a table of a search lacks, section by section.
pub fn add_defaults(table: &mut Table, mut defaults: Table) {
    let strategy = table
        .get("search")
        .and_then(|search| search.get("strategy"));
    if strategy.is_some_and(|strategy| strategy.as_str() != Some("evolution"))
        && let Some(Value::Table(search)) = defaults.get_mut("search")
    {
        // Other strategies choose among candidates only where they are told to.
        search.remove("choices");
    }
    fill(table, defaults);
}

/// Adds the keys that the sections of a table lack.
pub(super) fn fill(table: &mut Table, defaults: Table) {
    for (section, defaults) in defaults {
        let own = table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        if let (Value::Table(own), Value::Table(defaults)) = (own, defaults) {
            for (key, value) in defaults {
                own.entry(key).or_insert(value);
            }
        }
    }
}

/// Settings from a table; `root` is the name of the table with a point, or empty.
///
/// # Errors
/// The key, the value found and the values expected.
pub fn read_table<T: DeserializeOwned>(table: Table, root: &str) -> Result<T, String> {
    table.try_into().map_err(|error: toml::de::Error| {
        let whole = error.to_string();
        // The only place where the library tells the key.
        let key = whole.lines().find_map(|line| line.strip_prefix("in `"));
        let key = key.map_or("", |key| key.trim_end_matches('`'));
        in_words(error.message(), &format!("{root}{key}"))
    })
}

/// A message of the library about the value of a key, in the terms of this program.
fn in_words(message: &str, key: &str) -> String {
    let quoted = |text: &str| -> Vec<String> {
        let parts = text.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let known = quoted(expected);
    let names = known.iter().map(String::as_str);
    if let Some(name) = what.strip_prefix("unknown field ") {
        let name = name
            .trim_matches('`')
            .trim_end_matches("`, there are no fields");
        let key = match key.trim_end_matches('.') {
            "" => cut(name, SHOWN),
            key => format!("{key}.{}", cut(name, SHOWN)),
        };
        return match nearest(name, names) {
            Some(near) => format!("no setting `{key}`; did you mean `{near}`?"),
            None => format!("no setting `{key}`; known: {}", known.join(", ")),
        };
    }
    if let Some(name) = what.strip_prefix("unknown variant ") {
        let name = cut(name.trim_matches('`'), SHOWN);
        let hint = nearest(&name, names);
        let hint = hint.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        return format!(
            "`{key}` is \"{name}\", expected {}{hint}",
            known.join(" or ")
        );
    }
    if let Some(name) = what.strip_prefix("missing field ") {
        let point = if key.is_empty() || key.ends_with('.') {
            ""
        } else {
            "."
        };
        return format!(
            "the setting `{key}{point}{}` is missing",
            name.trim_matches('`')
        );
    }
    let found = ["invalid type: ", "invalid value: ", "invalid length "];
    if let Some(found) = found.iter().find_map(|start| what.strip_prefix(start)) {
        return format!("`{key}` is {}, expected {}", value(found), kind(expected));
    }
    match key {
        "" => cut(message, 200),
        key => format!("`{key}`: {}", cut(message, 200)),
    }
}

/// A value as serde tells it: "integer `-1`", "string \"x\"", "map".
fn value(found: &str) -> String {
    let of_kind = |kind: &str| found.strip_prefix(kind);
    let numbers = ["integer `", "floating point `", "boolean `"];
    let text = match numbers.into_iter().find_map(of_kind) {
        Some(number) => number.trim_end_matches('`'),
        None => match found {
            "sequence" => "a list",
            "map" => "a table",
            other => other.strip_prefix("string ").unwrap_or(other),
        },
    };
    cut(text, SHOWN)
}

/// A type as serde tells it.
fn kind(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number of at least 0",
        "i64" | "i32" | "isize" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "a text in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        expected if expected.starts_with("struct ") => "a table",
        expected => expected,
    }
}

fn cut(text: &str, length: usize) -> String {
    let text = text.replace(char::is_control, " ");
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Key and value of `KEY=VALUE`; a value that is not TOML is a text.
///
/// # Errors
/// A text without `=`.
pub fn key_value(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        let text = cut(text, SHOWN);
        format!("{text}: expected KEY=VALUE, as in task.training.steps=500")
    })?;
    let value = value.trim();
    let parsed = format!("value = {value}").parse::<Table>().ok();
    let parsed = parsed.filter(|table| table.len() == 1);
    let parsed = parsed.and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    Ok((key.trim().to_owned(), value))
}

/// Puts a value in its place; `a.b.c` is key c of table b of table a.
///
/// # Errors
/// A key of too many parts, or one below a key that is no table.
pub fn set_key(mut table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let mut sections: Vec<&str> = key.split('.').collect();
    if sections.len() > PARTS {
        let parts = sections.len();
        return Err(format!(
            "{}: a key of {parts} parts, expected at most {PARTS}, as in task.training.steps",
            cut(key, SHOWN)
        ));
    }
    let last = sections.pop().unwrap_or_default();
    for section in sections {
        let inner = table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()));
        table = match inner {
            Value::Table(inner) => inner,
            _ => {
                return Err(format!(
                    "{}: `{}` is no table of settings",
                    cut(key, SHOWN),
                    cut(section, SHOWN)
                ));
            }
        };
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        let table = parse_toml(text);
        table.and_then(Settings::read).unwrap_err()
    }

    #[test]
    fn faults_are_told_in_our_words() {
        let search = |text: &str| refused(&format!("[search]\n{text}"));
        assert_eq!(
            search("population = \"many\""),
            "`search.population` is \"many\", expected a whole number of at least 0"
        );
        assert_eq!(
            search("seed = -1"),
            "`search.seed` is -1, expected a whole number of at least 0"
        );
        assert_eq!(
            search("worker = 1"),
            "no setting `search.worker`; did you mean `workers`?"
        );
        assert_eq!(
            search("equivalence = [1]"),
            "`search.equivalence` is a list, expected true or false"
        );
        assert_eq!(
            search("strategy = \"evolutoin\""),
            "`search.strategy` is \"evolutoin\", expected evolution or random or asl or cse; did \
             you mean \"evolution\"?"
        );
        assert_eq!(
            refused("strategy = 1"),
            "no setting `strategy`; known: search, screening"
        );
        let said = refused("[search]\nseed = = 1\n");
        assert!(said.starts_with("line 2, column 8: "), "{said}");
        for deep in [
            "a.".repeat(20_000) + "b = 1",
            "[".to_owned() + &"a.".repeat(20_000) + "b]",
        ] {
            assert_eq!(
                refused(&deep),
                "line 1: a key of too many parts, expected at most 8"
            );
        }
        let nested = format!("x = {}", "[".repeat(20_000));
        assert!(refused(&nested).starts_with("line 1, column "));
    }

    #[test]
    fn single_settings_have_their_place() {
        let mut table = Table::new();
        let mut set = |text: &str| {
            let (key, value) = key_value(text)?;
            set_key(&mut table, &key, value)
        };
        set("search.seed = 7").unwrap();
        set("search.strategy=random").unwrap();
        assert!(set("nonsense").unwrap_err().contains("expected KEY=VALUE"));
        let deep = format!("{}b=1", "a.".repeat(20_000));
        assert!(set(&deep).unwrap_err().contains("a key of 20001 parts"));
        assert!(set("search.seed.x=1").unwrap_err().contains("no table"));
        let settings = Settings::read(table).unwrap();
        assert_eq!(settings.search.seed, 7);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_one_line(
            text in "(\\[?(search|screening|[a-z.]{0,9})\\]?|[a-z]{1,9}|seed|workers| ?= ?|[0-9.eE+-]{1,22}|true|\"|\\[|\\]|\\{|\\}|'|#|\\n|.){0,20}",
        ) {
            if let Err(said) = parse_toml(&text).and_then(Settings::read) {
                prop_assert!(!said.contains('\n') && !said.is_empty(), "{said}");
            }
            let mut table = Table::new();
            if let Ok((key, value)) = key_value(&text) {
                let _ = set_key(&mut table, &key, value);
                let _ = Settings::read(table);
            }
        }
    }
}
