//! A canvas for shapes with soft borders that knows the owner of each pixel.

use std::ops::{Range, RangeInclusive};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use autoloss_data::within;

use crate::drawing::exposed;

/// Red, green and blue, 0 to 1.
pub(super) type Colour = [f32; 3];
/// x and y in pixels; a pixel's middle is at half of a pixel.
pub(super) type Point = [f32; 2];

/// Objects of the background.
const CLUTTER: RangeInclusive<u8> = 1..=5;
/// Share of grey in the colours of backgrounds. People are more colourful.
const GREY: f32 = 0.7;
/// Darkening of a shape at its border, which separates an arm from a shirt of the same colour.
const SHADE: f32 = 0.35;
/// Greatest standard deviation of the noise.
const NOISE: f32 = 0.03;
/// Brightness of the whole scene.
const BRIGHTNESS: Range<f32> = 0.8..1.1;

/// A shape to draw.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A line between two discs, whose thickness changes from one radius to the other.
    Limb { ends: [Point; 2], radii: [f32; 2] },
    /// A quadrilateral with its corners rounded outwards.
    Panel { corners: [Point; 4], radius: f32 },
}

impl Shape {
    /// Least x, least y, greatest x and greatest y.
    pub(super) fn bounds(&self) -> [f32; 4] {
        let (points, radius): (&[Point], f32) = match self {
            Self::Limb { ends, radii } => (ends, radii[0].max(radii[1])),
            Self::Panel { corners, radius } => (corners, *radius),
        };
        let mut bounds = [
            f32::INFINITY,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NEG_INFINITY,
        ];
        for &[x, y] in points {
            bounds[0] = bounds[0].min(x - radius);
            bounds[1] = bounds[1].min(y - radius);
            bounds[2] = bounds[2].max(x + radius);
            bounds[3] = bounds[3].max(y + radius);
        }
        bounds
    }

    /// Distance from the border in pixels, below 0 inside.
    fn distance(&self, point: Point) -> f32 {
        match self {
            Self::Limb { ends, radii } => {
                let (distance, along) = from_line(point, ends[0], ends[1]);
                distance - (radii[0] + (radii[1] - radii[0]) * along)
            }
            Self::Panel { corners, radius } => from_panel(point, corners) - radius,
        }
    }

    /// Distance from the border over which a shape grows lighter.
    fn depth(&self) -> f32 {
        match self {
            Self::Limb { radii, .. } => 0.9 * radii[0].max(radii[1]),
            Self::Panel { radius, .. } => 1.5 * radius,
        }
    }
}

/// Distance of a point from a segment, and the position of the nearest point on it (0 to 1).
fn from_line(point: Point, from: Point, to: Point) -> (f32, f32) {
    let (px, py) = (point[0] - from[0], point[1] - from[1]);
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let square = dx * dx + dy * dy;
    let along = if square > 0.0 {
        ((px * dx + py * dy) / square).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let (x, y) = (px - along * dx, py - along * dy);
    ((x * x + y * y).sqrt(), along)
}

/// Distance of a point from the border of a quadrilateral, below 0 inside.
fn from_panel(point: Point, corners: &[Point; 4]) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    for (i, &to) in corners.iter().enumerate() {
        let from = corners[(i + 3) % 4];
        nearest = nearest.min(from_line(point, from, to).0);
        // A ray to the right crosses this side.
        if (from[1] > point[1]) != (to[1] > point[1]) {
            let share = (point[1] - from[1]) / (to[1] - from[1]);
            inside ^= point[0] < from[0] + share * (to[0] - from[0]);
        }
    }
    if inside { -nearest } else { nearest }
}

pub(super) struct Canvas {
    pub(super) size: usize,
    pixels: Vec<Colour>,
    /// Owner of each pixel as given to `paint`; 0 for the background.
    pub(super) owners: Vec<u8>,
}

