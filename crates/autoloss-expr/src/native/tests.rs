//! Values worked by hand, and gradients by differences.

use proptest::prelude::*;

use super::*;

const SHAPE: Shape = Shape::new(2, 3, 5, 6);

/// Probabilities over three classes with a one-hot target; every seventh position is ignored.
fn made_up(numbers: &[f64], labels: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let pixels = SHAPE.h * SHAPE.w;
    let (mut yhat, mut y) = (vec![0.0; SHAPE.len()], vec![0.0; SHAPE.len()]);
    for (position, label) in labels.iter().enumerate() {
        let (n, pixel) = (position / pixels, position % pixels);
        let at = |c: usize| (n * SHAPE.c + c) * pixels + pixel;
        let sum: f64 = (0..3).map(|c| numbers[at(c)]).sum();
        for c in 0..3 {
            yhat[at(c)] = numbers[at(c)] / sum;
            y[at(c)] = match position % 7 {
                3 => 1.0 / 3.0,
                _ => f64::from(u8::from(*label == c)),
            };
        }
    }
    (yhat, y)
}

fn at(loss: &NativeLoss, yhat: &[f64], y: &[f64]) -> NativeAt {
    loss.at(&NativeFields {
        shape: SHAPE,
        yhat,
        y,
    })
}

