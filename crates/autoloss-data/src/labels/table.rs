//! Table from the numbers of label files to labels.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::DataError;
use crate::example::IGNORE;

/// Table from the numbers in label files to labels, as in `0=0,255=1` or `7=0,8=1,*=ignore`.
///
/// Numbers that the table does not list are labels themselves, unless it lists `*`. The label 255 stands for
/// ignored pixels, which are also written `ignore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTable {
    listed: BTreeMap<u16, u8>,
    rest: Rest,
    /// The label of ignored pixels in the files.
    ignored: u8,
    /// Allowed numbers in words, if they are not the classes' own.
    expected: Option<String>,
}

impl Default for LabelTable {
    /// Every number is its own label.
    fn default() -> Self {
        Self {
            listed: BTreeMap::new(),
            rest: Rest::Itself,
            ignored: IGNORE,
            expected: None,
        }
    }
}

/// Meaning of numbers that are not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    /// The number is the label.
    #[default]
    Itself,
    /// Every such number has this label.
    Label(u8),
    /// Such numbers are errors.
    Refused,
}

impl LabelTable {
    /// A table of all allowed numbers of a file; `expected` is their range in words.
    pub(crate) fn closed(listed: impl IntoIterator<Item = (u16, u8)>, expected: &str) -> Self {
        Self {
            listed: listed.into_iter().collect(),
            rest: Rest::Refused,
            expected: Some(expected.to_owned()),
            ..Self::default()
        }
    }

    /// The table with `label` as the ignored one. 255 is then ignored only if it is `label` or listed.
    #[must_use]
    pub fn ignoring(mut self, label: u8) -> Self {
        self.ignored = label;
        self
    }

    /// The label of a number: ignored, or below `classes`. None for other numbers.
    pub(crate) fn label(&self, number: u16, classes: usize) -> Option<u8> {
        let (label, listed) = match (self.listed.get(&number), self.rest) {
            (Some(label), _) => (u16::from(*label), true),
            (None, Rest::Label(label)) => (label.into(), true),
            (None, Rest::Itself) => (number, false),
            (None, Rest::Refused) => return None,
        };
        let label = u8::try_from(label).ok()?;
        if label == self.ignored || (listed && label == IGNORE) {
            return Some(IGNORE);
        }
        (usize::from(label) < classes).then_some(label)
    }

    /// The numbers with a label, in words.
    pub(crate) fn expected(&self, classes: usize) -> String {
        let largest = classes.saturating_sub(1);
        let ignored = self.ignored;
        match (&self.expected, self.listed.is_empty()) {
            (Some(expected), _) => format!("{expected}, or {ignored} for ignored pixels"),
            (None, true) => format!("0 to {largest}, or {ignored} for ignored pixels"),
            (None, false) => {
                format!(
                    "0 to {largest}, or {ignored} for ignored pixels, after the label map {self}"
                )
            }
        }
    }
}

impl std::fmt::Display for LabelTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |label: u8| match label {
            IGNORE => "ignore".to_owned(),
            label => label.to_string(),
        };
        let listed = self.listed.iter();
        let mut parts: Vec<String> = listed.map(|(n, l)| format!("{n}={}", name(*l))).collect();
        if let Rest::Label(label) = self.rest {
            parts.push(format!("*={}", name(label)));
        }
        f.write_str(&parts.join(","))
    }
}

impl FromStr for LabelTable {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let wrong = |part: &str, reason: &str| DataError::Setting {
            name: "label_map",
            reason: format!(
                "`{part}` {reason}: expected NUMBER=LABEL, as in 0=0,255=1 or 7=0,8=1,*=ignore"
            ),
        };
        let mut table = Self::default();
        for part in text.split(',').map(str::trim) {
            let (number, label) = part
                .split_once('=')
                .ok_or_else(|| wrong(part, "has no ="))?;
            let label = match label.trim() {
                "ignore" => IGNORE,
                label => label
                    .parse()
                    .map_err(|_| wrong(part, "has no label of 0 to 255"))?,
            };
            if number.trim() == "*" {
                table.rest = Rest::Label(label);
                continue;
            }
            let number = number
                .trim()
                .parse()
                .map_err(|_| wrong(part, "has no number of 0 to 65535"))?;
            if table.listed.insert(number, label).is_some() {
                return Err(wrong(part, "comes twice"));
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;

    fn table(text: &str) -> LabelTable {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_have_the_labels_that_are_listed() {
        let none = LabelTable::default();
        assert_eq!(
            [0, 2, 3, 255, 300].map(|number| none.label(number, 3)),
            [Some(0), Some(2), None, Some(255), None]
        );
        let masks = table("0=0, 255=1");
        assert_eq!(
            [0, 1, 2, 255].map(|number| masks.label(number, 2)),
            [Some(0), Some(1), None, Some(1)]
        );
        let some = table("700=1,65535=ignore,*=0");
        assert_eq!(
            [700, 65535, 9, 1].map(|number| some.label(number, 2)),
            [Some(1), Some(255), Some(0), Some(0)]
        );
        let other = LabelTable::default().ignoring(1);
        assert_eq!(
            [0, 1, 255].map(|n| other.label(n, 2)),
            [Some(0), Some(255), None]
        );
        // A label beyond the classes is none, wherever it comes from.
        assert_eq!(table("5=7").label(5, 3), None);
        let ids = LabelTable::closed([(7, 0), (8, 255)], "7 or 8");
        assert_eq!(
            [7, 8, 0].map(|n| ids.label(n, 2)),
            [Some(0), Some(255), None]
        );
    }

    #[test]
    fn tables_are_printed_as_they_are_read_and_mistakes_are_named() {
        for text in ["0=0,255=1", "7=0,8=1,*=ignore", "9=ignore,*=3"] {
            assert_eq!(table(text).to_string(), text);
        }
        let said = |text: &str| message(text.parse::<LabelTable>());
        assert!(said("").contains("`` has no ="), "{}", said(""));
        assert!(said("0=0,1").contains("`1` has no ="));
        assert!(said("0=cat").contains("`0=cat` has no label of 0 to 255"));
        assert!(said("x=1").contains("`x=1` has no number"));
        assert!(said("70000=1").contains("no number of 0 to 65535"));
        assert!(said("0=0,0=1").contains("`0=1` comes twice"));
    }
}
