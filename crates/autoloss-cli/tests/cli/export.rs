//! Losses in other languages and in their shortest form.

use std::fs;

use super::Dir;

#[test]
fn a_loss_is_exported_as_text_or_into_a_file() {
    let dir = Dir::new();
    let loss = "-(y * log(yhat))";
    let code = dir.ok(&["export", "--loss", loss, "--to", "pytorch"]);
    assert!(
        code.contains("def loss(yhat, y, *, from_logits=False):"),
        "{code}"
    );
    assert!(code.contains("torch.autocast"), "{code}");
    let said = dir.ok(&[
        "export", "--loss", loss, "--to", "pytorch", "--out", "loss.py",
    ]);
    assert_eq!(said, "loss.py\n");
    assert_eq!(fs::read_to_string(dir.path("loss.py")).unwrap(), code);
    for (format, part) in [
        ("jax", "import jax.numpy as jnp"),
        ("latex", r"\mathcal{L} = \frac{1}{N H W}"),
        ("dot", "digraph loss {"),
    ] {
        let text = dir.ok(&["export", "--loss", "zoo:cross_entropy", "--to", format]);
        assert!(text.contains(part), "{text}");
    }
    dir.ok(&[
        "export",
        "--loss",
        "zoo:dice",
        "--to",
        "onnx",
        "--out",
        "dice.onnx",
    ]);
    let model = fs::read(dir.path("dice.onnx")).unwrap();
    assert!(model.windows(10).any(|bytes| bytes == b"ReduceMean"));
}

#[test]
fn the_task_tells_branches_and_inputs() {
    let dir = Dir::new();
    let heatmaps = ["export", "--to", "pytorch", "--task", "figures-pose"];
    let code = dir.ok(&[&heatmaps[..], &["--loss", "zoo:mse"]].concat());
    assert!(code.contains("def loss(yhat, y):"), "{code}");
    let boxes = "rpn_class = zoo:cross_entropy; rpn_box = zoo:giou; rcnn_class = w * yhat; rcnn_box = zoo:l1";
    let detection = [
        "export",
        "--to",
        "jax",
        "--task",
        "digits-detection",
        "--loss",
        boxes,
    ];
    let code = dir.ok(&detection);
    for part in [
        "def rpn_class_loss(yhat, y, *, from_logits=False):",
        "def rpn_box_loss(yhat, y, i, u, e):",
        "def rcnn_class_loss(yhat, y, w, *, from_logits=False):",
        "def loss(rpn_class, rpn_box, rcnn_class, rcnn_box):",
    ] {
        assert!(code.contains(part), "{code}");
    }
    // Without the task, branches are those that the loss names.
    let code = dir.ok(&["export", "--to", "jax", "--loss", boxes]);
    assert!(
        code.contains("def loss(rpn_class, rpn_box, rcnn_class, rcnn_box):"),
        "{code}"
    );
}

#[test]
fn what_cannot_be_exported_is_told() {
    let dir = Dir::new();
    let fails = |more: &[&str]| dir.fails(2, &[&["export"][..], more].concat());
    let cases: &[(&[&str], &str)] = &[
        (
            &["--loss", "y * lgo(yhat)", "--to", "jax"],
            "column 5: unknown operator `lgo`; did you mean `log`?",
        ),
        (
            &["--loss", "y", "--to", "torch"],
            "possible values: pytorch, jax, onnx, latex, dot",
        ),
        (
            &["--loss", "zoo:lovasz_softmax", "--to", "pytorch"],
            "`lovasz_softmax()` is a native loss",
        ),
        (
            &["--loss", "y * yhat", "--to", "onnx"],
            "give it a name, as in --out loss.onnx",
        ),
        (
            &["--loss", "y", "--to", "jax", "--task", "digit"],
            "unknown task `digit`; did you mean `digits`?",
        ),
        (
            &["--loss", "w * yhat", "--to", "jax", "--task", "digits"],
            "unknown input `w`",
        ),
        (
            &["--loss", "y", "--to", "jax", "--task", "digits-detection"],
            "the loss of each branch",
        ),
    ];
    for (arguments, want) in cases {
        let said = fails(arguments);
        assert!(said.contains(want), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_dir(dir.0.path()).unwrap().count(), 0);
}

#[test]
fn a_loss_is_simplified() {
    let dir = Dir::new();
    let loss = "mean_nhw(-(y * -log(exp(yhat))) + (1 - 1))";
    let said = dir.json(&["simplify", "--loss", loss, "--json"]);
    assert_eq!(said["simplified"], "y * yhat");
    assert_eq!(said["nodes"], 13);
    assert_eq!(said["simplified_nodes"], 3);
    let text = dir.ok(&["simplify", "--loss", "a = --yhat; b = zoo:mse"]);
    let want = "loss        a = --yhat\n            b = square(yhat - y)\n\
                simplified  a = yhat\n            b = square(yhat - y)\nnodes       8 -> 6\n";
    assert_eq!(text, want);
}
