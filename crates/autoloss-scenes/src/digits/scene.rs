//! Composition of a scene: background, clutter, digits, noise, brightness.

use std::f32::consts::TAU;
use std::ops::{Range, RangeInclusive};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use autoloss_data::{Split, within};

use super::asset::{FULL_INK, Glyph, SIDE, Sources};
use crate::drawing::exposed;

// Difficulty of the scenes. Lengths are shares of the scene's side.

/// Digits in a scene.
const DIGITS: RangeInclusive<usize> = 2..=4;
/// Height of a digit: 24 to 36 pixels of 64.
const HEIGHT: Range<f32> = 0.45..0.55;
/// Turn of a digit either way, in radians.
const TURN: f32 = 0.12;
/// Places tried to keep a digit from covering earlier ones.
const PLACES: usize = 6;
/// Share of a digit's box that may lie on the boxes of earlier digits.
const OVERLAP: f32 = 0.3;
/// Largest lightness of backgrounds and clutter. Digits are always lighter, since a network of few updates cannot
/// learn ink of both kinds.
const SHADE: f32 = 0.35;
/// Least difference in luminance between a digit and the background under it.
const CONTRAST: f32 = 0.35;
/// Colours tried for that contrast before white is taken.
const COLOURS: usize = 8;
/// Ink above which a pixel belongs to its digit.
const INK: f32 = 0.5;
/// Greatest difference between the two colours of a background, a channel.
const VARIATION: f32 = 0.3;
/// Strokes, arcs and dots that are no digits.
const CLUTTER: RangeInclusive<usize> = 0..=2;
/// Greatest standard deviation of the noise.
const NOISE: f32 = 0.04;
/// Brightness of the whole scene.
const BRIGHTNESS: Range<f32> = 0.75..1.1;

type Colour = [f32; 3];

/// A composed scene.
pub(super) struct Composed {
    /// RGB bytes.
    pub(super) image: Vec<u8>,
    /// Class of each pixel: 0, or 1 and the digit.
    pub(super) labels: Vec<u8>,
    /// Number of the digit that each pixel belongs to, from 1 in the order of `digits`; 0: none.
    pub(super) owners: Vec<u8>,
    /// The digits, in the order they were drawn.
    pub(super) digits: Vec<u8>,
}

/// A scene of `size` rows and columns.
pub(super) fn compose(
    sources: &Sources,
    split: Split,
    size: usize,
    rng: &mut ChaCha8Rng,
) -> Composed {
    let mut canvas = Canvas::new(size);
    canvas.background(rng);
    for _ in 0..rng.random_range(CLUTTER) {
        canvas.clutter(rng);
    }
    let mut places: Vec<Place> = Vec::new();
    let mut drawn = Vec::new();
    for _ in 0..rng.random_range(DIGITS) {
        let place = Place::free(size, &places, rng);
        let class = rng.random_range(0..10u8);
        let digits = sources.of_class(split, usize::from(class));
        let glyph = &digits[rng.random_range(0..digits.len() as u64) as usize];
        drawn.push(class);
        let label = Label {
            class: class + 1,
            owner: u8::try_from(drawn.len()).unwrap_or(u8::MAX),
        };
        canvas.digit(glyph, label, &place, rng);
        places.push(place);
    }
    Composed {
        image: exposed(&canvas.pixels, BRIGHTNESS, NOISE, rng),
        labels: canvas.labels,
        owners: canvas.owners,
        digits: drawn,
    }
}

/// A picture of one digit, for classification: RGB bytes of `size` rows and columns, and the digit. `height` is the
/// range of its height as a share of the size.
pub(super) fn single(
    sources: &Sources,
    size: usize,
    height: Range<f32>,
    rng: &mut ChaCha8Rng,
) -> (Vec<u8>, u8) {
    let mut canvas = Canvas::new(size);
    canvas.background(rng);
    let side = size as f32;
    let height = side * rng.random_range(height);
    let reach = (side - height) / 2.0;
    let mut along = || side / 2.0 + reach * rng.random_range(-1.0..1.0f32);
    let place = Place {
        x: along(),
        y: along(),
        height,
    };
    let class = rng.random_range(0..10u8);
    let digits = sources.of_class(Split::Train, usize::from(class));
    let glyph = &digits[rng.random_range(0..digits.len() as u64) as usize];
    let label = Label {
        class: class + 1,
        owner: 1,
    };
    canvas.digit(glyph, label, &place, rng);
    (exposed(&canvas.pixels, BRIGHTNESS, NOISE, rng), class)
}

