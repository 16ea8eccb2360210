//! Comparison of losses by the same training over several seeds.

use autoloss_expr::Loss;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::event::{Ended, FailedTraining, Training};
use crate::task::Job;

/// Trainings of a loss, with their mean score.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The loss's name.
    pub name: String,
    /// Its formula.
    pub formula: String,
    /// The trainings with a score, at most one a seed.
    pub trainings: Vec<Training>,
    /// The trainings that failed; they count nowhere else.
    pub failed: Vec<FailedTraining>,
    /// Mean score; `None` where no training has one.
    pub mean: Option<f64>,
    /// Sample standard deviation of the scores; 0 for a single one.
    pub std: Option<f64>,
}

/// A loss, by name, to train.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The loss's name.
    pub name: String,
    /// The loss.
    pub loss: Loss,
    /// Its training, with the seed.
    pub job: Job,
}

impl Entry {
    /// Whether a training is that of this loss and seed.
    #[must_use]
    pub fn is_of(&self, ended: &Ended) -> bool {
        let (name, seed) = match ended {
            Ok(training) => (&training.name, training.seed),
            Err(failed) => (&failed.name, failed.seed),
        };
        self.name == *name && self.job.seed == seed
    }
}

/// Every loss with every seed, otherwise as `base`; pictures of the first seed alone.
#[must_use]
pub fn entries(
    losses: &[(String, Loss)],
    seeds: &[u64],
    base: &Job,
    pictures: usize,
) -> Vec<Entry> {
    let entry = |(name, loss): &(String, Loss), seed: u64| Entry {
        name: name.clone(),
        loss: loss.clone(),
        job: Job {
            seed,
            pictures: if seeds.first() == Some(&seed) {
                pictures
            } else {
                0
            },
            ..base.clone()
        },
    };
    losses
        .iter()
        .flat_map(|loss| seeds.iter().map(move |seed| entry(loss, *seed)))
        .collect()
}

/// Trainings grouped by name, in the order the names first occur.
#[must_use]
pub fn summarise(trainings: Vec<Ended>) -> Vec<Comparison> {
    let mut comparisons: Vec<Comparison> = Vec::new();
    for ended in trainings {
        let (name, formula) = match &ended {
            Ok(training) => (&training.name, &training.formula),
            Err(failed) => (&failed.name, &failed.formula),
        };
        let place = comparisons.iter().position(|c| c.name == *name);
        let place = place.unwrap_or_else(|| {
            comparisons.push(Comparison::empty(name.clone(), formula.clone()));
            comparisons.len() - 1
        });
        match ended {
            Ok(training) => comparisons[place].trainings.push(training),
            Err(failed) => comparisons[place].failed.push(failed),
        }
    }
    for comparison in &mut comparisons {
        comparison.average();
    }
    comparisons
}

/// Two losses compared seed by seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// Mean of the differences, the first loss less the second.
    pub difference: f64,
    /// Seeds that both were trained with.
    pub seeds: usize,
    /// Probability of a mean difference at least as far from 0, either way, if the losses were equally
    /// good: the paired t-test. `None` with fewer than two seeds, or where all differences are 0.
    pub p: Option<f64>,
}

impl Paired {
    /// The comparison by the differences of each seed; `None` of none.
    #[must_use]
    pub fn of(differences: &[f64]) -> Option<Self> {
        if differences.is_empty() {
            return None;
        }
        let (difference, std) = mean_and_std(differences);
        let count = differences.len() as f64;
        let t = difference / (std / count.sqrt());
        // Equal differences other than 0 are as far from chance as can be.
        let p = match StudentsT::new(0.0, 1.0, count - 1.0) {
            Ok(_) if std == 0.0 && difference != 0.0 => Some(0.0),
            Ok(distribution) if t.is_finite() => Some(2.0 * distribution.sf(t.abs())),
            _ => None,
        };
        Some(Self {
            difference,
            seeds: differences.len(),
            p: p.filter(|_| differences.len() > 1),
        })
    }
}

