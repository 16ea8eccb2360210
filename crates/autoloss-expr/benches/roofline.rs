//! Peak rates of this machine, and the share of them that optimising predictions reaches, on one thread.
//!
//! `cargo bench -p autoloss-expr --bench roofline`
//!
//! The upper part of the output is of loops that do one thing: fused multiply-adds on registers, and
//! reading and writing of fields. The lower part is of formulas: the time of an element in a step, and
//! the least number of operations that it takes.

use std::hint::black_box;
use std::time::Instant;

use autoloss_expr::{Adam, Program, Shape, Tree, Workspace};

const STEPS: usize = 500;

/// (formula, single-precision operations an element and step, Adam's 14 and the two comparisons with
/// bounds included; a division, a square root and each operation of a polynomial count one).
const FORMULAS: &[(&str, u32)] = &[
    ("-(y * yhat)", 16),
    ("-(y * log(yhat))", 16 + 6),
    ("square(yhat - y)", 16 + 3),
    ("exp(square(y - yhat))", 16 + 4 + 17),
    ("tanh(yhat - y)", 16 + 3 + 27),
    (
        "1 - 2 * mean_nhw(y * yhat) * inv(mean_nhw(y + yhat))",
        16 + 6,
    ),
    ("mean_c(square(y - yhat)) * exp(yhat)", 16 + 8 + 17),
    ("max_pool(abs(yhat - y))", 16 + 2 + 26),
];

fn main() {
    let peak = multiply_adds();
    println!("{peak:8.1} G fused multiply-adds a second on registers");
    for (name, kib) in [
        ("first cache", 16),
        ("second cache", 512),
        ("third cache", 8 * 1024),
        ("memory", 256 * 1024),
    ] {
        println!(
            "{:8.1} GB/s read and written, {kib} KiB ({name})",
            bandwidth(kib)
        );
    }
    println!("\n   ns an element and step, operations, share of the multiply-adds' rate");
    for (shape, name) in [
        (Shape::new(1, 11, 64, 64), "one sample of the digits task"),
        (Shape::new(5, 21, 128, 128), "5x21x128x128"),
    ] {
        println!("{name}");
        for (formula, operations) in FORMULAS {
            let ns = nanoseconds(formula, shape);
            let share = 100.0 * f64::from(*operations) / ns / peak;
            println!("{ns:8.3} {operations:4} {share:4.0} %  {formula}");
        }
    }
}

/// Many fused multiply-adds on each element of a small field, compiled for the best instruction set
/// at hand.
fn multiply_adds() -> f64 {
    const EACH: usize = 32;
    const ROUNDS: usize = 100_000;

    #[inline(always)]
    fn work(field: &mut [f32], factor: f32) {
        for x in field {
            let mut sum = *x;
            for _ in 0..EACH {
                sum = sum.mul_add(factor, 0.1);
            }
            *x = sum;
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512(field: &mut [f32], factor: f32) {
        work(field, factor);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(field: &mut [f32], factor: f32) {
        work(field, factor);
    }

    let mut field = vec![0.5_f32; 1024];
    let factor = black_box(0.9);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
        {
            // SAFETY: the processor has all of them.
            unsafe { avx512(&mut field, factor) };
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has both.
            unsafe { avx2(&mut field, factor) };
        } else {
            work(&mut field, factor);
        }
        #[cfg(not(target_arch = "x86_64"))]
        work(&mut field, factor);
        black_box(&mut field);
    }
    (ROUNDS * field.len() * EACH) as f64 / start.elapsed().as_secs_f64() / 1e9
}

/// Reading a field, changing it and writing it back.
fn bandwidth(kib: usize) -> f64 {
    let mut field = vec![1.0_f32; kib * 256];
    let rounds = (2_000_000 / kib).max(4);
    let start = Instant::now();
    for _ in 0..rounds {
        for x in &mut *field {
            *x += 1.0;
        }
        black_box(&mut field);
    }
    let bytes = 2.0 * 4.0 * (rounds * field.len()) as f64;
    bytes / start.elapsed().as_secs_f64() / 1e9
}

fn nanoseconds(formula: &str, shape: Shape) -> f64 {
    let tree = Tree::parse(formula, &["yhat", "y"]).expect("a formula");
    let program = Program::new(&tree, &[("yhat", true), ("y", false)]).expect("inputs");
    let adam = Adam {
        steps: STEPS,
        ..Adam::default()
    };
    let mut workspace = Workspace::new();
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            let wave = |i: usize, f: f32| 0.5 + 0.4 * (i as f32 * f).sin();
            let mut inputs = [
                (0..shape.len()).map(|i| wave(i, 0.71)).collect(),
                (0..shape.len()).map(|i| wave(i, 1.37).round()).collect(),
            ];
            let start = Instant::now();
            let moved = program.optimise(&mut workspace, shape, &mut inputs, &adam);
            moved.expect("finite");
            start.elapsed().as_secs_f64() * 1e9 / (STEPS * shape.len()) as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[1]
}
