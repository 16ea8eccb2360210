//! Screening samples: from the program's files to the search's fields.

use std::path::Path;
use std::sync::Arc;

use autoloss_boxes::BoxPairs;
use autoloss_expr::{Shape, softmax_channels};

use crate::message::{Activation, BranchDescription, GivenBoxes, GivenBranch};
use crate::npy::{self, Array};

/// Spatial dimensions of a sample: pooling knows two.
const MOST_SPATIAL: usize = 2;

/// Predictions and targets of one branch of a sample.
#[derive(Clone)]
pub(crate) struct Fields {
    /// Extents of the prediction as the program gave it: (N, C, spatial).
    pub(crate) extents: Vec<usize>,
    pub(crate) shape: Shape,
    /// Probabilities, or numbers.
    pub(crate) prediction: Vec<f32>,
    /// Of the prediction's shape.
    pub(crate) target: Vec<f32>,
    /// The further inputs that were given, in the order of their description.
    pub(crate) given: Vec<Vec<f32>>,
    pub(crate) boxes: Option<Arc<BoxPairs>>,
}

/// Reads a branch of a sample; files are in `folder` unless they say otherwise.
///
/// # Errors
/// A file that cannot be read; shapes and numbers that do not fit the branch; in words.
pub(crate) fn read(
    folder: &Path,
    branch: &BranchDescription,
    given: &GivenBranch,
) -> Result<Fields, String> {
    let open = |path: &Path| npy::read(&folder.join(path)).map_err(|error| error.to_string());
    let prediction = open(&given.prediction)?;
    let target = open(&given.target)?;
    let shape = shape(branch, &prediction.shape)?;
    if let Some(value) = prediction.values.iter().find(|value| !value.is_finite()) {
        return Err(format!(
            "the prediction holds {value}, expected finite numbers"
        ));
    }
    let mut fields = Fields {
        prediction: prediction.values,
        target: Vec::new(),
        shape,
        extents: prediction.shape,
        given: Vec::new(),
        boxes: None,
    };
    if branch.activation == Activation::Softmax {
        match given.from_logits {
            true => softmax_channels(&mut fields.prediction, shape),
            false => check_probabilities(&fields.prediction, shape)?,
        }
    }
    fields.take_target(branch, target)?;
    for name in &branch.given {
        let path = given.given.get(name);
        let path = path.ok_or_else(|| format!("no file for the input `{name}`"))?;
        fields.given.push(fields.further(name, open(path)?)?);
    }
    fields.boxes = match (branch.boxes, &given.boxes) {
        (false, _) => None,
        (true, None) => return Err("no `boxes`, which its description has".to_owned()),
        (true, Some(boxes)) => Some(Arc::new(fields.pairs(boxes, &open)?)),
    };
    Ok(fields)
}

/// The shape of a branch's fields.
fn shape(branch: &BranchDescription, extents: &[usize]) -> Result<Shape, String> {
    let wrong = || {
        format!(
            "the prediction has shape {extents:?}, expected (N, {}) with up to two spatial dimensions",
            branch.channels
        )
    };
    let [n, c, spatial @ ..] = extents else {
        return Err(wrong());
    };
    if *c != branch.channels || spatial.len() > MOST_SPATIAL {
        return Err(wrong());
    }
    let (h, w) = match spatial {
        [] => (1, 1),
        [w] => (1, *w),
        [h, w, ..] => (*h, *w),
    };
    Ok(Shape::new(*n, *c, h, w))
}

impl Fields {
    /// A field of the prediction's shape.
    fn further(&self, name: &str, array: Array) -> Result<Vec<f32>, String> {
        if array.shape != self.extents {
            return Err(format!(
                "the input `{name}` has shape {:?}, expected the prediction's, {:?}",
                array.shape, self.extents
            ));
        }
        finite(name, &array.values)?;
        Ok(array.values)
    }

