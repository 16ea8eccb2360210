use super::{Adam, Workspace};
use crate::operator::Operator;
use crate::program::Program;
use crate::reference::{self, ReferenceInput};
use crate::shape::Shape;
use crate::testing::{any_tree, close, smooth_inputs, tame};
use crate::tree::Tree;
use proptest::prelude::*;

const SHAPES: [Shape; 4] = [
    Shape::new(1, 1, 1, 1),
    Shape::new(2, 3, 4, 5),
    Shape::new(1, 11, 9, 7),
    Shape::new(3, 2, 1, 700),
];
const INPUTS: &[(&str, bool)] = &[("yhat", true), ("y", false)];

#[expect(
    clippy::cast_possible_truncation,
    reason = "the fast computation is in f32"
)]
fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn fields_agree(got: &[f32], want: &[f64], tolerance: f64) -> bool {
    close(&double(got), want, tolerance)
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn value_and_gradient_equal_the_reference(
        tree in any_tree(4),
        shape in prop::sample::select(&SHAPES[..3]),
        (yhat, y) in smooth_inputs(700),
    ) {
        let (yhat, y) = (single(&yhat[..shape.len()]), single(&y[..shape.len()]));
        let (yhat64, y64) = (double(&yhat), double(&y));
        let given = [
            ReferenceInput { name: "yhat", values: &yhat64 },
            ReferenceInput { name: "y", values: &y64 },
        ];
        prop_assume!(tame(&tree, shape, &given));
        let program = Program::new(&tree, INPUTS).unwrap();
        let mut ws = Workspace::new();
        let mut gradients = [Vec::new(), Vec::new()];
        let value = program.gradient(&mut ws, shape, &[&yhat, &y], &mut gradients);
        let output = program.output(&mut ws, shape, &[&yhat, &y]);
        let want = reference::output(&tree, shape, &given);
        prop_assert!(fields_agree(&output, &want, 1e-4), "{tree}: {output:?}, not {want:?}");
        let want_value = reference::loss_value(&tree, shape, &given);
        let scale = want.iter().fold(0.0_f64, |m, v| m.max(v.abs())) * shape.c as f64;
        prop_assert!((value - want_value).abs() <= 1e-4 * scale, "{value}, not {want_value}");
        let want = reference::gradient(&tree, shape, &given, "yhat");
        prop_assert!(fields_agree(&gradients[0], &want, 1e-4), "{tree}: {:?}, not {want:?}", gradients[0]);
        prop_assert!(gradients[1].is_empty());
    }
}

/// Whether a logarithm is ln(1 + ε), which is 0 in single precision, or of a number that rounds to 1.
fn looks_at_epsilon(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> bool {
    let mut looks = false;
    tree.visit(&mut |node| {
        if let Tree::Apply(Operator::Log, _) = node {
            let values = reference::output(node, shape, inputs);
            looks |= values.iter().any(|v| *v != 0.0 && v.abs() < 1e-6);
        }
    });
    looks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_finite_in_the_reference_is_not_finite(
        tree in any_tree(5),
        scale in prop::sample::select(&[1.0, 1e3, 1e-30, 0.0][..]),
        (yhat, y) in smooth_inputs(60),
    ) {
        let shape = Shape::new(1, 3, 4, 5);
        let yhat = single(&yhat.iter().map(|x| x * scale).collect::<Vec<_>>());
        let y = single(&y);
        let (yhat64, y64) = (double(&yhat), double(&y));
        let given = [
            ReferenceInput { name: "yhat", values: &yhat64 },
            ReferenceInput { name: "y", values: &y64 },
        ];
        prop_assume!(!looks_at_epsilon(&tree, shape, &given));
        let program = Program::new(&tree, INPUTS).unwrap();
        let mut gradients = [Vec::new(), Vec::new()];
        let value = program.gradient(&mut Workspace::new(), shape, &[&yhat, &y], &mut gradients);
        if !reference::loss_value(&tree, shape, &given).is_finite() {
            prop_assert!(!value.is_finite(), "{tree}: {value}");
        }
        let want = reference::gradient(&tree, shape, &given, "yhat");
        if want.iter().any(|g| !g.is_finite()) {
            // A derivative that is 0 · ∞ may be left out as 0 where the value tells of it.
            let told = gradients[0].iter().any(|g| !g.is_finite()) || !value.is_finite();
            prop_assert!(told, "{tree}");
        }
    }
}

#[test]
fn the_softmax_of_equal_infinities_is_not_finite() {
    let tree = Tree::parse("softmax_c(mean_c(div(yhat, y)))", &["yhat", "y"]).unwrap();
    let program = Program::new(&tree, INPUTS).unwrap();
    let shape = Shape::new(1, 3, 4, 5);
    for (y, finite) in [(0.5, true), (0.0, false)] {
        let mut gradients = [Vec::new(), Vec::new()];
        let fields = [vec![0.25; 60], vec![y; 60]];
        let inputs = [fields[0].as_slice(), &fields[1]];
        let value = program.gradient(&mut Workspace::new(), shape, &inputs, &mut gradients);
        assert_eq!(value.is_finite(), finite, "{value}");
        assert!(gradients[0].iter().all(|g| g.is_finite() == finite));
        assert!(!finite || gradients[0].iter().all(|g| *g == 0.0));
    }
}

/// Formulas of every reach, with shared subtrees and one node as both operands.
const FORMULAS: &[&str] = &[
    "-(y * log(yhat))",
    "exp(square(y - yhat))",
    "yhat * yhat + y",
    "sqrt(abs(yhat - y)) / (yhat + y)",
    "tanh(yhat * mean_c(yhat - y)) + max_pool(square(yhat - y))",
    "-(y * log(softmax_c(yhat)))",
    "1 - mean_nhw(y * yhat) / (mean_nhw(y) + mean_nhw(yhat))",
    "min_pool(yhat) * max_pool(y) + mean_c(max_pool(yhat) * yhat)",
    "square(mean_c(yhat)) * mean_c(yhat)",
    "yhat",
    "y",
    "1",
];

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn example(shape: Shape) -> (Vec<f32>, Vec<f32>) {
    let wave = |i: usize, f: f32| 0.5 + 0.4 * (i as f32 * f + 0.3).sin();
    let yhat = (0..shape.len()).map(|i| wave(i, 0.71)).collect();
    let y = (0..shape.len()).map(|i| wave(i, 1.37).round()).collect();
    (yhat, y)
}

#[test]
fn formulas_of_every_reach_equal_the_reference() {
    for text in FORMULAS {
        let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, INPUTS).unwrap();
        // One workspace for all shapes: results of an earlier call must not show.
        let mut ws = Workspace::new();
        for shape in SHAPES {
            let (yhat, y) = example(shape);
            let (yhat64, y64) = (double(&yhat), double(&y));
            let given = [
                ReferenceInput {
                    name: "yhat",
                    values: &yhat64,
                },
                ReferenceInput {
                    name: "y",
                    values: &y64,
                },
            ];
            let mut gradients = [Vec::new(), Vec::new()];
            let value = program.gradient(&mut ws, shape, &[&yhat, &y], &mut gradients);
            let want = reference::loss_value(&tree, shape, &given);
            assert!(
                (value - want).abs() <= 1e-5 * want.abs().max(1.0),
                "{text}: {value}, not {want}"
            );
            let want = reference::gradient(&tree, shape, &given, "yhat");
            assert!(fields_agree(&gradients[0], &want, 1e-5), "{text} {shape}");
        }
    }
}

