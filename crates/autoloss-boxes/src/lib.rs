//! Boxes: overlap, the coding of a box relative to a reference, and non-maximum suppression. Plain numbers on the
//! host, without any dependency.
//!
//! A box is x1, y1, x2, y2 in pixels, its area (x2 - x1) · (y2 - y1). A box whose sides are in the wrong order has area 0.
//!
//! ```
//! use autoloss_boxes::{decode, encode, iou};
//!
//! let (reference, object) = ([0.0, 0.0, 10.0, 10.0], [2.0, 0.0, 12.0, 10.0]);
//! assert!((iou(reference, object) - 80.0 / 120.0).abs() < 1e-6);
//! let deltas = encode(reference, object, [1.0; 4]);
//! assert!((iou(decode(reference, deltas, [1.0; 4]), object) - 1.0).abs() < 1e-6);
//! ```

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod pairs;

pub use pairs::BoxPairs;

/// A box in pixels: x and y of its upper left corner, x and y of its lower right one.
pub type Corners = [f32; 4];

/// A region of an image of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roi {
    /// Position of the image in the batch.
    pub image: usize,
    /// The region, in pixels of the image.
    pub corners: Corners,
}

/// Weights of the four deltas of a region proposal.
pub const PROPOSAL_WEIGHTS: [f32; 4] = [1.0, 1.0, 1.0, 1.0];

/// Weights of the four deltas of the box head (Girshick 2015: targets are
/// divided by standard deviations 0.1, 0.1, 0.2, 0.2).
pub const HEAD_WEIGHTS: [f32; 4] = [10.0, 10.0, 5.0, 5.0];

/// Largest logarithm of a change of size that [`decode`] applies: ln(1000/16).
pub const MAX_LOG_SIZE: f32 = 4.135_166_6;

/// Smallest side, in pixels, that [`encode`] takes the logarithm of.
const MIN_SIDE: f32 = 1e-3;

/// Area of the box in square pixels, at least 0.
#[inline]
pub fn area(b: Corners) -> f32 {
    (b[2] - b[0]).max(0.0) * (b[3] - b[1]).max(0.0)
}

/// Area of intersection over area of union, in [0, 1]; 0 where the union is
/// empty.
#[inline]
pub fn iou(a: Corners, b: Corners) -> f32 {
    let Overlap {
        intersection,
        union,
        ..
    } = overlap(a, b);
    if union == 0.0 {
        0.0
    } else {
        intersection / union
    }
}

/// The part of the box inside an image of `width` × `height` pixels.
#[inline]
pub fn clip(b: Corners, [width, height]: [f32; 2]) -> Corners {
    [
        b[0].clamp(0.0, width),
        b[1].clamp(0.0, height),
        b[2].clamp(0.0, width),
        b[3].clamp(0.0, height),
    ]
}

/// Centre and side lengths: x, y, width, height.
#[inline]
fn centred([x1, y1, x2, y2]: Corners) -> [f32; 4] {
    let (width, height) = (x2 - x1, y2 - y1);
    [x1 + 0.5 * width, y1 + 0.5 * height, width, height]
}

/// Deltas from `reference` to `target` (Ren et al. 2015, equation 2):
/// shift of the centre in sides of the reference, logarithm of the ratio of
/// the sides, each times its weight.
///
/// Sides count as at least a thousandth of a pixel, so that finite boxes give
/// finite deltas.
#[inline]
pub fn encode(reference: Corners, target: Corners, weights: [f32; 4]) -> [f32; 4] {
    let [x, y, width, height] = centred(reference);
    let [target_x, target_y, target_width, target_height] = centred(target);
    let (width, height) = (width.max(MIN_SIDE), height.max(MIN_SIDE));
    [
        weights[0] * (target_x - x) / width,
        weights[1] * (target_y - y) / height,
        weights[2] * (target_width.max(MIN_SIDE) / width).ln(),
        weights[3] * (target_height.max(MIN_SIDE) / height).ln(),
    ]
}

