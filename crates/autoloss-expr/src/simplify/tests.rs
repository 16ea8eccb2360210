use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::agreement::Samples;
use super::rules::{Condition, RULES, Rule, Scope, VARIABLES, condition};
use super::*;
use crate::exact::Exact;
use crate::operator::Operator;
use crate::program::Program;
use crate::reference::{self, ReferenceInput};
use crate::shape::Shape;
use crate::testing::any_tree;

const SHAPE: Shape = Shape::new(2, 2, 3, 3);

fn simplified(formula: &str) -> String {
    Tree::parse(formula, &["yhat", "y"])
        .unwrap()
        .simplified()
        .to_string()
}

#[test]
fn losses_become_what_a_person_would_write() {
    for (formula, want) in [
        ("mean_nhw(mean_c(square(yhat - y)))", "square(yhat - y)"),
        ("--(y * yhat)", "y * yhat"),
        ("abs(square(yhat)) * (exp(0) * y)", "square(yhat) * y"),
        ("square(sqrt(yhat - y))", "abs(yhat - y)"),
        ("1 / exp(yhat) * y * (1 - -1)", "2 * (y / exp(yhat))"),
        ("log(exp(yhat)) * y", "yhat * y"),
        ("max_pool(mean_nhw(yhat)) * y", "y * mean_nhw(yhat)"),
        ("yhat + yhat + yhat - y", "3 * yhat - y"),
        ("yhat * log(1) + y", "y"),
        ("y * tanh(1)", "0.7615942 * y"),
    ] {
        let got = simplified(formula);
        let sorted = |text: &str| {
            let program = Program::new(
                &Tree::parse(text, &["yhat", "y"]).unwrap(),
                &[("yhat", true), ("y", true)],
            );
            program.unwrap().canonical().to_owned()
        };
        assert_eq!(sorted(&got), sorted(want), "{formula}: {got}");
    }
}

#[test]
fn identities_that_fail_with_epsilon_are_not_used() {
    for formula in [
        "y / y",
        "sqrt(square(yhat - y))",
        "exp(log(yhat * y))",
        "1 / y / y",
        "log(y / 1 / y)",
        "1 / -y",
    ] {
        let tree = Tree::parse(formula, &["yhat", "y"]).unwrap();
        let simplified = tree.simplified();
        let samples = Samples::of(&tree, 77);
        assert!(
            samples.agree_within(&simplified, 1e-5),
            "{formula}: {simplified}"
        );
    }
    assert_eq!(simplified("y / y"), "y / y");
    // A constant without gradient is part of the value.
    assert_eq!(simplified("1 - yhat * y"), "1 - yhat * y");
}

#[test]
fn native_and_huge_losses_stay() {
    assert_eq!(simplified("lovasz_softmax()"), "lovasz_softmax()");
    let product = vec!["yhat"; 100].join(" * ");
    let huge = format!("{product} + {product} + {product}");
    assert_eq!(simplified(&huge), huge);
}

/// The sides of a rule as trees over inputs that fulfil its conditions.
fn sides(rule: &Rule, k: f64) -> [Tree; 2] {
    [rule.left, rule.right].map(|text| {
        let mut tree = Tree::parse(text, &VARIABLES).unwrap();
        for (number, name) in VARIABLES.iter().enumerate() {
            let other = match condition(number) {
                Condition::None => continue,
                Condition::Constant => Tree::Constant(k),
                Condition::AlikeOverPositions => {
                    Tree::apply(Operator::MeanNhw, vec![Tree::input(name)])
                }
                Condition::AlikeOverChannels => {
                    Tree::apply(Operator::MeanC, vec![Tree::input(name)])
                }
            };
            tree = tree.substitute(name, &other);
        }
        match rule.scope {
            Scope::Outermost => tree,
            // Another adjoint for each element.
            Scope::Exact | Scope::Near => Tree::apply(Operator::Mul, vec![tree, Tree::input("w")]),
        }
    })
}

const INPUTS: [&str; 6] = ["a", "b", "c", "p", "q", "w"];

