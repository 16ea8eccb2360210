//! ONNX: a model with an input for each input of each branch, of shape (N, C, H, W), and the loss value as its
//! output.

use prost::Message;

use super::error::ExportError;
use super::format::Format;
use super::proto::{Attribute, FLOAT, Graph, INT64, Model, Node, OperatorSet, Tensor, ValueInfo};
use super::source::{Export, ExportInput};
use super::term::{Expression, Id, Infix, Word, Written};
use crate::tree::Branch;

pub(super) const FORMAT: Format = Format {
    name: "onnx",
    about: "a model file of ONNX, which computes the loss value",
    is_text: false,
    write,
};

/// Version of the file format, and of the operators, that runtimes have known since 2022.
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 18;

/// Name of the model's output.
const OUTPUT: &str = "loss";

fn write(export: &Export) -> Result<Vec<u8>, ExportError> {
    export.without_natives(FORMAT.name)?;
    export.without_elements(FORMAT.name)?;
    let mut writer = Writer::default();
    let single = export.loss.branches.len() == 1;
    let mut values = Vec::with_capacity(export.loss.branches.len());
    for (branch, inputs) in export.branches() {
        let prefix = match single {
            true => String::new(),
            false => format!("{}.", branch.name),
        };
        values.push(writer.branch(&prefix, branch, inputs));
    }
    writer.last("Sum", values);
    let formulas = export.loss.branches.iter().map(|b| b.tree.to_string());
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "autoloss".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: formulas.collect::<Vec<_>>().join("; "),
        graph: Some(writer.graph),
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: OPERATORS,
        }],
    };
    Ok(model.encode_to_vec())
}

#[derive(Default)]
struct Writer {
    graph: Graph,
}

impl Writer {
    /// Writes a branch and gives the name of its loss value.
    fn branch(&mut self, prefix: &str, branch: &Branch, inputs: &[ExportInput]) -> String {
        let dimensions = ["N", "C", "H", "W"].map(|name| format!("{prefix}{name}"));
        let named = |input: &ExportInput| format!("{prefix}{}", input.name);
        for input in inputs {
            let doc = input.meaning.words();
            let info = ValueInfo::tensor(&named(input), &dimensions, doc);
            self.graph.input.push(info);
        }
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let written = Written::new(&branch.tree, &names);
        let like = named(&inputs[0]);
        let mut values: Vec<Option<String>> = vec![None; written.nodes.len()];
        for id in 0..written.nodes.len() {
            if written.uses[id] == 0 && id != written.root {
                continue;
            }
            values[id] = Some(match written.nodes[id] {
                Expression::Input(input) => named(&inputs[input]),
                Expression::Constant(c) => self.constant(c.value()),
                Expression::Unary(word, x) => {
                    let operand = self.operand(&written, &values, x, word, &like);
                    self.unary(word, operand)
                }
                Expression::Binary(infix, a, b) => {
                    let operands = [a, b].map(|id| value(&values, id));
                    self.apply(operator_of(infix), operands.to_vec(), Vec::new())
                }
            });
        }
        let mut elements = value(&values, written.root);
        if !written.extents[written.root].channels {
            elements = self.expanded(elements, &like);
        }
        let channels = self.integers(&[1]);
        let keep = vec![Attribute::int("keepdims", 0)];
        let sums = self.apply("ReduceSum", vec![elements, channels], keep.clone());
        self.apply("ReduceMean", vec![sums], keep)
    }

    /// The operand of a function, with all its channels where the function counts them.
    fn operand(
        &mut self,
        written: &Written,
        values: &[Option<String>],
        x: Id,
        word: Word,
        like: &str,
    ) -> String {
        let operand = value(values, x);
        match word == Word::SoftmaxC && !written.extents[x].channels {
            true => self.expanded(operand, like),
            false => operand,
        }
    }

