//! The evaluation, from targets and predictions to its numbers.

use rayon::prelude::*;

use super::accumulate::{Curve, curves};
use super::annotations::{Annotations, Target};
use super::error::{CocoError, Item};
use super::ids::Ids;
use super::matching::{Match, Matcher};
use super::region::{Kind, Region};
use super::results::{Prediction, Results};
use super::rules::{AREAS, Rules};
use super::summary::{CategoryScore, NOTHING, Summary, values};

/// Scores predictions against targets. As in pycocotools, the surest predictions of each image and
/// category count, up to [`Kind::most_predictions`].
///
/// # Errors
/// As for [`evaluate_most`].
pub fn evaluate(annotations: &Annotations, results: &Results) -> Result<Summary, CocoError> {
    evaluate_most(annotations, results, annotations.kind.most_predictions())
}

/// Scores predictions against targets; the `most` surest predictions of each image and category count.
///
/// Runs on rayon's threads; the results do not depend on their number.
///
/// # Errors
/// Predictions of images that the annotations do not have, regions of another kind than the annotations',
/// keypoints of another number than their category's.
pub fn evaluate_most(
    annotations: &Annotations,
    results: &Results,
    most: usize,
) -> Result<Summary, CocoError> {
    let kind = annotations.kind;
    let rules = Rules::of(kind, most);
    let images = Ids::new(annotations.images.iter().map(|image| image.id));
    let categories = Ids::new(annotations.categories.iter().map(|category| category.id));
    let sigmas = sigmas(annotations, &categories);
    let targets = place_targets(annotations, &images, &categories)?;
    let placed = place_predictions(annotations, &results.predictions, &images, &categories)?;
    check_keypoints(&targets, &placed, &sigmas)?;
    let predictions = results.predictions.len() + results.of_no_category;
    let found: Vec<_> = (0..categories.len())
        .into_par_iter()
        .map(|category| {
            let targets = of_category(&targets, category);
            let placed = of_category(&placed, category);
            category_curves(targets, placed, (&rules, sigmas[category]))
        })
        .collect();
    let beyond_limit = found.iter().map(|(_, beyond)| beyond).sum();
    let found: Vec<_> = found.into_iter().map(|(curves, _)| curves).collect();
    Ok(Summary {
        rows: values(&rules, &found),
        categories: category_scores(annotations, &categories, &found),
        images: images.len(),
        targets: targets.len(),
        predictions,
        of_no_category: predictions - placed.len(),
        beyond_limit,
        limit: rules.most_predictions(),
    })
}

/// The sigmas of each category, in the order of their places.
fn sigmas<'a>(annotations: &'a Annotations, ids: &Ids) -> Vec<&'a [f64]> {
    let mut sigmas: Vec<&[f64]> = vec![&[]; ids.len()];
    for category in &annotations.categories {
        if let Some(place) = ids.place(category.id, &mut 0) {
            sigmas[place] = &category.sigmas;
        }
    }
    sigmas
}

/// Fails unless targets, and predictions that are compared with them, have as many keypoints as their category has
/// sigmas.
fn check_keypoints(
    targets: &[Placed<Target>],
    predictions: &[Placed<Prediction>],
    sigmas: &[&[f64]],
) -> Result<(), CocoError> {
    let check = |region: &Region, category: usize, item: Item| match region {
        Region::Keypoints { points, .. } if points.len() != sigmas[category].len() => {
            Err(CocoError::Length {
                item,
                field: "keypoints",
                found: 3 * points.len(),
                expected: 3 * sigmas[category].len(),
            })
        }
        _ => Ok(()),
    };
    for target in targets {
        let (index, id) = (target.index, None);
        let item = Item::Annotation { index, id };
        check(&target.entry.region, target.category, item)?;
    }
    for prediction in predictions {
        // Predictions may have any number of keypoints where the category's is not known: without targets, or
        // without a labelled one.
        let is_known = !sigmas[prediction.category].is_empty();
        if is_known && !of_category(targets, prediction.category).is_empty() {
            let item = Item::Result(prediction.index);
            check(&prediction.entry.region, prediction.category, item)?;
        }
    }
    Ok(())
}

/// A target or a prediction, with the places of its category and its image.
struct Placed<'a, T> {
    category: usize,
    image: usize,
    /// Place in the list of targets or predictions.
    index: usize,
    entry: &'a T,
}

/// The targets that count, in the order of category, image and list.
fn place_targets<'a>(
    annotations: &'a Annotations,
    images: &Ids,
    categories: &Ids,
) -> Result<Vec<Placed<'a, Target>>, CocoError> {
    let (targets, kind) = (&annotations.targets, annotations.kind);
    let mut placed = Vec::with_capacity(targets.len());
    let (mut image, mut category) = (0, 0);
    for (index, entry) in targets.iter().enumerate() {
        check(&entry.region, kind, || Item::Annotation { index, id: None })?;
        let image = images.place(entry.image_id, &mut image);
        let category = categories.place(entry.category_id, &mut category);
        if let (Some(category), Some(image)) = (category, image) {
            placed.push(Placed {
                category,
                image,
                index,
                entry,
            });
        }
    }
    sort(&mut placed);
    Ok(placed)
}