    /// A box for each position.
    fn pairs(
        &self,
        given: &GivenBoxes,
        open: &dyn Fn(&Path) -> Result<Array, String>,
    ) -> Result<BoxPairs, String> {
        let count = self.shape.n * self.shape.h * self.shape.w;
        let read = |name: &str, path: &Path, expected: &[usize]| {
            let array = open(path)?;
            if array.shape != expected {
                return Err(format!(
                    "`{name}` of its boxes has shape {:?}, expected {expected:?}",
                    array.shape
                ));
            }
            finite(name, &array.values)?;
            Ok(array.values)
        };
        let corners = |name: &str, path: &Path| {
            let values = read(name, path, &[count, 4])?;
            Ok::<_, String>(values.as_chunks().0.to_vec())
        };
        if self.shape.n != 1 {
            return Err(format!(
                "{} samples of boxes in one, expected 1",
                self.shape.n
            ));
        }
        Ok(BoxPairs {
            references: corners("references", &given.references)?,
            objects: corners("objects", &given.objects)?,
            scales: read("scales", &given.scales, &[count])?,
            weights: given.weights,
        })
    }

    /// The inputs in the order of the branch's description: prediction, target, given ones, overlaps of boxes.
    pub(crate) fn inputs(self) -> Vec<Vec<f32>> {
        let wide: Vec<f64> = self.prediction.iter().map(|x| f64::from(*x)).collect();
        let overlaps = self
            .boxes
            .map_or_else(Vec::new, |boxes| boxes.values(&wide));
        #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
        let overlaps = overlaps
            .iter()
            .map(|field| field.iter().map(|x| *x as f32).collect());
        let first = [self.prediction, self.target];
        first
            .into_iter()
            .chain(self.given)
            .chain(overlaps)
            .collect()
    }

    fn take_target(&mut self, branch: &BranchDescription, target: Array) -> Result<(), String> {
        if target.shape == self.extents {
            if let Some(value) = target.values.iter().find(|value| !value.is_finite()) {
                return Err(format!("the target holds {value}, expected finite numbers"));
            }
            self.target = target.values;
            return Ok(());
        }
        let of_labels: Vec<usize> = [&self.extents[..1], &self.extents[2..]].concat();
        if branch.activation == Activation::Softmax && target.shape == of_labels {
            return self.take_labels(branch, &target.values);
        }
        let or = match branch.activation {
            Activation::Softmax => format!(", or class numbers of shape {of_labels:?}"),
            Activation::None => String::new(),
        };
        Err(format!(
            "the target has shape {:?}, expected the prediction's, {:?}{or}",
            target.shape, self.extents
        ))
    }

    /// Class numbers as 0 and 1; where the class is ignored, prediction and target are uniform.
    fn take_labels(&mut self, branch: &BranchDescription, labels: &[f32]) -> Result<(), String> {
        let Shape { c, .. } = self.shape;
        let pixels = self.shape.h * self.shape.w;
        self.target = vec![0.0; self.shape.len()];
        for (place, label) in labels.iter().enumerate() {
            let first = place / pixels * c * pixels + place % pixels;
            #[expect(clippy::cast_precision_loss, reason = "class numbers are small")]
            let ignored = branch
                .ignore_index
                .is_some_and(|class| class as f32 == *label);
            if ignored {
                for channel in 0..c {
                    let uniform = 1.0 / c as f32;
                    self.prediction[first + channel * pixels] = uniform;
                    self.target[first + channel * pixels] = uniform;
                }
                continue;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "compared with the label afterwards"
            )]
            let class = *label as usize;
            if class as f32 != *label || class >= c {
                let or = branch.ignore_index.map_or_else(
                    || "; or set `ignore_index`".to_owned(),
                    |class| format!(" or {class}"),
                );
                return Err(format!(
                    "the target holds the class {label}, expected 0 to {}{or}",
                    c - 1
                ));
            }
            self.target[first + class * pixels] = 1.0;
        }
        Ok(())
    }
}