impl Canvas {
    /// A canvas of `size` rows and columns with a background.
    pub(super) fn new(size: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut canvas = Self {
            size,
            pixels: vec![[0.0; 3]; size * size],
            owners: vec![0; size * size],
        };
        canvas.walls(rng);
        for _ in 0..rng.random_range(CLUTTER) {
            canvas.clutter(rng);
        }
        canvas
    }

    /// A wall or sky above a floor, each of two colours that merge or alternate.
    fn walls(&mut self, rng: &mut ChaCha8Rng) {
        let side = self.size as f32;
        let horizon = side * rng.random_range(0.3..0.95f32);
        let waves = if rng.random_bool(0.4) {
            rng.random_range(15.0..60.0f32) / side
        } else {
            0.0
        };
        let slant = rng.random_range(-1.0..1.0f32);
        let [high, low] = [0, 1].map(|_| {
            let from = dull(rng);
            let shift = rng.random_range(-0.15..0.15f32);
            (from, from.map(|channel| (channel + shift).clamp(0.0, 1.0)))
        });
        for (y, row) in self.pixels.chunks_exact_mut(self.size).enumerate() {
            let y = y as f32;
            let (from, to) = if y < horizon { high } else { low };
            for (x, pixel) in row.iter_mut().enumerate() {
                let share = if waves > 0.0 && y < horizon {
                    // A triangle wave with its tops and bottoms cut off.
                    let wave = waves * (x as f32 + slant * y);
                    (4.0 * (wave - wave.floor() - 0.5).abs() - 0.5).clamp(0.0, 1.0)
                } else {
                    y / side
                };
                *pixel = mix(from, to, share);
            }
        }
    }

    /// A post, a box or a bush.
    fn clutter(&mut self, rng: &mut ChaCha8Rng) {
        let side = self.size as f32;
        let colour = dull(rng);
        let (x, y) = (side * rng.random::<f32>(), side * rng.random::<f32>());
        let half = side * rng.random_range(0.02..0.2f32);
        let shape = match rng.random_range(0..3u8) {
            0 => post(x, side, half.min(0.05 * side)),
            1 => crate_box([x, y], [half, side * rng.random_range(0.05..0.25f32)]),
            _ => Shape::Limb {
                ends: [[x, y], [x + half, y]],
                radii: [half, 0.7 * half],
            },
        };
        self.paint(&shape, colour, 0);
    }

    /// Draws a shape over the picture. It owns the pixels that it covers at least by half.
    pub(super) fn paint(&mut self, shape: &Shape, colour: Colour, owner: u8) {
        let [left, top, right, bottom] = shape.bounds();
        let (left, right) = within(left - 0.5, right + 0.5, self.size);
        let (top, bottom) = within(top - 0.5, bottom + 0.5, self.size);
        let depth = shape.depth();
        for row in top..bottom {
            for column in left..right {
                let distance = shape.distance([column as f32 + 0.5, row as f32 + 0.5]);
                if distance >= 0.5 {
                    continue;
                }
                let at = row * self.size + column;
                let light = 1.0 - SHADE * (1.0 + distance / depth).clamp(0.0, 1.0);
                let cover = (0.5 - distance).min(1.0);
                self.pixels[at] = mix(
                    self.pixels[at],
                    colour.map(|channel| channel * light),
                    cover,
                );
                if cover >= 0.5 {
                    self.owners[at] = owner;
                }
            }
        }
    }

    /// The image as bytes, with noise and brightness.
    pub(super) fn exposed(&self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        exposed(&self.pixels, BRIGHTNESS, NOISE, rng)
    }

    /// The owner of a point on the canvas.
    pub(super) fn owner_at(&self, [x, y]: Point) -> Option<u8> {
        let inside = 0.0..self.size as f32;
        (inside.contains(&x) && inside.contains(&y))
            .then(|| self.owners[y as usize * self.size + x as usize])
    }
}

/// An upright post across the whole canvas.
pub(super) fn post(x: f32, side: f32, radius: f32) -> Shape {
    Shape::Limb {
        ends: [[x, -radius], [x, side + radius]],
        radii: [radius; 2],
    }
}

