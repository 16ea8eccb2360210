//! Reading, printing, and the errors of both.

use super::error::AROUND;
use crate::testing::any_tree;
use crate::tree::{Loss, Tree};
use proptest::prelude::*;

const INPUTS: &[&str] = &["yhat", "y"];

fn printed(text: &str) -> String {
    Tree::parse(text, INPUTS).unwrap().to_string()
}

fn error(text: &str) -> String {
    Tree::parse(text, INPUTS).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn parse_after_print_is_the_identity(tree in any_tree(5)) {
        let text = tree.to_string();
        prop_assert_eq!(&Tree::parse(&text, INPUTS).unwrap(), &tree);
        prop_assert_eq!(printed(&text), text);
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "[-+*/()=;,. a-z0-9_^é]{0,60}") {
        if let Err(e) = Tree::parse(&text, INPUTS) {
            prop_assert!(e.column >= 1 && e.column <= text.chars().count() + 1);
        }
        let _ = Loss::parse(&text, &[("a", vec!["yhat"]), ("b", vec!["y"])]);
    }
}

#[test]
fn prints_one_spelling() {
    assert_eq!(printed("-(y*log(yhat))"), "-(y * log(yhat))");
    assert_eq!(printed("add(y, neg(yhat))"), "y - yhat");
    assert_eq!(printed("mul(y, inv(yhat + 1))"), "y / (yhat + 1)");
    assert_eq!(printed("y - (yhat - 1)"), "y - (yhat - 1)");
    assert_eq!(printed("(y - yhat) - 1"), "y - yhat - 1");
    assert_eq!(printed("- y * yhat"), "-y * yhat");
    assert_eq!(printed("y--yhat"), "y - -yhat");
    assert_eq!(printed("inv(y)*2.50"), "inv(y) * 2.5");
    assert_eq!(printed("1e-12 + 1E300"), "1e-12 + 1e300");
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(
        error("y * lgo(yhat)"),
        "column 5: unknown operator `lgo`; did you mean `log`?"
    );
    assert_eq!(
        error("y * yaht"),
        "column 5: unknown input `yaht`; did you mean `yhat`?"
    );
    assert_eq!(
        error("(y + 1"),
        "column 7: expected an operator or `)`, found the end"
    );
    assert_eq!(
        error("y +"),
        "column 4: expected a number, an input, an operator or `(`, found the end"
    );
    assert_eq!(
        error("add(y)"),
        "column 6: expected `,`: `add` takes 2 operands, found `)`"
    );
    assert_eq!(
        error("log(y, y)"),
        "column 6: expected an operator or `)`: `log` takes 1 operand, found `,`"
    );
    assert_eq!(
        error("log y"),
        "column 5: expected `(` after the operator `log`, found `y`"
    );
    assert_eq!(
        error("y y"),
        "column 3: expected an operator (`+`, `-`, `*`, `/`) or the end of the formula, found `y`"
    );
    assert_eq!(
        error("1e999"),
        "column 1: expected a finite number, found `1e999`"
    );
    assert!(error(&"(".repeat(100_000)).contains("too large"));
    assert!(error(&"-".repeat(100_000)).contains("too large"));
    assert!(error(&format!("1{}", "+1".repeat(100_000))).contains("too large"));
}

#[test]
fn losses_of_several_branches() {
    let branches = [("class", vec!["yhat", "y"]), ("box", vec!["i", "u"])];
    let loss = Loss::parse("box = 1 - i / u; class = -(y * log(yhat));", &branches).unwrap();
    assert_eq!(
        loss.to_string(),
        "class = -(y * log(yhat)); box = 1 - i / u"
    );
    assert_eq!(Loss::parse(&loss.to_string(), &branches).unwrap(), loss);
    let error = |text: &str| Loss::parse(text, &branches).unwrap_err().to_string();
    assert_eq!(
        error("class = y"),
        "column 10: branch `box` is missing: add `; box = …`"
    );
    assert_eq!(
        error("clas = y"),
        "column 1: unknown branch `clas`; did you mean `class`?"
    );
    assert_eq!(
        error("class = y; class = y"),
        "column 12: branch `class` is given twice"
    );
    assert_eq!(
        error("class = u * logit; box = i"),
        "column 9: unknown input `u`; known: yhat, y"
    );
    assert_eq!(
        error("y"),
        "column 1: expected the loss of each branch, `class = …; box = …`, found `y`"
    );
}

#[test]
fn a_single_branch_needs_no_name() {
    let branches = [("mask", vec!["yhat", "y"])];
    let bare = Loss::parse("y * yhat", &branches).unwrap();
    assert_eq!(bare, Loss::parse("mask = y * yhat", &branches).unwrap());
    assert_eq!(bare.to_string(), "y * yhat");
}

#[test]
fn the_caret_stands_under_the_place() {
    let text = "y * lgo(yhat)";
    let e = Tree::parse(text, INPUTS).unwrap_err();
    assert_eq!(e.caret(text), "y * lgo(yhat)\n    ^");
    // Far out in a long formula the part around the place is shown.
    let text = format!("{}$\ny{}", " ".repeat(70_000), "+ y".repeat(70_000));
    let e = Tree::parse(&text, INPUTS).unwrap_err();
    assert_eq!(e.column, 70_001);
    let shown = e.caret(&text);
    let (formula, caret) = shown.split_once('\n').unwrap();
    let place = caret.chars().count() - 1;
    assert_eq!(formula.chars().nth(place), Some('$'));
    assert!(formula.starts_with('…') && formula.ends_with('…'));
    assert_eq!(formula.chars().count(), 2 * AROUND + 2);
    // The end of a formula is a place, too.
    let e = Tree::parse("y +", INPUTS).unwrap_err();
    assert_eq!(e.caret("y +"), "y +\n   ^");
    assert!(error(&"a".repeat(70_000)).chars().count() < 200);
}
