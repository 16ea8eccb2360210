//! Sigmas of the keypoints of the file's categories.

use std::collections::HashMap;

use super::entry::{AnnotationEntry, Counted, item};
use crate::coco::annotations::Category;
use crate::coco::error::CocoError;
use crate::coco::fields::need;
use crate::coco::keypoints;
use crate::coco::notes::Notes;

/// Gives each category its sigmas, as many as its targets have keypoints.
pub(super) fn number_keypoints(
    categories: &mut [Category],
    entries: &[AnnotationEntry],
    counted: &[Counted],
    sigmas: Option<&[f64]>,
    notes: &mut Notes<'_>,
) -> Result<(), CocoError> {
    let mut first: HashMap<i64, usize> = HashMap::new();
    for &Counted {
        index, category, ..
    } in counted
    {
        let points = entries[index].keypoints.as_ref();
        let points = points.map_or(0, |numbers| numbers.len() / 3);
        if points > 0 {
            first.entry(category).or_insert(points);
        }
    }
    if let (true, Some(entry)) = (first.is_empty(), counted.first())
        && categories
            .iter()
            .all(|category| category.keypoints.is_empty())
    {
        let item = item(entry.index, entries[entry.index].id.as_ref());
        need(
            None::<()>,
            item,
            "keypoints",
            "x, y and visibility of each keypoint",
        )?;
    }
    for category in categories {
        let named = category.keypoints.len();
        let points = first.get(&category.id).copied().unwrap_or(named);
        if points != named {
            notes.other_names(&category.name, named, points);
            category.keypoints.clear();
            category.skeleton.clear();
        }
        category
            .skeleton
            .retain(|pair| pair.iter().all(|place| *place < points));
        category.sigmas = match sigmas {
            Some(sigmas) if points > 0 => checked(sigmas, points, &category.name)?,
            _ => {
                notes.default_sigmas(category, points);
                keypoints::sigmas(points)
            }
        };
    }
    Ok(())
}

/// The given sigmas; fails unless there is one for each keypoint.
fn checked(sigmas: &[f64], points: usize, category: &str) -> Result<Vec<f64>, CocoError> {
    if sigmas.len() != points {
        return Err(CocoError::Sigmas(format!(
            "{} sigmas given, but category `{category}` has {points} keypoints: expected one sigma for each",
            sigmas.len()
        )));
    }
    if let Some(sigma) = sigmas
        .iter()
        .find(|sigma| !(**sigma > 0.0 && sigma.is_finite()))
    {
        return Err(CocoError::Sigmas(format!(
            "a sigma of {sigma}: expected numbers above 0, such as 0.026"
        )));
    }
    Ok(sigmas.to_vec())
}
