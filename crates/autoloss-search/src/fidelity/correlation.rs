//! Rank correlations with bootstrap intervals, and the regret of a choice.
//!
//! A pair holds the two scores of one item, such as a loss's proxy score and its score in full training.

use rand::RngExt;

use crate::seed::{Stream, generator};

/// Resamples of the pairs that an interval is taken from.
const RESAMPLES: u64 = 2000;

/// Share of the resamples that an interval leaves out on either side: a 95 % interval.
const TAIL: f64 = 0.025;

/// Two scores of one item.
pub type Pair = (f64, f64);

/// A rank correlation of a sample of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Correlation {
    /// Its value; `None` where all scores of one kind are equal.
    pub value: Option<f64>,
    /// Percentiles 2.5 and 97.5 of its values over resamples of the pairs with replacement; `None` without
    /// a value.
    pub interval: Option<[f64; 2]>,
}

impl Correlation {
    /// A statistic of the pairs and its interval, which is a function of the pairs and the seed.
    #[must_use]
    pub fn new(pairs: &[Pair], statistic: fn(&[Pair]) -> Option<f64>, seed: u64) -> Self {
        let value = statistic(pairs);
        let interval = value.and_then(|_| interval(pairs, statistic, seed));
        Self { value, interval }
    }
}

/// Spearman's correlation: Pearson's correlation of the ranks, equal scores sharing their mean rank.
#[must_use]
pub fn spearman(pairs: &[Pair]) -> Option<f64> {
    let ranks = |of: fn(&Pair) -> f64| mid_ranks(&pairs.iter().map(of).collect::<Vec<f64>>());
    let (x, y) = (ranks(|pair| pair.0), ranks(|pair| pair.1));
    // Mid-ranks of n items have the mean (n + 1) / 2, ties or not.
    let middle = (pairs.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        let terms = a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle));
        terms.sum()
    };
    let scale = (product(&x, &x) * product(&y, &y)).sqrt();
    (scale > 0.0).then(|| (product(&x, &y) / scale).clamp(-1.0, 1.0))
}

/// Kendall's tau-b: pairs of items in the same order less those in opposite order, by the geometric mean of
/// the numbers of pairs that either score does not tie.
#[must_use]
pub fn kendall(pairs: &[Pair]) -> Option<f64> {
    let (mut agreement, mut untied_x, mut untied_y) = (0.0, 0.0, 0.0);
    for (place, first) in pairs.iter().enumerate() {
        for second in &pairs[..place] {
            let order = |a: f64, b: f64| f64::from(a.total_cmp(&b) as i8);
            let (x, y) = (order(first.0, second.0), order(first.1, second.1));
            agreement += x * y;
            untied_x += x.abs();
            untied_y += y.abs();
        }
    }
    let scale = f64::sqrt(untied_x * untied_y);
    (scale > 0.0).then(|| (agreement / scale).clamp(-1.0, 1.0))
}

/// Loss of a choice by the first score: the best second score of all less the best one among the `first`
/// items with the highest first scores, of equal ones those that come first. 0 without any pairs.
#[must_use]
pub fn regret(pairs: &[Pair], first: usize) -> f64 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = |pairs: &[Pair]| pairs.iter().map(|pair| pair.1).reduce(f64::max);
    let chosen = &sorted[..first.min(sorted.len())];
    match (best(&sorted), best(chosen)) {
        (Some(all), Some(chosen)) => all - chosen,
        _ => 0.0,
    }
}

