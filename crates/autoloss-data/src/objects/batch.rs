//! Images with objects made into batches of a detection network: resized, varied, padded.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::augment::Augmentation;
use crate::augment::{ColourTransform, nearest, resample_image, taps};
use crate::error::DataError;
use crate::loader::Loader;
use crate::loader::Recipe;
use crate::objects::scene::{Corners, ObjectData, Scene};
use crate::split::Split;

/// Sizes of images and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SceneSize {
    /// Pixels of the shorter side; 0: unchanged.
    pub short_side: usize,
    /// Largest number of pixels of the longer side; 0: no limit.
    pub long_side: usize,
    /// Rows and columns of a batch are multiples of this.
    pub divisor: usize,
}

impl SceneSize {
    /// Factor of size of an image whose shorter side varies by `scale`. The limit of the longer side holds for the
    /// varied image, too.
    fn factor(self, height: usize, width: usize, scale: f64) -> f64 {
        let (short, long) = (height.min(width) as f64, height.max(width) as f64);
        let factor = match self.short_side {
            0 => scale,
            side => scale * side as f64 / short,
        };
        match self.long_side {
            0 => factor,
            limit => factor.min(limit as f64 / long),
        }
    }
}

/// An image with objects as a network reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct PreparedScene {
    /// Normalised colours, shape (3, height, width); empty once the image is part of a batch.
    pub image: Vec<f32>,
    /// Rows, without padding.
    pub height: usize,
    /// Columns, without padding.
    pub width: usize,
    /// Pixels for each pixel of the original, along x and y.
    pub scale: [f32; 2],
    /// The image's id in the data set.
    pub id: i64,
    /// Boxes of the objects, in pixels.
    pub boxes: Vec<Corners>,
    /// Their classes.
    pub classes: Vec<usize>,
    /// Their masks of `height` rows and `width` columns, a byte a pixel, where the data set has some.
    pub masks: Vec<Option<Vec<u8>>>,
    /// Boxes that stand for any number of objects.
    pub crowds: Vec<Corners>,
}

impl PreparedScene {
    /// The image resized without variation.
    pub fn whole(scene: &Scene, size: SceneSize) -> Self {
        Self::new(
            scene,
            size.factor(scene.height, scene.width, 1.0),
            false,
            &ColourTransform::IDENTITY,
        )
    }

    /// The image resized and varied.
    pub fn varied(
        scene: &Scene,
        size: SceneSize,
        augmentation: &Augmentation,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let (low, high) = (augmentation.scale_min, augmentation.scale_max);
        let scale = f64::from(low + (high - low) * rng.random::<f32>());
        let flip = rng.random::<bool>() && augmentation.flip;
        let colours = augmentation.colours(rng);
        let factor = size.factor(scene.height, scene.width, scale);
        Self::new(scene, factor, flip, &colours)
    }

    fn new(scene: &Scene, factor: f64, flip: bool, colours: &ColourTransform) -> Self {
        let scaled = |side: usize| ((side as f64 * factor).round() as usize).max(1);
        let (height, width) = (scaled(scene.height), scaled(scene.width));
        let scale = [
            width as f32 / scene.width as f32,
            height as f32 / scene.height as f32,
        ];
        let rows = taps(scene.height, height, 0, height);
        let mut columns = taps(scene.width, width, 0, width);
        if flip {
            columns.reverse();
        }
        let mut prepared = Self {
            image: resample_image(&scene.image, scene.width, &rows, &columns, colours),
            height,
            width,
            scale,
            id: scene.id,
            boxes: Vec::new(),
            classes: Vec::new(),
            masks: Vec::new(),
            crowds: Vec::new(),
        };
        for object in &scene.objects {
            let corners = prepared.place(object.corners, flip);
            // An empty box cannot be learnt; torchvision leaves it out, too. A box with NaN is empty.
            let filled = corners[2] > corners[0] && corners[3] > corners[1];
            if !filled {
                continue;
            }
            if object.crowd {
                prepared.crowds.push(corners);
                continue;
            }
            prepared.boxes.push(corners);
            prepared.classes.push(object.class);
            let resized = |mask: &autoloss_metrics::coco::Mask| {
                nearest(&mask.to_bitmap(), scene.width, &rows, &columns, 0)
            };
            prepared.masks.push(object.mask.as_ref().map(resized));
        }
        prepared
    }

