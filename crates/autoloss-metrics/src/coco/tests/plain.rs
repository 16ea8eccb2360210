//! Plain structs, without files.

use super::*;
use crate::coco;

#[test]
fn plain_structs_are_scored_without_files() {
    let annotations = annotations(vec![square(0.0), square(50.0)]);
    let found = |category, score, x| Prediction::of_box(1, category, score, [x, 0.0, 10.0, 10.0]);
    let results = vec![found(1, 0.9, 0.0), found(1, 0.8, 30.0), found(7, 1.0, 50.0)];
    let summary = evaluate(&annotations, &results.into()).unwrap();
    // Recall 0 to 0.5 at precision 1.
    assert!((summary.get("AP").unwrap() - 51.0 / 101.0).abs() < 1e-12);
    assert_eq!(
        (summary.get("AR1"), summary.get("APl")),
        (Some(0.5), Some(-1.0))
    );
    assert_eq!((summary.predictions, summary.of_no_category), (3, 1));
    assert_eq!(summary.categories[0].ap, summary.get("AP").unwrap());
}

#[test]
fn nothing_found_and_nothing_to_find() {
    let nothing = evaluate(&annotations(vec![square(0.0)]), &Results::default()).unwrap();
    assert_eq!(
        (nothing.get("AP"), nothing.get("AR100")),
        (Some(0.0), Some(0.0))
    );
    let nothing = evaluate(&annotations(Vec::new()), &Results::default()).unwrap();
    assert!(values(&nothing).iter().all(|&value| value == -1.0));
}

#[test]
fn shapes_of_another_kind_are_named() {
    let mask = coco::Mask::from_runs(vec![4], 2, 2).unwrap();
    let results = vec![Prediction::of_mask(1, 1, 0.5, mask)];
    let error = evaluate(&annotations(Vec::new()), &results.into()).unwrap_err();
    assert_eq!(error.to_string(), "results[0] has a mask, expected a box");
}

#[test]
fn more_predictions_may_count() {
    let targets: Vec<Target> = (0..15).map(|k| square(f64::from(k) * 20.0)).collect();
    let annotations = annotations(targets);
    let found =
        (0..15).map(|k| Prediction::of_box(1, 1, 0.9, [f64::from(k) * 20.0, 0.0, 10.0, 10.0]));
    let results: Results = found.collect::<Vec<_>>().into();
    let most = |most| coco::evaluate_most(&annotations, &results, most).unwrap();
    let all = evaluate(&annotations, &results).unwrap();
    assert_eq!(
        (all.get("AR100"), all.beyond_limit, all.limit),
        (Some(1.0), 0, 100)
    );
    let few = most(12);
    assert!((few.get("AR12").unwrap() - 0.8).abs() < 1e-9);
    assert_eq!(few.get("AR100"), None);
    assert_eq!((few.beyond_limit, few.limit), (3, 12));
    assert_eq!(few.get("AR10"), all.get("AR10"));
    let one = most(1);
    assert_eq!((one.get("AR1"), one.beyond_limit), (Some(1.0 / 15.0), 14));
}