    fn unary(&mut self, word: Word, x: String) -> String {
        let (operator, attributes) = match word {
            Word::Neg => ("Neg", Vec::new()),
            Word::Abs => ("Abs", Vec::new()),
            Word::Sign => ("Sign", Vec::new()),
            Word::Recip => ("Reciprocal", Vec::new()),
            Word::Exp => ("Exp", Vec::new()),
            Word::Ln => ("Log", Vec::new()),
            Word::Tanh => ("Tanh", Vec::new()),
            Word::Sqrt => ("Sqrt", Vec::new()),
            Word::Sin => ("Sin", Vec::new()),
            Word::Cos => ("Cos", Vec::new()),
            Word::Atan => ("Atan", Vec::new()),
            Word::Erf => ("Erf", Vec::new()),
            Word::MeanNhw => return self.mean(x, &[0, 2, 3]),
            Word::MeanC => return self.mean(x, &[1]),
            Word::MaxPool => (
                "MaxPool",
                vec![
                    Attribute::ints("kernel_shape", &[3, 3]),
                    Attribute::ints("pads", &[1, 1, 1, 1]),
                ],
            ),
            Word::MinPool => {
                let negated = self.unary(Word::Neg, x);
                let pooled = self.unary(Word::MaxPool, negated);
                return self.unary(Word::Neg, pooled);
            }
            Word::SoftmaxC => ("Softmax", vec![Attribute::int("axis", 1)]),
        };
        self.apply(operator, vec![x], attributes)
    }

    fn mean(&mut self, x: String, axes: &[i64]) -> String {
        let axes = self.integers(axes);
        self.apply(
            "ReduceMean",
            vec![x, axes],
            vec![Attribute::int("keepdims", 1)],
        )
    }

    /// A value broadcast to the shape of the input `like`.
    fn expanded(&mut self, x: String, like: &str) -> String {
        let shape = self.apply("Shape", vec![like.to_owned()], Vec::new());
        self.apply("Expand", vec![x, shape], Vec::new())
    }

    /// Adds a node and gives the name of its output.
    fn apply(&mut self, operator: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
        // No input has a colon in its name.
        let name = format!("{}:{}", operator.to_lowercase(), self.graph.node.len());
        self.graph.node.push(Node {
            input,
            output: vec![name.clone()],
            name: name.clone(),
            op_type: operator.to_owned(),
            attribute,
        });
        name
    }

    /// Adds the node whose output is that of the model.
    fn last(&mut self, operator: &str, input: Vec<String>) {
        self.apply(operator, input, Vec::new());
        if let Some(node) = self.graph.node.last_mut() {
            node.output = vec![OUTPUT.to_owned()];
        }
        let doc = "mean over samples and positions of the sum over channels, summed over branches";
        self.graph.name = OUTPUT.to_owned();
        self.graph.output.push(ValueInfo::tensor(OUTPUT, &[], doc));
    }

    /// The constant of that value, named by all its digits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the model computes in single precision; a number beyond it is infinite there"
    )]
    fn constant(&mut self, c: f64) -> String {
        self.initializer(Tensor {
            dims: Vec::new(),
            data_type: FLOAT,
            float_data: vec![c as f32],
            int64_data: Vec::new(),
            name: format!("constant:{c:?}"),
        })
    }

    fn integers(&mut self, integers: &[i64]) -> String {
        let texts: Vec<String> = integers.iter().map(i64::to_string).collect();
        self.initializer(Tensor {
            dims: vec![i64::try_from(integers.len()).unwrap_or(i64::MAX)],
            data_type: INT64,
            float_data: Vec::new(),
            int64_data: integers.to_vec(),
            name: format!("axes:{}", texts.join(",")),
        })
    }

    /// Adds a tensor unless it is there, and gives its name.
    fn initializer(&mut self, tensor: Tensor) -> String {
        let name = tensor.name.clone();
        if !self
            .graph
            .initializer
            .iter()
            .any(|known| known.name == name)
        {
            self.graph.initializer.push(tensor);
        }
        name
    }
}

fn value(values: &[Option<String>], id: Id) -> String {
    let value = values[id].clone();
    value.expect("operands come before what is computed from them")
}

const fn operator_of(infix: Infix) -> &'static str {
    match infix {
        Infix::Add => "Add",
        Infix::Sub => "Sub",
        Infix::Mul => "Mul",
        Infix::Div => "Div",
    }
}
