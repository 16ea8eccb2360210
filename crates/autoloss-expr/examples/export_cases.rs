//! Losses in every exported form beside the values and gradients of the library: the zoo, the formulas of documents,
//! and random losses, one object of JSON a line; `tests/export/check.py` compares.
//!
//! ```sh
//! cargo run --release -p autoloss-expr --example export_cases -- OUT 1000 1 README.md docs/results.md
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use autoloss_expr::{Exact, Export, Format, INPUTS, Loss, Operator, Program, Shape, Tree, ZooLoss};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// The shape of all fields.
const SHAPE: Shape = Shape::new(2, 3, 5, 4);

/// Smallest number of formulas in the documents: fewer mean that some were not found.
const FEWEST: usize = 25;

/// Relative error that rounding is taken for, draws of errors, and the relative difference from which a result is
/// one of rounding.
const ERROR: f64 = 1e-14;
const DRAWS: usize = 3;
const SENSITIVE: f64 = 1e-6;

/// Depth of the random losses of the paper's operators, and largest depth of those of all operators.
const DEPTH: usize = 3;
const MOST_DEPTH: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, count, seed, documents @ ..] = &arguments[..] else {
        return Err("usage: export_cases OUT COUNT SEED DOCUMENT…".into());
    };
    let (out, count) = (Path::new(out), count.parse()?);
    let mut rng = ChaCha8Rng::seed_from_u64(seed.parse()?);
    let mut cases: Vec<(String, Tree)> = zoo();
    cases.extend(operators());
    let found = formulas(documents)?;
    if found.len() < FEWEST {
        return Err(format!(
            "the documents hold {} formulas, expected {FEWEST}",
            found.len()
        )
        .into());
    }
    cases.extend(found);
    cases.extend(random(count, &mut rng));

    fs::create_dir_all(out)?;
    let sets = [smooth(&mut rng), ties(&mut rng)];
    let mut lines = BufWriter::new(File::create(out.join("cases.jsonl"))?);
    let fields = |set: &[Vec<f64>]| -> Value {
        let named = INPUTS.iter().zip(set);
        named
            .map(|(name, field)| ((*name).to_owned(), json!(field)))
            .collect()
    };
    let head = json!({
        "shape": [SHAPE.n, SHAPE.c, SHAPE.h, SHAPE.w],
        "sets": sets.iter().map(|set| fields(set)).collect::<Vec<_>>(),
        "cases": cases.len(),
    });
    writeln!(lines, "{head}")?;
    for (number, (name, tree)) in cases.iter().enumerate() {
        let onnx = format!("{number:05}.onnx");
        let export = Export::new(Loss::single("", tree.clone()));
        fs::write(out.join(&onnx), Format::from_name("onnx")?.write(&export)?)?;
        let text = |format| -> Result<String, Box<dyn Error>> {
            Ok(String::from_utf8(
                Format::from_name(format)?.write(&export)?,
            )?)
        };
        let expected = sets.iter().map(|set| expected(tree, set, &mut rng));
        let case = json!({
            "name": name, "formula": tree.to_string(), "onnx": onnx,
            "pytorch": text("pytorch")?, "jax": text("jax")?,
            "expected": expected.collect::<Result<Vec<_>, _>>()?,
        });
        writeln!(lines, "{case}")?;
    }
    lines.flush()?;
    Ok(())
}

/// A loss value and the gradients of all inputs, those that the loss does not use empty.
type At = (f64, Vec<Vec<f64>>);

/// Value and gradients by the library's computation in f64, where null is not finite, and whether other rounding may
/// give other ones.
fn expected(tree: &Tree, set: &[Vec<f64>], rng: &mut ChaCha8Rng) -> Result<Value, Box<dyn Error>> {
    let at = computed(tree, set)?;
    let used = INPUTS.iter().zip(&at.1).filter(|(_, g)| !g.is_empty());
    let gradients: Value = used
        .map(|(name, g)| ((*name).to_owned(), json!(g)))
        .collect();
    let mut sensitive = false;
    for _ in 0..DRAWS {
        let other = computed(&with_errors(tree, rng), &nudged(set, rng))?;
        sensitive |= !agree(&at, &other);
    }
    Ok(json!({"value": at.0, "gradients": gradients, "sensitive": sensitive}))
}

fn computed(tree: &Tree, set: &[Vec<f64>]) -> Result<At, Box<dyn Error>> {
    let program = Program::new(tree, &INPUTS.map(|name| (name, true)))?;
    let mut exact = Exact::new(&program, SHAPE);
    let value = exact.descend(set);
    let gradient = |input| exact.gradient(input).map_or(Vec::new(), <[f64]>::to_vec);
    Ok((value, (0..INPUTS.len()).map(gradient).collect()))
}

/// Whether two results agree, each gradient relative to its largest element.
fn agree(a: &At, b: &At) -> bool {
    let close = |a: &[f64], b: &[f64]| {
        let scale = a.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        a.iter()
            .zip(b)
            .all(|(a, b)| (a - b).abs() <= SENSITIVE * scale)
    };
    close(&[a.0], &[b.0]) && a.1.iter().zip(&b.1).all(|(a, b)| close(a, b))
}

fn error(rng: &mut ChaCha8Rng) -> f64 {
    1.0 + ERROR * rng.random_range(-1.0..1.0)
}

/// The tree with a relative error at every node, the same for all elements, so that ties and zeros stay.
fn with_errors(tree: &Tree, rng: &mut ChaCha8Rng) -> Tree {
    let node = match tree {
        Tree::Apply(operator, operands) => {
            let operands = operands.iter().map(|t| with_errors(t, rng)).collect();
            Tree::apply(*operator, operands)
        }
        leaf => leaf.clone(),
    };
    Tree::apply(Operator::Mul, vec![node, Tree::Constant(error(rng))])
}

