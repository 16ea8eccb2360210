//! Python code for PyTorch and JAX, each with a [`Dialect`] of its own.

use std::collections::BTreeSet;

use super::source::{Export, ExportInput, Exported};
use super::term::{Expression, Id, Infix, Number, Word, Written};
use crate::extent::Extent;
use crate::operator::EPSILON;
use crate::tree::Branch;

/// Largest number of characters of an expression; the longer operand of a longer one is assigned to a variable.
const LONGEST: usize = 60;

/// Spellings of a framework.
pub(super) struct Dialect {
    /// Spelling of a function of one field, `{}` in the place of the operand.
    pub(super) call: fn(Word) -> &'static str,
    /// A field like the first input, of the constant `{}`; `{input}` is that input.
    pub(super) constant: &'static str,
    /// A field `{}` broadcast to the shape of the first input, `{input}`.
    pub(super) broadcast: &'static str,
    /// The sum over channels of the elements `{}`, and its mean.
    pub(super) reduced: &'static str,
    /// The mean of elements `{}` that do not vary over the channels, summed over the channels of `{input}`.
    pub(super) reduced_alike: &'static str,
    /// Names that generated code uses, which variables must not take.
    pub(super) names: &'static [&'static str],
}

/// Keywords of Python, and names of generated code that variables must not take.
const RESERVED: &[&str] = &[
    "False",
    "None",
    "True",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "EPS",
    "ValueError",
    "from_logits",
    "loss",
    "max_pool",
    "min_pool",
    "positions",
    "range",
    "tuple",
];

/// A branch as a function of Python.
pub(super) struct Function {
    /// Name of the function.
    pub(super) name: String,
    /// The formula.
    pub(super) formula: String,
    /// Arguments: the name in the code, and the input.
    pub(super) arguments: Vec<(String, ExportInput)>,
    /// Lines that compute, without indentation.
    pub(super) lines: Vec<String>,
    /// Expression of the result.
    pub(super) result: String,
    /// Description of the result.
    about: &'static str,
}

/// The functions of a loss: one a branch.
pub(super) fn functions(export: &Export, dialect: &Dialect) -> Vec<Function> {
    let single = export.loss.branches.len() == 1;
    let function = |(branch, inputs): (&Branch, &[ExportInput])| {
        let name = match single {
            true => "loss".to_owned(),
            false => format!("{}_loss", branch.name),
        };
        function(name, branch, inputs, export.result, dialect)
    };
    export.branches().map(function).collect()
}

fn function(
    name: String,
    branch: &Branch,
    inputs: &[ExportInput],
    result: Exported,
    dialect: &Dialect,
) -> Function {
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let reserved = RESERVED
        .iter()
        .chain(dialect.names)
        .map(|n| (*n).to_owned());
    let mut taken: BTreeSet<String> = reserved.chain([name.clone()]).collect();
    let mut arguments = Vec::with_capacity(inputs.len());
    for input in inputs {
        // A reserved name is followed by an underscore, as in PEP 8.
        let mut argument = input.name.clone();
        while !taken.insert(argument.clone()) {
            argument.push('_');
        }
        arguments.push((argument, input.clone()));
    }
    let written = Written::new(&branch.tree, &names);
    let mut writer = Writer {
        names: vec![None; written.nodes.len()],
        written: &written,
        arguments: &arguments,
        dialect,
        taken,
        lines: Vec::new(),
    };
    let (result, about) = match result {
        Exported::Value => (
            writer.loss_value(),
            "The mean over samples and positions of the sum over channels.",
        ),
        Exported::Elements => (
            writer.elements().0,
            "The elements, whose mean over samples and positions of the sum over channels is the loss value.",
        ),
    };
    let lines = writer.lines;
    Function {
        name,
        formula: branch.tree.to_string(),
        arguments,
        lines,
        result,
        about,
    }
}

impl Function {
    /// Head of the function: its name and arguments.
    pub(super) fn head(&self) -> String {
        let names: Vec<&str> = self
            .arguments
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let logits = match self.prediction() {
            Some(_) => ", *, from_logits=False",
            None => "",
        };
        format!("def {}({}{logits}):", self.name, names.join(", "))
    }

    /// The argument that may be given as logits.
    pub(super) fn prediction(&self) -> Option<&str> {
        let mut arguments = self.arguments.iter();
        let found = arguments.find(|(_, input)| input.meaning.has_logits());
        found.map(|(name, _)| name.as_str())
    }

    /// The documentation of the function, without quotes, its lines but the first indented.
    pub(super) fn documentation(&self) -> String {
        let mut text = format!("{}\n", self.formula);
        text.push_str(&format!("\n    {}\n\n", self.about));
        let width = self.arguments.iter().map(|(name, _)| name.len()).max();
        for (name, input) in &self.arguments {
            let name = format!("{name}:");
            let width = width.unwrap_or(0) + 1;
            text.push_str(&format!("    {name:width$} {}\n", input.meaning.words()));
        }
        let all = match self.arguments.len() {
            1 => "Its shape is (N, C, *S)",
            _ => "All have the shape (N, C, *S)",
        };
        text.push_str(&format!(
            "\n    {all}: samples, channels, and 0 to 3 dimensions of positions.\n    "
        ));
        text
    }
}