/// The elements (the loss value, of an outermost rule), and the gradients of all inputs.
fn computed(tree: &Tree, fields: &[Vec<f64>], outermost: bool) -> Vec<Vec<f64>> {
    let program = Program::new(tree, &INPUTS.map(|name| (name, true))).unwrap();
    let mut exact = Exact::new(&program, SHAPE);
    let value = exact.descend(fields);
    let zero = vec![0.0; SHAPE.len()];
    let gradient = |input| exact.gradient(input).map_or(zero.clone(), <[f64]>::to_vec);
    let mut all: Vec<Vec<f64>> = (0..INPUTS.len()).map(gradient).collect();
    let given = INPUTS.iter().zip(fields);
    let given: Vec<ReferenceInput<'_>> = given
        .map(|(name, values)| ReferenceInput { name, values })
        .collect();
    all.push(match outermost {
        true => vec![value],
        false => reference::output(tree, SHAPE, &given),
    });
    all
}

/// Whether both sides agree, each element relative to itself.
fn holds(rule: &Rule, k: f64, fields: &[Vec<f64>]) -> bool {
    let outermost = rule.scope == Scope::Outermost;
    let [left, right] = sides(rule, k).map(|tree| computed(&tree, fields, outermost));
    let tolerance = match rule.scope {
        Scope::Near => 1e-5,
        Scope::Exact | Scope::Outermost => 1e-9,
    };
    left.iter().zip(&right).all(|(left, right)| {
        let scale = left.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * a.abs() + 1e-10 * scale;
        left.iter().zip(right).all(close)
    })
}

/// Numbers that predictions, targets and values of subtrees have, often 0 and 1.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => Just(0.0),
        1 => Just(1.0),
        3 => (-6.0..0.5_f64).prop_map(|x| 10.0_f64.powf(x)),
        2 => (-6.0..0.5_f64).prop_map(|x| -10.0_f64.powf(x)),
    ]
}

fn fields() -> impl Strategy<Value = Vec<Vec<f64>>> {
    let field = prop::collection::vec(number(), SHAPE.len());
    prop::collection::vec(field, INPUTS.len())
}

proptest! {
    #[test]
    fn every_rule_keeps_value_and_gradient(fields in fields(), k in 0.1..3.0_f64) {
        for rule in RULES {
            prop_assert!(holds(rule, k, &fields), "{} = {} fails", rule.left, rule.right);
        }
    }

    #[test]
    fn simplified_trees_are_no_larger_and_always_the_same(tree in any_tree(5)) {
        let simplified = tree.simplified();
        prop_assert!(simplified.size() <= tree.size());
        prop_assert_eq!(&simplified, &tree.simplified());
    }
}

/// Always the same trees: about one in 15,000 differs, a chaotic one, such as the sine of a pole, or a tie of pooling.
#[test]
fn simplified_trees_agree_on_other_fields() {
    let mut runner = TestRunner::deterministic();
    let (mut changed, mut others) = (0, Vec::new());
    for seed in 1..=1000 {
        let tree = any_tree(5).new_tree(&mut runner).unwrap().current();
        let simplified = tree.simplified();
        if simplified == tree {
            continue;
        }
        changed += 1;
        if !Samples::of(&tree, seed).agree_within(&simplified, 1e-5) {
            others.push(format!("{tree}: {simplified}"));
        }
    }
    assert!(changed > 200, "{changed}");
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn rules_that_do_not_hold_are_found() {
    let numbers = [0.0, 1.0, 0.5, -0.7, 1e-6, 2.0];
    let field =
        |k: usize| (0..SHAPE.len()).map(move |i| numbers[(i * (k + 1) + k) % numbers.len()]);
    let fields: Vec<Vec<f64>> = (0..INPUTS.len()).map(|k| field(k).collect()).collect();
    for (left, right) in [
        ("a / a", "1"),
        ("sqrt(square(a))", "abs(a)"),
        ("1 / -a", "-1 / a"),
        ("exp(log(a))", "a"),
        ("inv(a) * inv(b)", "inv(a * b)"),
        ("log(inv(a))", "-log(a)"),
        ("log(a) + log(b)", "log(a * b)"),
        ("max_pool(max_pool(a))", "max_pool(a)"),
        ("mean_nhw(a)", "a"),
    ] {
        let rule = Rule {
            scope: Scope::Near,
            left,
            right,
        };
        assert!(!holds(&rule, 1.0, &fields), "{left} = {right}");
    }
}