/// Ranks from 1 of the lowest; equal values share the mean of their ranks.
#[must_use]
pub fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let count = |wanted: std::cmp::Ordering| {
            let same = values.iter().filter(|v| v.total_cmp(value) == wanted);
            same.count() as f64
        };
        count(std::cmp::Ordering::Less) + (count(std::cmp::Ordering::Equal) + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

fn interval(pairs: &[Pair], statistic: fn(&[Pair]) -> Option<f64>, seed: u64) -> Option<[f64; 2]> {
    let resample = |number| {
        let mut rng = generator(seed, Stream::Bootstrap, number);
        let drawn: Vec<Pair> = (0..pairs.len())
            .map(|_| pairs[rng.random_range(0..pairs.len())])
            .collect();
        // A resample of one item over and over has no correlation.
        statistic(&drawn)
    };
    let mut values: Vec<f64> = (0..RESAMPLES).filter_map(resample).collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the last place"
    )]
    let at = |share: f64| values[(share * last as f64).round() as usize];
    Some([at(TAIL), at(1.0 - TAIL)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(x: &[f64], y: &[f64]) -> Vec<Pair> {
        x.iter().copied().zip(y.iter().copied()).collect()
    }

    fn close(got: Option<f64>, want: f64) {
        let got = got.unwrap();
        assert!((got - want).abs() < 1e-12, "{got}, not {want}");
    }

    #[test]
    fn correlations_by_hand() {
        // Without ties 1 − 6 Σd² / (n (n² − 1)): differences of ranks 0, 1, 1, 0, and one pair of six in
        // opposite order.
        let some = pairs(&[0.1, 0.2, 0.3, 0.4], &[1.0, 3.0, 2.0, 9.0]);
        close(spearman(&some), 1.0 - 6.0 * 2.0 / (4.0 * 15.0));
        close(kendall(&some), 4.0 / 6.0);
        // A tie: ranks 1.5, 1.5, 3 and 1, 2, 3; Pearson of them is 1.5 / √(1.5 · 2); two of the three
        // pairs are untied in x, all in y.
        let tied = pairs(&[1.0, 1.0, 2.0], &[1.0, 2.0, 3.0]);
        close(spearman(&tied), 1.5 / 3.0_f64.sqrt());
        close(kendall(&tied), 2.0 / 6.0_f64.sqrt());
        for undefined in [
            pairs(&[], &[]),
            pairs(&[1.0], &[2.0]),
            pairs(&[1.0; 3], &[1.0, 2.0, 3.0]),
        ] {
            assert_eq!((spearman(&undefined), kendall(&undefined)), (None, None));
            let correlation = Correlation::new(&undefined, spearman, 0);
            assert_eq!(correlation, Correlation::default());
        }
    }

    #[test]
    fn the_regret_by_hand() {
        let some = pairs(&[0.5, 0.4, 0.3, 0.2], &[0.1, 0.3, 0.2, 0.7]);
        assert_eq!(regret(&some, 1), 0.7 - 0.1);
        assert_eq!(regret(&some, 3), 0.7 - 0.3);
        assert_eq!(regret(&some, 9), 0.0);
        assert_eq!(regret(&[], 3), 0.0);
        // Equal proxy scores keep their order.
        assert_eq!(regret(&pairs(&[0.5, 0.5], &[0.1, 0.2]), 1), 0.2 - 0.1);
    }

    #[test]
    fn an_interval_is_narrow_where_the_order_is_certain() {
        let line: Vec<f64> = (0..24).map(f64::from).collect();
        let same = Correlation::new(&pairs(&line, &line), spearman, 3);
        assert_eq!(same.interval, Some([1.0, 1.0]));
        // Every second pair of neighbours changes places, some of them far.
        let shuffled: Vec<f64> = line.iter().map(|x| (x * 7.0) % 24.0 + x).collect();
        let noisy = Correlation::new(&pairs(&line, &shuffled), spearman, 3);
        let ([low, high], value) = (noisy.interval.unwrap(), noisy.value.unwrap());
        assert!(low < value && value < high && high - low > 0.1, "{noisy:?}");
        // A function of pairs and seed.
        assert_eq!(
            noisy,
            Correlation::new(&pairs(&line, &shuffled), spearman, 3)
        );
        let other = Correlation::new(&pairs(&line, &shuffled), spearman, 4);
        assert_ne!(noisy.interval, other.interval);
        assert_eq!(noisy.value, other.value);
    }

    /// Pearson's correlation, straight from its definition.
    fn pearson(x: &[f64], y: &[f64]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (mx, my) = (mean(x), mean(y));
        let sum =
            |f: &dyn Fn(f64, f64) -> f64| -> f64 { x.iter().zip(y).map(|(x, y)| f(*x, *y)).sum() };
        sum(&|x, y| (x - mx) * (y - my))
            / (sum(&|x, _| (x - mx).powi(2)) * sum(&|_, y| (y - my).powi(2))).sqrt()
    }

    /// Kendall's tau-b by counts: (C − D) / √((n0 − n1) (n0 − n2)) with the pairs in each group of ties.
    fn tau_b(x: &[f64], y: &[f64]) -> f64 {
        let n = x.len();
        let (mut concordant, mut discordant) = (0, 0);
        for i in 0..n {
            for j in 0..n {
                if x[i] < x[j] && y[i] < y[j] {
                    concordant += 1;
                } else if x[i] < x[j] && y[i] > y[j] {
                    discordant += 1;
                }
            }
        }
        let tied = |values: &[f64]| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let groups = sorted.chunk_by(|a, b| a == b);
            groups.map(|g| g.len() * (g.len() - 1) / 2).sum::<usize>()
        };
        let all = n * (n - 1) / 2;
        let scale = ((all - tied(x)) as f64 * (all - tied(y)) as f64).sqrt();
        (f64::from(concordant) - f64::from(discordant)) / scale
    }

    /// Scores of few values, so that some are equal.
    fn scores() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        let score = || (0..9_i32).prop_map(|n| f64::from(n) / 8.0);
        let varied = |values: &[f64]| values.iter().any(|v| *v != values[0]);
        proptest::collection::vec((score(), score()), 2..30)
            .prop_map(|pairs| pairs.into_iter().unzip())
            .prop_filter("both vary", move |(x, y): &(Vec<f64>, Vec<f64>)| {
                varied(x) && varied(y)
            })
    }

    proptest! {
        #[test]
        fn correlations_are_those_of_their_definitions((x, y) in scores()) {
            let both = pairs(&x, &y);
            close(spearman(&both), pearson(&mid_ranks(&x), &mid_ranks(&y)));
            close(kendall(&both), tau_b(&x, &y));
        }

        #[test]
        fn only_the_order_counts((x, y) in scores()) {
            let both = pairs(&x, &y);
            let grown: Vec<Pair> = both.iter().map(|(x, y)| (x.exp(), y.powi(3) - 7.0)).collect();
            let turned: Vec<Pair> = both.iter().map(|(x, y)| (-x, *y)).collect();
            let swapped: Vec<Pair> = both.iter().map(|(x, y)| (*y, *x)).collect();
            for correlation in [spearman, kendall] {
                let value = correlation(&both).unwrap();
                prop_assert!((-1.0..=1.0).contains(&value));
                close(correlation(&grown), value);
                close(correlation(&turned), -value);
                close(correlation(&swapped), value);
                close(correlation(&pairs(&x, &x)), 1.0);
            }
        }

        #[test]
        fn ranks_add_up_and_a_regret_is_none_of_all((x, y) in scores()) {
            let n = x.len() as f64;
            prop_assert_eq!(mid_ranks(&x).iter().sum::<f64>(), n * (n + 1.0) / 2.0);
            let both = pairs(&x, &y);
            prop_assert_eq!(regret(&both, x.len()), 0.0);
            for first in 1..x.len() {
                prop_assert!(regret(&both, first) >= regret(&both, first + 1));
            }
        }

        #[test]
        fn an_interval_lies_within_the_range((x, y) in scores(), seed in any::<u64>()) {
            let both = pairs(&x, &y);
            let [low, high] = Correlation::new(&both, kendall, seed).interval.unwrap();
            prop_assert!((-1.0..=1.0).contains(&low) && low <= high && high <= 1.0);
        }
    }
}
