use proptest::prelude::*;

use super::*;

#[test]
fn overlaps_of_known_boxes() {
    let a = [0.0, 0.0, 4.0, 2.0];
    let b = [2.0, 1.0, 6.0, 5.0];
    let expected = Overlap {
        intersection: 2.0,
        union: 22.0,
        enclosing: 30.0,
    };
    assert_eq!(overlap(a, b), expected);
    assert_eq!(iou(a, b), 1.0 / 11.0);
    assert_eq!(iou(a, a), 1.0);
    assert_eq!(iou(a, [4.0, 0.0, 8.0, 2.0]), 0.0);
    assert_eq!(area([3.0, 3.0, 1.0, 1.0]), 0.0);
    assert_eq!(
        clip([-1.0, 2.0, 9.0, 9.0], [8.0, 4.0]),
        [0.0, 2.0, 8.0, 4.0]
    );
}

#[test]
fn boxes_without_extent_give_finite_numbers() {
    let (point, other) = ([3.0; 4], [1.0, 1.0, 5.0, 5.0]);
    for (a, b) in [(point, point), (point, other), (other, point)] {
        assert_eq!(iou(a, b), 0.0);
        let gradient = overlap_gradient(a, b, 1.0, 1.0, 1.0);
        assert!(gradient.iter().all(|x| x.is_finite()));
        for weights in [PROPOSAL_WEIGHTS, HEAD_WEIGHTS] {
            let deltas = encode(a, b, weights);
            assert!(deltas.iter().all(|x| x.is_finite()), "{deltas:?}");
            assert!(decode(a, deltas, weights).iter().all(|x| x.is_finite()));
            assert!(
                decode_gradient(a, deltas, weights, [1.0; 4])
                    .iter()
                    .all(|x| x.is_finite())
            );
        }
    }
}

#[test]
fn equal_corners_share_the_gradient() {
    // As PyTorch's maximum and minimum do: all of the union's and half of the
    // intersection's.
    let a = [0.0, 0.0, 2.0, 2.0];
    assert_eq!(
        overlap_gradient(a, a, 1.0, 0.0, 0.0),
        [-1.0, -1.0, 1.0, 1.0]
    );
    assert_eq!(
        overlap_gradient(a, a, 0.0, 1.0, 0.0),
        [-1.0, -1.0, 1.0, 1.0]
    );
    assert_eq!(
        overlap_gradient(a, a, 0.0, 0.0, 1.0),
        [-1.0, -1.0, 1.0, 1.0]
    );
}

#[test]
fn equal_scores_fall_in_order_and_nan_comes_last() {
    let scores = [0.5, f32::NAN, 0.7, 0.5, f32::INFINITY, f32::NAN, -0.0, 0.0];
    assert_eq!(by_falling_score(&scores), [4, 2, 0, 3, 6, 7, 1, 5]);
    let same = [[0.0, 0.0, 2.0, 2.0]; 3];
    assert_eq!(nms(&same, &[f32::NAN, 0.1, 0.1], 0.5), [1]);
    assert_eq!(nms(&[], &[], 0.5), [0usize; 0]);
}

/// Boxes on a coarse grid, so that overlaps and equal scores are frequent.
fn boxes_and_scores() -> impl Strategy<Value = Vec<(Corners, f32, usize)>> {
    let corner = || (0..8i32, 0..8i32, 0..6i32, 0..6i32);
    let one = (corner(), 0..6i32, 0..3usize).prop_map(|((x, y, w, h), score, class)| {
        let corners = [x, y, x + w, y + h].map(|c| c as f32);
        let score = if score == 5 { f32::NAN } else { score as f32 };
        (corners, score, class)
    });
    prop::collection::vec(one, 0..30)
}

