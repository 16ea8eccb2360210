//! The screening of CSE-AutoLoss (Liu et al. 2021, arXiv 2102.04700), in its manner: a loss must show on
//! made-up predictions that minimising it leads them to their targets. Neither the network nor the
//! metric is asked, unlike in AutoLoss-Zero's loss rejection.

use autoloss_expr::Shape;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::branch::{double, single};
use crate::seed::{Stream, generator};
use crate::task::{BranchSample, BranchScorer, BranchSpec, Role, Sample, Scorer};

/// Replaces the stored predictions by made-up ones, and the metrics by their nearness to the
/// targets.
pub(super) fn simulate(samples: &mut [Sample], specs: &[BranchSpec], seed: u64) {
    for (number, sample) in samples.iter_mut().enumerate() {
        let mut rng = generator(seed, Stream::Simulation, number as u64);
        let branches = sample.branches.iter_mut().zip(specs);
        branches.for_each(|(branch, spec)| make_up(branch, spec, &mut rng));
        sample.scorer = mean_of(sample.branches.iter().zip(specs).map(scorer).collect());
        for (branch, spec) in sample.branches.iter_mut().zip(specs) {
            branch.scorer = Some(scorer((branch, spec)));
        }
    }
}

/// Random probabilities; numbers around the targets, as far away as those are from each other.
fn make_up(branch: &mut BranchSample, spec: &BranchSpec, rng: &mut ChaCha8Rng) {
    let place = spec.prediction();
    let target = &branch.inputs[spec.target()];
    let mut made: Vec<f32> = (0..branch.shape.len())
        .map(|_| rng.random::<f32>())
        .collect();
    match spec.inputs[place].role {
        Role::Prediction { softmax: true } => to_probabilities(&mut made, branch),
        _ => {
            let mean = target.iter().sum::<f32>() / target.len().max(1) as f32;
            let spread = target.iter().map(|y| (y - mean).abs()).fold(0.1, f32::max);
            for (made, y) in made.iter_mut().zip(target) {
                *made = y + spread * (2.0 * *made - 1.0);
            }
        }
    }
    if let Some(derived) = &branch.derived {
        let values = derived.values(&double(&made));
        for (place, values) in spec.derived().zip(values) {
            branch.inputs[place] = single(&values);
        }
    }
    branch.inputs[place] = made;
}

/// Divides by the sum over the channels.
fn to_probabilities(numbers: &mut [f32], branch: &BranchSample) {
    let (channels, pixels) = (branch.shape.c, branch.shape.h * branch.shape.w);
    for sample in numbers.chunks_exact_mut(channels * pixels) {
        for pixel in 0..pixels {
            let sum: f32 = (0..channels).map(|c| sample[c * pixels + pixel]).sum();
            (0..channels).for_each(|c| sample[c * pixels + pixel] /= sum.max(f32::MIN_POSITIVE));
        }
    }
}

/// Nearness of a prediction to its target: 1 there, 0 where it was made up. Probabilities are compared by
/// their class, since a loss may move that of the right class alone.
fn scorer((branch, spec): (&BranchSample, &BranchSpec)) -> BranchScorer {
    let target = branch.inputs[spec.target()].clone();
    let made_up = branch.inputs[spec.prediction()].clone();
    let shape = branch.shape;
    let distance = match spec.inputs[spec.prediction()].is_softmax() {
        true => wrong_classes,
        false => absolute,
    };
    let away = distance(shape, &made_up, &target).max(f64::MIN_POSITIVE);
    Box::new(move |prediction| 1.0 - distance(shape, prediction, &target) / away)
}

fn mean_of(scorers: Vec<BranchScorer>) -> Scorer {
    Box::new(move |predictions| {
        let each = scorers.iter().zip(predictions).map(|(scorer, p)| scorer(p));
        each.sum::<f64>() / scorers.len() as f64
    })
}

fn absolute(_: Shape, a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum()
}

/// Positions at which another class has the highest probability than in the target.
fn wrong_classes(shape: Shape, a: &[f32], b: &[f32]) -> f64 {
    let pixels = shape.h * shape.w;
    let highest = |field: &[f32], position: usize| {
        let first = position / pixels * shape.c * pixels + position % pixels;
        let at = |c: usize| field[first + c * pixels];
        (0..shape.c).max_by(|x, y| at(*x).total_cmp(&at(*y)))
    };
    let wrong = |position: &usize| highest(a, *position) != highest(b, *position);
    (0..shape.positions()).filter(wrong).count() as f64
}

#[cfg(test)]
mod tests {
    use crate::settings::{Settings, Strategy};
    use crate::toy::Toy;
    use crate::{Judgement, Scratch, Screener, parse_loss};

    #[test]
    fn convergence_is_judged_without_the_metric() {
        let mut settings = Settings::default();
        settings.search.strategy = Strategy::Cse;
        let toy = Toy::new();
        let screener = Screener::new(&toy, &settings).unwrap();
        let mut scratch = Scratch::default();
        let mut judge = |formula: &str| {
            let loss = parse_loss(&toy, formula).unwrap();
            screener.screen(&loss, &mut scratch).judgement
        };
        for formula in ["-(y * log(yhat))", "square(yhat - y)", "abs(yhat - y)"] {
            assert_eq!(judge(formula), Judgement::Passed, "{formula}");
            assert_ne!(
                judge(&format!("-({formula})")),
                Judgement::Passed,
                "-({formula})"
            );
        }
        assert_ne!(judge("square(yhat + y)"), Judgement::Passed);
    }
}