/// Marks of the ink of a digit.
#[derive(Clone, Copy)]
struct Label {
    class: u8,
    owner: u8,
}

/// Place of a digit: its middle and its height, in pixels.
struct Place {
    x: f32,
    y: f32,
    height: f32,
}

impl Place {
    /// A random place with little overlap with earlier digits, if one is found.
    fn free(size: usize, taken: &[Self], rng: &mut ChaCha8Rng) -> Self {
        let size = size as f32;
        let height = size * rng.random_range(HEIGHT);
        // Digits are narrower than tall: a third of the height keeps nearly
        // all of their ink inside the scene.
        let margin = height / 3.0;
        let mut place = Self {
            x: 0.0,
            y: 0.0,
            height,
        };
        for _ in 0..PLACES {
            place.x = rng.random_range(margin..size - margin);
            place.y = rng.random_range(1.3 * margin..size - 1.3 * margin);
            if taken.iter().all(|other| place.overlap(other) <= OVERLAP) {
                break;
            }
        }
        place
    }

    /// The share of the smaller of two boxes that lies in the other.
    fn overlap(&self, other: &Self) -> f32 {
        let reach = (self.height + other.height) / 2.0;
        let least = self.height.min(other.height);
        let along = |a: f32, b: f32| (reach - (a - b).abs()).clamp(0.0, least) / least;
        along(self.x, other.x) * along(self.y, other.y)
    }
}

struct Canvas {
    size: usize,
    pixels: Vec<Colour>,
    labels: Vec<u8>,
    owners: Vec<u8>,
}

impl Canvas {
    fn new(size: usize) -> Self {
        Self {
            size,
            pixels: vec![[0.0; 3]; size * size],
            labels: vec![0; size * size],
            owners: vec![0; size * size],
        }
    }

    /// Fills the scene with two colours mixed by a gradient, stripes, smooth
    /// texture or patches.
    fn background(&mut self, rng: &mut ChaCha8Rng) {
        let from = dark(colour(rng));
        let to = from
            .map(|channel| (channel + rng.random_range(-VARIATION..VARIATION)).clamp(0.0, SHADE));
        let side = self.size as f32;
        let (sin, cos) = rng.random_range(0.0..TAU).sin_cos();
        match rng.random_range(0..4u8) {
            0 => self.fill(from, to, |x, y| {
                0.5 + ((x - 0.5 * side) * cos + (y - 0.5 * side) * sin) / (1.4 * side)
            }),
            1 => {
                let waves = TAU * rng.random_range(3.0..10.0) / side;
                self.fill(from, to, |x, y| {
                    0.5 + 1.5 * ((x * cos + y * sin) * waves).sin()
                });
            }
            2 => {
                let cells = rng.random_range(4..=10u8);
                let texture = Texture::new(cells.into(), rng);
                self.fill(from, to, |x, y| texture.at(x / side, y / side));
            }
            _ => {
                self.fill(from, from, |_, _| 0.0);
                for _ in 0..rng.random_range(4..=12u8) {
                    self.patch(mix(from, to, rng.random()), rng);
                }
            }
        }
    }

