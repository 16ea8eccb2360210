//! A data set with smaller images.

use std::sync::Arc;

use image::imageops::FilterType;
use image::{ImageBuffer, Rgb};

use crate::error::DataError;
use crate::example::{Example, SegmentationData};
use crate::split::Split;

/// A data set whose images are reduced to a largest longer side.
///
/// Colours are averaged over the merged pixels; labels are those of the nearest pixel.
pub struct Resized {
    inner: Arc<dyn SegmentationData>,
    longest_side: usize,
}

impl Resized {
    /// Wraps a data set.
    pub fn new(inner: Arc<dyn SegmentationData>, longest_side: usize) -> Self {
        Self {
            inner,
            longest_side: longest_side.max(1),
        }
    }
}

impl SegmentationData for Resized {
    fn class_names(&self) -> &[String] {
        self.inner.class_names()
    }

    fn ignore(&self) -> u8 {
        self.inner.ignore()
    }

    fn background(&self) -> Option<u8> {
        self.inner.background()
    }

    fn warnings(&self) -> Vec<String> {
        self.inner.warnings()
    }

    fn len(&self, split: Split) -> usize {
        self.inner.len(split)
    }

    fn example(&self, split: Split, index: usize) -> Result<Example, DataError> {
        let example = self.inner.example(split, index)?;
        let longer = example.width.max(example.height);
        if longer <= self.longest_side {
            return Ok(example);
        }
        let shorter = |side: usize| (side * self.longest_side + longer / 2) / longer;
        let (width, height) = (
            shorter(example.width).max(1),
            shorter(example.height).max(1),
        );
        Ok(reduced(example, width, height))
    }
}

fn reduced(example: Example, width: usize, height: usize) -> Example {
    let nearest = |i: usize, from: usize, to: usize| ((2 * i + 1) * from / (2 * to)).min(from - 1);
    let mut labels = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = nearest(y, example.height, height) * example.width;
        let columns = (0..width).map(|x| nearest(x, example.width, width));
        labels.extend(columns.map(|x| example.labels[row + x]));
    }
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let full = ImageBuffer::<Rgb<u8>, _>::from_raw(
        side(example.width),
        side(example.height),
        example.image,
    )
    .expect("an example's image has its size");
    let image = image::imageops::resize(&full, side(width), side(height), FilterType::Triangle);
    Example {
        image: image.into_raw(),
        labels,
        width,
        height,
        name: example.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_labels_shrink_together() {
        // Left half black with label 0, right half white with label 7.
        let column = |x: usize| if x < 20 { (0, 0) } else { (255, 7) };
        let pixels = (0..40 * 20).map(|i| column(i % 40));
        let example = Example {
            image: pixels.clone().flat_map(|(v, _)| [v; 3]).collect(),
            labels: pixels.map(|(_, label)| label).collect(),
            width: 40,
            height: 20,
            name: "halves".to_owned(),
        };
        let small = reduced(example, 10, 5);
        assert_eq!((small.image.len(), small.labels.len()), (150, 50));
        for i in 0..50 {
            let want = if i % 10 < 5 { 0 } else { 7 };
            assert_eq!(small.labels[i], want);
            assert_eq!(small.image[3 * i] > 127, want == 7);
        }
    }
}
