//! A tree written out in the functions of [`Arithmetic`] and [`Field`], each distinct value once.
//!
//! Operators are applied to [`Term`]s as to numbers. So an exporter spells these few functions and knows no
//! operator: a new row of the operator table is exported without a change in this folder.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops;
use std::rc::Rc;

use crate::arithmetic::{Arithmetic, Field};
use crate::extent::Extent;
use crate::tree::Tree;

/// Number of a term, which is above those of its operands.
pub(super) type Id = usize;

/// A function of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    Neg,
    Abs,
    Sign,
    Recip,
    Exp,
    Ln,
    Tanh,
    Sqrt,
    Sin,
    Cos,
    Atan,
    Erf,
    MeanNhw,
    MeanC,
    MaxPool,
    MinPool,
    SoftmaxC,
}

/// A function of two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Infix {
    Add,
    Sub,
    Mul,
    Div,
}

impl Word {
    /// Name in lists of steps.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Sign => "sign",
            Self::Recip => "recip",
            Self::Exp => "exp",
            Self::Ln => "ln",
            Self::Tanh => "tanh",
            Self::Sqrt => "sqrt",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Atan => "atan",
            Self::Erf => "erf",
            Self::MeanNhw => "mean_nhw",
            Self::MeanC => "mean_c",
            Self::MaxPool => "max_pool",
            Self::MinPool => "min_pool",
            Self::SoftmaxC => "softmax_c",
        }
    }
}

impl Infix {
    /// Name in lists of steps.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
        }
    }
}

/// A constant, by its bits: so −0 and 0 differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Number(u64);

impl Number {
    pub(super) const fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// Expression of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Expression {
    /// The input with that number.
    Input(usize),
    Constant(Number),
    Unary(Word, Id),
    Binary(Infix, Id, Id),
}

impl Expression {
    /// The terms that the expression reads.
    pub(super) fn operands(self) -> impl Iterator<Item = Id> {
        let (operands, count) = match self {
            Self::Input(_) | Self::Constant(_) => ([0; 2], 0),
            Self::Unary(_, x) => ([x, 0], 1),
            Self::Binary(_, a, b) => ([a, b], 2),
        };
        operands.into_iter().take(count)
    }
}

/// The terms of a tree.
#[derive(Debug, Default)]
struct Terms {
    nodes: Vec<Expression>,
    extents: Vec<Extent>,
    known: HashMap<Expression, Id>,
}

impl Terms {
    fn constant(&mut self, c: f64) -> Id {
        self.add(Expression::Constant(Number(c.to_bits())), Extent::ONE)
    }

    fn value(&self, id: Id) -> Option<f64> {
        match self.nodes[id] {
            Expression::Constant(c) => Some(c.value()),
            Expression::Input(_) | Expression::Unary(..) | Expression::Binary(..) => None,
        }
    }

    /// The operand of a term that is this function of it.
    fn operand_of(&self, word: Word, id: Id) -> Option<Id> {
        match self.nodes[id] {
            Expression::Unary(is, x) if is == word => Some(x),
            Expression::Unary(..)
            | Expression::Input(_)
            | Expression::Constant(_)
            | Expression::Binary(..) => None,
        }
    }

