//! Notes on files for people: values that were assumed, entries that do not count, boxes that look wrong.

use std::collections::{BTreeMap, HashSet};

use super::annotations::Category;
use super::ids::{RawId, TextIds};
use super::keypoints;
use super::region::{BBox, Kind};

/// Largest number of ids that a note lists.
const TOLD: usize = 5;

/// Notes on a file, as they are collected.
pub(super) struct Notes<'a> {
    texts: &'a TextIds,
    said: Vec<String>,
    of_no_image: BTreeMap<i64, usize>,
    of_no_category: BTreeMap<i64, usize>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(texts: &'a TextIds) -> Self {
        Self {
            texts,
            said: Vec::new(),
            of_no_image: BTreeMap::new(),
            of_no_category: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, note: Option<String>) {
        self.said.extend(note);
    }

    /// Counts an entry of an image that is not listed.
    pub(super) fn of_no_image(&mut self, image: i64) {
        *self.of_no_image.entry(image).or_default() += 1;
    }

    /// Counts an entry of a category that is not listed.
    pub(super) fn of_no_category(&mut self, category: i64) {
        *self.of_no_category.entry(category).or_default() += 1;
    }

    /// Notes entries that do not count, since their image or their category is not listed.
    pub(super) fn not_counted(&mut self, what: &str, known: impl Iterator<Item = i64>) {
        let lists = [
            ("images", &self.of_no_image),
            ("categories", &self.of_no_category),
        ];
        for (list, unknown) in lists {
            let count: usize = unknown.values().sum();
            if count > 0 {
                let ids = unknown.keys().map(|id| self.texts.show(*id).into_owned());
                self.said.push(format!(
                    "{count} {what} do not count: `{list}` does not list the {list} {}",
                    few(ids)
                ));
            }
        }
        let known: HashSet<i64> = known.collect();
        let unknown = || self.of_no_category.keys();
        let shifted = |by: i64| unknown().all(|id| known.contains(&id.wrapping_add(by)));
        if unknown().next().is_some() && (shifted(1) || shifted(-1)) {
            let by = if shifted(1) {
                "from 0 instead of 1"
            } else {
                "from 1 instead of 0"
            };
            self.said.push(format!(
                "all category ids of the {what} seem to be off by one (counted {by}): then those that count are of the wrong category"
            ));
        }
    }

    /// Notes ids of annotations that are 0 or occur several times.
    pub(super) fn ids<'i>(&mut self, ids: impl Iterator<Item = Option<&'i RawId>>) {
        let (mut seen, mut repeated, mut zeros) = (HashSet::new(), Vec::new(), 0);
        for id in ids.flatten() {
            zeros += usize::from(*id == RawId::Number(0));
            if !seen.insert(id) {
                repeated.push(id.show());
            }
        }
        if zeros > 0 {
            self.said.push(format!(
                "{} the id 0: it is found like any other here, but pycocotools takes a match with it for none and gives lower numbers",
                annotations(zeros, "has", "have")
            ));
        }
        if !repeated.is_empty() {
            let count = repeated.len();
            repeated.dedup();
            self.said.push(format!(
                "{} an id that an annotation before has ({}): each counts here, but pycocotools takes the last of an id for all of them and gives other numbers",
                annotations(count, "has", "have"),
                few(repeated.into_iter())
            ));
        }
    }

    /// Notes the numbers of entries without each of these fields: `id`, `iscrowd`, `area`, `bbox`, `keypoints`,
    /// `num_keypoints`.
    pub(super) fn assumed(&mut self, kind: Kind, entries: impl Iterator<Item = [bool; 6]>) {
        let mut counts = [0; 6];
        let mut total = 0;
        for entry in entries {
            total += 1;
            for (count, missing) in counts.iter_mut().zip(entry) {
                *count += usize::from(missing);
            }
        }
        let [id, crowd, area, bbox, points, labelled] = counts;
        let area_of = if kind == Kind::Mask { "mask" } else { "box" };
        let mut say = |count: usize, field: &str, assumed: &str| {
            if count > 0 {
                let said = format!("{count} of {total} annotations have no `{field}`: {assumed}");
                self.said.push(said);
            }
        };
        say(id, "id", "not needed here, but by pycocotools");
        say(crowd, "iscrowd", "taken as 0");
        say(area, "area", &format!("taken from the {area_of}"));
        if kind == Kind::Keypoints {
            say(
                bbox,
                "bbox",
                "taken as the box around the labelled keypoints",
            );
            say(
                points,
                "keypoints",
                "taken as not labelled, so that they need not be found",
            );
            say(labelled, "num_keypoints", "counted");
        }
        if !self.texts.is_empty() {
            let count = self.texts.len();
            let said = format!(
                "{count} ids of images or categories are texts, put in the order of the alphabet"
            );
            self.said.push(said);
        }
    }

    /// Notes a category that names another number of keypoints than its annotations have.
    pub(super) fn other_names(&mut self, category: &str, named: usize, points: usize) {
        if named > 0 {
            self.said.push(format!(
                "category `{category}` names {named} keypoints, but its annotations have {points}: the names are not used"
            ));
        }
    }

    /// Notes default sigmas that may not fit the keypoints.
    pub(super) fn default_sigmas(&mut self, category: &Category, points: usize) {
        let name = &category.name;
        match points {
            0 => {}
            17 if category.keypoints.is_empty() || keypoints::are_persons(&category.keypoints) => {}
            17 => self.said.push(format!(
                "the keypoints of category `{name}` are named otherwise than those of COCO's persons, whose sigmas are used as in pycocotools: give theirs (score: --sigmas, training: task.sigmas)"
            )),
            points => self.said.push(format!(
                "category `{name}` has {points} keypoints, for which no sigmas are known: {} is used for each: give theirs (score: --sigmas, training: task.sigmas)",
                keypoints::DEFAULT_SIGMA
            )),
        }
    }

    /// All notes.
    pub(super) fn said(self) -> Vec<String> {
        self.said
    }
}

