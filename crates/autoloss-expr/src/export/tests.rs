use super::*;
use crate::tree::{Loss, Tree};
use crate::zoo::INPUTS;

fn export(formula: &str) -> Export {
    Export::new(Loss::single("", Tree::parse(formula, &INPUTS).unwrap()))
}

fn text(format: &str, export: &Export) -> String {
    let format = Format::from_name(format).unwrap();
    String::from_utf8(format.write(export).unwrap()).unwrap()
}

/// Two branches as detectors have them.
fn two_branches() -> Export {
    let branches = [("rpn_class", INPUTS.to_vec()), ("rpn_box", INPUTS.to_vec())];
    let formula = "rpn_class = -(y * log(yhat)); rpn_box = 0.25 * (1 - i / u)";
    Export::new(Loss::parse(formula, &branches).unwrap())
}

#[test]
fn code_for_pytorch() {
    insta::assert_snapshot!(text("pytorch", &export("-(y * log(yhat))")));
    insta::assert_snapshot!(text("pytorch", &two_branches()));
}

#[test]
fn code_for_jax() {
    insta::assert_snapshot!(text(
        "jax",
        &export("abs(max_pool(yhat) - min_pool(y)) / mean_nhw(y)")
    ));
}

#[test]
fn mathematics_and_graphs() {
    insta::assert_snapshot!(text("latex", &two_branches()));
    insta::assert_snapshot!(text("latex", &export("lovasz_softmax()")));
    insta::assert_snapshot!(text("dot", &two_branches()));
    let graph = text("dot", &export("square(yhat - y) + exp(square(yhat - y))"));
    assert_eq!(graph.matches("label=\"square\"").count(), 1, "{graph}");
}

#[test]
fn shared_values_have_one_name_and_long_ones_are_cut() {
    let code = text(
        "pytorch",
        &export("square(yhat - y) + exp(square(yhat - y))"),
    );
    assert!(code.contains("diff = yhat - y  # (N, C, *S)\n"), "{code}");
    assert!(
        code.contains("prod = diff * diff  # (N, C, *S)\n"),
        "{code}"
    );

    let long = (1..20).fold("tanh(yhat * 0.123456789)".to_owned(), |sum, k| {
        format!("{sum} * exp(yhat + {k}.5) - square(y)")
    });
    let code = text("jax", &export(&long));
    let longest = code
        .lines()
        .filter(|l| l.contains(" = "))
        .map(|l| l.trim().len())
        .max();
    assert!(longest < Some(110), "{code}");
}

#[test]
fn names_of_python_and_of_the_code_are_no_variables() {
    let tree = Tree::parse(
        "lambda * torch + diff - (yhat - y) * (yhat - y)",
        &["lambda", "torch", "diff", "yhat", "y"],
    );
    let export = Export::new(Loss::single("", tree.unwrap()));
    let code = text("pytorch", &export);
    assert!(
        code.contains("def loss(yhat, y, diff, lambda_, torch_, *"),
        "{code}"
    );
    assert!(code.contains("diff2 = yhat - y"), "{code}");
}

#[test]
fn constants_of_any_form_are_numbers_of_python() {
    for (number, want) in [
        (1e-12, "EPS"),
        (3.0, "3"),
        (-2.5, "-2.5"),
        (1e300, "1e300"),
        (1e-7, "1e-7"),
        (123_456_789.0, "123456789.0"),
        (-0.0, "0"),
        (f64::INFINITY, "float(\"inf\")"),
        (f64::NEG_INFINITY, "float(\"-inf\")"),
        (f64::NAN, "float(\"nan\")"),
    ] {
        assert_eq!(python::number(number), want);
    }
    // A loss of constants alone is a tensor, too.
    let code = text("pytorch", &export("1e300"));
    assert!(
        code.contains("elements = torch.zeros_like(yhat) + 1e300  # (N, C, *S)"),
        "{code}"
    );
}

#[test]
fn what_varies_over_positions_alone_counts_for_every_channel() {
    let code = text("pytorch", &export("mean_c(yhat * y)"));
    assert!(
        code.contains("return yhat.shape[1] * torch.mean(yhat * y, dim=1, keepdim=True).mean()"),
        "{code}"
    );
}

#[test]
fn arguments_follow_the_task_or_the_names() {
    let giou = export("0.25 * (1 - i / u)");
    assert!(text("jax", &giou).contains("def loss(i, u):"));
    let tree = Tree::parse("abs(yhat - y)", &["yhat", "y"]).unwrap();
    let inputs = vec![
        ExportInput::new("yhat", InputMeaning::Numbers),
        ExportInput::new("y", InputMeaning::Target),
        ExportInput::new("i", InputMeaning::Further),
    ];
    let loss = Loss::single("box", tree);
    let numbers = Export::with_inputs(loss.clone(), vec![inputs.clone()]).unwrap();
    assert!(text("jax", &numbers).contains("def loss(yhat, y):"));
    let error = Export::with_inputs(loss, vec![inputs[1..].to_vec()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "branch `box` uses the input `yhat`, which it does not have; it has y, i"
    );
}

#[test]
fn elements_are_left_to_other_reductions() {
    let inputs = ["yhat", "y"].map(|name| ExportInput::new(name, InputMeaning::Numbers));
    let elements = |formula| {
        let tree = Tree::parse(formula, &INPUTS).unwrap();
        Export::elements(tree, inputs.to_vec())
    };
    let export = elements("square(yhat - y)").unwrap();
    for format in ["pytorch", "jax"] {
        let code = text(format, &export);
        assert!(code.contains("def loss(yhat, y):"), "{code}");
        assert!(code.ends_with("return elements\n"), "{code}");
        assert!(!code.contains(".mean("), "{code}");
    }
    let code = text("pytorch", &elements("mean_c(yhat * y)").unwrap());
    assert!(
        code.ends_with("return torch.mean(yhat * y, dim=1, keepdim=True)\n"),
        "{code}"
    );
    let code = text("jax", &elements("0.5").unwrap());
    assert!(
        code.contains("elements = jnp.full_like(yhat, 0.5)"),
        "{code}"
    );
    for format in ["onnx", "latex", "dot"] {
        let refused = Format::from_name(format).unwrap().write(&export);
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with(format), "{error}");
    }
    assert!(elements("abs(i - yhat)").is_err());
}

#[test]
fn native_losses_and_unknown_formats_are_named() {
    for format in ["pytorch", "jax", "onnx"] {
        let error = Format::from_name(format)
            .unwrap()
            .write(&export("lovasz_softmax()"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("`lovasz_softmax()` is a native loss"),
            "{error}"
        );
        assert!(error.contains(format), "{error}");
    }
    let error = Format::from_name("torch").err().unwrap().to_string();
    assert_eq!(
        error,
        "unknown format `torch`; did you mean `pytorch`? known: pytorch, jax, onnx, latex, dot, steps"
    );
}

#[test]
fn every_operator_and_every_loss_of_the_zoo_is_exported() {
    use crate::{Operator, ZooLoss};
    let operators = Operator::ALL.iter().map(|op| {
        let operands = [Tree::input("yhat"), Tree::input("y")];
        Tree::apply(*op, operands[..op.arity()].to_vec())
    });
    let zoo = ZooLoss::all()
        .map(ZooLoss::tree)
        .filter(|tree| tree.native().is_none());
    for tree in operators.chain(zoo) {
        let export = Export::new(Loss::single("", tree.clone()));
        for format in FORMATS {
            let written = format.write(&export).unwrap();
            assert!(!written.is_empty(), "{tree} to {}", format.name());
        }
    }
}
