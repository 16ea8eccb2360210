//! Draws scenes of the figures data set on one sheet, each figure with its box and its keypoints:
//!
//! ```sh
//! cargo run --release -p autoloss-scenes --example draw_scenes -- SHEET.png [SIZE [FIRST]]
//! ```
//!
//! The person's left is drawn in green, the right in red, the nose in blue; hidden keypoints are
//! hollow. Also prints how long a scene takes.

use std::error::Error;
use std::time::Instant;

use autoloss_data::{Keypoints, ObjectData, Scene, Split};
use autoloss_scenes::{Figures, FiguresSettings};
use image::{Rgb, RgbImage};

const COLUMNS: usize = 6;
const ROWS: usize = 4;
/// Width of a scene on the sheet, in pixels.
const WIDTH: usize = 288;
const BONES: [[usize; 2]; 14] = [
    [5, 6],
    [5, 7],
    [7, 9],
    [6, 8],
    [8, 10],
    [5, 11],
    [6, 12],
    [11, 12],
    [11, 13],
    [13, 15],
    [12, 14],
    [14, 16],
    [0, 1],
    [0, 2],
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((out, numbers)) = arguments.split_first() else {
        return Err("usage: draw_scenes SHEET.png [SIZE [FIRST]]".into());
    };
    let number = |index: usize| numbers.get(index).map(|text| text.parse::<usize>());
    let size = number(0).transpose()?.unwrap_or(96);
    let first = number(1).transpose()?.unwrap_or(0);
    let data = Figures::new(FiguresSettings {
        size,
        train: first + COLUMNS * ROWS,
        ..FiguresSettings::default()
    })?;
    let start = Instant::now();
    let scenes = (first..first + COLUMNS * ROWS)
        .map(|index| data.scene(Split::Train, index))
        .collect::<Result<Vec<Scene>, _>>()?;
    let milliseconds = 1e3 * start.elapsed().as_secs_f64() / scenes.len() as f64;
    println!("{milliseconds:.3} ms a scene of {size}x{size}");

    let zoom = WIDTH.div_ceil(size);
    let side = zoom * size;
    let mut sheet = RgbImage::new((COLUMNS * side) as u32, (ROWS * side) as u32);
    for (index, scene) in scenes.iter().enumerate() {
        let corner = [index % COLUMNS * side, index / COLUMNS * side];
        draw(&mut sheet, scene, corner, zoom);
    }
    sheet.save(out)?;
    Ok(())
}

fn draw(sheet: &mut RgbImage, scene: &Scene, [left, top]: [usize; 2], zoom: usize) {
    let (rows, columns) = (zoom * scene.height, zoom * scene.width);
    for row in 0..rows {
        for column in 0..columns {
            let at = 3 * (row / zoom * scene.width + column / zoom);
            let pixel = [scene.image[at], scene.image[at + 1], scene.image[at + 2]];
            sheet.put_pixel((left + column) as u32, (top + row) as u32, Rgb(pixel));
        }
    }
    let corner = [left as f32, top as f32];
    let zoomed = |x: f32, y: f32| [corner[0] + zoom as f32 * x, corner[1] + zoom as f32 * y];
    for object in &scene.objects {
        let [x0, y0, x1, y1] = object.corners;
        let corners = [
            zoomed(x0, y0),
            zoomed(x1, y0),
            zoomed(x1, y1),
            zoomed(x0, y1),
        ];
        for side in 0..4 {
            line(sheet, corners[side], corners[(side + 1) % 4], [255, 255, 0]);
        }
        if let Some(keypoints) = &object.keypoints {
            let places: Vec<[f32; 2]> = keypoints.iter().map(|&[x, y, _]| zoomed(x, y)).collect();
            overlay(sheet, keypoints, &places);
        }
    }
}

fn overlay(sheet: &mut RgbImage, keypoints: &Keypoints, points: &[[f32; 2]]) {
    let labelled = |point: usize| keypoints[point][2] > 0.0;
    for [from, to] in BONES {
        if labelled(from) && labelled(to) {
            line(sheet, points[from], points[to], [255, 255, 255]);
        }
    }
    for (point, &[x, y]) in points.iter().enumerate() {
        if labelled(point) {
            let colour = match point {
                0 => [0, 0, 255],
                left if left % 2 == 1 => [0, 220, 0],
                _ => [255, 0, 0],
            };
            let hollow = keypoints[point][2] < 2.0;
            for row in -3..=3i32 {
                for column in -3..=3i32 {
                    let border = row.abs() == 3 || column.abs() == 3;
                    if border || !hollow {
                        dot(sheet, [x + column as f32, y + row as f32], colour);
                    }
                }
            }
        }
    }
}

fn line(sheet: &mut RgbImage, from: [f32; 2], to: [f32; 2], colour: [u8; 3]) {
    let steps = (to[0] - from[0]).abs().max((to[1] - from[1]).abs()).ceil() as usize + 1;
    for step in 0..=steps {
        let share = step as f32 / steps as f32;
        let point = [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]));
        dot(sheet, point, colour);
    }
}

fn dot(sheet: &mut RgbImage, [x, y]: [f32; 2], colour: [u8; 3]) {
    if x >= 0.0
        && y >= 0.0
        && let Some(pixel) = sheet.get_pixel_mut_checked(x as u32, y as u32)
    {
        *pixel = Rgb(colour);
    }
}
