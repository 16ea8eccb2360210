//! Polygons drawn as masks, pixel by pixel as COCO draws them.
//!
//! COCO draws the outline on a grid five times as fine, walks along the outline in
//! steps of one, and notes where it passes from one column of pixels to the next.
//! Only these places matter. Here they are computed for each column that an edge
//! crosses, without the walk.

use std::ops::Range;

use super::Mask;
use super::error::MaskError;
use crate::coco::limits::MAX_CROSSINGS;

/// Steps of the fine grid in a pixel.
const SCALE: i32 = 5;

/// The largest coordinate: differences on the fine grid fit 32 bits.
const LARGEST: f64 = 1e8;

impl Mask {
    /// The union of polygons, each a list of x and y in turn, on an image of
    /// `height` rows and `width` columns.
    ///
    /// Further polygons after the first may have any number of points; one of
    /// less than three covers nothing or a line.
    ///
    /// # Errors
    /// No polygon, a first one of less than five numbers, coordinates beyond
    /// ±1e8, outlines that cross more than 2²⁰ columns of pixels in all, an image
    /// without pixels or with too many.
    ///
    /// ```
    /// use autoloss_metrics::coco::Mask;
    ///
    /// let square = vec![1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0];
    /// assert_eq!(Mask::from_polygons(&[square], 4, 4)?.area(), 4);
    /// # Ok::<(), autoloss_metrics::coco::MaskError>(())
    /// ```
    pub fn from_polygons(
        polygons: &[Vec<f64>],
        height: u32,
        width: u32,
    ) -> Result<Self, MaskError> {
        match polygons.first().map(Vec::len) {
            None => return Err(MaskError::NoPolygon),
            Some(few) if few <= 4 => return Err(MaskError::FewPoints(few)),
            Some(_) => {}
        }
        if height == 0 || width == 0 {
            return Err(MaskError::NoPixels { height, width });
        }
        // An empty mask of the size is refused where the drawn one would be too large.
        Self::from_runs(Vec::new(), height, width)?;
        let mut spans = Vec::new();
        let mut crossings = Vec::new();
        let mut allowed = MAX_CROSSINGS;
        for polygon in polygons {
            crossings.clear();
            outline(polygon, height, width, allowed, &mut crossings)?;
            allowed -= crossings.len();
            fill(&mut crossings, height * width, &mut spans);
        }
        Self::from_spans(&mut spans, height, width)
    }
}

/// Adds the pixels at which the outline of a polygon changes between inside and
/// outside, in any order, of which `allowed` may be added.
fn outline(
    polygon: &[f64],
    height: u32,
    width: u32,
    allowed: usize,
    crossings: &mut Vec<u32>,
) -> Result<(), MaskError> {
    let points = polygon.chunks_exact(2);
    let points: Vec<[i32; 2]> = points
        .map(|point| Ok([fine(point[0])?, fine(point[1])?]))
        .collect::<Result<_, MaskError>>()?;
    for (index, &from) in points.iter().enumerate() {
        let to = points[(index + 1) % points.len()];
        if crossings.len() + columns(from, to, width).len() > allowed {
            return Err(MaskError::LongOutline);
        }
        edge(from, to, width, |column, y| {
            // The fine row y lies below as many pixels of the column; COCO's
            // ⌈(y + ½) / 5 − ½⌉.
            let rows = (y + 2).div_euclid(SCALE).max(0);
            crossings.push(column * height + height.min(rows as u32));
        });
    }
    Ok(())
}

/// A coordinate on the fine grid, rounded towards zero as C does.
fn fine(coordinate: f64) -> Result<i32, MaskError> {
    match coordinate.abs() <= LARGEST {
        true => Ok((f64::from(SCALE) * coordinate + 0.5) as i32),
        false => Err(MaskError::Coordinate(coordinate)),
    }
}

/// The columns of the image over the middle of whose pixels an edge passes.
///
/// The middle of column q lies between the fine columns 5q + 2 and 5q + 3.
fn columns(from: [i32; 2], to: [i32; 2], width: u32) -> Range<u32> {
    let (left, right) = (from[0].min(to[0]), from[0].max(to[0]));
    let first = (left - 2 + SCALE - 1).div_euclid(SCALE).max(0);
    let last = (right - 3).div_euclid(SCALE);
    first as u32..width.min((last + 1).max(0) as u32)
}

