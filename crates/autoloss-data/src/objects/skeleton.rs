//! Names, mirror images and sigmas of the keypoints of a data set.

use autoloss_metrics::coco::Category;
use autoloss_metrics::coco::keypoints::{self, PERSON, PERSON_SKELETON};

/// The keypoints of a data set, the same for all its categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Skeleton {
    /// Their names; empty if they are not known.
    pub names: Vec<String>,
    /// The index of each keypoint in a mirrored image, if known.
    pub mirrored: Option<Vec<usize>>,
    /// Sigma of each keypoint: the annotators' spread, as a share of the object's size.
    pub sigmas: Vec<f64>,
    /// Pairs that are joined in pictures.
    pub joined: Vec<[usize; 2]>,
}

impl Skeleton {
    /// The 17 keypoints of COCO's persons.
    #[must_use]
    pub fn person() -> Self {
        let names: Vec<String> = PERSON.iter().map(|name| (*name).to_owned()).collect();
        Self {
            mirrored: keypoints::mirrored(&names).ok(),
            names,
            sigmas: keypoints::sigmas(PERSON.len()),
            joined: PERSON_SKELETON.to_vec(),
        }
    }

    /// Number of keypoints.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sigmas.len()
    }

    /// The keypoints of a category, and a warning about them if there is one. 17 keypoints without names are those of
    /// COCO's persons.
    pub(super) fn of_category(category: &Category) -> (Self, Option<String>) {
        let person = Self::person();
        let unnamed = category.keypoints.is_empty();
        if unnamed && category.sigmas.len() == person.count() {
            let sigmas = category.sigmas.clone();
            return (Self { sigmas, ..person }, None);
        }
        let name = &category.name;
        let (mirrored, warning) = match keypoints::mirrored(&category.keypoints) {
            _ if unnamed => (None, Some("its keypoints have no names".to_owned())),
            Ok(places) => (Some(places), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let warning = warning.map(|reason| {
            format!("category `{name}`: {reason}, so that images are not mirrored in training")
        });
        let skeleton = Self {
            names: category.keypoints.clone(),
            mirrored,
            sigmas: category.sigmas.clone(),
            joined: category.skeleton.clone(),
        };
        (skeleton, warning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(names: &[&str], count: usize) -> Category {
        Category {
            name: "dog".to_owned(),
            keypoints: names.iter().map(|name| (*name).to_owned()).collect(),
            sigmas: keypoints::sigmas(count),
            ..Category::default()
        }
    }

    #[test]
    fn sides_come_from_names_and_those_of_a_person_from_the_number() {
        assert_eq!(
            Skeleton::of_category(&category(&[], 17)),
            (Skeleton::person(), None)
        );
        let (dog, warning) =
            Skeleton::of_category(&category(&["tail", "left_paw", "right_paw"], 3));
        assert_eq!(
            (dog.mirrored, dog.names.len(), warning),
            (Some(vec![0, 2, 1]), 3, None)
        );
        for names in [&[][..], &["tail", "left_paw", "paw"]] {
            let (dog, warning) = Skeleton::of_category(&category(names, 3));
            assert_eq!((dog.count(), dog.mirrored), (3, None));
            assert!(
                warning
                    .unwrap()
                    .ends_with("images are not mirrored in training")
            );
        }
    }
}
