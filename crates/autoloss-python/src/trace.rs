//! A loss as a list of steps in elementary words, for frameworks that compute it: the operator table's rows,
//! computed on names instead of numbers.

use std::cell::RefCell;
use std::ops::{Add, Mul, Neg, Sub};
use std::rc::Rc;

use autoloss_expr::{Arithmetic, Field, Program};

/// A step of a loss; operands are numbers of earlier steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A named input.
    Input(String),
    /// A constant.
    Constant(f64),
    /// An elementary function of earlier steps.
    Apply(&'static str, Vec<usize>),
}

/// The result of a step.
#[derive(Clone)]
struct Value {
    number: usize,
    steps: Rc<RefCell<Vec<Step>>>,
}

impl Value {
    /// The number of a step; the same step is there once.
    fn step(&self, step: Step) -> Self {
        let mut steps = self.steps.borrow_mut();
        let known = steps.iter().position(|known| *known == step);
        let number = known.unwrap_or_else(|| {
            steps.push(step);
            steps.len() - 1
        });
        Self {
            number,
            steps: self.steps.clone(),
        }
    }

    fn apply(self, word: &'static str) -> Self {
        self.step(Step::Apply(word, vec![self.number]))
    }

    fn with(self, word: &'static str, other: &Self) -> Self {
        self.step(Step::Apply(word, vec![self.number, other.number]))
    }
}

impl Add for Value {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.with("add", &other)
    }
}

impl Sub for Value {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.with("sub", &other)
    }
}

impl Mul for Value {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.with("mul", &other)
    }
}

impl Neg for Value {
    type Output = Self;
    fn neg(self) -> Self {
        self.apply("neg")
    }
}

impl Arithmetic for Value {
    fn like(&self, c: f64) -> Self {
        self.step(Step::Constant(c))
    }
    fn abs(self) -> Self {
        self.apply("abs")
    }
    fn sign(self) -> Self {
        self.apply("sign")
    }
    fn recip(self) -> Self {
        self.apply("recip")
    }
    fn exp(self) -> Self {
        self.apply("exp")
    }
    fn ln(self) -> Self {
        self.apply("ln")
    }
    fn tanh(self) -> Self {
        self.apply("tanh")
    }
    fn sqrt(self) -> Self {
        self.apply("sqrt")
    }
    fn sin(self) -> Self {
        self.apply("sin")
    }
    fn cos(self) -> Self {
        self.apply("cos")
    }
    fn atan(self) -> Self {
        self.apply("atan")
    }
    fn erf(self) -> Self {
        self.apply("erf")
    }
}

impl Field for Value {
    fn mean_nhw(self) -> Self {
        self.apply("mean_nhw")
    }
    fn mean_c(self) -> Self {
        self.apply("mean_c")
    }
    fn max_pool(self) -> Self {
        self.apply("max_pool")
    }
    fn min_pool(self) -> Self {
        self.apply("min_pool")
    }
    fn softmax_c(self) -> Self {
        self.apply("softmax_c")
    }
}

/// The steps of a program over the named inputs, and the number of the last.
pub(crate) fn steps(program: &Program, inputs: &[String]) -> (Vec<Step>, usize) {
    let steps = Rc::new(RefCell::new(Vec::new()));
    let root = Value {
        number: 0,
        steps: steps.clone(),
    };
    let inputs = inputs
        .iter()
        .map(|name| root.step(Step::Input(name.clone())));
    let output = program.apply(&inputs.collect::<Vec<_>>());
    let steps = steps.borrow().clone();
    (steps, output.number)
}