/// A rail across the whole canvas.
pub(super) fn rail(y: f32, side: f32, radius: f32) -> Shape {
    Shape::Limb {
        ends: [[-radius, y], [side + radius, y]],
        radii: [radius; 2],
    }
}

/// A box with rounded corners from its middle and half of its width and height.
pub(super) fn crate_box([x, y]: Point, [half_width, half_height]: Point) -> Shape {
    let radius = 0.15 * half_width.min(half_height);
    let (dx, dy) = (half_width - radius, half_height - radius);
    Shape::Panel {
        corners: [
            [x - dx, y - dy],
            [x + dx, y - dy],
            [x + dx, y + dy],
            [x - dx, y + dy],
        ],
        radius,
    }
}

/// A random colour of backgrounds.
pub(super) fn dull(rng: &mut ChaCha8Rng) -> Colour {
    let colour: Colour = rng.random();
    let grey = rng.random_range(0.15..0.9);
    mix(colour, [grey; 3], GREY)
}

pub(super) fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|c| from[c] + (to[c] - from[c]) * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_data::{Purpose, stream};

    fn canvas(size: usize) -> Canvas {
        Canvas::new(size, &mut stream(1, Purpose::FigureTrain, 0))
    }

    #[test]
    fn distances_worked_by_hand() {
        let limb = Shape::Limb {
            ends: [[0.0, 0.0], [10.0, 0.0]],
            radii: [2.0, 4.0],
        };
        assert_eq!(limb.distance([-5.0, 0.0]), 3.0);
        assert_eq!(limb.distance([5.0, 0.0]), -3.0);
        assert_eq!(limb.distance([10.0, 5.0]), 1.0);
        let dot = Shape::Limb {
            ends: [[1.0, 1.0]; 2],
            radii: [1.0; 2],
        };
        assert_eq!(dot.distance([4.0, 5.0]), 4.0);
        // Also with its corners the other way round.
        for corners in [
            [[0.0, 0.0], [8.0, 0.0], [8.0, 6.0], [0.0, 6.0]],
            [[0.0, 6.0], [8.0, 6.0], [8.0, 0.0], [0.0, 0.0]],
        ] {
            let panel = Shape::Panel {
                corners,
                radius: 1.0,
            };
            assert_eq!(panel.distance([4.0, 2.0]), -3.0);
            assert_eq!(panel.distance([11.0, 10.0]), 4.0);
            assert_eq!(panel.distance([-3.0, 3.0]), 2.0);
            assert_eq!(panel.bounds(), [-1.0, -1.0, 9.0, 7.0]);
        }
    }

    #[test]
    fn shapes_own_the_pixels_they_cover_and_end_at_the_border() {
        let mut canvas = canvas(32);
        let disc = |x: f32, y: f32| Shape::Limb {
            ends: [[x, y]; 2],
            radii: [6.0; 2],
        };
        let before = canvas.pixels.clone();
        canvas.paint(&disc(-20.0, 50.0), [1.0; 3], 9);
        assert_eq!(canvas.pixels, before);
        canvas.paint(&disc(16.0, 16.0), [1.0; 3], 9);
        for (at, &owner) in canvas.owners.iter().enumerate() {
            let (x, y) = ((at % 32) as f32 - 15.5, (at / 32) as f32 - 15.5);
            assert_eq!(owner == 9, x.hypot(y) <= 6.0, "at {x}, {y}");
        }
        assert!(
            canvas.pixels[16 * 32 + 16]
                .iter()
                .all(|&channel| channel > 0.9)
        );
        canvas.paint(&disc(32.0, 0.0), [0.0; 3], 7);
        assert_eq!(canvas.owners[31], 7);
        assert_eq!(canvas.owner_at([31.9, 0.1]), Some(7));
        assert_eq!(canvas.owner_at([16.0, 16.0]), Some(9));
        for outside in [[-0.1, 3.0], [3.0, 32.0], [f32::NAN, 3.0]] {
            assert_eq!(canvas.owner_at(outside), None);
        }
    }
}
