//! Keypoints of a category: their names, sigmas, pairs of left and right, and similarity.

use super::error::CocoError;
use super::region::BBox;

/// The names of the keypoints of COCO's persons, in their order.
pub const PERSON: [&str; 17] = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
];

/// Sigma of each keypoint of COCO's persons: the annotators' spread, as a share of the person's size.
const PERSON_SIGMAS: [f64; 17] = [
    0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89,
    0.89,
];

/// The sigma of keypoints that are not COCO's: the mean of COCO's, rounded.
pub const DEFAULT_SIGMA: f64 = 0.067;

/// Pairs of COCO's keypoints that are joined in pictures: limbs, trunk and head.
pub const PERSON_SKELETON: [[usize; 2]; 16] = [
    [15, 13],
    [13, 11],
    [16, 14],
    [14, 12],
    [11, 12],
    [5, 11],
    [6, 12],
    [5, 6],
    [5, 7],
    [7, 9],
    [6, 8],
    [8, 10],
    [0, 1],
    [0, 2],
    [1, 3],
    [2, 4],
];

/// The sigmas of `count` keypoints: COCO's for 17, whatever their names as in pycocotools, else
/// [`DEFAULT_SIGMA`] for each.
#[must_use]
pub fn sigmas(count: usize) -> Vec<f64> {
    match count {
        17 => PERSON_SIGMAS.iter().map(|sigma| sigma / 10.0).collect(),
        count => vec![DEFAULT_SIGMA; count],
    }
}

/// Whether these are the names of COCO's keypoints; capitals, spaces and hyphens do not matter.
#[must_use]
pub fn are_persons(names: &[String]) -> bool {
    let words = |name: &str| words(name).join("_");
    names.len() == PERSON.len() && names.iter().zip(PERSON).all(|(a, b)| words(a) == words(b))
}

/// The place that each keypoint has in a mirrored image, from its name: `left_eye` and `right_eye`,
/// `eyeLeft` and `eyeRight` or `L-eye` and `R-eye` change places, `nose` stays.
///
/// # Errors
/// A keypoint with a side whose counterpart is missing.
pub fn mirrored(names: &[String]) -> Result<Vec<usize>, CocoError> {
    let names_in_words: Vec<Vec<String>> = names.iter().map(|name| words(name)).collect();
    let place = |(index, name): (usize, &Vec<String>)| {
        let other: Vec<String> = name.iter().map(|word| other_side(word)).collect();
        if other == *name {
            return Ok(index);
        }
        let found = names_in_words.iter().position(|name| *name == other);
        found.ok_or_else(|| CocoError::LonelyKeypoint {
            name: names[index].clone(),
            expected: other.join("_"),
        })
    };
    names_in_words.iter().enumerate().map(place).collect()
}

/// The words of a name in small letters: parted by anything that is no letter or digit, and before
/// each capital that follows a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last_is_small = false;
    for letter in name.chars() {
        let parts = !letter.is_alphanumeric() || (letter.is_uppercase() && last_is_small);
        if parts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && letter.is_alphanumeric()
        {
            word.extend(letter.to_lowercase());
        }
        last_is_small = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    // One spelling of a side, so that `l_eye` and `left_eye` are the same.
    let spelled = words.into_iter().map(|word| match word.as_str() {
        "l" => "left".to_owned(),
        "r" => "right".to_owned(),
        _ => word,
    });
    spelled.collect()
}

/// The word of the other side; any other word stays.
fn other_side(word: &str) -> String {
    match word {
        "left" => "right",
        "right" => "left",
        other => other,
    }
    .to_owned()
}

/// Object keypoint similarity: the mean over the labelled keypoints of
/// exp(−d² / 2 s² k²), with the distance d, the area s², and k twice the sigma.
///
/// Where no keypoint is labelled, the similarity is the mean over all, and d the distance
/// to the box at twice its size. Targets without any keypoint have the similarity 0.
pub(super) fn similarity(
    ours: &[[f64; 3]],
    theirs: &[[f64; 3]],
    bbox: BBox,
    area: f64,
    sigmas: &[f64],
) -> f64 {
    let any_labelled = theirs.iter().any(|point| point[2] > 0.0);
    // Not max(0, value): NaN must stay NaN.
    let beyond = |value: f64| if value < 0.0 { 0.0 } else { value };
    let mut terms = Vec::with_capacity(theirs.len());
    for ((own, target), sigma) in ours.iter().zip(theirs).zip(sigmas) {
        let labelled = target[2] > 0.0;
        if any_labelled && !labelled {
            continue;
        }
        let offset = |axis: usize| {
            if any_labelled {
                return own[axis] - target[axis];
            }
            let (start, size) = (bbox[axis], bbox[axis + 2]);
            beyond(start - size - own[axis]) + beyond(own[axis] - (start + size * 2.0))
        };
        let (dx, dy) = (offset(0), offset(1));
        let spread = sigma * 2.0;
        let exponent = (dx * dx + dy * dy) / (spread * spread) / (area + f64::EPSILON) / 2.0;
        terms.push((-exponent).exp());
    }
    if terms.is_empty() {
        return 0.0;
    }
    sum(&terms) / terms.len() as f64
}

/// The sum in numpy's order of additions, so that equal overlaps stay equal.
fn sum(terms: &[f64]) -> f64 {
    /// The most terms that numpy adds up in eight sums.
    const BLOCK: usize = 128;
    if terms.len() > BLOCK {
        let half = terms.len() / 2 / 8 * 8;
        return sum(&terms[..half]) + sum(&terms[half..]);
    }
    let (blocks, rest) = terms.as_chunks::<8>();
    let mut blocks = blocks.iter();
    let Some(first) = blocks.next() else {
        return rest.iter().sum();
    };
    let mut sums = *first;
    for block in blocks {
        for (sum, term) in sums.iter_mut().zip(block) {
            *sum += term;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(total, |total, term| total + term)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn sides_change_places_whatever_their_spelling() {
        let mirror = |names: &[&str]| mirrored(&named(names)).unwrap();
        let person = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15];
        assert_eq!(mirror(&PERSON), person);
        assert_eq!(mirror(&["tail", "L_paw", "R_paw"]), [0, 2, 1]);
        assert_eq!(mirror(&["eyeRight", "mouth", "eyeLeft"]), [2, 1, 0]);
        assert_eq!(
            mirror(&["Left-Hip", "hip right", "Right Hip", "hip.left"]),
            [2, 3, 0, 1]
        );
        assert_eq!(mirror(&["k0", "k1"]), [0, 1]);
        let error = mirrored(&named(&["left_ear", "nose"])).unwrap_err();
        assert!(
            error.to_string().contains("`left_ear`") && error.to_string().contains("right_ear")
        );
    }

    #[test]
    fn names_of_a_person_are_known_whatever_their_spelling() {
        assert!(are_persons(&named(&PERSON)));
        assert!(are_persons(
            &PERSON.map(|name| name.to_uppercase().replace('_', " "))
        ));
        assert!(!are_persons(&named(&PERSON[..16])));
        let mut swapped = named(&PERSON);
        swapped.swap(1, 2);
        assert!(!are_persons(&swapped));
    }

    #[test]
    fn sums_are_those_of_numpy() {
        // np.sum of 1 / (1 + arange(n)) for n = 133 and 300.
        let terms = |count: u32| {
            (0..count)
                .map(|k| 1.0 / f64::from(k + 1))
                .collect::<Vec<_>>()
        };
        assert_eq!(sum(&terms(133)), 5.471_319_480_620_474);
        assert_eq!(sum(&terms(300)), 6.282_663_880_299_504);
    }
}