/// The fields with errors at each element of the predictions, where these are all different.
fn nudged(set: &[Vec<f64>], rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut set = set.to_vec();
    let mut sorted = set[0].clone();
    sorted.sort_by(f64::total_cmp);
    if sorted.windows(2).all(|pair| pair[0] < pair[1]) {
        set[0].iter_mut().for_each(|x| *x *= error(rng));
    }
    set
}

fn zoo() -> Vec<(String, Tree)> {
    let trees = ZooLoss::all().filter(|loss| loss.tree().native().is_none());
    trees
        .map(|loss| (format!("zoo:{}", loss.name), loss.tree()))
        .collect()
}

/// Each operator by itself, and with constants of every form.
fn operators() -> Vec<(String, Tree)> {
    let mut cases = Vec::new();
    for op in Operator::ALL {
        let operands = [Tree::input("yhat"), Tree::input("y")];
        let tree = Tree::apply(*op, operands[..op.arity()].to_vec());
        cases.push((format!("operator {}", op.name()), tree));
    }
    for formula in [
        "3",
        "-1e-12",
        "1e300 * y",
        "yhat + 1e-12",
        "yhat * -2.5 - 1e-300",
        "softmax_c(2) * yhat",
        "softmax_c(mean_c(yhat)) * y",
        "mean_c(yhat)",
        "mean_c(mean_nhw(yhat)) + mean_nhw(y)",
        "max_pool(mean_nhw(yhat)) * min_pool(mean_c(y))",
        "123456789012 * yhat + 0.1",
    ] {
        let tree = Tree::parse(formula, &INPUTS).expect("a formula");
        cases.push((format!("form {formula}"), tree));
    }
    cases
}

/// Every formula in documents: between backquotes or quotes, or at the end of a line of a table.
fn formulas(documents: &[String]) -> Result<Vec<(String, Tree)>, Box<dyn Error>> {
    let mut seen = BTreeSet::new();
    let mut cases = Vec::new();
    for document in documents {
        let text = fs::read_to_string(document).map_err(|error| format!("{document}: {error}"))?;
        let quoted = text.split('`').chain(text.split('\''));
        let ends = text
            .lines()
            .filter_map(|line| line.rsplit_once("  ").map(|(_, end)| end));
        for candidate in quoted.chain(ends) {
            let candidate = candidate.split_whitespace().collect::<Vec<_>>().join(" ");
            let candidate = candidate
                .split(" (")
                .next()
                .map_or(&candidate[..], |first| {
                    // A name in parentheses may follow a formula.
                    match Tree::parse(&candidate, &INPUTS) {
                        Ok(_) => &candidate,
                        Err(_) => first,
                    }
                });
            let Ok(tree) = Tree::parse(candidate, &INPUTS) else {
                continue;
            };
            if !tree.is_leaf() && tree.native().is_none() && seen.insert(tree.to_string()) {
                cases.push((document.clone(), tree));
            }
        }
    }
    Ok(cases)
}

/// Losses that use prediction and target: the first half as searches begin with them, the others of all operators.
fn random(count: usize, rng: &mut ChaCha8Rng) -> Vec<(String, Tree)> {
    let paper: Vec<Operator> = Operator::default_set().collect();
    let mut cases = Vec::with_capacity(count);
    while cases.len() < count {
        let tree = match cases.len() < count / 2 {
            true => grown(DEPTH, 0.0, &paper, rng),
            false => grown(MOST_DEPTH, 0.2, Operator::ALL, rng),
        };
        if tree.uses("yhat") && tree.uses("y") {
            cases.push((format!("random {}", cases.len()), tree));
        }
    }
    cases
}

/// A tree of at most that depth, of which each node may be a leaf by chance.
fn grown(depth: usize, leaf: f64, operators: &[Operator], rng: &mut ChaCha8Rng) -> Tree {
    let operator = (depth > 0 && !rng.random_bool(leaf))
        .then(|| operators.choose(rng))
        .flatten();
    let Some(operator) = operator else {
        return match rng.random_range(0..3) {
            0 => Tree::input("yhat"),
            1 => Tree::input("y"),
            _ => Tree::one(),
        };
    };
    let operands = (0..operator.arity()).map(|_| grown(depth - 1, leaf, operators, rng));
    Tree::apply(*operator, operands.collect())
}

/// Predictions between their bounds and one-hot targets; areas and weights above 0.
fn smooth(rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let positions = SHAPE.h * SHAPE.w;
    let labels: Vec<usize> = (0..SHAPE.positions())
        .map(|_| rng.random_range(0..SHAPE.c))
        .collect();
    let field = |name: &&str| {
        let element = |i: usize| match *name {
            "yhat" => rng.random_range(0.02..0.98),
            "y" => {
                let sample = i / (SHAPE.c * positions);
                let label = labels[sample * positions + i % positions];
                f64::from(u8::from(i / positions % SHAPE.c == label))
            }
            _ => rng.random_range(0.1..3.0),
        };
        (0..SHAPE.len()).map(element).collect()
    };
    INPUTS.iter().map(field).collect()
}

/// Few different numbers, 0 among them: kinks and ties everywhere.
fn ties(rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let numbers = [0.0, 0.5, 1.0];
    let element = |_| numbers[rng.random_range(0..numbers.len())];
    let all: Vec<f64> = (0..SHAPE.len() * INPUTS.len()).map(element).collect();
    all.chunks(SHAPE.len()).map(<[f64]>::to_vec).collect()
}
