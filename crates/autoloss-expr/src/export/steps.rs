//! Steps: a loss as elementary functions of earlier steps, in JSON, for programs in any language that compute
//! losses themselves.

use serde::Serialize;

use super::error::ExportError;
use super::format::Format;
use super::source::Export;
use super::term::{Expression, Written};

pub(super) const FORMAT: Format = Format {
    name: "steps",
    about: "elementary functions one after another, in JSON, for programs in other languages",
    is_text: true,
    write,
};

/// A loss: the sum over its branches.
#[derive(Serialize)]
struct Steps<'a> {
    branches: Vec<BranchSteps<'a>>,
}

/// A branch: the mean over samples and positions of the sum over channels of its last step.
#[derive(Serialize)]
struct BranchSteps<'a> {
    name: &'a str,
    /// Names of its inputs, of shape (N, C, spatial).
    inputs: Vec<&'a str>,
    steps: Vec<Step<'a>>,
}

/// A step: the name of a function, and the operands.
#[derive(Serialize)]
#[serde(untagged)]
enum Step<'a> {
    Input(&'static str, &'a str),
    Constant(&'static str, f64),
    /// A constant that is no number of JSON.
    Infinite(&'static str, String),
    /// A function of one earlier step.
    Unary(&'static str, usize),
    /// A function of two earlier steps.
    Binary(&'static str, usize, usize),
}

fn write(export: &Export) -> Result<Vec<u8>, ExportError> {
    export.without_natives(FORMAT.name)?;
    let branches = export.branches().map(|(branch, inputs)| {
        let inputs: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        BranchSteps {
            name: &branch.name,
            steps: steps(&Written::new(&branch.tree, &inputs), &inputs),
            inputs,
        }
    });
    let steps = Steps {
        branches: branches.collect(),
    };
    // All keys are texts, and numbers are finite.
    let mut json = serde_json::to_vec(&steps).expect("steps can be written as JSON");
    json.push(b'\n');
    Ok(json)
}

/// The terms that the root needs; the root is the last.
fn steps<'a>(written: &Written, inputs: &[&'a str]) -> Vec<Step<'a>> {
    let mut numbers = vec![0; written.nodes.len()];
    let mut steps = Vec::new();
    for (id, expression) in written.nodes.iter().enumerate() {
        if written.uses[id] == 0 && id != written.root {
            continue;
        }
        numbers[id] = steps.len();
        steps.push(match *expression {
            Expression::Input(input) => Step::Input("input", inputs[input]),
            Expression::Constant(c) if c.value().is_finite() => {
                Step::Constant("constant", c.value())
            }
            Expression::Constant(c) => {
                Step::Infinite("constant", c.value().to_string().to_lowercase())
            }
            Expression::Unary(word, x) => Step::Unary(word.name(), numbers[x]),
            Expression::Binary(infix, a, b) => Step::Binary(infix.name(), numbers[a], numbers[b]),
        });
        if id == written.root {
            break;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::arithmetic::Arithmetic;
    use crate::operator::Operator;
    use crate::reference::{ReferenceInput, loss_value};
    use crate::shape::Shape;
    use crate::tree::{Loss, Tree};

    fn read(tree: Tree) -> Value {
        let export = Export::new(Loss::single("out", tree));
        serde_json::from_slice(&write(&export).unwrap()).unwrap()
    }

    fn parsed(formula: &str) -> Tree {
        Tree::parse(formula, &["yhat", "y"]).unwrap()
    }

    #[test]
    fn steps_name_earlier_ones_and_the_last_is_the_loss() {
        let json = read(parsed("square(yhat - y) + exp(2 * square(yhat - y))"));
        let steps = r#"[["input","yhat"],["input","y"],["sub",0,1],["mul",2,2],["constant",2.0],["mul",4,3],["exp",5],["add",3,6]]"#;
        assert_eq!(json["branches"][0]["steps"].to_string(), steps);
        assert_eq!(json["branches"][0]["inputs"].to_string(), r#"["yhat","y"]"#);
        let infinite = read(parsed("yhat + exp(1000000)")).to_string();
        assert!(infinite.contains(r#"["constant","inf"]"#), "{infinite}");
    }

    /// The last step where all fields have one element, of which means and extremes are that element.
    fn computed(json: &Value, yhat: f64, y: f64) -> f64 {
        let mut values: Vec<f64> = Vec::new();
        for step in json["branches"][0]["steps"].as_array().unwrap() {
            let operand = |place: usize| values[step[place].as_u64().unwrap() as usize];
            values.push(match step[0].as_str().unwrap() {
                "input" if step[1] == "yhat" => yhat,
                "input" => y,
                "constant" => step[1].as_f64().unwrap(),
                "add" => operand(1) + operand(2),
                "sub" => operand(1) - operand(2),
                "mul" => operand(1) * operand(2),
                "div" => operand(1) / operand(2),
                "neg" => -operand(1),
                "abs" => operand(1).abs(),
                "sign" => Arithmetic::sign(operand(1)),
                "recip" => 1.0 / operand(1),
                "exp" => operand(1).exp(),
                "ln" => operand(1).ln(),
                "tanh" => operand(1).tanh(),
                "sqrt" => operand(1).sqrt(),
                "sin" => operand(1).sin(),
                "cos" => operand(1).cos(),
                "atan" => operand(1).atan(),
                "erf" => libm::erf(operand(1)),
                "mean_nhw" | "mean_c" | "max_pool" | "min_pool" => operand(1),
                "softmax_c" => 1.0,
                other => panic!("{other}"),
            });
        }
        *values.last().unwrap()
    }

    #[test]
    fn every_operator_is_written_in_steps_that_compute_it() {
        let operand = |name: &str| Tree::Input(name.into());
        for operator in Operator::ALL.iter().copied() {
            let operands = [operand("yhat"), operand("y")];
            let tree = Tree::Apply(operator, operands[..operator.arity()].to_vec());
            let json = read(tree.clone());
            for (yhat, y) in [(0.3, 0.7), (-1.5, 2.0), (0.0, 1.0)] {
                let inputs = [("yhat", yhat), ("y", y)];
                let values = inputs.map(|(_, value)| [value]);
                let inputs = [0, 1].map(|i| ReferenceInput {
                    name: inputs[i].0,
                    values: &values[i],
                });
                let want = loss_value(&tree, Shape::new(1, 1, 1, 1), &inputs);
                let got = computed(&json, yhat, y);
                let close = (got - want).abs() <= 1e-12 * want.abs() || got == want;
                assert!(close, "{tree} at {yhat}, {y}: {got}, {want}");
            }
        }
    }
}