impl Comparison {
    /// The trainings of one loss, by its name, among others.
    #[must_use]
    pub fn of(name: &str, loss: &Loss, trainings: &[Ended]) -> Self {
        let mut comparison = Self::empty(name.to_owned(), loss.to_string());
        for ended in trainings {
            match ended {
                Ok(training) if training.name == name => {
                    comparison.trainings.push(training.clone());
                }
                Err(failed) if failed.name == name => comparison.failed.push(failed.clone()),
                _ => {}
            }
        }
        comparison.average();
        comparison
    }

    const fn empty(name: String, formula: String) -> Self {
        Self {
            name,
            formula,
            trainings: Vec::new(),
            failed: Vec::new(),
            mean: None,
            std: None,
        }
    }

    fn average(&mut self) {
        let scores: Vec<f64> = self.trainings.iter().map(|t| t.score).collect();
        let (mean, std) = mean_and_std(&scores);
        let any = !scores.is_empty();
        (self.mean, self.std) = (any.then_some(mean), any.then_some(std));
    }

    /// The comparison with another number of each training as its score.
    #[must_use]
    pub fn scored_by(mut self, score: impl Fn(&Training) -> f64) -> Self {
        for training in &mut self.trainings {
            training.score = score(training);
        }
        self.average();
        self
    }

    /// The mean score on the search set; `None` where it is not known of every training.
    #[must_use]
    pub fn search_mean(&self) -> Option<f64> {
        let scores: Option<Vec<f64>> = self.trainings.iter().map(Training::search_score).collect();
        let scores = scores.filter(|scores| !scores.is_empty());
        scores.map(|scores| mean_and_std(&scores).0)
    }

    /// The order of a table: the highest mean first, losses without a score last.
    #[must_use]
    pub fn better_first(&self, other: &Self) -> std::cmp::Ordering {
        let mean = |c: &Self| c.mean.unwrap_or(f64::NEG_INFINITY);
        mean(other).total_cmp(&mean(self))
    }

    /// This loss against another, over the seeds that both have; `None` if there is none.
    #[must_use]
    pub fn against(&self, other: &Self) -> Option<Paired> {
        let differences: Vec<f64> = self
            .trainings
            .iter()
            .filter_map(|mine| {
                let same = other.trainings.iter().find(|t| t.seed == mine.seed)?;
                Some(mine.score - same.score)
            })
            .collect();
        Paired::of(&differences)
    }
}

/// Mean and sample standard deviation; the latter is 0 for a single value.
#[must_use]
pub fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::EvaluationSet;

    #[test]
    fn mean_and_deviation_by_hand() {
        assert_eq!(
            mean_and_std(&[2.0, 4.0, 4.0, 6.0]),
            (4.0, (8.0f64 / 3.0).sqrt())
        );
        assert_eq!(mean_and_std(&[0.7]), (0.7, 0.0));
    }

    #[test]
    fn a_paired_test_by_hand() {
        let comparison = |scores: &[f64]| {
            let training = |(seed, score): (usize, &f64)| Training {
                name: "a".to_owned(),
                formula: "y".to_owned(),
                seed: seed as u64,
                set: EvaluationSet::Validation,
                score: *score,
                seconds: 0.0,
                note: None,
                curve: Vec::new(),
                metrics: Vec::new(),
                pictures: Vec::new(),
            };
            let trainings = scores.iter().enumerate().map(training).map(Ok).collect();
            summarise(trainings).swap_remove(0)
        };
        // Differences 1, 2, 3: t = 2 / (1 / √3) = 3.4641 with 2 degrees of freedom, whose
        // two-sided tail is 1 − t / √(2 + t²).
        let paired = comparison(&[2.0, 4.0, 6.0]).against(&comparison(&[1.0, 2.0, 3.0]));
        let paired = paired.unwrap();
        let t = 12.0_f64.sqrt();
        assert!((paired.p.unwrap() - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-9);
        assert_eq!((paired.difference, paired.seeds), (2.0, 3));
        let one = comparison(&[1.0])
            .against(&comparison(&[0.5, 0.5]))
            .unwrap();
        assert_eq!((one.seeds, one.p), (1, None));
        let same = comparison(&[1.0, 2.0]);
        assert_eq!(same.against(&same).unwrap().p, None);
    }
}
