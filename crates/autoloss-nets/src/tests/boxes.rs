//! Boxes against torchvision.

use super::super::boxes::{MAX_LOG_SIZE, batched_nms, decode, encode, nms};
use super::super::recorded::{difference, fours, recorded};

#[test]
fn coding_is_torchvisions() {
    for case in recorded().coding {
        let (references, targets) = (fours(&case.references), fours(&case.targets));
        let pairs = references.iter().zip(&targets);
        let encoded: Vec<f32> = pairs
            .flat_map(|(reference, target)| encode(*reference, *target, case.weights))
            .collect();
        // torchvision's own logarithm of a ratio loses as much.
        assert!(difference(&encoded, &case.encoded) < 2e-5);
        let deltas = fours(&case.deltas);
        let pairs = references.iter().zip(&deltas);
        let decoded: Vec<f32> = pairs
            .flat_map(|(reference, deltas)| decode(*reference, *deltas, case.weights))
            .collect();
        assert!(difference(&decoded, &case.decoded) < 2e-5);
        assert!(
            deltas
                .iter()
                .any(|d| d[2] / case.weights[2] > MAX_LOG_SIZE
                    || d[3] / case.weights[3] > MAX_LOG_SIZE),
            "no recorded delta reaches the limit"
        );
    }
}

#[test]
fn suppression_is_torchvisions() {
    let cases = recorded().suppression;
    assert!(
        cases
            .iter()
            .any(|case| case.kept.len() < case.kept_by_class.len())
    );
    for case in cases {
        let boxes = fours(&case.boxes);
        assert_eq!(nms(&boxes, &case.scores, case.threshold), case.kept);
        assert_eq!(
            batched_nms(&boxes, &case.scores, &case.classes, case.threshold),
            case.kept_by_class
        );
    }
}
