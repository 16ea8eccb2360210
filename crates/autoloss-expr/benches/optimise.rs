//! Milliseconds a step of optimising stored predictions (value, gradient, Adam) on one thread.
//!
//! `cargo bench -p autoloss-expr`

use std::time::Instant;

use autoloss_expr::{Adam, Program, Shape, Tree, Workspace};

const FORMULAS: &[&str] = &[
    "-(y * log(yhat))",
    "exp(square(y - yhat))",
    "tanh(yhat * mean_c(yhat - y)) + max_pool(square(yhat - y))",
    "1 - 2 * mean_nhw(y * yhat) / mean_nhw(y + yhat)",
];

fn main() {
    for (samples, shape) in [
        (5, Shape::new(1, 6, 64, 64)),
        (5, Shape::new(1, 11, 64, 64)),
        (5, Shape::new(1, 21, 128, 128)),
    ] {
        for text in FORMULAS {
            let tree = Tree::parse(text, &["yhat", "y"]).expect("a formula");
            let program = Program::new(&tree, &[("yhat", true), ("y", false)]).expect("inputs");
            let ms = milliseconds_a_step(&program, samples, shape);
            println!("{samples} × {shape}  {ms:8.3} ms a step  {text}");
        }
    }
}

fn milliseconds_a_step(program: &Program, samples: usize, shape: Shape) -> f64 {
    let steps = if shape.len() > 100_000 { 50 } else { 200 };
    let adam = Adam {
        steps,
        ..Adam::default()
    };
    let mut workspace = Workspace::new();
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            let start = Instant::now();
            for sample in 0..samples {
                let mut inputs = example(shape, sample);
                program
                    .optimise(&mut workspace, shape, &mut inputs, &adam)
                    .expect("finite");
            }
            start.elapsed().as_secs_f64() * 1e3 / adam.steps as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[1]
}

fn example(shape: Shape, sample: usize) -> [Vec<f32>; 2] {
    let wave = |i: usize, f: f32| 0.5 + 0.4 * ((i + sample) as f32 * f).sin();
    [
        (0..shape.len()).map(|i| wave(i, 0.71)).collect(),
        (0..shape.len()).map(|i| wave(i, 1.37).round()).collect(),
    ]
}
