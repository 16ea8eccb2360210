//! Made-up predictions and targets of any size: nothing to train, but something to screen on.

use autoloss_expr::{Loss, Shape};
use autoloss_metrics::{
    Metric, MetricError, SegmentationScore, SegmentationSettings as ScoreSettings,
};
use autoloss_search::{BranchSpec, Evaluation, Interrupt, Job, Reporter, Sample, Task, TaskError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::segmentation::{branch_specs, sample};
use crate::memory;

/// Side of the cells that the smooth fields are interpolated over.
const CELL: usize = 16;

/// Spread of the logits of the predictions, about that of an untrained network.
const CONTRAST: f32 = 0.5;

/// Segmentation on smooth random fields: a pixel's target is the class whose field is the largest,
/// and the predictions are the softmax of other fields.
pub struct MadeUp {
    shape: Shape,
    metric: Metric,
    branches: Vec<BranchSpec>,
}

impl MadeUp {
    /// The task of that many classes, rows and columns.
    ///
    /// # Errors
    /// If the metric does not exist or cannot be used with so many classes.
    pub fn new([classes, height, width]: [usize; 3], metric: &str) -> Result<Self, MetricError> {
        let task = Self {
            shape: Shape::new(1, classes, height, width),
            metric: Metric::from_name(metric)?,
            branches: branch_specs(),
        };
        SegmentationScore::new(task.score_settings())?;
        Ok(task)
    }

    fn score_settings(&self) -> ScoreSettings {
        ScoreSettings {
            classes: self.shape.c,
            background: Some(0),
            distance: 5,
            metrics: vec![self.metric],
        }
    }

    /// One smooth field a class.
    fn fields(&self, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let Shape { c, h, w, .. } = self.shape;
        let (rows, columns) = (h / CELL + 2, w / CELL + 2);
        let mut fields = Vec::with_capacity(self.shape.len());
        for _ in 0..c {
            let corners: Vec<f32> = (0..rows * columns).map(|_| rng.random()).collect();
            for i in 0..h * w {
                let (y, x) = (i / w, i % w);
                let part = |at: usize| (at % CELL) as f32 / CELL as f32;
                let corner =
                    |dy: usize, dx: usize| corners[(y / CELL + dy) * columns + x / CELL + dx];
                let (down, right) = (part(y), part(x));
                let above = corner(0, 0) * (1.0 - right) + corner(0, 1) * right;
                let below = corner(1, 0) * (1.0 - right) + corner(1, 1) * right;
                fields.push(above * (1.0 - down) + below * down);
            }
        }
        fields
    }

    fn made_up(&self, rng: &mut ChaCha8Rng) -> Result<Sample, TaskError> {
        let Shape { c, h, w, .. } = self.shape;
        let pixels = h * w;
        let scores = self.fields(rng);
        let best = |i: usize| {
            let at = |class: usize| scores[class * pixels + i];
            (1..c).fold(
                0,
                |best, class| if at(class) > at(best) { class } else { best },
            )
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most 255 classes")]
        let labels: Vec<u8> = (0..pixels).map(|i| best(i) as u8).collect();
        let mut yhat = self.fields(rng);
        yhat.iter_mut().for_each(|x| *x = (*x * CONTRAST).exp());
        for i in 0..pixels {
            let total: f32 = (0..c).map(|class| yhat[class * pixels + i]).sum();
            (0..c).for_each(|class| yhat[class * pixels + i] /= total);
        }
        sample(
            self.shape,
            &labels,
            yhat,
            &self.score_settings(),
            self.metric,
        )
    }
}

impl Task for MadeUp {
    fn name(&self) -> &str {
        "made-up"
    }

    fn metric(&self) -> &str {
        self.metric.name()
    }

    fn branches(&self) -> &[BranchSpec] {
        &self.branches
    }

    fn samples(&self, count: usize, seed: u64) -> Result<Vec<Sample>, TaskError> {
        let Shape { c, h, w, .. } = self.shape;
        // Predictions, targets and gradients.
        memory::check("screening.samples of this shape", &[count, c, h, w], 3)
            .map_err(TaskError::Failed)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| self.made_up(&mut rng)).collect()
    }

    fn evaluate_reporting(
        &self,
        _: &Loss,
        _: &Job,
        _: &Interrupt,
        _: Reporter<'_>,
    ) -> Result<Evaluation, TaskError> {
        let message = "made-up predictions have no network to train";
        Err(TaskError::Failed(message.to_owned()))
    }

    fn baselines(&self) -> Vec<(String, Loss)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_search::{Judgement, Scratch, Screener, Settings, parse_loss};

    #[test]
    fn cross_entropy_passes_on_it_and_its_negative_does_not() {
        let task = MadeUp::new([5, 24, 40], "miou").unwrap();
        let sample = &task.samples(1, 3).unwrap()[0];
        let [yhat, y] = &sample.branches[0].inputs[..] else {
            panic!("two inputs")
        };
        let pixels = 24 * 40;
        for i in 0..pixels {
            let sum = |field: &[f32]| (0..5).map(|c| field[c * pixels + i]).sum::<f32>();
            assert!((sum(yhat) - 1.0).abs() < 1e-5 && sum(y) == 1.0);
        }
        let screener = Screener::new(&task, &Settings::default()).unwrap();
        let judgement = |formula| {
            let loss = parse_loss(&task, formula).unwrap();
            screener.screen(&loss, &mut Scratch::default()).judgement
        };
        assert_eq!(judgement("-(y * log(yhat))"), Judgement::Passed);
        assert_eq!(judgement("y * log(yhat)"), Judgement::Rejected);
    }

    #[test]
    fn a_metric_that_does_not_exist_is_named() {
        assert!(MadeUp::new([5, 8, 8], "ap").is_err());
    }
}
