//! Graphviz: the operators of a loss as a graph, shared subtrees once.

use std::collections::HashMap;
use std::fmt::Write;

use super::error::ExportError;
use super::format::Format;
use super::source::Export;
use crate::tree::Tree;

pub(super) const FORMAT: Format = Format {
    name: "dot",
    about: "a graph for Graphviz",
    is_text: true,
    write,
};

fn write(export: &Export) -> Result<Vec<u8>, ExportError> {
    export.without_elements(FORMAT.name)?;
    let mut text =
        "digraph loss {\n  rankdir=BT;\n  ordering=\"in\";\n  node [fontname=\"sans-serif\"];\n  \
                    edge [arrowhead=vee];\n  loss [shape=box, label=\"loss\"];\n"
            .to_owned();
    let several = export.loss.branches.len() > 1;
    let mut drawing = Drawing::default();
    for branch in &export.loss.branches {
        drawing.known.clear();
        drawing.lines.clear();
        let root = drawing.draw(&branch.tree);
        let lines = drawing.lines.join("\n");
        let _ = match several {
            true => writeln!(
                text,
                "  subgraph \"cluster {0}\" {{\n  label=\"{0}\";\n{lines}\n  }}",
                branch.name
            ),
            false => writeln!(text, "{lines}"),
        };
        let edge = match branch.tree.native() {
            Some(_) => "",
            None => " [label=\"mean over n, h, w; sum over c\"]",
        };
        let _ = writeln!(text, "  n{root} -> loss{edge};");
    }
    text.push_str("}\n");
    Ok(text.into_bytes())
}

#[derive(Default)]
struct Drawing {
    /// Numbers of the nodes drawn, by label and operands.
    known: HashMap<(String, Vec<usize>), usize>,
    lines: Vec<String>,
    /// Number of the next node.
    next: usize,
}

impl Drawing {
    /// Draws a tree and gives the number of its root.
    fn draw(&mut self, tree: &Tree) -> usize {
        let operands: Vec<usize> = tree.operands().iter().map(|t| self.draw(t)).collect();
        let (label, shape) = match tree {
            Tree::Apply(operator, _) => (operator.name().to_owned(), "ellipse"),
            Tree::Input(_) => (tree.to_string(), "box"),
            Tree::Constant(_) => (tree.to_string(), "plaintext"),
            Tree::Native(_) => (tree.to_string(), "ellipse"),
        };
        if let Some(known) = self.known.get(&(label.clone(), operands.clone())) {
            return *known;
        }
        let number = self.next;
        self.next += 1;
        self.lines
            .push(format!("  n{number} [shape={shape}, label=\"{label}\"];"));
        for operand in &operands {
            self.lines.push(format!("  n{operand} -> n{number};"));
        }
        self.known.insert((label, operands), number);
        number
    }
}
