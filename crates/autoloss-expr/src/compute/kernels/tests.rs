use super::*;
use crate::operator::{OnNumbers, Operator};

fn levels() -> Vec<Level> {
    let mut levels = vec![Level::Baseline];
    #[cfg(target_arch = "x86_64")]
    match Level::detect() {
        Level::Avx512 => levels.extend([Level::Avx2, Level::Avx512]),
        Level::Avx2 => levels.push(Level::Avx2),
        Level::Baseline => {}
    }
    levels
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn operands(n: usize, phase: f32) -> Vec<f32> {
    (0..n)
        .map(|i| 3.0 * (i as f32 * 0.37 + phase).sin())
        .collect()
}

fn close(got: f32, want: f64) -> bool {
    (f64::from(got) - want).abs() <= 2e-6 * want.abs().max(1e-3)
}

fn pointwise() -> impl Iterator<Item = Operator> {
    let all = Operator::ALL.iter().copied();
    all.filter(|op| op.structured().is_none())
}

#[test]
fn every_operator_agrees_with_f64_at_every_level_and_layout() {
    for level in levels() {
        for op in pointwise() {
            for length in [1, 15, 16, 17, 67] {
                for (a, b) in [
                    (length, length),
                    (length, 0),
                    (0, length),
                    (length + 3, length),
                ] {
                    check_operator(level, op, Rows { count: 3, length }, (a, b));
                }
            }
        }
    }
}

/// The operator on rows with these strides of its operands.
fn check_operator(level: Level, op: Operator, rows: Rows, (sa, sb): (usize, usize)) {
    let size = 3 * (rows.length + 3);
    let fields = [0.1, 1.3, 2.9].map(|phase| operands(size, phase));
    let view = |k: usize, stride| View {
        data: &fields[k],
        stride,
    };
    let (a, b, adjoint) = (view(0, sa), view(1, sb), view(2, sa));
    let stride = rows.length + 1;
    let mut results = [vec![0.0; size], vec![7.0; size], vec![7.0; size]];
    let [out, da, db] = &mut results;
    value(level, op, rows, a, b, ViewMut { data: out, stride });
    for (which, to) in [da, db].into_iter().enumerate().take(op.arity()) {
        let read = Partial {
            which,
            operands: [a, b],
            value: View { data: out, stride },
            adjoint,
        };
        partial(level, op, rows, read, ViewMut { data: to, stride });
    }
    for r in 0..rows.count {
        for i in 0..rows.length {
            let at = |v: View<'_>| f64::from(v.row(r, rows)[i]);
            let numbers = [at(a), at(b)];
            let (y, partials) = op.pointwise(OnNumbers(&numbers)).unwrap();
            let got = results.each_ref().map(|field| field[r * stride + i]);
            assert!(close(got[0], y), "{op:?} {numbers:?}: {}, not {y}", got[0]);
            for which in 0..op.arity() {
                let want = at(adjoint) * partials[which];
                let got = got[1 + which];
                // 1 − y² loses digits to cancellation where tanh saturates.
                let near = close(got, want) || (f64::from(got) - want).abs() < 2e-6;
                assert!(near, "∂{op:?} {numbers:?}: {got}, not {want}");
            }
        }
    }
}

fn update(bounds: (f32, f32)) -> AdamUpdate {
    AdamUpdate {
        first: [0.9, 0.1],
        second: [0.999, 0.001],
        epsilon: 1e-8,
        bounds,
        rate: 0.1,
        scale: 31.6,
    }
}

const FREE: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

fn outlook_at(level: Level, bounds: (f32, f32), g: &[f32], m: &[f32], x: &[f32]) -> Outlook {
    let stride = x.len();
    let [g, m, x] = [g, m, x].map(|data| View { data, stride });
    let rows = Rows {
        count: 1,
        length: stride,
    };
    outlook(level, update(bounds), rows, g, m, x)
}

#[test]
fn sums_and_updates_notice_what_is_not_finite() {
    let rows = Rows {
        count: 1,
        length: 41,
    };
    for level in levels() {
        for bad in [f32::NAN, f32::INFINITY] {
            for at in [0, 31, 32, 40] {
                let mut x = operands(41, 0.0);
                let sum = |x: &[f32]| {
                    let mut total = [0.0];
                    sums(
                        level,
                        rows,
                        View {
                            data: x,
                            stride: 41,
                        },
                        &mut total,
                    );
                    total[0]
                };
                let want: f64 = x.iter().map(|v| f64::from(*v)).sum();
                assert!((sum(&x) - want).abs() < 1e-4);
                x[at] = bad;
                assert!(!sum(&x).is_finite());
                let zeros = [0.0; 41];
                assert!(!outlook_at(level, FREE, &x, &zeros, &zeros).finite);
                assert!(!outlook_at(level, FREE, &zeros, &x, &zeros).finite);
                x[at] = 1e30;
                assert!(outlook_at(level, FREE, &x, &x, &zeros).finite);
            }
        }
    }
}

#[test]
fn an_update_is_that_of_the_formula() {
    for level in levels() {
        let [g, m, v, x] = [0.1, 0.5, 0.9, 2.0].map(|phase| operands(41, phase));
        let v: Vec<f32> = v.iter().map(|v| v * v).collect();
        let (mut m1, mut v1, mut x1) = (m.clone(), v.clone(), x.clone());
        let rows = Rows {
            count: 1,
            length: 41,
        };
        let moving = |data| ViewMut { data, stride: 41 };
        let gradient = View {
            data: &g,
            stride: 41,
        };
        let bounds = (-2.0, 2.0);
        adam(
            level,
            update(bounds),
            rows,
            gradient,
            moving(&mut m1),
            moving(&mut v1),
            moving(&mut x1),
        );
        for i in 0..41 {
            let [g, m, v, x] = [g[i], m[i], v[i], x[i]].map(f64::from);
            let (m, v) = (0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g);
            let moved = x - 0.1 * m / (31.6 * v.sqrt() + 1e-8);
            assert!(close(m1[i], m) && close(v1[i], v));
            let want = moved.clamp(-2.0, 2.0);
            assert!(
                (f64::from(x1[i]) - want).abs() < 2e-6,
                "{}, not {want}",
                x1[i]
            );
        }
    }
}

#[test]
fn what_cannot_move_is_settled() {
    let settled = |level, g: f32, m: f32, x: f32| {
        // One element of many.
        let (mut gs, mut ms, mut xs) = (vec![1.0; 37], vec![0.0; 37], vec![0.0; 37]);
        (gs[20], ms[20], xs[20]) = (g, m, x);
        outlook_at(level, (0.0, 1.0), &gs, &ms, &xs).settled
    };
    for level in levels() {
        assert!(settled(level, 1.0, 0.5, 0.0)); // downwards at the lower bound
        assert!(settled(level, -1.0, -0.5, 1.0));
        assert!(settled(level, 0.0, 0.0, 0.3)); // nothing pushes
        assert!(!settled(level, 1.0, -9.0, 0.0)); // the moment still pushes upwards
        assert!(!settled(level, -1.0, 9.0, 0.0)); // the moment will turn
        assert!(!settled(level, 1.0, 0.5, 0.9));
        assert!(!settled(level, f32::NAN, 0.0, 0.0));
    }
}
