//! The evaluation, from targets and predictions to its numbers.

use rayon::prelude::*;

use super::accumulate::{Curve, curves};
use super::annotations::{Annotations, Target};
use super::error::{CocoError, Item};
use super::matching::{Match, Matcher};
use super::results::{Prediction, Results};
use super::summary::{AREAS, CategoryScore, NOTHING, Rules, Summary};
use super::{Kind, Shape};

/// Scores predictions against targets.
///
/// Runs on rayon's threads; the numbers do not depend on how many there are.
///
/// # Errors
/// Predictions of images that the annotations do not have, shapes of another
/// kind than the annotations'.
pub fn evaluate(annotations: &Annotations, results: &Results) -> Result<Summary, CocoError> {
    let kind = annotations.kind;
    let rules = Rules::of(kind);
    let images = Ids::new(annotations.images.iter().map(|image| image.id));
    let categories = Ids::new(annotations.categories.iter().map(|category| category.id));
    let targets = place_targets(&annotations.targets, kind, &images, &categories)?;
    let placed = place_predictions(&results.predictions, kind, &images, &categories)?;
    let predictions = results.predictions.len() + results.of_no_category;
    let found: Vec<_> = (0..categories.sorted.len())
        .into_par_iter()
        .map(|category| {
            let targets = of_category(&targets, category);
            category_curves(targets, of_category(&placed, category), &rules)
        })
        .collect();
    Ok(Summary {
        rows: rules.values(&found),
        categories: category_scores(annotations, &categories, &found),
        images: images.sorted.len(),
        targets: targets.len(),
        predictions,
        of_no_category: predictions - placed.len(),
    })
}

/// The ids of images or categories; their places are in this order.
struct Ids {
    sorted: Vec<i64>,
}

impl Ids {
    fn new(ids: impl Iterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = ids.collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    /// The place of an id; `guess`, where the last one was found, is looked at first.
    fn place(&self, id: i64, guess: &mut usize) -> Option<usize> {
        if self.sorted.get(*guess) != Some(&id) {
            *guess = self.sorted.binary_search(&id).ok()?;
        }
        Some(*guess)
    }
}

/// A target or a prediction, with the places of its category and its image.
struct Placed<'a, T> {
    category: usize,
    image: usize,
    /// Its place in the list.
    index: usize,
    entry: &'a T,
}

/// The targets that count, in the order of category, image and list.
fn place_targets<'a>(
    targets: &'a [Target],
    kind: Kind,
    images: &Ids,
    categories: &Ids,
) -> Result<Vec<Placed<'a, Target>>, CocoError> {
    let mut placed = Vec::with_capacity(targets.len());
    let (mut image, mut category) = (0, 0);
    for (index, entry) in targets.iter().enumerate() {
        check(&entry.shape, kind, || Item::Annotation {
            index,
            id: Some(entry.id),
        })?;
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
    predictions: &'a [Prediction],
    kind: Kind,
    images: &Ids,
    categories: &Ids,
) -> Result<Vec<Placed<'a, Prediction>>, CocoError> {
    let mut placed = Vec::with_capacity(predictions.len());
    let (mut image, mut category) = (0, 0);
    for (index, entry) in predictions.iter().enumerate() {
        let item = Item::Result(index);
        check(&entry.shape, kind, || item)?;
        let Some(image) = images.place(entry.image_id, &mut image) else {
            let image = entry.image_id;
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

/// Fails unless a shape is of the kind that is evaluated.
fn check(shape: &Shape, expected: Kind, item: impl FnOnce() -> Item) -> Result<(), CocoError> {
    match shape.kind() {
        found if found == expected => Ok(()),
        found => Err(CocoError::Shape {
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

/// The curves of a category.
fn category_curves(
    targets: &[Placed<Target>],
    predictions: &[Placed<Prediction>],
    rules: &Rules,
) -> [Option<Curve>; AREAS] {
    let parts: Vec<(Vec<Match>, [u64; AREAS])> = cells(targets, predictions)
        .par_chunks(CELLS_A_TASK)
        .map(|cells| matches(cells, rules))
        .collect();
    let mut to_find = [0; AREAS];
    for (_, part) in &parts {
        for (sum, count) in to_find.iter_mut().zip(part) {
            *sum += count;
        }
    }
    let matches: Vec<Match> = parts.into_iter().flat_map(|(matches, _)| matches).collect();
    curves(&matches, &to_find, rules)
}

/// What becomes of the predictions, and how many targets there are to find.
fn matches(cells: &[Cell], rules: &Rules) -> (Vec<Match>, [u64; AREAS]) {
    let mut matcher = Matcher::new(rules);
    let (mut matches, mut to_find) = (Vec::new(), [0; AREAS]);
    let (mut targets, mut predictions) = (Vec::new(), Vec::new());
    for cell in cells {
        targets.clear();
        targets.extend(cell.0.iter().map(|target| target.entry));
        predictions.clear();
        predictions.extend(cell.1.iter().map(|prediction| prediction.entry));
        matcher.add(&targets, &mut predictions, &mut matches, &mut to_find);
    }
    (matches, to_find)
}

/// The categories with their AP, in the order of their ids.
fn category_scores(
    annotations: &Annotations,
    ids: &Ids,
    found: &[[Option<Curve>; AREAS]],
) -> Vec<CategoryScore> {
    let mut names = vec![""; ids.sorted.len()];
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
    ids.sorted.iter().zip(names).zip(found).map(score).collect()
}
