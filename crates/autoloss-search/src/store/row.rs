//! Values of the tables of a run, checked as they are read.

use std::fmt::Display;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;

use crate::numbers::or_nan;

/// Seconds of three hundred years.
const LONGEST: f64 = 1e10;

/// Characters of a stored text that an error shows.
const SHOWN: usize = 40;

/// Reason for which a row cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// `SQLite` refused.
    Sql(rusqlite::Error),
    /// A value is none that this program writes: place and value, and the expected one.
    Damage(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// A row of a table.
pub(super) struct Cells<'a> {
    row: &'a Row<'a>,
    table: &'static str,
    /// The column by which people know the row.
    key: Option<&'static str>,
}

impl<'a> Cells<'a> {
    pub(super) const fn new(
        row: &'a Row<'a>,
        table: &'static str,
        key: Option<&'static str>,
    ) -> Self {
        Self { row, table, key }
    }

    /// A fault of this row.
    pub(super) fn damage(&self, what: impl Display) -> Fault {
        let key = self.key.and_then(|key| self.row.get_ref(key).ok());
        let place = key.map_or_else(String::new, |key| format!(" {}", in_words(key)));
        Fault::Damage(format!("table `{}`{place}: {what}", self.table))
    }

    fn read<T>(
        &self,
        column: &str,
        expected: &str,
        of: impl FnOnce(ValueRef<'_>) -> Option<T>,
    ) -> Result<T, Fault> {
        let value = self.row.get_ref(column)?;
        of(value).ok_or_else(|| {
            let found = in_words(value);
            self.damage(format!("`{column}` is {found}, expected {expected}"))
        })
    }

    /// Bytes.
    pub(super) fn bytes(&self, column: &str) -> Result<Vec<u8>, Fault> {
        self.read(column, "bytes", |value| match value {
            ValueRef::Blob(bytes) => Some(bytes.to_vec()),
            _ => None,
        })
    }

    /// Text in UTF-8.
    pub(super) fn text(&self, column: &str) -> Result<String, Fault> {
        self.read(column, "text in UTF-8", text)
    }

    /// A word that `known` knows.
    pub(super) fn word<T>(
        &self,
        column: &str,
        known: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        self.read(column, "a word that this version knows", |value| {
            known(&text(value)?)
        })
    }

    /// A whole number from 0.
    pub(super) fn whole(&self, column: &str) -> Result<u64, Fault> {
        self.read(column, "a whole number from 0", |value| match value {
            ValueRef::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        })
    }

    /// A seed, which is stored in the bits of a signed number.
    pub(super) fn seed(&self, column: &str) -> Result<u64, Fault> {
        self.read(column, "a whole number", |value| match value {
            ValueRef::Integer(number) => Some(number.cast_unsigned()),
            _ => None,
        })
    }

    /// A finite number.
    pub(super) fn finite(&self, column: &str) -> Result<f64, Fault> {
        self.read(column, "a finite number", |value| {
            real(value).filter(|x| x.is_finite())
        })
    }

    /// A number that may be infinite.
    pub(super) fn number(&self, column: &str) -> Result<f64, Fault> {
        self.read(column, "a number", real)
    }

    /// A duration in seconds.
    pub(super) fn seconds(&self, column: &str) -> Result<f64, Fault> {
        let expected = format!("seconds from 0 to {LONGEST}");
        self.read(column, &expected, |value| {
            real(value).filter(|x| (0.0..=LONGEST).contains(x))
        })
    }

    /// A value as `read` reads it, where there is one.
    pub(super) fn optional<T>(
        &self,
        column: &str,
        read: impl FnOnce(&Self, &str) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.row.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => read(self, column).map(Some),
        }
    }

    /// A list as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Fault> {
        self.read(column, "a list as JSON", |value| {
            serde_json::from_str(&text(value)?).ok()
        })
    }

    /// Pairs as JSON, whose number is `null` where it is none.
    pub(super) fn pairs<T: DeserializeOwned>(&self, column: &str) -> Result<Vec<(T, f64)>, Fault> {
        Ok(or_nan(self.json(column)?))
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Text(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "whole numbers are stored as they come"
)]
const fn real(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Real(x) => Some(x),
        ValueRef::Integer(x) => Some(x as f64),
        _ => None,
    }
}

fn in_words(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "missing".to_owned(),
        ValueRef::Integer(x) => x.to_string(),
        ValueRef::Real(x) => x.to_string(),
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let shown: String = text.chars().take(SHOWN).collect();
            let more = if text.chars().count() > SHOWN {
                "…"
            } else {
                ""
            };
            format!("{shown:?}{more}")
        }
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
