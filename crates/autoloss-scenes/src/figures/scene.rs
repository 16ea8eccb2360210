//! Composition of a scene: background, figures, an object before them, and the visible part of each figure.

use std::ops::{Range, RangeInclusive};

use autoloss_metrics::coco::Mask;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::body::{HIDDEN_EAR, Member, Outfit, Part, Placement, dressed};
use super::draw::{Canvas, Shape, crate_box, dull, post, rail};
use super::pose::{Build, EAR, KEYPOINTS, SHOULDER, Skeleton};
use autoloss_data::{Keypoints, Object};

/// Figures in a scene.
const FIGURES: RangeInclusive<u8> = 1..=3;
/// Height of a person standing upright, as a share of the scene's side.
const HEIGHT: Range<f32> = 0.4..0.9;
/// Share of figures that may reach beyond the border, and by how much of the scene's side.
const BEYOND: f64 = 0.2;
const SHIFT: f32 = 0.4;
/// Places tried to keep figures from hiding each other, and the share of a figure's extent that
/// may lie on another's.
const PLACES: usize = 5;
const OVERLAP: f32 = 0.35;
/// Share of scenes with a post, rail or box before a figure.
const OCCLUDED: f64 = 0.35;
/// Figures of fewer visible pixels are left out.
const LEAST_PIXELS: u32 = 30;
/// Owner of the pixels of a post, rail or box.
const OCCLUDER: u8 = u8::MAX;

/// A person in a scene.
pub(super) struct Figure {
    pub(super) skeleton: Skeleton,
    pub(super) place: Placement,
    parts: Vec<Part>,
    /// Least x, least y, greatest x and greatest y, in pixels.
    extent: [f32; 4],
}

/// A scene of `size` rows and columns: RGB bytes and the figures in it, from the farthest to the
/// nearest.
pub(super) fn compose(size: usize, rng: &mut ChaCha8Rng) -> (Vec<u8>, Vec<Object>) {
    let mut canvas = Canvas::new(size, rng);
    let mut figures: Vec<Figure> = Vec::new();
    for _ in 0..rng.random_range(FIGURES) {
        figures.push(Figure::random(size, &figures, rng));
    }
    // A figure whose feet are lower in the picture is nearer.
    figures.sort_by(|a, b| a.extent[3].total_cmp(&b.extent[3]));
    let hidden = rng
        .random_bool(OCCLUDED)
        .then(|| rng.random_range(0..figures.len() as u8));
    for (index, figure) in figures.iter().enumerate() {
        figure.draw(&mut canvas, index);
        if hidden == Some(index as u8) {
            canvas.paint(&occluder(figure, size as f32, rng), dull(rng), OCCLUDER);
        }
    }
    let objects = figures
        .iter()
        .enumerate()
        .filter_map(|(index, figure)| figure.object(&canvas, index))
        .collect();
    (canvas.exposed(rng), objects)
}

impl Figure {
    /// A random person at a random place, with little overlap with others if such a place is found.
    fn random(size: usize, others: &[Self], rng: &mut ChaCha8Rng) -> Self {
        let side = size as f32;
        let build = Build::random(rng);
        let skeleton = Skeleton::random(&build, rng);
        let outfit = Outfit::random(rng);
        let height = side * rng.random_range(HEIGHT);
        let shift = if rng.random_bool(BEYOND) {
            SHIFT * side
        } else {
            0.0
        };
        let reach = skeleton.extent(&build).map(|share| share * height);
        let mut origin = [0.0; 2];
        let mut extent = reach;
        for _ in 0..PLACES {
            for axis in [0, 1] {
                // From touching one border to touching the other.
                let (low, high) = (-reach[axis], side - reach[axis + 2]);
                origin[axis] = low + (high - low) * rng.random::<f32>();
                origin[axis] += shift * rng.random_range(-1.0..1.0f32);
                extent[axis] = reach[axis] + origin[axis];
                extent[axis + 2] = reach[axis + 2] + origin[axis];
            }
            if others
                .iter()
                .all(|other| overlap(&extent, &other.extent) <= OVERLAP)
            {
                break;
            }
        }
        let place = Placement { origin, height };
        Self {
            parts: dressed(&skeleton, &build, &outfit, place),
            skeleton,
            place,
            extent,
        }
    }

    fn draw(&self, canvas: &mut Canvas, index: usize) {
        for part in &self.parts {
            canvas.paint(&part.shape, part.colour, owner(index, part.member));
        }
    }