    /// Columns and rows, without padding.
    pub fn extent(&self) -> [f32; 2] {
        [self.width as f32, self.height as f32]
    }

    /// A box of the original in this image, cut off at the border.
    fn place(&self, [x1, y1, x2, y2]: Corners, flip: bool) -> Corners {
        let [sx, sy] = self.scale;
        let [width, height] = self.extent();
        let (x1, x2) = match flip {
            true => (width - x2 * sx, width - x1 * sx),
            false => (x1 * sx, x2 * sx),
        };
        [
            x1.clamp(0.0, width),
            (y1 * sy).clamp(0.0, height),
            x2.clamp(0.0, width),
            (y2 * sy).clamp(0.0, height),
        ]
    }
}

/// Several images, padded to one size.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneBatch {
    /// Number of images.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Normalised colours, 0 (the mean colour) in the padding; shape (n, 3, h, w).
    pub images: Vec<f32>,
    /// The images' objects, without the colours.
    pub items: Vec<PreparedScene>,
}

impl SceneBatch {
    /// Puts images together; rows and columns become multiples of `divisor`.
    ///
    /// # Errors
    /// No image at all.
    pub fn stack(mut items: Vec<PreparedScene>, divisor: usize) -> Result<Self, DataError> {
        if items.is_empty() {
            return Err(DataError::Setting {
                name: "batch",
                reason: "no images given, expected at least 1".to_owned(),
            });
        }
        let largest = |side: fn(&PreparedScene) -> usize| {
            let largest = items.iter().map(side).max().unwrap_or(0);
            largest.next_multiple_of(divisor.max(1))
        };
        let (h, w) = (largest(|item| item.height), largest(|item| item.width));
        let mut images = vec![0.0; items.len() * 3 * h * w];
        for (item, planes) in items.iter_mut().zip(images.chunks_exact_mut(3 * h * w)) {
            let image = std::mem::take(&mut item.image);
            let own = image.chunks_exact(item.height * item.width);
            for (plane, own) in planes.chunks_exact_mut(h * w).zip(own) {
                let rows = plane.chunks_exact_mut(w).zip(own.chunks_exact(item.width));
                for (row, own) in rows {
                    row[..item.width].copy_from_slice(own);
                }
            }
        }
        Ok(Self {
            n: items.len(),
            h,
            w,
            images,
            items,
        })
    }
}

/// An endless stream of training batches of images with objects, see [`Loader`].
pub type SceneLoader = Loader<SceneBatch>;