    /// Adds a term unless it is known, and gives its number.
    fn add(&mut self, expression: Expression, extent: Extent) -> Id {
        if let Expression::Binary(infix @ (Infix::Add | Infix::Mul), a, b) = expression
            && let Some(known) = self.known.get(&Expression::Binary(infix, b, a))
        {
            return *known;
        }
        if let Some(known) = self.known.get(&expression) {
            return *known;
        }
        self.nodes.push(expression);
        self.extents.push(extent);
        self.known.insert(expression, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn unary(&mut self, word: Word, x: Id) -> Id {
        if let Some(folded) = self.value(x).and_then(|c| of_number(word, c)) {
            return self.constant(folded);
        }
        let extent = self.extents[x];
        let extent = match word {
            Word::Neg => match self.operand_of(Word::Neg, x) {
                Some(operand) => return operand,
                None => extent,
            },
            // The mean of equal numbers is each of them, and so are the largest and the smallest.
            Word::MeanNhw | Word::MaxPool | Word::MinPool if !extent.positions => return x,
            Word::MeanC if !extent.channels => return x,
            Word::MeanNhw => Extent::new(extent.channels, false),
            Word::MeanC => Extent::new(false, extent.positions),
            Word::SoftmaxC => Extent::new(true, extent.positions),
            Word::MaxPool
            | Word::MinPool
            | Word::Abs
            | Word::Sign
            | Word::Recip
            | Word::Exp
            | Word::Ln
            | Word::Tanh
            | Word::Sqrt
            | Word::Sin
            | Word::Cos
            | Word::Atan
            | Word::Erf => extent,
        };
        self.add(Expression::Unary(word, x), extent)
    }

    fn binary(&mut self, infix: Infix, a: Id, b: Id) -> Id {
        let (x, y) = (self.value(a), self.value(b));
        if let (Some(x), Some(y)) = (x, y) {
            return self.constant(of_numbers(infix, x, y));
        }
        let (neg_a, neg_b) = (self.operand_of(Word::Neg, a), self.operand_of(Word::Neg, b));
        let (inv_a, inv_b) = (
            self.operand_of(Word::Recip, a),
            self.operand_of(Word::Recip, b),
        );
        let negative = y.filter(|c| *c < 0.0);
        // a + (−b) is a − b to the last bit; a · (1 / b) is a / b but for rounding.
        match (infix, neg_a, neg_b, inv_a, inv_b) {
            (Infix::Add, _, Some(b), ..) => return self.binary(Infix::Sub, a, b),
            (Infix::Add, Some(a), ..) => return self.binary(Infix::Sub, b, a),
            (Infix::Sub, _, Some(b), ..) => return self.binary(Infix::Add, a, b),
            (Infix::Mul, .., Some(b)) => return self.binary(Infix::Div, a, b),
            (Infix::Mul, _, _, Some(a), _) => return self.binary(Infix::Div, b, a),
            _ => {}
        }
        if let (Infix::Add | Infix::Sub, Some(c)) = (infix, negative) {
            let size = self.constant(-c);
            let infix = match infix {
                Infix::Add => Infix::Sub,
                _ => Infix::Add,
            };
            return self.binary(infix, a, size);
        }
        let extent = self.extents[a].join(self.extents[b]);
        self.add(Expression::Binary(infix, a, b), extent)
    }
}

/// A function of a constant field; `None` where the result depends on the number of channels.
fn of_number(word: Word, c: f64) -> Option<f64> {
    Some(match word {
        Word::Neg => -c,
        Word::Abs => Arithmetic::abs(c),
        Word::Sign => Arithmetic::sign(c),
        Word::Recip => Arithmetic::recip(c),
        Word::Exp => Arithmetic::exp(c),
        Word::Ln => Arithmetic::ln(c),
        Word::Tanh => Arithmetic::tanh(c),
        Word::Sqrt => Arithmetic::sqrt(c),
        Word::Sin => Arithmetic::sin(c),
        Word::Cos => Arithmetic::cos(c),
        Word::Atan => Arithmetic::atan(c),
        Word::Erf => Arithmetic::erf(c),
        Word::MeanNhw | Word::MeanC | Word::MaxPool | Word::MinPool => c,
        Word::SoftmaxC => return None,
    })
}

fn of_numbers(infix: Infix, a: f64, b: f64) -> f64 {
    match infix {
        Infix::Add => a + b,
        Infix::Sub => a - b,
        Infix::Mul => a * b,
        Infix::Div => a / b,
    }
}

/// A field that is known by the expression of its values.
#[derive(Clone)]
struct Term {
    terms: Rc<RefCell<Terms>>,
    id: Id,
}

impl Term {
    fn with(&self, id: Id) -> Self {
        Self {
            terms: Rc::clone(&self.terms),
            id,
        }
    }

    fn unary(self, word: Word) -> Self {
        let id = self.terms.borrow_mut().unary(word, self.id);
        self.with(id)
    }

    fn binary(self, infix: Infix, other: &Self) -> Self {
        let id = self.terms.borrow_mut().binary(infix, self.id, other.id);
        self.with(id)
    }
}

impl ops::Add for Term {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.binary(Infix::Add, &other)
    }
}

impl ops::Sub for Term {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.binary(Infix::Sub, &other)
    }
}

impl ops::Mul for Term {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.binary(Infix::Mul, &other)
    }
}

impl ops::Neg for Term {
    type Output = Self;
    fn neg(self) -> Self {
        self.unary(Word::Neg)
    }
}