    fn fill(&mut self, from: Colour, to: Colour, share: impl Fn(f32, f32) -> f32) {
        for (y, row) in self.pixels.chunks_exact_mut(self.size).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = mix(from, to, share(x as f32, y as f32).clamp(0.0, 1.0));
            }
        }
    }

    /// A rectangle of one colour.
    fn patch(&mut self, colour: Colour, rng: &mut ChaCha8Rng) {
        let side = self.size as f32;
        let mut span = || {
            let start = side * rng.random_range(-0.2..0.9f32);
            (start, start + side * rng.random_range(0.1..0.5f32))
        };
        let (columns, rows) = (span(), span());
        let (left, right) = within(columns.0, columns.1, self.size);
        let (top, bottom) = within(rows.0, rows.1, self.size);
        for y in top..bottom {
            self.pixels[y * self.size + left..y * self.size + right].fill(colour);
        }
    }

    /// A line across the whole scene, a quarter of a circle, or a few dots:
    /// thin or open enough that none of them could be a digit.
    fn clutter(&mut self, rng: &mut ChaCha8Rng) {
        let side = self.size as f32;
        let colour = dark(colour(rng));
        let radius = (side / 64.0) * rng.random_range(0.4..0.9f32);
        let (x, y) = (side * rng.random::<f32>(), side * rng.random::<f32>());
        let angle = rng.random_range(0.0..TAU);
        match rng.random_range(0..3u8) {
            0 => {
                let steps = (3.0 * side) as usize;
                for step in 0..steps {
                    let along = step as f32 - 1.5 * side;
                    self.dot(
                        x + along * angle.cos(),
                        y + along * angle.sin(),
                        radius,
                        colour,
                    );
                }
            }
            1 => {
                let bend = side * rng.random_range(0.15..0.4f32);
                let steps = (0.25 * TAU * bend) as usize + 1;
                for step in 0..steps {
                    let turn = angle + 0.25 * TAU * step as f32 / steps as f32;
                    self.dot(x + bend * turn.cos(), y + bend * turn.sin(), radius, colour);
                }
            }
            _ => {
                for _ in 0..rng.random_range(3..=8u8) {
                    let mut near = |middle: f32| middle + 0.2 * side * (rng.random::<f32>() - 0.5);
                    self.dot(near(x), near(y), 1.6 * radius, colour);
                }
            }
        }
    }

    /// A disc with a soft border.
    fn dot(&mut self, x: f32, y: f32, radius: f32, colour: Colour) {
        let (left, right) = within(x - radius, x + radius + 1.0, self.size);
        let (top, bottom) = within(y - radius, y + radius + 1.0, self.size);
        for row in top..bottom {
            for column in left..right {
                let distance = (column as f32 - x).hypot(row as f32 - y);
                let cover = (radius + 0.5 - distance).clamp(0.0, 1.0);
                let pixel = &mut self.pixels[row * self.size + column];
                *pixel = mix(*pixel, colour, cover);
            }
        }
    }

    /// Draws a digit over the scene, and labels its ink.
    fn digit(&mut self, glyph: &Glyph, label: Label, place: &Place, rng: &mut ChaCha8Rng) {
        let zoom = SIDE as f32 / place.height;
        let (sin, cos) = rng.random_range(-TURN..TURN).sin_cos();
        let colour = self.contrasting(place, rng);
        // Half the diagonal of the digit's square, so that any turn fits.
        let reach = 0.71 * place.height + 1.0;
        let (left, right) = within(place.x - reach, place.x + reach, self.size);
        let (top, bottom) = within(place.y - reach, place.y + reach, self.size);
        for row in top..bottom {
            for column in left..right {
                let (dx, dy) = (column as f32 - place.x, row as f32 - place.y);
                let ink = ink_at(
                    glyph,
                    (cos * dx + sin * dy) * zoom,
                    (cos * dy - sin * dx) * zoom,
                );
                let at = row * self.size + column;
                self.pixels[at] = mix(self.pixels[at], colour, ink);
                if ink > INK {
                    self.labels[at] = label.class;
                    self.owners[at] = label.owner;
                }
            }
        }
    }

    /// A colour that is lighter than the mean luminance at a place.
    fn contrasting(&self, place: &Place, rng: &mut ChaCha8Rng) -> Colour {
        let reach = place.height / 2.0;
        let (left, right) = within(place.x - reach, place.x + reach, self.size);
        let (top, bottom) = within(place.y - reach, place.y + reach, self.size);
        let under =
            (top..bottom).flat_map(|y| &self.pixels[y * self.size + left..y * self.size + right]);
        let area = (bottom - top) * (right - left);
        let mean = under.map(luminance).sum::<f32>() / area.max(1) as f32;
        for _ in 0..COLOURS {
            let colour = colour(rng);
            if luminance(&colour) - mean >= CONTRAST {
                return colour;
            }
        }
        [1.0; 3]
    }
}

/// The colour darkened for backgrounds and clutter.
fn dark(colour: Colour) -> Colour {
    colour.map(|channel| SHADE * channel)
}

/// Smooth random values: an interpolated grid.
struct Texture {
    cells: usize,
    values: Vec<f32>,
}

impl Texture {
    fn new(cells: usize, rng: &mut ChaCha8Rng) -> Self {
        let values = (0..(cells + 1) * (cells + 1))
            .map(|_| rng.random())
            .collect();
        Self { cells, values }
    }