#[test]
fn bounds_hold_what_is_optimised() {
    let tree = Tree::parse("-(y * yhat) + (1 - y) * yhat", &["yhat", "y"]).unwrap();
    let program = Program::new(&tree, INPUTS).unwrap();
    let shape = SHAPES[1];
    let (yhat, y) = example(shape);
    let adam = Adam {
        bounds: (0.0, 1.0),
        ..Adam::default()
    };
    let mut moved = [yhat, y.clone()];
    program
        .optimise(&mut Workspace::new(), shape, &mut moved, &adam)
        .unwrap();
    assert_eq!(moved[0], y);
}

/// Adam in f64 on the reference gradient.
fn slow_adam(tree: &Tree, shape: Shape, yhat: &[f32], y: &[f32], adam: &Adam) -> Vec<f64> {
    let (mut x, y) = (double(yhat), double(y));
    let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let [b1, b2] = [adam.beta1, adam.beta2];
    for t in 1..=adam.steps {
        let given = [
            ReferenceInput {
                name: "yhat",
                values: &x,
            },
            ReferenceInput {
                name: "y",
                values: &y,
            },
        ];
        let g = reference::gradient(tree, shape, &given, "yhat");
        let t = i32::try_from(t).unwrap();
        for i in 0..x.len() {
            m[i] = b1 * m[i] + (1.0 - b1) * g[i];
            v[i] = b2 * v[i] + (1.0 - b2) * g[i] * g[i];
            let (m, v) = (m[i] / (1.0 - b1.powi(t)), v[i] / (1.0 - b2.powi(t)));
            x[i] -= f64::from(adam.step_size) * m / (v.sqrt() + f64::from(adam.epsilon));
        }
    }
    x
}

#[test]
fn optimising_equals_adam_on_the_reference() {
    let adam = Adam {
        steps: 12,
        ..Adam::default()
    };
    for text in &FORMULAS[..9] {
        let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, INPUTS).unwrap();
        let mut ws = Workspace::new();
        for shape in &SHAPES[..3] {
            let (yhat, y) = example(*shape);
            let want = slow_adam(&tree, *shape, &yhat, &y, &adam);
            let mut moved = [yhat, y.clone()];
            program
                .optimise(&mut ws, *shape, &mut moved, &adam)
                .unwrap();
            assert!(
                fields_agree(&moved[0], &want, 2e-3),
                "{text} {shape}: {:?} {want:?}",
                moved[0]
            );
            assert_eq!(moved[1], y);
        }
    }
}

#[test]
fn optimising_reports_what_is_not_finite() {
    let shape = SHAPES[1];
    let tree = Tree::parse("exp(exp(exp(exp(yhat + 1 + 1))))", &["yhat", "y"]).unwrap();
    let program = Program::new(&tree, INPUTS).unwrap();
    let (yhat, y) = example(shape);
    let error = program
        .optimise(
            &mut Workspace::new(),
            shape,
            &mut [yhat, y],
            &Adam::default(),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value or the gradient is not finite at step 1"
    );
}

#[test]
fn the_comparison_can_fail() {
    assert!(!fields_agree(&[1.0, 2.0], &[1.0, 2.1], 1e-2));
    assert!(!fields_agree(&[f32::NAN], &[1.0], 1e-2));
}