/// Calls `cross` with each column of the image over the middle of whose pixels an
/// edge passes, and the fine row of that place.
fn edge(from: [i32; 2], to: [i32; 2], width: u32, mut cross: impl FnMut(u32, i32)) {
    let flat = (to[0] - from[0]).abs() >= (to[1] - from[1]).abs();
    // The walk begins at the smaller coordinate of the longer side.
    let long = if flat { 0 } else { 1 };
    let ([x, y], end) = match from[long] > to[long] {
        true => (to, from),
        false => (from, to),
    };
    let steps = end[long] - [x, y][long];
    let slope = f64::from(end[1 - long] - [x, y][1 - long]) / f64::from(steps);
    let walk = |start: i32, step: i32| (f64::from(start) + slope * f64::from(step) + 0.5) as i32;
    for column in columns(from, to, width) {
        let middle = column as i32 * SCALE + 2;
        if flat {
            let step = middle - x;
            cross(column, walk(y, step).min(walk(y, step + 1)));
            continue;
        }
        // The first step beyond the middle, near where the line says.
        let beyond = |step: i32| (walk(x, step) > middle) == (slope > 0.0);
        let mut step = ((f64::from(middle - x) + 0.5) / slope).ceil() as i32;
        step = step.clamp(1, steps);
        while step > 1 && beyond(step - 1) {
            step -= 1;
        }
        while step < steps && !beyond(step) {
            step += 1;
        }
        cross(column, y + step - 1);
    }
}