/// Strength by which the parts of an expression hang together, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Sign,
    Atom,
}

struct Writer<'a> {
    written: &'a Written,
    arguments: &'a [(String, ExportInput)],
    dialect: &'a Dialect,
    /// Variables of terms that have one.
    names: Vec<Option<String>>,
    taken: BTreeSet<String>,
    lines: Vec<String>,
}

impl Writer<'_> {
    /// Writes the whole tree and gives the expression of its loss value.
    fn loss_value(&mut self) -> String {
        let (elements, extent) = self.elements();
        match extent.channels {
            true => self.dialect.reduced.replace("{}", &elements),
            false => self.of_input(self.dialect.reduced_alike, &elements),
        }
    }

    /// Writes the whole tree and gives the expression of its elements, and the dimensions over which they vary.
    fn elements(&mut self) -> (String, Extent) {
        let root = self.written.root;
        let extent = self.written.extents[root];
        if let Some(c) = self.written.constant(root) {
            let text = self.of_input(self.dialect.constant, &number(c));
            let elements = self.assign("elements", &text, shape(Extent::FULL));
            return (elements, Extent::FULL);
        }
        let (text, binding) = self.text(root);
        let text = match binding == Binding::Atom && text.len() <= LONGEST {
            true => text,
            false => self.assign("elements", &text, shape(extent)),
        };
        (text, extent)
    }

    /// The expression of a term; the term is assigned to a variable if it is needed again.
    fn text(&mut self, id: Id) -> (String, Binding) {
        if let Some(name) = &self.names[id] {
            return (name.clone(), Binding::Atom);
        }
        let expression = self.written.nodes[id];
        let (text, binding) = match expression {
            Expression::Input(input) => (self.arguments[input].0.clone(), Binding::Atom),
            Expression::Constant(c) => constant(c),
            Expression::Unary(word, x) => self.unary(word, x),
            Expression::Binary(infix, a, b) => self.binary(infix, a, b),
        };
        let is_leaf = expression.operands().next().is_none();
        if is_leaf || self.written.uses[id] < 2 {
            return (text, binding);
        }
        (self.named(id, &text), Binding::Atom)
    }

    fn unary(&mut self, word: Word, x: Id) -> (String, Binding) {
        let (mut operand, mut binding) = self.text(x);
        if operand.len() > LONGEST {
            operand = self.named(x, &operand);
            binding = Binding::Atom;
        }
        let (operand, own) = match word {
            Word::Neg => (
                enclosed(operand, binding, Binding::Product),
                Binding::Product,
            ),
            Word::Recip => (enclosed(operand, binding, Binding::Sign), Binding::Product),
            Word::SoftmaxC if self.written.constant(x).is_some() => (
                self.of_input(self.dialect.constant, &operand),
                Binding::Atom,
            ),
            Word::SoftmaxC if !self.written.extents[x].channels => {
                let operand = enclosed(operand, binding, Binding::Atom);
                (
                    self.of_input(self.dialect.broadcast, &operand),
                    Binding::Atom,
                )
            }
            Word::SoftmaxC
            | Word::Abs
            | Word::Sign
            | Word::Exp
            | Word::Ln
            | Word::Tanh
            | Word::Sqrt
            | Word::Sin
            | Word::Cos
            | Word::Atan
            | Word::Erf
            | Word::MeanNhw
            | Word::MeanC
            | Word::MaxPool
            | Word::MinPool => (operand, Binding::Atom),
        };
        ((self.dialect.call)(word).replace("{}", &operand), own)
    }

    fn binary(&mut self, infix: Infix, a: Id, b: Id) -> (String, Binding) {
        let (sign, own, right) = match infix {
            Infix::Add => ("+", Binding::Sum, Binding::Product),
            Infix::Sub => ("-", Binding::Sum, Binding::Product),
            Infix::Mul => ("*", Binding::Product, Binding::Sign),
            Infix::Div => ("/", Binding::Product, Binding::Sign),
        };
        // The ε stands last: x + EPS.
        let is_epsilon = self.written.constant(a) == Some(EPSILON);
        let (a, b) = match infix {
            Infix::Add if is_epsilon => (b, a),
            _ => (a, b),
        };
        let mut first = self.text(a);
        let mut second = self.text(b);
        while first.0.len() + second.0.len() > LONGEST {
            // Names of variables are short, so that the loop ends.
            let (id, longer) = match first.0.len() >= second.0.len() {
                true => (a, &mut first),
                false => (b, &mut second),
            };
            if longer.1 == Binding::Atom && self.taken.contains(&longer.0) {
                break;
            }
            *longer = (self.named(id, &longer.0), Binding::Atom);
        }
        let text = format!(
            "{} {sign} {}",
            enclosed(first.0, first.1, own),
            enclosed(second.0, second.1, right)
        );
        (text, own)
    }

    fn of_input(&self, template: &str, text: &str) -> String {
        let input = &self.arguments[0].0;
        template.replace("{input}", input).replace("{}", text)
    }

    /// Assigns a term to a variable.
    fn named(&mut self, id: Id, text: &str) -> String {
        let name = self.assign(
            variable(self.written.nodes[id]),
            text,
            shape(self.written.extents[id]),
        );
        self.names[id] = Some(name.clone());
        name
    }

    fn assign(&mut self, wanted: &str, text: &str, shape: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wanted}{number}");
            number += 1;
        }
        self.lines.push(format!("{name} = {text}  # {shape}"));
        name
    }
}