fn finite(name: &str, values: &[f32]) -> Result<(), String> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(format!("`{name}` holds {value}, expected finite numbers")),
        None => Ok(()),
    }
}

fn check_probabilities(values: &[f32], shape: Shape) -> Result<(), String> {
    let pixels = shape.h * shape.w;
    for first in
        (0..shape.n).flat_map(|n| (0..pixels).map(move |pixel| n * shape.c * pixels + pixel))
    {
        let mut sum = 0.0;
        for place in (first..first + shape.c * pixels).step_by(pixels) {
            sum += values[place];
            if !(-1e-4..=1.0 + 1e-4).contains(&values[place]) {
                return Err(format!(
                    "the prediction holds {}, expected probabilities; or say `from_logits`",
                    values[place]
                ));
            }
        }
        if (sum - 1.0).abs() > 1e-2 {
            return Err(format!(
                "the prediction's probabilities of one position sum to {sum}, expected 1; or say `from_logits`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn branch(channels: usize, ignore_index: Option<i64>) -> BranchDescription {
        BranchDescription {
            name: "output".to_owned(),
            channels,
            activation: Activation::Softmax,
            ignore_index,
            scored: false,
            given: Vec::new(),
            boxes: false,
        }
    }

    /// Reads a prediction and a target that are written to files.
    fn of(
        branch: &BranchDescription,
        prediction: (&[usize], &[f32]),
        target: (&[usize], &[f32]),
        from_logits: bool,
    ) -> Result<Fields, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, (shape, values)) in [("p.npy", prediction), ("t.npy", target)] {
            let mut file = std::fs::File::create(dir.path().join(name)).unwrap();
            npy::write(&mut file, shape, values).unwrap();
        }
        let given = GivenBranch {
            prediction: "p.npy".into(),
            target: "t.npy".into(),
            from_logits,
            given: BTreeMap::new(),
            boxes: None,
        };
        read(dir.path(), branch, &given)
    }

    /// Files of a box branch with two boxes, of which the second is its object already, and a weight of each position.
    fn boxes(dir: &Path) -> (BranchDescription, GivenBranch) {
        let unmoved = [0.0, 0.0, 10.0, 10.0];
        let moved = [5.0, 0.0, 15.0, 10.0];
        for (name, shape, values) in [
            ("p.npy", &[1, 4, 2][..], vec![0.0; 8]),
            (
                "t.npy",
                &[1, 4, 2],
                vec![0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            ),
            ("w.npy", &[1, 4, 2], vec![0.25; 8]),
            ("r.npy", &[2, 4], [unmoved, unmoved].concat()),
            ("o.npy", &[2, 4], [moved, unmoved].concat()),
            ("s.npy", &[2], vec![0.01; 2]),
        ] {
            let mut file = std::fs::File::create(dir.join(name)).unwrap();
            npy::write(&mut file, shape, &values).unwrap();
        }
        let about = BranchDescription {
            activation: Activation::None,
            given: vec!["w".to_owned()],
            boxes: true,
            ..branch(4, None)
        };
        let given = GivenBranch {
            prediction: "p.npy".into(),
            target: "t.npy".into(),
            from_logits: false,
            given: [("w".to_owned(), "w.npy".into())].into(),
            boxes: Some(GivenBoxes {
                references: "r.npy".into(),
                objects: "o.npy".into(),
                scales: "s.npy".into(),
                weights: [1.0; 4],
            }),
        };
        (about, given)
    }

    #[test]
    fn boxes_have_overlaps_with_their_objects() {
        let dir = tempfile::tempdir().unwrap();
        let (about, given) = boxes(dir.path());
        let fields = read(dir.path(), &about, &given).unwrap();
        assert_eq!(
            fields.boxes.as_ref().unwrap().targets()[0],
            [0.5, 0.0, 0.0, 0.0]
        );
        let inputs = fields.inputs();
        assert_eq!((inputs.len(), inputs[2][0]), (8, 0.25));
        // Intersection, union, enclosing box, distance of the centres.
        for (input, wanted) in [
            (3, [0.5, 1.0]),
            (4, [1.5, 1.0]),
            (5, [1.5, 1.0]),
            (6, [25.0 / 325.0, 0.0]),
        ] {
            let close = |(got, want): (&f32, &f32)| (got - want).abs() < 1e-6;
            let all = inputs[input]
                .chunks(2)
                .all(|pair| pair.iter().zip(&wanted).all(close));
            assert!(all, "{input}: {:?}", inputs[input]);
        }
    }

    #[test]
    fn further_inputs_that_do_not_fit_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let (about, whole) = boxes(dir.path());
        let refused = |change: fn(&mut GivenBranch)| {
            let mut given = whole.clone();
            change(&mut given);
            read(dir.path(), &about, &given).err().unwrap()
        };
        let said = refused(|given| given.given.clear());
        assert_eq!(said, "no file for the input `w`");
        let said = refused(|given| given.boxes = None);
        assert_eq!(said, "no `boxes`, which its description has");
        let said = refused(|given| given.given = [("w".to_owned(), "s.npy".into())].into());
        assert!(
            said.contains("`w` has shape [2], expected the prediction's, [1, 4, 2]"),
            "{said}"
        );
        let said = refused(|given| given.boxes.as_mut().unwrap().objects = "s.npy".into());
        assert!(
            said.contains("`objects` of its boxes has shape [2], expected [2, 4]"),
            "{said}"
        );
    }

    #[test]
    fn logits_become_probabilities_and_labels_vectors() {
        // Two positions of two channels: the channels of a position lie apart.
        let logits = [0.0, 3.0_f32.ln(), 0.0, 0.0];
        let fields = of(
            &branch(2, Some(255)),
            (&[1, 2, 2], &logits),
            (&[1, 2], &[1.0, 0.0]),
            true,
        )
        .unwrap();
        assert_eq!(fields.shape, Shape::new(1, 2, 1, 2));
        let wanted = [0.5_f32, 0.75, 0.5, 0.25];
        let close = |(got, want): (&f32, f32)| (got - want).abs() < 1e-6;
        assert!(
            fields.prediction.iter().zip(wanted).all(close),
            "{:?}",
            fields.prediction
        );
        assert_eq!(fields.target, [0.0, 1.0, 1.0, 0.0]);
        let ignored = of(
            &branch(2, Some(255)),
            (&[1, 2, 2], &logits),
            (&[1, 2], &[1.0, 255.0]),
            true,
        )
        .unwrap();
        assert_eq!(ignored.prediction, [0.5; 4]);
        assert_eq!(ignored.target, [0.0, 0.5, 1.0, 0.5]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |prediction, target, from_logits| {
            of(&branch(2, None), prediction, target, from_logits)
                .err()
                .unwrap()
        };
        let two: (&[usize], &[f32]) = (&[1, 2], &[0.5, 0.5]);
        for (prediction, target, from_logits, expected) in [
            (
                (&[1, 3][..], &[0.2, 0.3, 0.5][..]),
                (&[1][..], &[0.0][..]),
                false,
                "expected (N, 2)",
            ),
            ((&[1, 2], &[0.5, 0.9]), (&[1], &[0.0]), false, "sum to 1.4"),
            (
                (&[1, 2], &[-3.0, 4.0]),
                (&[1], &[0.0]),
                false,
                "from_logits",
            ),
            ((&[1, 2], &[f32::NAN, 4.0]), (&[1], &[0.0]), true, "NaN"),
            (two, (&[1], &[2.0]), false, "the class 2, expected 0 to 1"),
            (two, (&[1], &[0.5]), false, "the class 0.5"),
            (
                two,
                (&[2], &[0.0, 1.0]),
                false,
                "class numbers of shape [1]",
            ),
            (two, (&[1, 2], &[f32::INFINITY, 1.0]), false, "finite"),
        ] {
            let said = refused(prediction, target, from_logits);
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
}