/// Suppression by its definition: again and again the best box left is taken
/// and those that overlap it are struck out.
fn suppressed_slowly(
    boxes: &[(Corners, f32, usize)],
    threshold: f32,
    by_class: bool,
) -> Vec<usize> {
    let mut left: Vec<usize> = (0..boxes.len()).collect();
    let mut kept = Vec::new();
    while !left.is_empty() {
        let mut best = left[0];
        for &index in &left {
            let (score, best_score) = (boxes[index].1, boxes[best].1);
            if score > best_score || (best_score.is_nan() && !score.is_nan()) {
                best = index;
            }
        }
        kept.push(best);
        left.retain(|&index| {
            let (a, b) = (boxes[best].0, boxes[index].0);
            let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
            let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
            let intersection = width * height;
            let both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]);
            let overlaps = intersection > 0.0 && intersection / (both - intersection) > threshold;
            let rivals = !by_class || boxes[best].2 == boxes[index].2;
            index != best && !(overlaps && rivals)
        });
    }
    kept
}

fn any_box() -> impl Strategy<Value = Corners> {
    (0.0..40.0f32, 0.0..40.0f32, 1.0..30.0f32, 1.0..30.0f32)
        .prop_map(|(x, y, width, height)| [x, y, x + width, y + height])
}

/// Derivatives of `f` by central differences in `x`.
/// Largest difference, relative to the expected number or 1.
fn difference(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let pairs = got.iter().zip(expected);
    pairs.fold(0.0, |worst: f32, (got, expected)| {
        let difference = (got - expected).abs() / expected.abs().max(1.0);
        assert!(!difference.is_nan(), "{got} against {expected}");
        worst.max(difference)
    })
}

fn differences(x: [f32; 4], f: impl Fn([f32; 4]) -> f64) -> [f64; 4] {
    const STEP: f32 = 2e-3;
    [0, 1, 2, 3].map(|index| {
        let moved = |step: f32| {
            let mut x = x;
            x[index] += step;
            (f(x), x[index])
        };
        let ((high, right), (low, left)) = (moved(STEP), moved(-STEP));
        (high - low) / f64::from(right - left)
    })
}

/// The areas in double precision, for differences.
fn exact_overlap(a: Corners, b: Corners) -> [f64; 3] {
    let (a, b) = (a.map(f64::from), b.map(f64::from));
    let area = |x1: f64, y1: f64, x2: f64, y2: f64| (x2 - x1).max(0.0) * (y2 - y1).max(0.0);
    let intersection = area(
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    );
    let both = area(a[0], a[1], a[2], a[3]) + area(b[0], b[1], b[2], b[3]);
    let enclosing = area(
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    );
    [intersection, both - intersection, enclosing]
}

/// As Zheng et al. 2020 write them.
fn exact_offset(a: Corners, b: Corners) -> [f64; 2] {
    let (a, b) = (a.map(f64::from), b.map(f64::from));
    let centre = |b: [f64; 4]| [f64::midpoint(b[0], b[2]), f64::midpoint(b[1], b[3])];
    let (p, g) = (centre(a), centre(b));
    let rho = (p[0] - g[0]).powi(2) + (p[1] - g[1]).powi(2);
    let c = (a[2].max(b[2]) - a[0].min(b[0])).powi(2) + (a[3].max(b[3]) - a[1].min(b[1])).powi(2);
    let angle = |b: [f64; 4]| ((b[2] - b[0]) / (b[3] - b[1])).atan();
    let v = 4.0 / std::f64::consts::PI.powi(2) * (angle(b) - angle(a)).powi(2);
    [rho / c, v]
}