/// Adds the spans of pixels between the first and the second crossing, the third
/// and the fourth, and so on; the end of the image is the last one.
fn fill(crossings: &mut [u32], pixels: u32, spans: &mut Vec<(u32, u32)>) {
    crossings.sort_unstable();
    for pair in crossings.chunks(2) {
        let end = pair.get(1).map_or(pixels, |&end| end);
        if pair[0] < end {
            spans.push((pair[0], end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// COCO's drawing as it is defined: a walk along the outline in fine steps.
    fn walked(polygon: &[f64], height: u32, width: u32) -> Vec<u8> {
        let fine = |value: f64| (5.0 * value + 0.5) as i32;
        let points: Vec<[i32; 2]> = polygon
            .chunks_exact(2)
            .map(|p| [fine(p[0]), fine(p[1])])
            .collect();
        let mut outline: Vec<[i32; 2]> = Vec::new();
        for (index, &from) in points.iter().enumerate() {
            let to = points[(index + 1) % points.len()];
            let long = usize::from((to[0] - from[0]).abs() < (to[1] - from[1]).abs());
            let flip = from[long] > to[long];
            let (start, end) = if flip { (to, from) } else { (from, to) };
            let steps = end[long] - start[long];
            let slope = f64::from(end[1 - long] - start[1 - long]) / f64::from(steps);
            let mut edge: Vec<[i32; 2]> = (0..=steps)
                .map(|step| {
                    let across =
                        (f64::from(start[1 - long]) + slope * f64::from(step) + 0.5) as i32;
                    let along = start[long] + step;
                    if long == 0 {
                        [along, across]
                    } else {
                        [across, along]
                    }
                })
                .collect();
            if flip {
                edge.reverse();
            }
            outline.extend(edge);
        }
        let mut toggles = vec![0_u32; (height * width) as usize + 1];
        for pair in outline.windows(2) {
            let ([x, y], [next_x, next_y]) = (pair[0], pair[1]);
            let column = (f64::from(x.min(next_x)) + 0.5) / 5.0 - 0.5;
            let in_image = column >= 0.0 && column <= f64::from(width) - 1.0;
            if x == next_x || column.fract() != 0.0 || !in_image {
                continue;
            }
            let row = (f64::from(y.min(next_y)) + 0.5) / 5.0 - 0.5;
            let row = row.clamp(0.0, f64::from(height)).ceil();
            toggles[(column as u32 * height + row as u32) as usize] += 1;
        }
        let mut bitmap = vec![0; (height * width) as usize];
        let mut inside = 0;
        for pixel in 0..height * width {
            inside = (inside + toggles[pixel as usize]) % 2;
            bitmap[(pixel % height * width + pixel / height) as usize] = inside as u8;
        }
        bitmap
    }

    fn coordinates() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -3.0..14.0,
            2 => (-3..14_i32).prop_map(f64::from),
            2 => (-15..70_i32).prop_map(|fifths| f64::from(fifths) / 5.0),
            2 => (-30..140_i32).prop_map(|tenths| f64::from(tenths) / 10.0),
            1 => -300.0..300.0,
        ]
    }

    #[test]
    fn bad_polygons_are_named() {
        let draw = |polygons: &[Vec<f64>]| Mask::from_polygons(polygons, 5, 5).unwrap_err();
        assert_eq!(draw(&[]), MaskError::NoPolygon);
        assert_eq!(draw(&[vec![1.0; 4]]), MaskError::FewPoints(4));
        let huge = vec![0.0, 0.0, 1e300, 1.0, 1.0, 1.0];
        assert_eq!(draw(&[huge]), MaskError::Coordinate(1e300));
        assert!(matches!(
            draw(&[vec![f64::NAN; 6]]),
            MaskError::Coordinate(_)
        ));
        let triangle = vec![vec![0.0, 0.0, 1.0, 1.0, 0.0, 1.0]];
        for (height, width) in [(0, 5), (5, 0), (u32::MAX, u32::MAX)] {
            assert!(Mask::from_polygons(&triangle, height, width).is_err());
        }
    }

    #[test]
    fn later_polygons_may_be_points_or_nothing() {
        let square = vec![1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0];
        let alone = Mask::from_polygons(std::slice::from_ref(&square), 4, 4).unwrap();
        let polygons = [square, vec![], vec![2.0], vec![2.0, 2.0]];
        assert_eq!(Mask::from_polygons(&polygons, 4, 4).unwrap(), alone);
        assert_eq!(alone.runs(), [5, 2, 2, 2, 5]);
    }

    #[test]
    fn large_polygons_take_no_longer() {
        let around = vec![-1e8, -1e8, 1e8, -1e8, 1e8, 1e8, -1e8, 1e8];
        assert_eq!(Mask::from_polygons(&[around], 3, 4).unwrap().area(), 12);
        let slanted = vec![-1e8, -0.9e8, 1e8, 0.9e8, 1e8, 0.8e8, 17.5, 0.0];
        assert!(Mask::from_polygons(&[slanted], 30, 40).is_ok());
    }

    #[test]
    fn outlines_are_bounded_in_all() {
        // Two long edges an outline.
        let half = MAX_CROSSINGS as u32 / 2;
        let band = |width: u32| {
            let right = f64::from(width);
            vec![0.0, 0.0, right, 0.0, right, 1.0, 0.0, 1.0]
        };
        let draw = |polygons: &[Vec<f64>]| Mask::from_polygons(polygons, 1, 2 * half);
        assert_eq!(draw(&[band(half)]).unwrap().area(), half);
        assert_eq!(draw(&[band(half + 1)]), Err(MaskError::LongOutline));
        assert_eq!(draw(&[band(half), band(1)]), Err(MaskError::LongOutline));
    }

    proptest! {
        #[test]
        fn the_union_of_walks(
            polygons in prop::collection::vec(prop::collection::vec(coordinates(), 5..15), 1..4),
            height in 1..12_u32,
            width in 1..12_u32,
        ) {
            let mut expected = vec![0; (height * width) as usize];
            for polygon in &polygons {
                for (union, pixel) in expected.iter_mut().zip(walked(polygon, height, width)) {
                    *union |= pixel;
                }
            }
            let mask = Mask::from_polygons(&polygons, height, width).unwrap();
            prop_assert_eq!(mask.to_bitmap(), expected.clone());
            prop_assert_eq!(mask, Mask::from_bitmap(&expected, height, width).unwrap());
        }
    }
}
