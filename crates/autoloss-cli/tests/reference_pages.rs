//! The pages in docs/reference, which are written from the program's tables.
//!
//! A page that does not agree with its table fails its test. To write the pages anew:
//!
//! ```sh
//! AUTOLOSS_WRITE_DOCS=1 cargo test --workspace --test reference_pages
//! ```

#[path = "reference_pages/settings.rs"]
mod settings;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use autoloss_expr::{Export, FORMATS, Loss, Operator, Tree, ZooLoss};
use autoloss_metrics::Metric;
use autoloss_metrics::coco::{Annotations, Kind, Results, evaluate};
use autoloss_search::Role;
use autoloss_vision::tasks::TaskName;

/// Standard output of the program.
fn program(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autoloss"));
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Text for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Compares a page with the committed one, or writes it.
fn check(name: &str, title: &str, body: &str) {
    let page = format!(
        "# {title}\n\n<!-- Written from the program's tables by crates/autoloss-cli/tests/reference_pages.rs; \
         do not edit. -->\n\n{}\n",
        body.trim_end()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name);
    if std::env::var_os("AUTOLOSS_WRITE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = page.lines().zip(committed.lines()).find(|(a, b)| a != b);
    assert!(
        page == committed,
        "docs/reference/{name} is not that of the tables (first difference, table and page: {differing:?}): run \
         AUTOLOSS_WRITE_DOCS=1 cargo test --workspace --test reference_pages"
    );
}

#[test]
fn operators() {
    let mut body = "The primitive operators of formulas, rows of \
        [operator.rs](../../crates/autoloss-expr/src/operator.rs). Every operand and every result has the branch's \
        shape (N, C, H, W); a mean is repeated to it. ε is 1e-12. `a - b` is read as `add(a, neg(b))`, `a / b` as \
        `mul(a, inv(b))`, and `-`, `+`, `*` may be written as in arithmetic.\n\n\
        Operators with *yes* are those of the paper and the default of `search.operators`; the others are for formulas \
        that are given.\n\n| operator | operands | value | searched | commutes |\n|---|---|---|---|---|\n"
        .to_owned();
    for op in Operator::ALL {
        let yes = |is: bool| if is { "yes" } else { "" };
        let (name, arity, value) = (op.name(), op.arity(), cell(op.doc().trim()));
        let (searched, commutes) = (yes(op.in_default_set()), yes(op.commutes()));
        writeln!(
            body,
            "| `{name}` | {arity} | {value} | {searched} | {commutes} |"
        )
        .unwrap();
    }
    body.push_str(
        "\nThe loss value of a tree is the mean of its output over samples and positions, summed over channels. The \
         gradient is the chain rule of the written value with sign(0) = 0; of equal elements in a pooling the first in \
         row order has the gradient.\n",
    );
    check("operators.md", "Operators", &body);
}

#[test]
fn losses() {
    let mut body = "Hand-written losses, given as `zoo:NAME` wherever a loss is (`autoloss zoo list` prints them). A \
        formula with an empty pair of brackets is a native loss, no tree of operators: it is trained and compared, and \
        not searched or exported as code.\n\n| name | tasks | formula of one branch | source |\n|---|---|---|---|\n"
        .to_owned();
    for loss in ZooLoss::all() {
        let (name, tasks) = (loss.name, loss.tasks());
        let (formula, source) = (cell(loss.formula), cell(loss.source));
        writeln!(body, "| `{name}` | {tasks} | `{formula}` | {source} |").unwrap();
    }
    check("losses.md", "Hand-written losses", &body);
}

#[test]
fn metrics() {
    let mut body = "Every metric is between 0 and 1, and higher is better. Names are those of `--metric`, of JSON, and of \
        `task.metric`.\n\n## Segmentation\n\nTasks `digits`, `voc` and `cityscapes`; `autoloss score segmentation`. \
        Counts are summed over the whole set first. Ignored pixels are left out, and so is a class that neither target \
        nor prediction has.\n\n| metric | value |\n|---|---|\n"
        .to_owned();
    for metric in Metric::ALL {
        let (name, about) = (metric.name(), cell(metric.description()));
        writeln!(body, "| `{name}` | {about} |").unwrap();
    }
    let kinds = [
        (
            "Boxes",
            "Tasks `digits-detection` and `coco-detection`; `autoloss score detection`.",
            Kind::Box,
        ),
        (
            "Masks",
            "Tasks `digits-instances` and `coco-instances`; `autoloss score mask`.",
            Kind::Mask,
        ),
        (
            "Keypoints",
            "Tasks `figures-pose` and `coco-pose`; `autoloss score keypoints`. Overlap is the object keypoint similarity.",
            Kind::Keypoints,
        ),
    ];
    for (title, about, kind) in kinds {
        let rows = evaluate(&Annotations::empty(kind), &Results::from(Vec::new())).unwrap();
        write!(
            body,
            "\n## {title}\n\n{about} The numbers are those of pycocotools.\n\n| metric | value |\n|---|---|\n"
        )
        .unwrap();
        for (row, _) in rows.rows() {
            let name = row.name().to_lowercase();
            writeln!(body, "| `{name}` | {} |", cell(row.description())).unwrap();
        }
    }
    check("metrics.md", "Metrics", &body);
}

#[test]
fn export_formats() {
    let mut body = "Formats of `autoloss export --to NAME` and of `Loss.code(NAME)` in Python. Exported code needs nothing \
        of this project.\n\n| format | content |\n|---|---|\n"
        .to_owned();
    for format in FORMATS {
        writeln!(body, "| `{}` | {} |", format.name(), format.about()).unwrap();
    }
    body.push_str("\n## Cross entropy in each text format\n");
    let tree = Tree::parse("-(y * log(yhat))", &["yhat", "y"]).unwrap();
    let export = Export::new(Loss::single("", tree));
    for format in FORMATS.iter().filter(|format| format.is_text()) {
        let language = match format.name() {
            "pytorch" | "jax" => "python",
            "steps" => "json",
            name => name,
        };
        let text = String::from_utf8(format.write(&export).unwrap()).unwrap();
        let (name, text) = (format.name(), text.trim_end());
        write!(body, "\n`autoloss export --loss '-(y * log(yhat))' --to {name}`:\n\n```{language}\n{text}\n```\n").unwrap();
    }
    check("export-formats.md", "Export formats", &body);
}

#[test]
fn tasks() {
    let mut body = "Tasks of `--task NAME`, and the branches of each with the inputs that formulas may use: \
        *prediction* (class probabilities, or numbers), *target*, *derived* (a function of both, through which gradients \
        flow), *constant* (without gradient). Inputs in brackets are for formulas that are given; a search does not use \
        them.\n\n| task | data | branches and their inputs |\n|---|---|---|\n"
        .to_owned();
    for task in TaskName::ALL {
        let data = if task.is_embedded() {
            "embedded"
        } else {
            "`--data DIR`"
        };
        let branches: Vec<String> = task.family().branches().iter().map(branch).collect();
        writeln!(body, "| `{task}` | {data} | {} |", branches.join("<br>")).unwrap();
    }
    body.push_str(
        "\nThe defaults of each task are in [settings](settings.md), its metrics in [metrics](metrics.md). A program of \
         yours is a task, too: [worker protocol](../worker.md).\n",
    );
    check("tasks.md", "Tasks", &body);
}

/// A branch in words: its name, then its inputs with their roles.
fn branch(branch: &autoloss_search::BranchSpec) -> String {
    let inputs = branch.inputs.iter().map(|input| {
        let role = match input.role {
            Role::Prediction { softmax: true } => "probabilities",
            Role::Prediction { softmax: false } => "numbers",
            Role::Target => "target",
            Role::Derived => "derived",
            Role::Constant => "constant",
        };
        match input.searched {
            true => format!("`{}` {role}", input.name),
            false => format!("(`{}` {role})", input.name),
        }
    });
    let inputs: Vec<String> = inputs.collect();
    format!("`{}`: {}", branch.name, inputs.join(", "))
}

/// Commands with their sub-commands, in the order of the help.
const COMMANDS: &[&str] = &[
    "search",
    "resume",
    "show",
    "report",
    "compare",
    "fidelity",
    "retrain",
    "reproduce",
    "data",
    "eval",
    "export",
    "simplify",
    "screen",
    "score segmentation",
    "score detection",
    "score mask",
    "score keypoints",
    "zoo list",
    "worker",
];

#[test]
fn commands() {
    let mut body =
        "Exit codes: 0 the command worked, 1 it failed, 2 it was used wrongly. Results are on standard output, messages \
         on standard error.\n"
            .to_owned();
    let help = program(&["--help"]);
    let listed = help.lines().filter_map(|line| line.strip_prefix("  "));
    for name in listed.filter_map(|line| line.split(' ').next()) {
        let known = name.is_empty() || name.starts_with('-') || name == "help";
        assert!(
            known
                || COMMANDS
                    .iter()
                    .any(|command| command.split(' ').next() == Some(name)),
            "the command {name} has no section"
        );
    }
    for command in COMMANDS {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = program(&arguments);
        write!(
            body,
            "\n## autoloss {command}\n\n```text\n{}\n```\n",
            help.trim_end()
        )
        .unwrap();
    }
    check("commands.md", "Commands", &body);
}

#[test]
fn settings() {
    check("settings.md", "Settings", &settings::page());
}
