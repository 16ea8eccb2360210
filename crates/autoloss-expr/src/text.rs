//! Formula text: parse and print.
//!
//! Infix with the operator table's names, `-(y * log(yhat))`. `a - b` is `add(a, neg(b))` and
//! `a / b` is `mul(a, inv(b))`. Printing is canonical: `parse(print(t)) == t`, and
//! `print(parse(s))` is the one spelling of `s`.
//!
//! ```text
//! loss    = tree | name "=" tree { ";" name "=" tree } [";"]
//! tree    = product { ("+" | "-") product }
//! product = unary { ("*" | "/") unary }
//! unary   = "-" unary | atom
//! atom    = number | input | operator "(" tree { "," tree } ")" | "(" tree ")"
//!         | native "(" [number { "," number }] ")"
//! ```
//!
//! A native loss ([`NativeLoss`]) is a whole branch's loss, never part of a larger formula.

use std::fmt;

use crate::native::NativeLoss;
use crate::operator::Operator;
use crate::tree::{Branch, Loss, Tree};

/// Deepest nesting and most nodes a formula may have: far beyond any loss, and small enough that
/// no formula can exhaust the stack.
const MAX_DEPTH: usize = 300;
const MAX_NODES: usize = 10_000;

/// Characters that are shown on either side of a place.
const AROUND: usize = 100;

/// Characters of a name that are shown; no known name has as many.
const NAME: usize = 60;

/// A formula that cannot be read: where, what was expected, what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ParseError {
    /// Column of the first character that does not fit, counted from 1 in characters.
    pub column: usize,
    /// What was expected and what was found.
    pub message: String,
}

impl ParseError {
    /// The formula with a caret under the place, for people; of a long one, the part around the place.
    #[must_use]
    pub fn caret(&self, formula: &str) -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let chars: Vec<char> = formula.chars().map(plain).collect();
        let at = self.column.saturating_sub(1).min(chars.len());
        let (begin, end) = (at.saturating_sub(AROUND), chars.len().min(at + AROUND));
        let left = if begin > 0 { "…" } else { "" };
        let right = if end < chars.len() { "…" } else { "" };
        let part: String = chars[begin..end].iter().collect();
        let place = " ".repeat(at - begin + left.chars().count());
        format!("{left}{part}{right}\n{place}^")
    }
}

/// The candidate nearest to `name` by edit distance, if any is near enough to be a slip.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter(|_| name.len() <= NAME)
        .map(|c| (strsim::damerau_levenshtein(name, c), c))
        .filter(|(distance, c)| *distance <= 1 + c.len() / 3 && *distance < name.len().max(c.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// A name as it was typed, cut where it is too long to read.
fn shown(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn did_you_mean(name: &str, known: &[&str]) -> String {
    nearest(name, known.iter().copied()).map_or_else(
        || format!("known: {}", known.join(", ")),
        |c| format!("did you mean `{c}`?"),
    )
}

impl Tree {
    /// Reads a formula that may use the given inputs.
    ///
    /// # Errors
    /// The column and what was expected there; an unknown operator or input comes with the nearest
    /// known name.
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

/// Form of a loss with these branches.
fn form(branches: &[&str]) -> String {
    let parts: Vec<String> = branches.iter().map(|name| format!("{name} = …")).collect();
    parts.join("; ")
}

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    nodes: usize,
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

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn position(&mut self) -> usize {
        self.skip_space();
        self.at + 1
    }

    fn error(&mut self, expected: &str) -> ParseError {
        let found = self
            .peek()
            .map_or_else(|| "the end".to_owned(), |c| format!("`{c}`"));
        ParseError {
            column: self.position(),
            message: format!("expected {expected}, found {found}"),
        }
    }

    fn end(&mut self, expected: &str) -> Result<(), ParseError> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.error(expected))
        }
    }

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

/// How tightly a printed tree binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Unary,
}

impl Tree {
    fn binding(&self) -> Binding {
        match self {
            Self::Apply(Operator::Add, _) => Binding::Sum,
            Self::Apply(Operator::Mul, _) => Binding::Product,
            _ => Binding::Unary,
        }
    }