impl Arithmetic for Term {
    fn like(&self, c: f64) -> Self {
        let id = self.terms.borrow_mut().constant(c);
        self.with(id)
    }
    fn abs(self) -> Self {
        self.unary(Word::Abs)
    }
    fn sign(self) -> Self {
        self.unary(Word::Sign)
    }
    fn recip(self) -> Self {
        self.unary(Word::Recip)
    }
    fn exp(self) -> Self {
        self.unary(Word::Exp)
    }
    fn ln(self) -> Self {
        self.unary(Word::Ln)
    }
    fn tanh(self) -> Self {
        self.unary(Word::Tanh)
    }
    fn sqrt(self) -> Self {
        self.unary(Word::Sqrt)
    }
    fn sin(self) -> Self {
        self.unary(Word::Sin)
    }
    fn cos(self) -> Self {
        self.unary(Word::Cos)
    }
    fn atan(self) -> Self {
        self.unary(Word::Atan)
    }
    fn erf(self) -> Self {
        self.unary(Word::Erf)
    }
}

impl Field for Term {
    fn mean_nhw(self) -> Self {
        self.unary(Word::MeanNhw)
    }
    fn mean_c(self) -> Self {
        self.unary(Word::MeanC)
    }
    fn max_pool(self) -> Self {
        self.unary(Word::MaxPool)
    }
    fn min_pool(self) -> Self {
        self.unary(Word::MinPool)
    }
    fn softmax_c(self) -> Self {
        self.unary(Word::SoftmaxC)
    }
}

/// The terms that a tree needs, in an order in which they can be computed.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) nodes: Vec<Expression>,
    /// Dimensions over which each varies; a constant varies over none.
    pub(super) extents: Vec<Extent>,
    /// Number of times that each is an operand.
    pub(super) uses: Vec<usize>,
    /// The term of the whole tree.
    pub(super) root: Id,
}

impl Written {
    /// Writes a tree over the inputs of these names.
    ///
    /// # Panics
    /// If the tree is a native loss or uses another input.
    pub(super) fn new(tree: &Tree, inputs: &[&str]) -> Self {
        let terms = Rc::new(RefCell::new(Terms::default()));
        let root = applied(tree, inputs, &terms).id;
        let Terms { nodes, extents, .. } = terms.take();
        let mut uses = vec![0; nodes.len()];
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            for operand in nodes[id].operands() {
                uses[operand] += 1;
                if uses[operand] == 1 {
                    open.push(operand);
                }
            }
        }
        Self {
            nodes,
            extents,
            uses,
            root,
        }
    }

    /// The number, if the term is a constant.
    pub(super) fn constant(&self, id: Id) -> Option<f64> {
        match self.nodes[id] {
            Expression::Constant(c) => Some(c.value()),
            Expression::Input(_) | Expression::Unary(..) | Expression::Binary(..) => None,
        }
    }
}

fn applied(tree: &Tree, inputs: &[&str], terms: &Rc<RefCell<Terms>>) -> Term {
    let leaf = |id| Term {
        terms: Rc::clone(terms),
        id,
    };
    match tree {
        Tree::Input(name) => {
            let input = inputs.iter().position(|input| input == name);
            let input = Expression::Input(input.expect("inputs are checked before"));
            leaf(terms.borrow_mut().add(input, Extent::FULL))
        }
        Tree::Constant(c) => leaf(terms.borrow_mut().constant(*c)),
        Tree::Apply(operator, operands) => {
            let operands: Vec<Term> = operands.iter().map(|t| applied(t, inputs, terms)).collect();
            operator.apply(&operands)
        }
        Tree::Native(loss) => unreachable!("{loss} is refused before"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(formula: &str) -> Written {
        let tree = Tree::parse(formula, &["yhat", "y"]).unwrap();
        Written::new(&tree, &["yhat", "y"])
    }

    fn needed(formula: &str) -> usize {
        let written = written(formula);
        1 + written.uses.iter().filter(|uses| **uses > 0).count()
    }

    #[test]
    fn equal_values_are_one_term() {
        // yhat, y, their difference, its square, the exponential, the sum.
        assert_eq!(needed("square(yhat - y) + exp(square(yhat - y))"), 6);
        assert_eq!(needed("yhat * y + y * yhat"), 4);
    }

    #[test]
    fn constants_are_computed() {
        let of = |formula: &str| {
            let written = written(formula);
            written.constant(written.root)
        };
        assert_eq!(of("1 + mean_c(2 * 3)"), Some(7.0));
        assert_eq!(of("-exp(0)"), Some(-1.0));
        assert_eq!(of("softmax_c(1)"), None);
        assert_eq!(of("yhat + 1"), None);
    }

    #[test]
    fn means_and_pools_of_what_does_not_vary_are_left_out() {
        assert_eq!(needed("max_pool(mean_nhw(mean_nhw(yhat)))"), 2);
        assert_eq!(needed("mean_c(mean_c(yhat))"), 2);
        assert_eq!(needed("max_pool(mean_c(yhat))"), 3);
    }
}
