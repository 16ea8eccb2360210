//! Ids of images, categories and annotations: numbers, or texts that stand for numbers here.

use std::borrow::Cow;

/// An id in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RawId {
    /// A whole number.
    Number(i64),
    /// A text that is no whole number.
    Text(String),
}

impl RawId {
    /// A text as an id; `"12"` is the number 12.
    pub(super) fn of_text(text: &str) -> Self {
        match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// The id as it is in the file, for people.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The ids of an annotation file that are texts. Each stands for a number of its own: the smallest
/// numbers of 64 bits, in the order of the texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextIds {
    sorted: Vec<String>,
}

impl TextIds {
    pub(super) fn new<'a>(ids: impl Iterator<Item = &'a RawId>) -> Self {
        let texts = ids.filter_map(|id| match id {
            RawId::Number(_) => None,
            RawId::Text(text) => Some(text.clone()),
        });
        let mut sorted: Vec<String> = texts.collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    /// The number of an id; none for a text that the annotation file does not have.
    pub(super) fn number(&self, id: &RawId) -> Option<i64> {
        match id {
            RawId::Number(number) => Some(*number),
            RawId::Text(text) => {
                let place = self.sorted.binary_search(text).ok()?;
                Some(i64::MIN + i64::try_from(place).ok()?)
            }
        }
    }

    /// The id as it is in the file, for people.
    #[must_use]
    pub fn show(&self, id: i64) -> Cow<'_, str> {
        let place = usize::try_from(id.wrapping_sub(i64::MIN)).ok();
        match place.and_then(|place| self.sorted.get(place)) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(id.to_string()),
        }
    }

    /// Whether an id is a text.
    #[must_use]
    pub fn is_text(&self, id: i64) -> bool {
        let place = usize::try_from(id.wrapping_sub(i64::MIN));
        place.is_ok_and(|place| place < self.sorted.len())
    }

    /// Number of ids that are texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether all ids are numbers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

/// The ids of a list, each once, in rising order.
pub(super) struct Ids {
    sorted: Vec<i64>,
}

impl Ids {
    pub(super) fn new(ids: impl Iterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = ids.collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &i64> {
        self.sorted.iter()
    }

    pub(super) fn contains(&self, id: i64) -> bool {
        self.sorted.binary_search(&id).is_ok()
    }

    /// The place of an id; `guess`, the place that was found last, is tried first.
    pub(super) fn place(&self, id: i64, guess: &mut usize) -> Option<usize> {
        if self.sorted.get(*guess) != Some(&id) {
            *guess = self.sorted.binary_search(&id).ok()?;
        }
        Some(*guess)
    }
}
