//! The result of a final comparison in one sentence: whether the loss found is better than, as good as, or
//! worse than the best hand-written one, and which of the two is recommended.

use std::fmt;

use serde::Serialize;

use crate::comparison::{Comparison, Paired};

/// Largest p of a paired test that counts as a difference.
const SIGNIFICANT: f64 = 0.05;

/// A loss found against the best baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its mean score is higher, and the paired test shows the difference.
    Better,
    /// The paired test shows no difference.
    AsGood,
    /// Its mean score is lower, and the paired test shows the difference.
    Worse,
}

/// The result of a final comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// Name of the loss found, such as `#12`.
    pub found: String,
    /// Its formula.
    pub formula: String,
    /// Its mean score.
    pub mean: f64,
    /// The best baseline, and the loss found against it; `None` where no baseline has a score.
    pub against: Option<Against>,
}

/// A loss found against the best baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// Name of the baseline.
    pub baseline: String,
    /// Its formula.
    pub formula: String,
    /// Its mean score.
    pub mean: f64,
    /// Differences, the loss found less the baseline, over the seeds of both.
    pub paired: Paired,
    /// The result of the test.
    pub standing: Standing,
}

/// Whether a name in a comparison is that of a candidate, as opposed to a baseline.
pub(crate) fn candidate_id(name: &str) -> Option<u64> {
    name.strip_prefix('#')?.parse().ok()
}

impl Conclusion {
    /// The result of a comparison; `None` where no loss found has a score. Of several losses found, that with
    /// the best mean on the search set is meant. The best baseline is that with the highest mean.
    #[must_use]
    pub fn of(comparisons: &[Comparison]) -> Option<Self> {
        let best = |found: bool, mean: fn(&Comparison) -> Option<f64>| {
            let of_kind = comparisons
                .iter()
                .filter(|c| candidate_id(&c.name).is_some() == found && c.mean.is_some());
            of_kind.max_by(|a, b| {
                let value = |c: &Comparison| mean(c).or(c.mean).unwrap_or(f64::NEG_INFINITY);
                // The first of equals.
                value(a)
                    .total_cmp(&value(b))
                    .then(std::cmp::Ordering::Greater)
            })
        };
        let found = best(true, Comparison::search_mean)?;
        let against = best(false, |c| c.mean).and_then(|baseline| {
            let paired = found.against(baseline)?;
            Some(Against {
                baseline: baseline.name.clone(),
                formula: baseline.formula.clone(),
                mean: baseline.mean?,
                paired,
                standing: standing(&paired),
            })
        });
        Some(Self {
            found: found.name.clone(),
            formula: found.formula.clone(),
            mean: found.mean?,
            against,
        })
    }

    /// Name and formula of the loss to use: the one found where it is better or nothing stands against it,
    /// else the best baseline, which is simpler to trust.
    #[must_use]
    pub fn recommended(&self) -> (&str, &str) {
        match &self.against {
            Some(against) if against.standing != Standing::Better => {
                (&against.baseline, &against.formula)
            }
            _ => (&self.found, &self.formula),
        }
    }
}

fn standing(paired: &Paired) -> Standing {
    match paired.p {
        Some(p) if p < SIGNIFICANT && paired.difference > 0.0 => Standing::Better,
        Some(p) if p < SIGNIFICANT => Standing::Worse,
        _ => Standing::AsGood,
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (found, mean) = (&self.found, self.mean);
        let Some(against) = &self.against else {
            return write!(
                f,
                "{found} scores {mean:.4}; there is no baseline to compare with"
            );
        };
        let Paired {
            difference,
            seeds,
            p,
            ..
        } = against.paired;
        let relation = match against.standing {
            Standing::Better => "better than",
            Standing::AsGood => "as good as",
            Standing::Worse => "worse than",
        };
        write!(
            f,
            "{found} is {relation} {}, the best baseline: {mean:.4} against {:.4}, a difference of \
             {difference:+.4} over {seeds} seeds",
            against.baseline, against.mean
        )?;
        match p {
            Some(p) => write!(f, " (paired t-test, p = {p:.3})"),
            None if seeds < 2 => write!(f, "; one seed shows no difference"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::summarise;
    use crate::event::Training;
    use crate::task::EvaluationSet;

    fn comparisons(losses: &[(&str, &[f64])]) -> Vec<Comparison> {
        let trainings = losses.iter().flat_map(|(name, scores)| {
            scores.iter().enumerate().map(move |(seed, score)| {
                Ok(Training {
                    name: (*name).to_owned(),
                    formula: format!("formula of {name}"),
                    seed: seed as u64,
                    set: EvaluationSet::Validation,
                    score: *score,
                    seconds: 1.0,
                    note: None,
                    curve: Vec::new(),
                    metrics: Vec::new(),
                    pictures: Vec::new(),
                })
            })
        });
        summarise(trainings.collect())
    }

    #[test]
    fn a_loss_is_recommended_only_where_the_test_shows_that_it_is_better() {
        let baselines: [(&str, &[f64]); 2] = [
            ("cross_entropy", &[0.30, 0.31, 0.29]),
            ("dice", &[0.40, 0.41, 0.39]),
        ];
        let conclusion = |scores: &[f64]| {
            let all = [&baselines[..], &[("#7", scores)]].concat();
            Conclusion::of(&comparisons(&all)).unwrap()
        };
        let better = conclusion(&[0.45, 0.47, 0.44]);
        let worse = conclusion(&[0.35, 0.35, 0.34]);
        let as_good = conclusion(&[0.42, 0.38, 0.41]);
        assert_eq!(better.recommended(), ("#7", "formula of #7"));
        assert_eq!(worse.recommended(), ("dice", "formula of dice"));
        assert_eq!(as_good.recommended(), ("dice", "formula of dice"));
        let one = Conclusion::of(&comparisons(&[("dice", &[0.4]), ("#7", &[0.5])])).unwrap();
        assert_eq!(one.recommended().0, "dice");
        let alone = Conclusion::of(&comparisons(&[("#7", &[0.5])])).unwrap();
        assert_eq!(alone.recommended().0, "#7");
        assert_eq!(Conclusion::of(&comparisons(&baselines)), None);
        let texts = [better, as_good, worse, one, alone].map(|conclusion| conclusion.to_string());
        insta::assert_snapshot!(texts.join("\n"));
    }
}