/// The box at these deltas from `reference`: the inverse of [`encode`], with the logarithms limited to
/// [`MAX_LOG_SIZE`].
#[inline]
pub fn decode(reference: Corners, deltas: [f32; 4], weights: [f32; 4]) -> Corners {
    let [x, y, width, height] = centred(reference);
    let x = x + deltas[0] / weights[0] * width;
    let y = y + deltas[1] / weights[1] * height;
    let width = width * (deltas[2] / weights[2]).min(MAX_LOG_SIZE).exp();
    let height = height * (deltas[3] / weights[3]).min(MAX_LOG_SIZE).exp();
    [
        x - 0.5 * width,
        y - 0.5 * height,
        x + 0.5 * width,
        y + 0.5 * height,
    ]
}

/// Gradient of the deltas of [`decode`], from the gradient `corners` of the decoded box. It is 0 for a logarithm beyond
/// the limit.
pub fn decode_gradient(
    reference: Corners,
    deltas: [f32; 4],
    weights: [f32; 4],
    corners: [f32; 4],
) -> [f32; 4] {
    let [_, _, width, height] = centred(reference);
    let side = |axis: usize, length: f32| {
        let log = deltas[axis + 2] / weights[axis + 2];
        if log > MAX_LOG_SIZE {
            return 0.0;
        }
        0.5 * (corners[axis + 2] - corners[axis]) * length * log.exp() / weights[axis + 2]
    };
    [
        (corners[0] + corners[2]) * width / weights[0],
        (corners[1] + corners[3]) * height / weights[1],
        side(0, width),
        side(1, height),
    ]
}

/// Areas of the intersection, the union and the enclosing box of two boxes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Area of the intersection.
    pub intersection: f32,
    /// Area of the union.
    pub union: f32,
    /// Area of the smallest box that holds both.
    pub enclosing: f32,
}

/// The areas of two boxes, in square pixels.
#[inline]
pub fn overlap(a: Corners, b: Corners) -> Overlap {
    let intersection = area(inner(a, b));
    Overlap {
        intersection,
        union: area(a) + area(b) - intersection,
        enclosing: area(outer(a, b)),
    }
}

#[inline]
fn inner(a: Corners, b: Corners) -> Corners {
    [
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ]
}

#[inline]
fn outer(a: Corners, b: Corners) -> Corners {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}

/// Gradient of the corners of `a`, from the gradients of the three areas of [`overlap`].
///
/// Coinciding corners of the two boxes get half of the gradient each, as in PyTorch's
/// `maximum`; the area of a box without extent has gradient 0.
pub fn overlap_gradient(
    a: Corners,
    b: Corners,
    intersection: f32,
    union: f32,
    enclosing: f32,
) -> [f32; 4] {
    let own = area_gradient(a);
    let inner = area_gradient(inner(a, b));
    let outer = area_gradient(outer(a, b));
    let mut gradient = [0.0; 4];
    for corner in 0..4 {
        // Derivative of the larger of the two corners by the corner of `a`.
        let larger = if a[corner] > b[corner] {
            1.0
        } else if a[corner] == b[corner] {
            0.5
        } else {
            0.0
        };
        let (inner_share, outer_share) = if corner < 2 {
            (larger, 1.0 - larger)
        } else {
            (1.0 - larger, larger)
        };
        gradient[corner] = union * own[corner]
            + (intersection - union) * inner_share * inner[corner]
            + enclosing * outer_share * outer[corner];
    }
    gradient
}

/// Distance and difference in aspect of two boxes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offset {
    /// Squared distance of the centres, as a share of the squared diagonal of the smallest box that
    /// holds both (Zheng et al. 2020, arXiv 1911.08287).
    pub distance: f32,
    /// 4/π² times the squared difference of the angles atan(width / height) (Zheng et al. 2020).
    pub aspect: f32,
}

/// Distance and aspect of two boxes; 0 where the enclosing box is a point.
pub fn offset(a: Corners, b: Corners) -> Offset {
    let (squared, diagonal) = centre_distance(a, b);
    Offset {
        distance: if diagonal > 0.0 {
            squared / diagonal
        } else {
            0.0
        },
        aspect: ASPECT * (angle(b) - angle(a)).powi(2),
    }
}

/// 4 / π².
pub const ASPECT: f32 = 0.405_284_73;

