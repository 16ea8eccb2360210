//! Reading of formulas.

use super::error::{ParseError, did_you_mean, shown};
use crate::native::NativeLoss;
use crate::operator::Operator;
use crate::tree::{Branch, Loss, Tree};

/// Deepest nesting and largest number of nodes of a formula: far beyond any loss, and small enough
/// that no formula can exhaust the stack.
const MAX_DEPTH: usize = 300;
const MAX_NODES: usize = 10_000;

impl Tree {
    /// Reads a formula that may use the given inputs.
    ///
    /// # Errors
    /// A formula that cannot be read. The error names the column and the expected text; for an unknown
    /// operator or input also the nearest known name.
    pub fn parse(text: &str, inputs: &[&str]) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text, inputs);
        let tree = parser.whole()?;
        parser.end("an operator (`+`, `-`, `*`, `/`) or the end of the formula")?;
        Ok(tree)
    }
}

impl Loss {
    /// Reads a loss for a task with the given branches and their inputs: one formula for a task of
    /// one branch, else `name = formula; name = formula`. The branches come out in the task's order.
    ///
    /// # Errors
    /// As [`Tree::parse`]; also a branch that is unknown, given twice or missing.
    pub fn parse(text: &str, branches: &[(&str, Vec<&str>)]) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text, &[]);
        let names: Vec<&str> = branches.iter().map(|(name, _)| *name).collect();
        let mut trees: Vec<Option<Tree>> = vec![None; branches.len()];
        if let ([(_, inputs)], false) = (branches, parser.at_assignment()) {
            return Ok(Self::single(names[0], Tree::parse(text, inputs)?));
        }
        if names.len() > 1 && !parser.at_assignment() {
            let several = format!("the loss of each branch, `{}`", form(&names));
            return Err(parser.error(&several));
        }
        while !parser.at_end() {
            let at = parser.position();
            let name = parser.name().ok_or_else(|| {
                parser.error(&format!(
                    "a branch (the loss has the form `{}`)",
                    form(&names)
                ))
            })?;
            let index = names
                .iter()
                .position(|n| *n == name)
                .ok_or_else(|| ParseError {
                    column: at,
                    message: format!(
                        "unknown branch `{}`; {}",
                        shown(&name),
                        did_you_mean(&name, &names)
                    ),
                })?;
            if trees[index].is_some() {
                return Err(ParseError {
                    column: at,
                    message: format!("branch `{name}` is given twice"),
                });
            }
            if !parser.take('=') {
                return Err(parser.error("`=` after the branch's name"));
            }
            parser.inputs = branches[index].1.clone();
            trees[index] = Some(parser.whole()?);
            if !parser.take(';') {
                parser.end("an operator, `;` or the end of the loss")?;
            }
        }
        let column = parser.position();
        let branches = names
            .iter()
            .zip(trees)
            .map(|(name, tree)| {
                tree.map(|tree| Branch {
                    name: (*name).to_owned(),
                    tree,
                })
                .ok_or_else(|| ParseError {
                    column,
                    message: format!("branch `{name}` is missing: add `; {name} = …`"),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { branches })
    }
}

/// Form of a loss of these branches, for errors.
fn form(branches: &[&str]) -> String {
    let parts: Vec<String> = branches.iter().map(|name| format!("{name} = …")).collect();
    parts.join("; ")
}

/// A place in a text, which moves on token by token.
struct Parser<'a> {
    chars: Vec<char>,
    /// Number of characters that were read.
    at: usize,
    /// Number of nodes of all trees so far.
    nodes: usize,
    /// Inputs that the formula may use.
    inputs: Vec<&'a str>,
}