/// The shape of a value in a comment.
const fn shape(extent: Extent) -> &'static str {
    match (extent.channels, extent.positions) {
        (true, true) => "(N, C, *S)",
        (false, true) => "(N, 1, *S)",
        (true, false) => "(1, C, 1, ...)",
        (false, false) => "(1, 1, 1, ...)",
    }
}

/// The expression, in parentheses if its binding is weaker than `least`.
fn enclosed(text: String, binding: Binding, least: Binding) -> String {
    match binding >= least {
        true => text,
        false => format!("({text})"),
    }
}

fn constant(c: Number) -> (String, Binding) {
    let binding = match c.value() < 0.0 {
        true => Binding::Sign,
        false => Binding::Atom,
    };
    (number(c.value()), binding)
}

/// A number in Python: ε by name, others in their shortest form.
pub(super) fn number(c: f64) -> String {
    /// Whole numbers up to here are written as such.
    const WHOLE: f64 = 1e6;
    if c == EPSILON {
        "EPS".to_owned()
    } else if c.is_nan() {
        "float(\"nan\")".to_owned()
    } else if c.is_infinite() {
        format!("float(\"{c}\")")
    } else if c.fract() == 0.0 && c.abs() < WHOLE {
        format!("{:.0}", c + 0.0)
    } else {
        format!("{c:?}")
    }
}

/// Name of a variable for a term.
fn variable(expression: Expression) -> &'static str {
    match expression {
        Expression::Input(_) => "field",
        Expression::Constant(_) => "number",
        Expression::Binary(infix, ..) => match infix {
            Infix::Add => "total",
            Infix::Sub => "diff",
            Infix::Mul => "prod",
            Infix::Div => "ratio",
        },
        Expression::Unary(word, _) => match word {
            Word::Neg => "negated",
            Word::Abs => "size",
            Word::Sign => "sign",
            Word::Recip => "inverse",
            Word::Exp => "exp",
            Word::Ln => "log",
            Word::Tanh => "tanh",
            Word::Sqrt => "root",
            Word::Sin => "sin",
            Word::Cos => "cos",
            Word::Atan => "angle",
            Word::Erf => "erf",
            Word::MeanNhw => "mean_nhw",
            Word::MeanC => "mean_c",
            Word::MaxPool => "highest",
            Word::MinPool => "lowest",
            Word::SoftmaxC => "shares",
        },
    }
}

/// The module: its head, the `helpers` that functions use, the functions, and the sum of the branches where there
/// are several. A helper is a text that its callers contain, and its code.
pub(super) fn module(
    export: &Export,
    head: &str,
    helpers: &[(&str, &str)],
    functions: &[(Function, String)],
) -> String {
    let bodies: Vec<&str> = functions.iter().map(|(_, text)| text.as_str()).collect();
    let bodies = bodies.join("\n\n");
    let mut text = format!("\"\"\"A loss, exported by AutoLoss.\"\"\"\n\n{head}");
    if bodies.contains("EPS") {
        text.push_str("\nEPS = 1e-12  # keeps inverses, logarithms and roots finite at 0\n");
    }
    for (need, helper) in helpers {
        if bodies.contains(need) {
            text.push_str(&format!("\n\n{helper}"));
        }
    }
    text.push_str(&format!("\n\n{bodies}"));
    if functions.len() > 1 {
        text.push_str(&format!("\n\n{}", sum(export, functions)));
    }
    text
}

/// The function that adds up the branches.
fn sum(export: &Export, functions: &[(Function, String)]) -> String {
    let branches = export.loss.branches.iter();
    let names = branches.map(|branch| match RESERVED.contains(&branch.name.as_str()) {
        true => format!("{}_", branch.name),
        false => branch.name.clone(),
    });
    let names: Vec<String> = names.collect();
    let calls = functions.iter().zip(&names);
    let calls: Vec<String> = calls
        .map(|((function, _), name)| format!("{}(**{name})", function.name))
        .collect();
    format!(
        "def loss({}):\n    \"\"\"The sum of the branches; each is a dictionary of its arguments.\"\"\"\n    \
         return {}\n",
        names.join(", "),
        calls.join(" + ")
    )
}