/// The squared distance of the centres, and the squared diagonal of the enclosing box.
fn centre_distance(a: Corners, b: Corners) -> (f32, f32) {
    let outer = outer(a, b);
    let of = |axis: usize| {
        let apart = 0.5 * (a[axis] + a[axis + 2] - b[axis] - b[axis + 2]);
        (apart.powi(2), (outer[axis + 2] - outer[axis]).powi(2))
    };
    let (x, y) = (of(0), of(1));
    (x.0 + y.0, x.1 + y.1)
}

/// Angle of a box in radians: atan(width / height).
pub fn angle(b: Corners) -> f32 {
    (b[2] - b[0]).atan2(b[3] - b[1])
}

/// Gradient of the corners of `a`, from the gradients of the two numbers of [`offset`].
///
/// Of coinciding corners of the two boxes each gets half of the gradient of the enclosing box.
pub fn offset_gradient(a: Corners, b: Corners, distance: f32, aspect: f32) -> [f32; 4] {
    let (squared, diagonal) = centre_distance(a, b);
    let outer = outer(a, b);
    let mut gradient = [0.0; 4];
    if diagonal > 0.0 {
        for corner in 0..4 {
            let axis = corner % 2;
            let apart = 0.5 * (a[axis] + a[axis + 2] - b[axis] - b[axis + 2]);
            let outwards = if corner < 2 { -1.0 } else { 1.0 };
            let beyond = (a[corner] - b[corner]) * outwards;
            let share = if beyond == 0.0 {
                0.5
            } else {
                f32::from(u8::from(beyond > 0.0))
            };
            let grows = 2.0 * (outer[axis + 2] - outer[axis]) * outwards * share;
            gradient[corner] = distance * (apart - squared / diagonal * grows) / diagonal;
        }
    }
    let (width, height) = (a[2] - a[0], a[3] - a[1]);
    let hypotenuse = width * width + height * height;
    if hypotenuse > 0.0 {
        let by_angle = -2.0 * ASPECT * aspect * (angle(b) - angle(a)) / hypotenuse;
        let (of_width, of_height) = (by_angle * height, -by_angle * width);
        for (corner, g) in [-of_width, -of_height, of_width, of_height]
            .into_iter()
            .enumerate()
        {
            gradient[corner] += g;
        }
    }
    gradient
}

fn area_gradient(b: Corners) -> [f32; 4] {
    let (width, height) = (b[2] - b[0], b[3] - b[1]);
    if width > 0.0 && height > 0.0 {
        [-height, -width, height, width]
    } else {
        [0.0; 4]
    }
}

/// Indices of the boxes that survive non-maximum suppression, best first: in
/// order of falling score (equal scores by index, NaN last) a box is kept
/// unless its [`iou`] with a kept one is above `threshold`.
///
/// # Panics
/// If there are not as many scores as boxes.
pub fn nms(boxes: &[Corners], scores: &[f32], threshold: f32) -> Vec<usize> {
    suppress(boxes, scores, threshold, |_, _| true)
}

/// [`nms`] within each class: boxes of different classes do not suppress each
/// other.
///
/// # Panics
/// If there are not as many scores and classes as boxes.
pub fn batched_nms(
    boxes: &[Corners],
    scores: &[f32],
    classes: &[usize],
    threshold: f32,
) -> Vec<usize> {
    assert_eq!(boxes.len(), classes.len(), "one class a box");
    suppress(boxes, scores, threshold, |a, b| classes[a] == classes[b])
}

fn suppress(
    boxes: &[Corners],
    scores: &[f32],
    threshold: f32,
    rivals: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    assert_eq!(boxes.len(), scores.len(), "one score a box");
    let mut kept: Vec<usize> = Vec::new();
    for index in by_falling_score(scores) {
        let beaten = kept
            .iter()
            .any(|&better| rivals(better, index) && iou(boxes[better], boxes[index]) > threshold);
        if !beaten {
            kept.push(index);
        }
    }
    kept
}

/// Indices of the scores, highest first, equal ones by index, NaN last.
pub fn by_falling_score(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (scores[a], scores[b]);
        b.partial_cmp(&a)
            .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    order
}

#[cfg(test)]
mod tests;