    /// Prints with parentheses where it binds less tightly than its place demands.
    fn print(&self, f: &mut fmt::Formatter<'_>, place: Binding) -> fmt::Result {
        if self.binding() < place {
            write!(f, "(")?;
            self.print(f, Binding::Sum)?;
            return write!(f, ")");
        }
        match self {
            Self::Input(name) => write!(f, "{name}"),
            Self::Native(loss) => write!(f, "{loss}"),
            Self::Constant(c) if *c != 0.0 && !(1e-4..1e16).contains(c) => write!(f, "{c:e}"),
            Self::Constant(c) => write!(f, "{c}"),
            Self::Apply(Operator::Neg, operands) => {
                write!(f, "-")?;
                operands[0].print(f, Binding::Unary)
            }
            Self::Apply(Operator::Add, operands) => {
                print_infix(f, operands, ("+", "-", Operator::Neg), Binding::Sum)
            }
            Self::Apply(Operator::Mul, operands) => {
                print_infix(f, operands, ("*", "/", Operator::Inv), Binding::Product)
            }
            Self::Apply(operator, operands) => {
                write!(f, "{}(", operator.name())?;
                for (i, operand) in operands.iter().enumerate() {
                    if i > 0 {
                        write!(f, ", ")?;
                    }
                    operand.print(f, Binding::Sum)?;
                }
                write!(f, ")")
            }
        }
    }
}