    /// The value at a place of the unit square.
    fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x * self.cells as f32, y * self.cells as f32);
        let (column, row) = (x as usize, y as usize);
        let value = |row: usize, column: usize| self.values[row * (self.cells + 1) + column];
        let (right, down) = (x - column as f32, y - row as f32);
        let above = value(row, column) * (1.0 - right) + value(row, column + 1) * right;
        let below = value(row + 1, column) * (1.0 - right) + value(row + 1, column + 1) * right;
        above * (1.0 - down) + below * down
    }
}

/// Ink, 0 to 1, at a place of a digit measured from its middle in its own
/// pixels, interpolated; none outside.
fn ink_at(glyph: &Glyph, x: f32, y: f32) -> f32 {
    let middle = (SIDE as f32 - 1.0) / 2.0;
    let (x, y) = (x + middle, y + middle);
    let last = SIDE as f32;
    if x <= -1.0 || y <= -1.0 || x >= last || y >= last {
        return 0.0;
    }
    let (column, row) = (x.floor(), y.floor());
    let (right, down) = (x - column, y - row);
    let (column, row) = (column as isize, row as isize);
    let ink = |row: isize, column: isize| {
        let inside = |i: isize| (0..SIDE as isize).contains(&i);
        if inside(row) && inside(column) {
            f32::from(glyph[row as usize * SIDE + column as usize])
        } else {
            0.0
        }
    };
    let above = ink(row, column) * (1.0 - right) + ink(row, column + 1) * right;
    let below = ink(row + 1, column) * (1.0 - right) + ink(row + 1, column + 1) * right;
    (above * (1.0 - down) + below * down) / f32::from(FULL_INK)
}

fn colour(rng: &mut ChaCha8Rng) -> Colour {
    rng.random()
}

fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|c| from[c] + (to[c] - from[c]) * share)
}

/// Rec. 601 luminance.
fn luminance(colour: &Colour) -> f32 {
    0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::super::asset::pack;
    use super::*;

    #[test]
    fn ink_is_interpolated_and_ends_at_the_border() {
        let mut glyph = [0; SIDE * SIDE];
        glyph[0] = FULL_INK;
        glyph[SIDE * SIDE - 1] = FULL_INK;
        for corner in [-9.5, 9.5] {
            assert_eq!(ink_at(&glyph, corner, corner), 1.0);
            assert_eq!(
                ink_at(&glyph, corner * 1.0, corner - corner.signum() * 0.5),
                0.5
            );
            assert_eq!(ink_at(&glyph, corner + corner.signum() * 0.5, corner), 0.5);
            assert_eq!(ink_at(&glyph, corner * 1.2, corner), 0.0);
        }
        assert_eq!(ink_at(&glyph, 0.0, 0.0), 0.0);
    }

    #[test]
    fn single_digits_are_by_the_writers_of_train_scenes() {
        // Ten digits, each with some ink of its own.
        let digits = |ink: u8| -> Vec<Glyph> {
            let glyph = |digit| std::array::from_fn(|at| if at % 10 == digit { ink } else { 1 });
            (0..10).map(glyph).collect()
        };
        let picture = |train: u8, other: u8| {
            let packed = pack([&digits(train), &digits(other), &digits(other)]).unwrap();
            let sources = Sources::unpack(&packed).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            single(&sources, 32, 0.5..0.9, &mut rng).0
        };
        assert_eq!(picture(15, 9), picture(15, 3));
        assert_ne!(picture(15, 9), picture(12, 9));
    }

    #[test]
    fn overlap_of_boxes_worked_by_hand() {
        let place = |x, y, height| Place { x, y, height };
        assert_eq!(
            place(10.0, 10.0, 8.0).overlap(&place(10.0, 10.0, 20.0)),
            1.0
        );
        assert_eq!(place(10.0, 10.0, 8.0).overlap(&place(14.0, 10.0, 8.0)), 0.5);
        assert_eq!(
            place(10.0, 10.0, 8.0).overlap(&place(14.0, 14.0, 8.0)),
            0.25
        );
        assert_eq!(place(10.0, 10.0, 8.0).overlap(&place(30.0, 10.0, 8.0)), 0.0);
    }

    #[test]
    fn shapes_beyond_the_border_are_cut_off() {
        let mut canvas = Canvas::new(16);
        canvas.dot(-5.0, 30.0, 2.0, [1.0; 3]);
        assert_eq!(canvas.pixels, vec![[0.0; 3]; 256]);
        canvas.dot(15.0, 0.0, 2.0, [1.0; 3]);
        assert_eq!(canvas.pixels[15], [1.0; 3]);
    }
}