impl SceneLoader {
    /// Starts the threads, if there are any.
    ///
    /// # Errors
    /// An empty split, a setting outside its range, no threads left.
    pub fn scenes(
        data: Arc<dyn ObjectData>,
        split: Split,
        (size, augmentation): (SceneSize, Augmentation),
        (batch, workers): (usize, usize),
        seed: u64,
    ) -> Result<Self, DataError> {
        augmentation.check()?;
        let recipe = Recipe {
            len: data.len(split),
            batch,
            workers,
            prefetch: 2 * workers,
            seed,
        };
        let prepare = move |index, rng: &mut ChaCha8Rng| {
            let scene = data.scene(split, index)?;
            Ok(PreparedScene::varied(&scene, size, &augmentation, rng))
        };
        let stack = move |items| SceneBatch::stack(items, size.divisor);
        Self::with(split, recipe, prepare, stack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::scene::Object;
    use crate::testing::{MemoryScenes, masked};

    fn scene() -> Scene {
        masked(0, 64, 64)
    }

    const SIZE: SceneSize = SceneSize {
        short_side: 96,
        long_side: 0,
        divisor: 32,
    };

    /// The box around the pixels of a mask.
    fn around(mask: &[u8], width: usize) -> Corners {
        let pixels = mask.iter().enumerate().filter(|(_, inside)| **inside == 1);
        let start = [f32::MAX, f32::MAX, 0.0, 0.0];
        pixels.fold(start, |b, (at, _)| {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            [
                b[0].min(x),
                b[1].min(y),
                b[2].max(x + 1.0),
                b[3].max(y + 1.0),
            ]
        })
    }

    #[test]
    fn boxes_stay_around_their_masks() {
        for (flip, factor) in [(false, 1.0), (true, 1.0), (true, 1.5), (false, 0.75)] {
            let prepared = PreparedScene::new(&scene(), factor, flip, &ColourTransform::IDENTITY);
            assert!(!prepared.boxes.is_empty());
            for (corners, mask) in prepared.boxes.iter().zip(&prepared.masks) {
                let found = around(mask.as_ref().unwrap(), prepared.width);
                for (a, b) in corners.iter().zip(found) {
                    assert!((a - b).abs() <= 1.0, "{corners:?} {found:?}");
                }
            }
        }
    }

    #[test]
    fn flipping_mirrors_image_boxes_and_masks() {
        let plain = PreparedScene::new(&scene(), 1.0, false, &ColourTransform::IDENTITY);
        let flipped = PreparedScene::new(&scene(), 1.0, true, &ColourTransform::IDENTITY);
        let mirrored = |row: &[f32]| row.iter().rev().copied().collect::<Vec<f32>>();
        let rows = plain.image.chunks(64).map(mirrored);
        assert_eq!(rows.collect::<Vec<_>>().concat(), flipped.image);
        for (a, b) in plain.boxes.iter().zip(&flipped.boxes) {
            assert_eq!([64.0 - a[2], a[1], 64.0 - a[0], a[3]], *b);
        }
    }

    #[test]
    fn batches_are_padded_and_functions_of_the_seed() {
        let scenes = (0..9).map(|number| masked(number, 64, 40 + 5 * number));
        let data: Arc<dyn ObjectData> = Arc::new(MemoryScenes::new(scenes.collect()));
        let augmentation = Augmentation::default();
        let batches = |workers| {
            let what = (SIZE, augmentation.clone());
            let loader = SceneLoader::scenes(data.clone(), Split::Train, what, (3, workers), 7);
            let batches: Vec<SceneBatch> = loader.unwrap().take(4).map(Result::unwrap).collect();
            batches
        };
        let first = batches(0);
        assert_eq!(first, batches(2));
        for batch in &first {
            assert_eq!((batch.n, batch.h % 32, batch.w % 32), (3, 0, 0));
            assert_eq!(batch.images.len(), 9 * batch.h * batch.w);
            for (number, item) in batch.items.iter().enumerate() {
                let at =
                    |y: usize, x: usize| batch.images[(3 * number * batch.h + y) * batch.w + x];
                if item.height < batch.h {
                    assert_eq!(at(item.height, 0), 0.0);
                }
            }
        }
    }

    #[test]
    fn sizes_follow_the_shorter_side_up_to_the_longer() {
        assert_eq!(SIZE.factor(48, 100, 1.0), 2.0);
        assert_eq!(SIZE.factor(48, 100, 1.5), 3.0);
        let limited = SceneSize {
            long_side: 150,
            ..SIZE
        };
        assert_eq!(limited.factor(48, 100, 1.0), 1.5);
        assert_eq!(limited.factor(48, 100, 1.5), 1.5);
        assert_eq!(limited.factor(48, 100, 0.5), 1.0);
        let plain = SceneSize {
            short_side: 0,
            ..SIZE
        };
        assert_eq!(plain.factor(48, 100, 1.0), 1.0);
        assert_eq!(plain.factor(48, 100, 1.25), 1.25);
    }

    #[test]
    fn boxes_are_cut_off_at_the_border_and_left_out_when_empty() {
        let object = |corners: Corners, crowd: bool| Object {
            class: 3,
            corners,
            area: 1.0,
            crowd,
            mask: None,
            keypoints: None,
        };
        let mut scene = scene();
        scene.objects = vec![
            object([-5.0, 10.0, 20.0, 70.0], false),
            object([5.0, 5.0, 5.0, 9.0], false),
            object([9.0, 9.0, 5.0, 12.0], false),
            object([70.0, 0.0, 80.0, 9.0], false),
            object([f32::NAN, 0.0, 9.0, 9.0], false),
            object([2.0, 4.0, 12.0, 14.0], true),
        ];
        let prepared = PreparedScene::new(&scene, 0.5, true, &ColourTransform::IDENTITY);
        assert_eq!(prepared.boxes, [[22.0, 5.0, 32.0, 32.0]]);
        assert_eq!((prepared.classes, prepared.masks), (vec![3], vec![None]));
        assert_eq!(prepared.crowds, [[26.0, 2.0, 31.0, 7.0]]);
    }

    #[test]
    fn no_images_make_no_batch() {
        let text = SceneBatch::stack(Vec::new(), 32).unwrap_err().to_string();
        assert_eq!(text, "setting batch: no images given, expected at least 1");
    }
}