    /// The visible part of the figure in the complete scene; none for too small a part.
    fn object(&self, canvas: &Canvas, index: usize) -> Option<Object> {
        let size = canvas.size;
        let mut bitmap = vec![0; size * size];
        let (mut least, mut most) = ([size; 2], [0; 2]);
        for (at, &shown) in canvas.owners.iter().enumerate() {
            if member_of(index, shown).is_some() {
                bitmap[at] = 1;
                for (axis, place) in [at % size, at / size].into_iter().enumerate() {
                    least[axis] = least[axis].min(place);
                    most[axis] = most[axis].max(place + 1);
                }
            }
        }
        let mask = Mask::from_bitmap(&bitmap, size as u32, size as u32)
            .expect("the bitmap has the size of the scene");
        let keypoints = self.keypoints(canvas, index);
        let labelled = keypoints.iter().any(|&[_, _, visibility]| visibility > 0.0);
        (mask.area() >= LEAST_PIXELS && labelled).then(|| Object {
            class: 0,
            corners: [least[0], least[1], most[0], most[1]].map(|corner| corner as f32),
            area: f64::from(mask.area()),
            crowd: false,
            mask: Some(mask),
            keypoints: Some(keypoints),
        })
    }

    fn keypoints(&self, canvas: &Canvas, index: usize) -> Keypoints {
        let mut keypoints = vec![[0.0; 3]; KEYPOINTS];
        for (keypoint, &joint) in self.skeleton.joints.iter().enumerate() {
            let [x, y] = self.place.point(joint);
            let Some(shown) = canvas.owner_at([x, y]) else {
                continue;
            };
            if self.faces_away(keypoint) {
                continue;
            }
            let member = member_of(index, shown);
            let visible = member.is_some_and(|member| member.shows(keypoint));
            keypoints[keypoint] = [x, y, if visible { 2.0 } else { 1.0 }];
        }
        keypoints
    }

    /// True for a keypoint of the face on the far side of the head. Like COCO's annotators, the data set does not label
    /// it.
    fn faces_away(&self, keypoint: usize) -> bool {
        match keypoint {
            0..EAR => self.skeleton.facing[keypoint] <= 0.0,
            EAR..SHOULDER => self.skeleton.facing[keypoint] <= HIDDEN_EAR,
            _ => false,
        }
    }
}

/// Owner of the pixels of a member of a figure.
fn owner(index: usize, member: Member) -> u8 {
    1 + 8 * index as u8 + member as u8
}

/// The member of a figure that owns a pixel, if one does.
fn member_of(index: usize, shown: u8) -> Option<Member> {
    Member::from_code(shown.checked_sub(owner(index, Member::Head))?)
}

/// A post, rail or box before a joint of a figure.
fn occluder(figure: &Figure, side: f32, rng: &mut ChaCha8Rng) -> Shape {
    let joint = rng.random_range(0..KEYPOINTS as u8);
    let [x, y] = figure
        .place
        .point(figure.skeleton.joints[usize::from(joint)]);
    let thickness = side * rng.random_range(0.02..0.06f32);
    let mut half = || side * rng.random_range(0.06..0.18f32);
    let halves = [half(), half()];
    match rng.random_range(0..3u8) {
        0 => post(x, side, thickness),
        1 => rail(y, side, thickness),
        _ => crate_box([x, y], halves),
    }
}

/// The share of the smaller of two boxes that lies in the other.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let along = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0.0);
    let area = |c: &[f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    along(0) * along(1) / area(a).min(area(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_told_apart() {
        for index in 0..3 {
            assert_eq!(member_of(index, 0), None);
            assert_eq!(member_of(index, OCCLUDER), None);
            for other in 0..3 {
                for member in [Member::Head, Member::LeftArm, Member::Skirt] {
                    let expected = (index == other).then_some(member);
                    assert_eq!(member_of(index, owner(other, member)), expected);
                }
            }
        }
    }

    #[test]
    fn overlap_of_boxes_worked_by_hand() {
        let (a, b) = ([0.0, 0.0, 10.0, 10.0], [5.0, 8.0, 9.0, 13.0]);
        assert_eq!(overlap(&a, &b), 0.4);
        assert_eq!(overlap(&b, &a), 0.4);
        assert_eq!(overlap(&a, &[11.0, 0.0, 12.0, 4.0]), 0.0);
    }
}
