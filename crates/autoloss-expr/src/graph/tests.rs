use super::derivative::{Derivative, Source, derivative_of};
use super::*;
use crate::tree::Tree;

const INPUTS: &[(&str, bool)] = &[("yhat", true), ("y", false)];

fn graph(text: &str) -> Graph {
    let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
    Graph::new(&Flat::new(&tree, INPUTS).unwrap(), Shape::new(2, 3, 4, 5))
}

/// Steps that a gradient needs in every update.
fn moving(graph: &Graph) -> usize {
    let mut needed = vec![false; graph.steps.len()];
    graph
        .gradients
        .iter()
        .for_each(|(.., id)| needed[*id] = true);
    for id in (0..graph.steps.len()).rev() {
        if needed[id] {
            graph.steps[id].operands().for_each(|o| needed[o] = true);
        }
    }
    let apply = |id: &usize| needed[*id] && graph.dynamic[*id];
    let computed = |id: &usize| !matches!(graph.steps[*id], Step::Input(_));
    (0..graph.steps.len())
        .filter(apply)
        .filter(computed)
        .count()
}

#[test]
fn gradients_need_few_steps() {
    for (text, steps) in [
        ("-(y * yhat)", 0),      // a constant gradient
        ("-(y * log(yhat))", 1), // y times the logarithm's derivative
        ("square(y - yhat)", 2), // the difference, the derivative
        ("exp(square(y - yhat))", 4),
        ("1 - mean_nhw(y * yhat)", 0),
    ] {
        assert_eq!(moving(&graph(text)), steps, "{text}");
    }
}

#[test]
fn means_are_kept_once() {
    let graph = graph("mean_c(yhat) * mean_nhw(mean_c(yhat))");
    let count = |channels, positions| {
        let extent = Extent::new(channels, positions);
        graph.extents.iter().filter(|e| **e == extent).count()
    };
    assert_eq!(count(true, true), 1, "{graph:?}");
    assert!(count(false, true) >= 2 && count(false, false) >= 1);
}

#[test]
fn derivatives_are_read_off_the_table() {
    assert_eq!(derivative_of(Operator::Neg, 0), Derivative::Constant(-1.0));
    assert_eq!(derivative_of(Operator::Sub, 1), Derivative::Constant(-1.0));
    let second = Derivative::Is(Source::Operand(1));
    assert_eq!(derivative_of(Operator::Mul, 0), second);
    assert_eq!(
        derivative_of(Operator::Exp, 0),
        Derivative::Is(Source::Value)
    );
    let of_value = Derivative::Computed([false, false, true]);
    assert_eq!(derivative_of(Operator::Tanh, 0), of_value);
    let of_operand = Derivative::Computed([true, false, false]);
    assert_eq!(derivative_of(Operator::Log, 0), of_operand);
}