/// A number of annotations, with the verb.
fn annotations(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 annotation {one}"),
        count => format!("{count} annotations {many}"),
    }
}

/// The first few ids, and the number of others.
fn few(ids: impl Iterator<Item = String>) -> String {
    let ids: Vec<String> = ids.collect();
    let told = ids[..ids.len().min(TOLD)].join(", ");
    match ids.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// A note on boxes that look like shares of the image, or like corners, instead of x, y, width, height in
/// pixels. Each box comes with height and width of its image, where they are known.
pub(super) fn suspicious_boxes(
    what: &str,
    boxes: impl Iterator<Item = (BBox, Option<(u32, u32)>)>,
) -> Option<String> {
    let (mut count, mut beyond) = (0, 0);
    let (mut shares, mut broken, mut corners) = (true, false, true);
    for (bbox, size) in boxes {
        let [x, y, width, height] = bbox;
        count += 1;
        shares &= bbox.iter().all(|value| (0.0..=1.0).contains(value));
        broken |= bbox.iter().any(|value| value.fract() != 0.0);
        corners &= width > x && height > y;
        if let Some((rows, columns)) = size {
            let (rows, columns) = (f64::from(rows) + 1.0, f64::from(columns) + 1.0);
            corners &= width <= columns && height <= rows;
            beyond += usize::from(x + width > columns || y + height > rows);
        }
    }
    if count > 0 && shares && broken {
        return Some(format!(
            "all boxes of the {what} lie between 0 and 1: they look like shares of the image, but `bbox` is x, y, width, height in pixels"
        ));
    }
    (beyond > 0 && corners).then(|| {
        format!(
            "the boxes of the {what} look like corners (x1, y1, x2, y2), but `bbox` is x, y, width, height: {beyond} of {count} reach beyond their image"
        )
    })
}
