//! Results of torchvision, recorded by `tests/reference/torchvision_reference.py`.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Recorded {
    pub(super) roi_align: Vec<RoiAlignCase>,
    pub(super) coding: Vec<CodingCase>,
    pub(super) suppression: Vec<SuppressionCase>,
    pub(super) anchors: Vec<AnchorCase>,
    pub(super) output: Vec<OutputCase>,
}

#[derive(Deserialize)]
pub(super) struct RoiAlignCase {
    pub(super) dims: [usize; 4],
    pub(super) output: [usize; 2],
    pub(super) scale: f32,
    pub(super) sampling_ratio: usize,
    pub(super) aligned: bool,
    pub(super) x: Vec<f32>,
    pub(super) images: Vec<usize>,
    pub(super) corners: Vec<f32>,
    pub(super) pooled: Vec<f32>,
    pub(super) weights: Vec<f32>,
    pub(super) gradient: Vec<f32>,
}

#[derive(Deserialize)]
pub(super) struct CodingCase {
    pub(super) weights: [f32; 4],
    pub(super) references: Vec<f32>,
    pub(super) targets: Vec<f32>,
    pub(super) encoded: Vec<f32>,
    pub(super) deltas: Vec<f32>,
    pub(super) decoded: Vec<f32>,
}

#[derive(Deserialize)]
pub(super) struct SuppressionCase {
    pub(super) threshold: f32,
    pub(super) boxes: Vec<f32>,
    pub(super) scores: Vec<f32>,
    pub(super) classes: Vec<usize>,
    pub(super) kept: Vec<usize>,
    pub(super) kept_by_class: Vec<usize>,
}

#[derive(Deserialize)]
pub(super) struct AnchorCase {
    pub(super) sizes: Vec<f32>,
    pub(super) aspect_ratios: Vec<f32>,
    pub(super) grid: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) anchors: Vec<f32>,
}

/// Output of a layer, in few numbers.
#[derive(Deserialize)]
pub(super) struct OutputCase {
    pub(super) key: String,
    pub(super) dims: Vec<usize>,
    pub(super) mean: f32,
    /// Root of the mean square.
    pub(super) rms: f32,
    /// Sample k is the element at index 7919 (k + 1) modulo the number of elements.
    pub(super) samples: Vec<f32>,
}

pub(super) fn recorded() -> Recorded {
    let text = include_str!("../tests/fixtures/torchvision.toml");
    toml::from_str(text).expect("the recorded numbers")
}

/// The numbers four by four.
pub(super) fn fours(values: &[f32]) -> Vec<[f32; 4]> {
    assert_eq!(values.len() % 4, 0);
    values.as_chunks().0.to_vec()
}

/// Largest difference, relative to the reference value or 1.
pub(super) fn difference(actual: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(actual.len(), reference.len());
    let pairs = actual.iter().zip(reference);
    pairs.fold(0.0, |worst: f32, (actual, reference)| {
        let difference = (actual - reference).abs() / reference.abs().max(1.0);
        assert!(!difference.is_nan(), "{actual} against {reference}");
        worst.max(difference)
    })
}

#[test]
fn difference_sees_one_wrong_number() {
    assert_eq!(difference(&[1.0, 20.0], &[1.0, 20.0]), 0.0);
    assert!((difference(&[1.0, 22.0], &[1.0, 20.0]) - 0.1).abs() < 1e-6);
}
