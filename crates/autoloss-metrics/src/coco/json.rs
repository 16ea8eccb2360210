//! Reading JSON value by value, with errors that name the place.

use jiter::{Jiter, JiterErrorType, JiterResult, JsonType, NumberAny, NumberInt, Peek};

use super::error::CocoError;

/// A place in a JSON text, which moves on value by value.
///
/// As in Python's reader, `NaN`, `Infinity` and `-Infinity` are numbers, and of
/// fields of the same name the last one counts.
pub(super) struct Reader<'j> {
    jiter: Jiter<'j>,
}

type Result<T> = std::result::Result<T, CocoError>;

impl<'j> Reader<'j> {
    pub(super) fn new(json: &'j [u8]) -> Self {
        Self {
            jiter: Jiter::new(json).with_allow_inf_nan(),
        }
    }

    /// Another reader at the same place.
    pub(super) fn fork(&self) -> Self {
        Self {
            jiter: self.jiter.clone(),
        }
    }

    /// Calls `read` with each field of an object, its name translated by `name`.
    pub(super) fn object<N>(
        &mut self,
        name: impl Fn(&str) -> N,
        mut read: impl FnMut(&mut Self, N) -> Result<()>,
    ) -> Result<()> {
        let mut field = self.jiter.next_object().map(|text| text.map(&name));
        while let Some(field_name) = self.placed(field)? {
            read(self, field_name)?;
            field = self.jiter.next_key().map(|text| text.map(&name));
        }
        Ok(())
    }

    /// Calls `read` at each value of a list.
    pub(super) fn list(&mut self, mut read: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let mut value = self.jiter.next_array();
        while self.placed(value)?.is_some() {
            read(self)?;
            value = self.jiter.array_step();
        }
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<f64> {
        let number = self.jiter.next_float();
        self.placed(number)
    }

    /// A whole number, which may be written as `1.0`.
    pub(super) fn integer(&mut self) -> Result<i64> {
        // Up to here every whole number is a float.
        const LARGEST: f64 = (1_u64 << 53) as f64;
        let number = self.jiter.next_number();
        match self.placed(number)? {
            NumberAny::Int(NumberInt::Int(integer)) => Ok(integer),
            NumberAny::Float(float) if float.fract() == 0.0 && float.abs() <= LARGEST => {
                Ok(float as i64)
            }
            NumberAny::Float(float) => {
                Err(self.fail(format!("expected a whole number, found {float}")))
            }
        }
    }

    /// A whole number of 0 to 2³² − 1.
    pub(super) fn count(&mut self) -> Result<u32> {
        let number = self.integer()?;
        let out_of_range = |_| self.fail(format!("expected 0 to {}, found {number}", u32::MAX));
        u32::try_from(number).map_err(out_of_range)
    }

    /// `true` and `false`, or a whole number of 0 to 255.
    pub(super) fn flag(&mut self) -> Result<bool> {
        if matches!(self.peek()?, Peek::True | Peek::False) {
            let flag = self.jiter.next_bool();
            return self.placed(flag);
        }
        match self.integer()? {
            number @ 0..=255 => Ok(number != 0),
            number => Err(self.fail(format!("expected 0 or 1, found {number}"))),
        }
    }

    /// What `read` makes of a text.
    pub(super) fn text<T>(&mut self, read: impl FnOnce(&str) -> T) -> Result<T> {
        let text = self.jiter.next_str().map(read);
        self.placed(text)
    }

    pub(super) fn numbers(&mut self) -> Result<Vec<f64>> {
        let mut numbers = Vec::new();
        self.list(|reader| {
            numbers.push(reader.number()?);
            Ok(())
        })?;
        Ok(numbers)
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

    /// An error at the current place.
    pub(super) fn fail(&self, problem: String) -> CocoError {
        self.fail_at(self.jiter.current_index(), problem)
    }

    fn fail_at(&self, index: usize, problem: String) -> CocoError {
        let place = self.jiter.error_position(index);
        CocoError::Json {
            line: place.line,
            column: place.column,
            problem,
        }
    }

    /// A result whose error names the place.
    fn placed<T>(&self, result: JiterResult<T>) -> Result<T> {
        result.map_err(|error| {
            let problem = match &error.error_type {
                JiterErrorType::JsonError(problem) => problem.to_string(),
                JiterErrorType::WrongType { expected, actual } => {
                    format!(
                        "expected {}, found {}",
                        in_words(expected),
                        in_words(actual)
                    )
                }
            };
            self.fail_at(error.index, problem)
        })
    }
}

/// The name of a type.
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
