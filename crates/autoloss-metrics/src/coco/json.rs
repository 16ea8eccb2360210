//! Reading of JSON value by value, with errors that name the place.

use jiter::{Jiter, JiterErrorType, JiterResult, JsonType, NumberAny, NumberInt, Peek};

use super::error::CocoError;
use super::ids::RawId;

/// A place in a JSON text, which moves on value by value.
///
/// As in Python's reader, `NaN`, `Infinity` and `-Infinity` are numbers, and of
/// fields of the same name the last one counts. A field of `null` counts as
/// missing.
pub(super) struct Reader<'j> {
    jiter: Jiter<'j>,
}

type Result<T> = std::result::Result<T, CocoError>;

/// The mark that some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl<'j> Reader<'j> {
    /// Starts at the beginning of a text, behind a byte order mark.
    pub(super) fn new(json: &'j [u8]) -> Result<Self> {
        if json.starts_with(b"\xFF\xFE") || json.starts_with(b"\xFE\xFF") {
            let problem = "the text is in UTF-16: save it as UTF-8".to_owned();
            return Err(CocoError::json(problem));
        }
        let json = json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json);
        Ok(Self {
            jiter: Jiter::new(json).with_allow_inf_nan(),
        })
    }

    /// Another reader at the same place.
    pub(super) fn fork(&self) -> Self {
        Self {
            jiter: self.jiter.clone(),
        }
    }

    /// Calls `read` for each of these fields of an object; skips all others.
    pub(super) fn object(
        &mut self,
        fields: &[&'static str],
        mut read: impl FnMut(&mut Self, &'static str) -> Result<()>,
    ) -> Result<()> {
        let known = |text: &str| fields.iter().copied().find(|field| *field == text);
        let mut key = self.jiter.next_object().map(|text| text.map(known));
        while let Some(field) = self.placed(key)? {
            match field {
                Some(field) => self
                    .field(|reader| read(reader, field))
                    .map_err(|error| error.inside(field))?,
                None => self.skip()?,
            }
            key = self.jiter.next_key().map(|text| text.map(known));
        }
        Ok(())
    }

    /// Calls `read` unless the value is null.
    fn field(&mut self, read: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        match self.peek()? {
            Peek::Null => self.skip(),
            _ => read(self),
        }
    }

    /// Calls `read` at each value of a list.
    pub(super) fn list(&mut self, mut read: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let mut value = self.jiter.next_array();
        let mut index = 0;
        while let Some(_first_byte) = self.placed(value).map_err(|error| match index {
            0 => error,
            _ => error.inside(&format!("[{}]", index - 1)),
        })? {
            read(self).map_err(|error| error.inside(&format!("[{index}]")))?;
            index += 1;
            value = self.jiter.array_step();
        }
        Ok(())
    }

    /// Reads the entries of a list by `read`, which is given the number of each.
    pub(super) fn entries<T>(
        &mut self,
        mut read: impl FnMut(&mut Self, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut entries = Vec::new();
        self.list(|reader| {
            entries.push(read(reader, entries.len())?);
            Ok(())
        })?;
        Ok(entries)
    }

    pub(super) fn number(&mut self) -> Result<f64> {
        let number = self.jiter.next_float();
        self.placed(number)
    }

    /// Reads a whole number, which may be written as `1.0`.
    pub(super) fn integer(&mut self) -> Result<i64> {
        // Up to here every whole number is a float.
        const LARGEST: f64 = (1_u64 << 53) as f64;
        let number = self.jiter.next_number();
        match self.placed(number)? {
            NumberAny::Int(NumberInt::Int(integer)) => Ok(integer),
            NumberAny::Float(float) if float.fract() == 0.0 && float.abs() <= LARGEST => {
                Ok(float as i64)
            }
            NumberAny::Float(float) => Err(CocoError::json(format!(
                "expected a whole number, found {float}"
            ))),
        }
    }

    /// Reads an id: a whole number or a text.
    pub(super) fn id(&mut self) -> Result<RawId> {
        match self.peek()? {
            Peek::String => self.text(RawId::of_text),
            _ => self.integer().map(RawId::Number),
        }
    }

    /// Reads a whole number of 0 to 2³² − 1.
    pub(super) fn count(&mut self) -> Result<u32> {
        let number = self.integer()?;
        let out_of_range =
            |_| CocoError::json(format!("expected 0 to {}, found {number}", u32::MAX));
        u32::try_from(number).map_err(out_of_range)
    }

    /// Reads `true` or `false`, or a whole number of 0 to 255.
    pub(super) fn flag(&mut self) -> Result<bool> {
        if matches!(self.peek()?, Peek::True | Peek::False) {
            let flag = self.jiter.next_bool();
            return self.placed(flag);
        }
        match self.integer()? {
            number @ 0..=255 => Ok(number != 0),
            number => Err(CocoError::json(format!("expected 0 or 1, found {number}"))),
        }
    }

    /// Reads a text and converts it by `read`.
    pub(super) fn text<T>(&mut self, read: impl FnOnce(&str) -> T) -> Result<T> {
        let text = self.jiter.next_str().map(read);
        self.placed(text)
    }

    pub(super) fn numbers(&mut self) -> Result<Vec<f64>> {
        self.entries(|reader, _| reader.number())
    }

    pub(super) fn skip(&mut self) -> Result<()> {
        let skipped = self.jiter.next_skip();
        self.placed(skipped)
    }

    /// The first byte of the next value, which tells its type.
    pub(super) fn peek(&mut self) -> Result<Peek> {
        let peek = self.jiter.peek();
        self.placed(peek)
    }

    /// Fails if anything but space follows.
    pub(super) fn finish(&mut self) -> Result<()> {
        let end = self.jiter.finish();
        self.placed(end)
    }

    /// A result of jiter, its error in words.
    fn placed<T>(&self, result: JiterResult<T>) -> Result<T> {
        result.map_err(|error| {
            CocoError::json(match &error.error_type {
                JiterErrorType::JsonError(problem) => {
                    let problem = problem.to_string();
                    if problem.starts_with("EOF") {
                        return CocoError::json("the file breaks off here".to_owned());
                    }
                    match self.jiter.error_position(error.index).line {
                        0 | 1 => format!("no JSON: {problem}"),
                        line => format!("no JSON in line {line}: {problem}"),
                    }
                }
                JiterErrorType::WrongType { expected, actual } => {
                    format!(
                        "expected {}, found {}",
                        in_words(expected),
                        in_words(actual)
                    )
                }
            })
        })
    }
}

/// The type in words.
fn in_words(of: &JsonType) -> &'static str {
    match of {
        JsonType::Null => "null",
        JsonType::Bool => "true or false",
        JsonType::Int | JsonType::Float => "a number",
        JsonType::String => "a text",
        JsonType::Array => "a list",
        JsonType::Object => "an object",
    }
}