proptest! {
    #[test]
    fn nms_is_the_slow_one(boxes in boxes_and_scores(), threshold in 0.0..1.0f32) {
        let corners: Vec<Corners> = boxes.iter().map(|b| b.0).collect();
        let scores: Vec<f32> = boxes.iter().map(|b| b.1).collect();
        let classes: Vec<usize> = boxes.iter().map(|b| b.2).collect();
        prop_assert_eq!(
            nms(&corners, &scores, threshold),
            suppressed_slowly(&boxes, threshold, false)
        );
        prop_assert_eq!(
            batched_nms(&corners, &scores, &classes, threshold),
            suppressed_slowly(&boxes, threshold, true)
        );
    }

    #[test]
    fn decode_inverts_encode(reference in any_box(), target in any_box()) {
        for weights in [PROPOSAL_WEIGHTS, HEAD_WEIGHTS] {
            let back = decode(reference, encode(reference, target, weights), weights);
            prop_assert!(difference(&back, &target) < 1e-4, "{back:?} {target:?}");
        }
    }

    #[test]
    fn overlap_and_its_gradient_are_the_areas(
        a in any_box(),
        b in any_box(),
        factors in [-2.0..2.0f32, -2.0..2.0, -2.0..2.0],
    ) {
        let exact = exact_overlap(a, b);
        let Overlap { intersection, union, enclosing } = overlap(a, b);
        prop_assert!(
            difference(&[intersection, union, enclosing], &exact.map(|x| x as f32)) < 1e-4
        );
        // Differences say nothing across a kink.
        let near = |i: usize, j: usize| (a[i] - b[j]).abs() < 0.01;
        prop_assume!((0..4).all(|i| !near(i, i) && !near(i, (i + 2) % 4)));
        let [i, u, e] = factors;
        let gradient = overlap_gradient(a, b, i, u, e);
        let expected = differences(a, |a| {
            let areas = exact_overlap(a, b);
            factors.iter().zip(areas).map(|(f, area)| f64::from(*f) * area).sum()
        });
        prop_assert!(difference(&gradient, &expected.map(|x| x as f32)) < 1e-2);
    }

    #[test]
    fn offset_gradient_is_the_difference(
        a in any_box(),
        b in any_box(),
        factors in [-2.0..2.0f32, -2.0..2.0],
    ) {
        let near = |i: usize| (a[i] - b[i]).abs() < 0.01;
        prop_assume!((0..4).all(|i| !near(i)));
        let gradient = offset_gradient(a, b, factors[0], factors[1]);
        let expected = differences(a, |a| {
            let [distance, aspect] = exact_offset(a, b);
            f64::from(factors[0]) * distance + f64::from(factors[1]) * aspect
        });
        prop_assert!(difference(&gradient, &expected.map(|x| x as f32)) < 1e-2);
        let Offset { distance, aspect } = offset(a, b);
        let exact = exact_offset(a, b).map(|x| x as f32);
        prop_assert!(difference(&[distance, aspect], &exact) < 1e-4);
    }

    #[test]
    fn decode_gradient_is_the_difference(
        reference in any_box(),
        deltas in [-2.0..2.0f32, -2.0..2.0, -2.0..6.0, -2.0..6.0],
        corners in [-1.0..1.0f32, -1.0..1.0, -1.0..1.0, -1.0..1.0],
        head in any::<bool>(),
    ) {
        let weights = if head { HEAD_WEIGHTS } else { PROPOSAL_WEIGHTS };
        let deltas: Corners = std::array::from_fn(|k| deltas[k] * weights[k]);
        prop_assume!((2..4).all(|k| (deltas[k] / weights[k] - MAX_LOG_SIZE).abs() > 0.01));
        let gradient = decode_gradient(reference, deltas, weights, corners);
        let r = reference.map(f64::from);
        let expected = differences(deltas, |deltas| {
            let d: [f64; 4] = std::array::from_fn(|k| f64::from(deltas[k]) / f64::from(weights[k]));
            (0..2)
                .map(|axis| {
                    let length = r[axis + 2] - r[axis];
                    let centre = (r[axis] + r[axis + 2]) / 2.0 + d[axis] * length;
                    let half = length * d[axis + 2].min(f64::from(MAX_LOG_SIZE)).exp() / 2.0;
                    f64::from(corners[axis]) * (centre - half)
                        + f64::from(corners[axis + 2]) * (centre + half)
                })
                .sum()
        });
        prop_assert!(difference(&gradient, &expected.map(|x| x as f32)) < 1e-3);
    }
}