/// Prints `a + b`, or `a - b` where the right operand is the inverse of what follows.
fn print_infix(
    f: &mut fmt::Formatter<'_>,
    operands: &[Tree],
    (symbol, inverse_symbol, inverse): (&str, &str, Operator),
    binding: Binding,
) -> fmt::Result {
    let tighter = match binding {
        Binding::Sum => Binding::Product,
        _ => Binding::Unary,
    };
    operands[0].print(f, binding)?;
    match &operands[1] {
        Tree::Apply(op, inner) if *op == inverse => {
            write!(f, " {inverse_symbol} ")?;
            inner[0].print(f, tighter)
        }
        right => {
            write!(f, " {symbol} ")?;
            right.print(f, tighter)
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, Binding::Sum)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [branch] = self.branches.as_slice() {
            return branch.tree.fmt(f);
        }
        for (i, branch) in self.branches.iter().enumerate() {
            let separator = if i > 0 { "; " } else { "" };
            write!(f, "{separator}{} = {}", branch.name, branch.tree)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::any_tree;
    use proptest::prelude::*;

    const INPUTS: &[&str] = &["yhat", "y"];

    fn printed(text: &str) -> String {
        Tree::parse(text, INPUTS).unwrap().to_string()
    }

    fn error(text: &str) -> String {
        Tree::parse(text, INPUTS).unwrap_err().to_string()
    }

    proptest! {
        #[test]
        fn parse_after_print_is_the_identity(tree in any_tree(5)) {
            let text = tree.to_string();
            prop_assert_eq!(&Tree::parse(&text, INPUTS).unwrap(), &tree);
            prop_assert_eq!(printed(&text), text);
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "[-+*/()=;,. a-z0-9_^é]{0,60}") {
            if let Err(e) = Tree::parse(&text, INPUTS) {
                prop_assert!(e.column >= 1 && e.column <= text.chars().count() + 1);
            }
            let _ = Loss::parse(&text, &[("a", vec!["yhat"]), ("b", vec!["y"])]);
        }
    }

    #[test]
    fn prints_one_spelling() {
        assert_eq!(printed("-(y*log(yhat))"), "-(y * log(yhat))");
        assert_eq!(printed("add(y, neg(yhat))"), "y - yhat");
        assert_eq!(printed("mul(y, inv(yhat + 1))"), "y / (yhat + 1)");
        assert_eq!(printed("y - (yhat - 1)"), "y - (yhat - 1)");
        assert_eq!(printed("(y - yhat) - 1"), "y - yhat - 1");
        assert_eq!(printed("- y * yhat"), "-y * yhat");
        assert_eq!(printed("y--yhat"), "y - -yhat");
        assert_eq!(printed("inv(y)*2.50"), "inv(y) * 2.5");
        assert_eq!(printed("1e-12 + 1E300"), "1e-12 + 1e300");
    }

    #[test]
    fn errors_say_where_and_what() {
        assert_eq!(
            error("y * lgo(yhat)"),
            "column 5: unknown operator `lgo`; did you mean `log`?"
        );
        assert_eq!(
            error("y * yaht"),
            "column 5: unknown input `yaht`; did you mean `yhat`?"
        );
        assert_eq!(
            error("(y + 1"),
            "column 7: expected an operator or `)`, found the end"
        );
        assert_eq!(
            error("y +"),
            "column 4: expected a number, an input, an operator or `(`, found the end"
        );
        assert_eq!(
            error("add(y)"),
            "column 6: expected `,`: `add` takes 2 operands, found `)`"
        );
        assert_eq!(
            error("log(y, y)"),
            "column 6: expected an operator or `)`: `log` takes 1 operand, found `,`"
        );
        assert_eq!(
            error("log y"),
            "column 5: expected `(` after the operator `log`, found `y`"
        );
        assert_eq!(
            error("y y"),
            "column 3: expected an operator (`+`, `-`, `*`, `/`) or the end of the formula, found `y`"
        );
        assert_eq!(
            error("1e999"),
            "column 1: expected a finite number, found `1e999`"
        );
        assert!(error(&"(".repeat(100_000)).contains("too large"));
        assert!(error(&"-".repeat(100_000)).contains("too large"));
        assert!(error(&format!("1{}", "+1".repeat(100_000))).contains("too large"));
    }

    #[test]
    fn losses_of_several_branches() {
        let branches = [("class", vec!["yhat", "y"]), ("box", vec!["i", "u"])];
        let loss = Loss::parse("box = 1 - i / u; class = -(y * log(yhat));", &branches).unwrap();
        assert_eq!(
            loss.to_string(),
            "class = -(y * log(yhat)); box = 1 - i / u"
        );
        assert_eq!(Loss::parse(&loss.to_string(), &branches).unwrap(), loss);
        let error = |text: &str| Loss::parse(text, &branches).unwrap_err().to_string();
        assert_eq!(
            error("class = y"),
            "column 10: branch `box` is missing: add `; box = …`"
        );
        assert_eq!(
            error("clas = y"),
            "column 1: unknown branch `clas`; did you mean `class`?"
        );
        assert_eq!(
            error("class = y; class = y"),
            "column 12: branch `class` is given twice"
        );
        assert_eq!(
            error("class = u * logit; box = i"),
            "column 9: unknown input `u`; known: yhat, y"
        );
        assert_eq!(
            error("y"),
            "column 1: expected the loss of each branch, `class = …; box = …`, found `y`"
        );
    }

    #[test]
    fn a_single_branch_needs_no_name() {
        let branches = [("mask", vec!["yhat", "y"])];
        let bare = Loss::parse("y * yhat", &branches).unwrap();
        assert_eq!(bare, Loss::parse("mask = y * yhat", &branches).unwrap());
        assert_eq!(bare.to_string(), "y * yhat");
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let text = "y * lgo(yhat)";
        let e = Tree::parse(text, INPUTS).unwrap_err();
        assert_eq!(e.caret(text), "y * lgo(yhat)\n    ^");
        // Far out in a long formula the part around the place is shown.
        let text = format!("{}$\ny{}", " ".repeat(70_000), "+ y".repeat(70_000));
        let e = Tree::parse(&text, INPUTS).unwrap_err();
        assert_eq!(e.column, 70_001);
        let shown = e.caret(&text);
        let (formula, caret) = shown.split_once('\n').unwrap();
        let place = caret.chars().count() - 1;
        assert_eq!(formula.chars().nth(place), Some('$'));
        assert!(formula.starts_with('…') && formula.ends_with('…'));
        assert_eq!(formula.chars().count(), 2 * AROUND + 2);
        // The end of a formula is a place, too.
        let e = Tree::parse("y +", INPUTS).unwrap_err();
        assert_eq!(e.caret("y +"), "y +\n   ^");
        assert!(error(&"a".repeat(70_000)).chars().count() < 200);
    }
}
