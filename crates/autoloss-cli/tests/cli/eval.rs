//! Losses on arrays, and those that have a name.

use std::fs;

use ndarray::{Array, Array4, ArrayD, Ix4};
use ndarray_npy::{read_npy, write_npy};

use super::{Dir, array};

#[test]
fn the_zoo_lists_losses_that_other_commands_take() {
    let dir = Dir::new();
    insta::assert_snapshot!("zoo", dir.ok(&["zoo", "list"]));
    let listed = dir.json(&["zoo", "list", "--json"]);
    let losses = listed["losses"].as_array().unwrap();
    assert!(losses.len() >= 13);
    write_npy(dir.path("yhat.npy"), &array(|_| 0.5)).unwrap();
    write_npy(dir.path("y.npy"), &array(|i| (i % 2) as f32)).unwrap();
    for loss in losses {
        let name = format!("zoo:{}", loss["name"].as_str().unwrap());
        let mut inputs = Vec::new();
        let mut command = vec![
            "eval", "--loss", &name, "--yhat", "yhat.npy", "--y", "y.npy",
        ];
        for name in ["i", "u", "e", "d", "v", "w"] {
            let input = format!("{name}=yhat.npy");
            inputs.push(input);
        }
        for input in &inputs {
            command.extend(["--input", input]);
        }
        dir.ok(&command);
    }
}

#[test]
fn eval_computes_value_and_gradient() {
    let dir = Dir::new();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let yhat = array(|i| (i as f32 + 1.0) / 10.0);
    let y = array(|i| f32::from(u8::from(i < 4)));
    write_npy(dir.path("yhat.npy"), &yhat).unwrap();
    write_npy(dir.path("y.npy"), &y.mapv(f64::from)).unwrap();
    let files = ["--yhat", "yhat.npy", "--y", "y.npy"];
    let eval = |more: &[&str]| dir.json(&[&["eval", "--json"][..], &files, more].concat());

    let said = eval(&["--loss", "-(y*log(yhat))", "--grad", "g.npy"]);
    assert_eq!(said["loss"], "-(y * log(yhat))");
    let want = -(0.1_f64.ln() + 0.2_f64.ln() + 0.3_f64.ln() + 0.4_f64.ln()) / 4.0;
    assert!((said["loss_value"].as_f64().unwrap() - want).abs() < 1e-6);
    let gradient: ArrayD<f32> = read_npy(dir.path("g.npy")).unwrap();
    let gradient = gradient.into_dimensionality::<Ix4>().unwrap();
    let want = -&y / &yhat / 4.0;
    assert!(
        gradient
            .iter()
            .zip(&want)
            .all(|(g, w)| (g - w).abs() < 1e-5),
        "{gradient}"
    );

    write_npy(dir.path("w.npy"), &array(|_| 2.0)).unwrap();
    let said = eval(&["--loss", "w * yhat", "--input", "w=w.npy"]);
    assert!((said["loss_value"].as_f64().unwrap() - 2.0 * 3.6 / 4.0).abs() < 1e-6);
    assert_eq!(eval(&["--loss", "zoo:l1"])["loss"], "abs(yhat - y)");
    assert_eq!(
        eval(&["--loss", "exp(exp(exp(yhat/inv(9*9))))"])["loss_value"],
        "inf"
    );
}

#[test]
fn eval_refuses_what_it_cannot_compute() {
    let dir = Dir::new();
    write_npy(dir.path("yhat.npy"), &array(|_| 0.5)).unwrap();
    write_npy(dir.path("y.npy"), &array(|_| 1.0)).unwrap();
    let mut complex = fs::read(dir.path("y.npy")).unwrap();
    let at = complex.windows(3).position(|w| w == b"<f4").unwrap();
    complex[at..at + 3].copy_from_slice(b"<c8");
    fs::write(dir.path("complex.npy"), complex).unwrap();
    write_npy(dir.path("flat.npy"), &Array::<f32, _>::zeros(8)).unwrap();
    write_npy(dir.path("wide.npy"), &Array4::<f32>::zeros((1, 2, 2, 3))).unwrap();
    fs::write(dir.path("text.npy"), "no array").unwrap();
    let mut half = fs::read(dir.path("y.npy")).unwrap();
    half.truncate(half.len() - 5);
    fs::write(dir.path("half.npy"), half).unwrap();
    // A header that claims far more than there is.
    let mut liar = fs::read(dir.path("y.npy")).unwrap();
    let claim = b"(90000, 90000, 90, 90), ";
    let at = liar.windows(12).position(|w| w == b"(1, 2, 2, 2)").unwrap();
    liar[at..at + claim.len()].copy_from_slice(claim);
    fs::write(dir.path("liar.npy"), liar).unwrap();
    let eval = |code, loss: &str, y: &str| {
        dir.fails(
            code,
            &[
                "eval", "--loss", loss, "--yhat", "yhat.npy", "--y", y, "--grad", "g.npy",
            ],
        )
    };
    let cases = [
        (
            2,
            "y * lgo(yhat)",
            "y.npy",
            "column 5: unknown operator `lgo`; did you mean `log`?\ny * lgo(yhat)\n    ^",
        ),
        (
            2,
            "(y",
            "y.npy",
            "column 3: expected an operator or `)`, found the end",
        ),
        (2, "y * w", "y.npy", "unknown input `w`"),
        (
            2,
            "y",
            "complex.npy",
            "complex.npy: elements of type '<c8', expected real numbers such as 32- or 64-bit floats",
        ),
        (2, "y", "flat.npy", "expected four extents (N, C, H, W)"),
        (
            2,
            "y",
            "wide.npy",
            "`y` has the shape (1, 2, 2, 3), expected that of `yhat`, (1, 2, 2, 2)",
        ),
        (
            2,
            "y",
            "text.npy",
            "text.npy: not an array in NumPy's format",
        ),
        (
            2,
            "y",
            "half.npy",
            "half.npy: 27 bytes of elements, expected 4 for each of shape [1, 2, 2, 2]; the file is cut off",
        ),
        (
            2,
            "y",
            "liar.npy",
            "liar.npy: 32 bytes of elements, expected 4 for each of shape [90000, 90000, 90, 90]",
        ),
        (1, "y", "absent.npy", "absent.npy: cannot be read"),
    ];
    for (code, loss, y, expected) in cases {
        let said = eval(code, loss, y);
        assert!(said.contains(expected), "{loss} with {y} says\n{said}");
    }
    assert!(!dir.path("g.npy").exists());
}