impl<'a> Parser<'a> {
    fn new(text: &str, inputs: &[&'a str]) -> Self {
        Self {
            chars: text.chars().collect(),
            at: 0,
            nodes: 0,
            inputs: inputs.to_vec(),
        }
    }

    fn skip_space(&mut self) {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.chars.get(self.at).copied()
    }

    /// Moves over a character if it is the next one.
    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Column of the next character, counted from 1.
    fn position(&mut self) -> usize {
        self.skip_space();
        self.at + 1
    }

    /// An error at the next character.
    fn error(&mut self, expected: &str) -> ParseError {
        let found = self
            .peek()
            .map_or_else(|| "the end".to_owned(), |c| format!("`{c}`"));
        ParseError {
            column: self.position(),
            message: format!("expected {expected}, found {found}"),
        }
    }

    /// Fails unless nothing follows.
    fn end(&mut self, expected: &str) -> Result<(), ParseError> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.error(expected))
        }
    }

    /// Reads a name, if one follows.
    fn name(&mut self) -> Option<String> {
        self.skip_space();
        let start = self.at;
        while let Some(c) = self.chars.get(self.at)
            && (c.is_ascii_alphabetic() || *c == '_' || (self.at > start && c.is_ascii_digit()))
        {
            self.at += 1;
        }
        (self.at > start).then(|| self.chars[start..self.at].iter().collect())
    }

    /// Whether a name and `=` follow.
    fn at_assignment(&mut self) -> bool {
        let start = self.at;
        let found = self.name().is_some() && self.take('=');
        self.at = start;
        found
    }

    fn too_large(&mut self) -> ParseError {
        ParseError {
            column: self.position(),
            message: format!(
                "the formula is too large (at most {MAX_DEPTH} levels and {MAX_NODES} nodes)"
            ),
        }
    }

    /// Counts a node and refuses formulas that are too large or too deep.
    fn node(&mut self, tree: Tree) -> Result<Tree, ParseError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || tree.depth() > MAX_DEPTH {
            return Err(self.too_large());
        }
        Ok(tree)
    }

    /// Reads a branch's formula.
    fn whole(&mut self) -> Result<Tree, ParseError> {
        let start = self.at;
        match self.name() {
            Some(name) if NativeLoss::exists(&name) && self.take('(') => self.native(&name),
            _ => {
                self.at = start;
                self.tree(0)
            }
        }
    }

    /// Reads the numbers of a native loss and the closing parenthesis.
    fn native(&mut self, name: &str) -> Result<Tree, ParseError> {
        let column = self.position();
        let mut numbers = Vec::new();
        while !self.take(')') {
            if !numbers.is_empty() && !self.take(',') {
                return Err(self.error("`,` or `)`"));
            }
            let negative = self.take('-');
            let Tree::Constant(number) = self.number()? else {
                return Err(self.error("a number"));
            };
            numbers.push(if negative { -number } else { number });
        }
        let loss = NativeLoss::new(name, &numbers);
        let loss = loss.map_err(|message| ParseError { column, message })?;
        Ok(Tree::Native(loss))
    }

    /// Reads a sum; `depth` counts the parentheses, calls and minus signs around it.
    fn tree(&mut self, depth: usize) -> Result<Tree, ParseError> {
        let mut left = self.product(depth)?;
        loop {
            let minus = match self.peek() {
                Some('+') => false,
                Some('-') => true,
                _ => return Ok(left),
            };
            self.at += 1;
            let mut right = self.product(depth)?;
            if minus {
                right = Tree::apply(Operator::Neg, vec![right]);
            }
            left = self.node(Tree::apply(Operator::Add, vec![left, right]))?;
        }
    }

    /// Reads a product.
    fn product(&mut self, depth: usize) -> Result<Tree, ParseError> {
        let mut left = self.unary(depth)?;
        loop {
            let divide = match self.peek() {
                Some('*') => false,
                Some('/') => true,
                _ => return Ok(left),
            };
            self.at += 1;
            let mut right = self.unary(depth)?;
            if divide {
                right = Tree::apply(Operator::Inv, vec![right]);
            }
            left = self.node(Tree::apply(Operator::Mul, vec![left, right]))?;
        }
    }

    /// Reads an atom with its minus signs.
    fn unary(&mut self, depth: usize) -> Result<Tree, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.too_large());
        }
        if self.take('-') {
            let operand = self.unary(depth + 1)?;
            return self.node(Tree::apply(Operator::Neg, vec![operand]));
        }
        self.atom(depth)
    }

    /// Reads a number, an input, a call or a formula in parentheses.
    fn atom(&mut self, depth: usize) -> Result<Tree, ParseError> {
        const EXPECTED: &str = "a number, an input, an operator or `(`";
        if self.take('(') {
            let tree = self.tree(depth + 1)?;
            if !self.take(')') {
                return Err(self.error("an operator or `)`"));
            }
            return Ok(tree);
        }
        match self.peek() {
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.named(depth),
            _ => Err(self.error(EXPECTED)),
        }
    }

    /// Reads a number.
    fn number(&mut self) -> Result<Tree, ParseError> {
        let start = self.at;
        while let Some(&c) = self.chars.get(self.at) {
            let exponent_sign = matches!(c, '+' | '-')
                && self.at > start
                && matches!(self.chars[self.at - 1], 'e' | 'E');
            if !(c.is_ascii_alphanumeric() || c == '.' || exponent_sign) {
                break;
            }
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => self.node(Tree::Constant(value)),
            _ => Err(ParseError {
                column: start + 1,
                message: format!("expected a finite number, found `{}`", shown(&text)),
            }),
        }
    }

    /// Reads an input or a call.
    fn named(&mut self, depth: usize) -> Result<Tree, ParseError> {
        let column = self.position();
        let name = self.name().unwrap_or_default();
        if !self.take('(') {
            if self.inputs.contains(&name.as_str()) {
                return self.node(Tree::Input(name));
            }
            let message = if Operator::from_name(&name).is_some() {
                return Err(self.error(&format!("`(` after the operator `{name}`")));
            } else {
                format!(
                    "unknown input `{}`; {}",
                    shown(&name),
                    did_you_mean(&name, &self.inputs)
                )
            };
            return Err(ParseError { column, message });
        }
        if NativeLoss::exists(&name) {
            let message = format!("`{name}` is a whole loss: it cannot be part of a formula");
            return Err(ParseError { column, message });
        }
        let Some(operator) = Operator::from_name(&name) else {
            let known: Vec<&str> = Operator::ALL.iter().map(|op| op.name()).collect();
            let hint = did_you_mean(&name, &known);
            let message = format!("unknown operator `{}`; {hint}", shown(&name));
            return Err(ParseError { column, message });
        };
        let mut operands = Vec::with_capacity(operator.arity());
        loop {
            operands.push(self.tree(depth + 1)?);
            if operands.len() == operator.arity() {
                break;
            }
            if !self.take(',') {
                return Err(self.error(&format!(
                    "`,`: `{name}` takes {} operands",
                    operator.arity()
                )));
            }
        }
        if !self.take(')') {
            return Err(self.error(&format!(
                "an operator or `)`: `{name}` takes {} operand{}",
                operator.arity(),
                if operator.arity() == 1 { "" } else { "s" }
            )));
        }
        self.node(Tree::apply(operator, operands))
    }
}