/// The predictions that count, in the order of category, image and list.
fn place_predictions<'a>(
    annotations: &Annotations,
    predictions: &'a [Prediction],
    images: &Ids,
    categories: &Ids,
) -> Result<Vec<Placed<'a, Prediction>>, CocoError> {
    let kind = annotations.kind;
    let mut placed = Vec::with_capacity(predictions.len());
    let (mut image, mut category) = (0, 0);
    for (index, entry) in predictions.iter().enumerate() {
        let item = Item::Result(index);
        check(&entry.region, kind, || item)?;
        let Some(image) = images.place(entry.image_id, &mut image) else {
            let image = annotations.texts.show(entry.image_id).into_owned();
            return Err(CocoError::UnknownImage { item, image });
        };
        if let Some(category) = categories.place(entry.category_id, &mut category) {
            placed.push(Placed {
                category,
                image,
                index,
                entry,
            });
        }
    }
    sort(&mut placed);
    Ok(placed)
}

fn sort<T: Sync>(placed: &mut [Placed<T>]) {
    placed.par_sort_unstable_by_key(|placed| (placed.category, placed.image, placed.index));
}

/// Fails unless a region is of the kind that is evaluated.
fn check(region: &Region, expected: Kind, item: impl FnOnce() -> Item) -> Result<(), CocoError> {
    match region.kind() {
        found if found == expected => Ok(()),
        found => Err(CocoError::Region {
            item: item(),
            found,
            expected,
        }),
    }
}

/// The entries of sorted ones that belong to one category.
fn of_category<'p, 'a, T>(placed: &'p [Placed<'a, T>], category: usize) -> &'p [Placed<'a, T>] {
    let start = placed.partition_point(|placed| placed.category < category);
    let end = placed.partition_point(|placed| placed.category <= category);
    &placed[start..end]
}

/// Targets and predictions of one image and category.
type Cell<'p, 'a> = (&'p [Placed<'a, Target>], &'p [Placed<'a, Prediction>]);

/// The images of a category with any target or prediction, in their order.
fn cells<'p, 'a>(
    mut targets: &'p [Placed<'a, Target>],
    mut predictions: &'p [Placed<'a, Prediction>],
) -> Vec<Cell<'p, 'a>> {
    let mut cells = Vec::new();
    loop {
        let first = targets.first().map(|target| target.image);
        let other = predictions.first().map(|prediction| prediction.image);
        let Some(image) = first.into_iter().chain(other).min() else {
            return cells;
        };
        let (here, later) = split(targets, image);
        targets = later;
        let (there, later) = split(predictions, image);
        predictions = later;
        cells.push((here, there));
    }
}

/// The entries of an image, which is the first one, and those of later ones.
fn split<'p, 'a, T>(
    placed: &'p [Placed<'a, T>],
    image: usize,
) -> (&'p [Placed<'a, T>], &'p [Placed<'a, T>]) {
    let end = placed.iter().position(|placed| placed.image != image);
    placed.split_at(end.unwrap_or(placed.len()))
}

/// Images that are matched in one go.
const CELLS_A_TASK: usize = 128;

/// The curves of a category, and the number of its predictions beyond the limit.
fn category_curves(
    targets: &[Placed<Target>],
    predictions: &[Placed<Prediction>],
    (rules, sigmas): (&Rules, &[f64]),
) -> ([Option<Curve>; AREAS], usize) {
    let parts: Vec<Matched> = cells(targets, predictions)
        .par_chunks(CELLS_A_TASK)
        .map(|cells| Matched::new(cells, rules, sigmas))
        .collect();
    let mut to_find = [0; AREAS];
    for part in &parts {
        for (sum, count) in to_find.iter_mut().zip(&part.to_find) {
            *sum += count;
        }
    }
    let beyond = parts.iter().map(|part| part.beyond).sum();
    let matches: Vec<Match> = parts.into_iter().flat_map(|part| part.matches).collect();
    (curves(&matches, &to_find, rules), beyond)
}

/// Outcomes of the predictions of some images.
#[derive(Default)]
struct Matched {
    matches: Vec<Match>,
    /// Number of targets to find.
    to_find: [u64; AREAS],
    /// Number of predictions beyond the limit.
    beyond: usize,
}

impl Matched {
    fn new(cells: &[Cell], rules: &Rules, sigmas: &[f64]) -> Self {
        let mut matcher = Matcher::new(rules, sigmas);
        let mut matched = Self::default();
        let (mut targets, mut predictions) = (Vec::new(), Vec::new());
        for cell in cells {
            targets.clear();
            targets.extend(cell.0.iter().map(|target| target.entry));
            predictions.clear();
            predictions.extend(cell.1.iter().map(|prediction| prediction.entry));
            let (matches, to_find) = (&mut matched.matches, &mut matched.to_find);
            matched.beyond += matcher.add(&targets, &mut predictions, matches, to_find);
        }
        matched
    }
}

/// The categories with their AP, in the order of their ids.
fn category_scores(
    annotations: &Annotations,
    ids: &Ids,
    found: &[[Option<Curve>; AREAS]],
) -> Vec<CategoryScore> {
    let mut names = vec![""; ids.len()];
    for category in &annotations.categories {
        if let Some(place) = ids.place(category.id, &mut 0) {
            names[place] = &category.name;
        }
    }
    let score = |((&id, name), curves): ((&i64, &str), &[Option<Curve>; AREAS])| CategoryScore {
        id,
        name: name.to_owned(),
        ap: curves[0].as_ref().map_or(NOTHING, Curve::ap),
    };
    ids.iter().zip(names).zip(found).map(score).collect()
}