/// Elements at which the gradient is not the slope between two near values; kinks are passed over.
fn wrong_slopes(loss: &NativeLoss, yhat: &[f64], y: &[f64]) -> Vec<String> {
    let gradient = at(loss, yhat, y).gradient;
    let mut wrong = Vec::new();
    for i in 0..yhat.len() {
        let value = |by: f64| {
            let mut moved = yhat.to_vec();
            moved[i] += by;
            at(loss, &moved, y).loss_value
        };
        let h = 1e-6;
        let (up, down) = ((value(h) - value(0.0)) / h, (value(0.0) - value(-h)) / h);
        let ignored = (i % 30 + i / 90 * 30) % 7 == 3;
        let smooth = (up - down).abs() < 1e-4;
        if !ignored && smooth && (gradient[i] - f64::midpoint(up, down)).abs() > 2e-4 {
            wrong.push(format!(
                "{loss} at {i}: {}, by differences {up} {down}",
                gradient[i]
            ));
        }
        if ignored && gradient[i] != 0.0 && loss.name() != "ohkm" {
            wrong.push(format!("{loss} at {i}, which is ignored: {}", gradient[i]));
        }
    }
    wrong
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn gradients_are_the_slopes_of_values(
        numbers in prop::collection::vec(0.05..1.0_f64, SHAPE.len()),
        labels in prop::collection::vec(0..3_usize, SHAPE.positions()),
        theta in prop::collection::vec(0.1..0.9_f64, 2 * CURVE_PARAMETERS),
    ) {
        let (yhat, y) = made_up(&numbers, &labels);
        for native in NATIVES {
            let mut parameters: Vec<f64> = native.parameters.iter().map(|p| p.default).collect();
            if parameters.len() == SURROGATE_PARAMETERS {
                parameters[..theta.len()].copy_from_slice(&theta);
            }
            if native.zoo.name == "ohkm" {
                parameters = vec![2.0];
            }
            let loss = NativeLoss::new(native.zoo.name, &parameters).unwrap();
            let wrong = wrong_slopes(&loss, &yhat, &y);
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn a_perfect_prediction_is_best(
        numbers in prop::collection::vec(0.05..1.0_f64, SHAPE.len()),
        labels in prop::collection::vec(0..3_usize, SHAPE.positions()),
    ) {
        let (yhat, y) = made_up(&numbers, &labels);
        for native in NATIVES {
            let loss = NativeLoss::new(native.zoo.name, &[]).unwrap();
            let (best, other) = (at(&loss, &y, &y).loss_value, at(&loss, &yhat, &y).loss_value);
            prop_assert!(best < other, "{loss}: {best} {other}");
        }
    }
}

/// One sample, two classes, a row of four pixels; class 1 has the last `positives` of them.
fn row(probabilities: [f64; 4], positives: usize) -> (Shape, Vec<f64>, Vec<f64>) {
    let ones: Vec<f64> = (0..4)
        .map(|i| f64::from(u8::from(i >= 4 - positives)))
        .collect();
    let both = |ones: &[f64]| -> Vec<f64> {
        let zeros = ones.iter().map(|one| 1.0 - one);
        zeros.chain(ones.iter().copied()).collect()
    };
    (Shape::new(1, 2, 1, 4), both(&probabilities), both(&ones))
}

fn value(name: &str, parameters: &[f64], probabilities: [f64; 4], positives: usize) -> f64 {
    let (shape, yhat, y) = row(probabilities, positives);
    let fields = NativeFields {
        shape,
        yhat: &yhat,
        y: &y,
    };
    NativeLoss::new(name, parameters)
        .unwrap()
        .at(&fields)
        .loss_value
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-9, "{got}, not {want}");
}

#[test]
fn lovasz_by_hand() {
    // Class 1: errors 0.6 (positive), 0.5 (negative), 0.2 (positive), 0.1 (negative). The Jaccard
    // loss of the worst k: 1/2, 2/3, 1, 1. Class 0 has the same errors with the roles exchanged:
    // 1/3, 2/3, 3/4, 1.
    let class_1 = 0.6 / 2.0 + 0.5 / 6.0 + 0.2 / 3.0;
    let class_0 = 0.6 / 3.0 + 0.5 / 3.0 + 0.2 / 12.0 + 0.1 / 4.0;
    close(
        value("lovasz_softmax", &[], [0.1, 0.5, 0.8, 0.4], 2),
        f64::midpoint(class_1, class_0),
    );
    // With hard predictions it is the Jaccard loss itself: IoUs of 2/3 and 1/2.
    let hard = value("lovasz_softmax", &[], [0.0, 1.0, 1.0, 1.0], 2);
    close(hard, f64::midpoint(1.0 - 2.0 / 3.0, 1.0 - 1.0 / 2.0));
}

#[test]
fn surrogates_of_hard_predictions_are_the_metrics() {
    let hard = [0.0, 1.0, 1.0, 1.0];
    // Targets 0 0 1 1; class 0: IoU 1/2, class 1: 2/3.
    close(
        value("asl_miou", &[], hard, 2),
        1.0 - (0.5 + 2.0 / 3.0) / 2.0,
    );
    close(
        value("asl_fwiou", &[], hard, 1),
        1.0 - (0.75 / 3.0 + 0.25 / 3.0),
    );
    close(value("asl_gacc", &[], hard, 2), 0.25);
    close(value("asl_macc", &[], hard, 2), 0.25);
    // At distance 0 only the two pixels at the edge count: the first is wrong.
    let mut parameters: Vec<f64> = PARAMETERS_OF_IDENTITY.to_vec();
    parameters.push(0.0);
    close(value("asl_biou", &parameters, hard, 2), 1.0 - 0.25);
    // Edges: targets at 1 (class 0) and 2 (class 1), predictions at 0 and 1: none meets.
    let bf1 = value("asl_bf1", &parameters, hard, 2);
    assert!((bf1 - 1.0).abs() < 1e-9, "{bf1}");
    // One pixel further all do.
    *parameters.last_mut().unwrap() = 1.0;
    close(value("asl_bf1", &parameters, hard, 2), 0.0);
}

const PARAMETERS_OF_IDENTITY: [f64; 12] = {
    let third = 1.0 / 3.0;
    [
        0.25, 0.25, third, third, 0.5, 0.5, 0.25, 0.25, third, third, 0.5, 0.5,
    ]
};

#[test]
fn distances_weigh_by_hand() {
    // Class 0 has the pixels at distance 3, 2 and 1 from the edge, class 1 one at distance 1.
    let (p, ln) = ([0.1_f64, 0.2, 0.3, 0.6], f64::ln);
    let weights = [1.0, 2.0 - 2.0 / 3.0, 2.0 - 1.0 / 3.0, 1.0];
    let want = weights[0] * ln(0.9) + weights[1] * ln(0.8) + weights[2] * ln(0.7) + ln(0.6);
    close(value("dpce", &[], p, 1), -want / 4.0);
    // Signed distances: −2 −1 0 1 for class 0, 3 2 1 0 for class 1.
    let term = (-2.0 * 0.9 - 0.8 + 0.4 + 3.0 * 0.1 + 2.0 * 0.2 + 0.3) / 4.0;
    let with = value("boundary", &[0.5], p, 1);
    close(with - value("boundary", &[0.0], p, 1), 0.5 * term);
    // Generalised Dice: weights 1/9 and 1.
    let (common, both) = (2.4 / 9.0 + 0.6, (3.0 + 2.8) / 9.0 + 1.0 + 1.2);
    assert!((value("boundary", &[0.0], p, 1) - (1.0 - 2.0 * common / both)).abs() < 1e-9);
}

#[test]
fn structure_by_hand() {
    // A single pixel: all blurs are the middle tap squared, t.
    let taps: f64 = (-5..=5).map(|d| (-f64::from(d * d) / 4.5).exp()).sum();
    let t = 1.0 / (taps * taps);
    let fields = NativeFields {
        shape: Shape::new(1, 1, 1, 1),
        yhat: &[0.4],
        y: &[1.0],
    };
    let got = NativeLoss::new("ssim", &[]).unwrap().at(&fields).loss_value;
    let (mx, my) = (0.4 * t, t);
    let (xx, yy, xy) = (0.16 * t, t, 0.4 * t);
    let s = (2.0 * mx * my + 1e-4) * (2.0 * (xy - mx * my) + 9e-4)
        / ((mx * mx + my * my + 1e-4) * (xx - mx * mx + yy - my * my + 9e-4));
    close(got, 1.0 - s);
}

#[test]
fn the_worst_heatmaps_by_hand() {
    let fields = NativeFields {
        shape: Shape::new(1, 3, 1, 2),
        yhat: &[0.1, 0.0, 0.5, 0.5, 0.0, 0.2],
        y: &[0.0; 6],
    };
    let at = NativeLoss::new("ohkm", &[2.0]).unwrap().at(&fields);
    close(at.loss_value, 0.5 * (0.25 + 0.02) / 2.0);
    assert_eq!(at.gradient[..2], [0.0, 0.0]);
}

#[test]
fn parameters_are_checked_and_printed() {
    let text = |name: &str, parameters: &[f64]| match NativeLoss::new(name, parameters) {
        Ok(loss) => loss.to_string(),
        Err(error) => error,
    };
    assert_eq!(text("boundary", &[]), "boundary()");
    assert_eq!(text("boundary", &[0.01]), "boundary()");
    assert_eq!(text("boundary", &[0.25]), "boundary(0.25)");
    assert_eq!(
        text("boundary", &[-1.0]),
        "`boundary`: weight is -1, expected 0 to 1000"
    );
    assert_eq!(
        text("ssim", &[1.0]),
        "`ssim` takes 0 numbers or none, 1 are given"
    );
    assert_eq!(text("sim", &[]), "`sim` is no native loss");
}
