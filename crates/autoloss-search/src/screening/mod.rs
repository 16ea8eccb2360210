//! Screening (the paper's loss rejection): is a candidate worth a proxy training?
//!
//! No network is involved: the stored predictions of a few samples are optimised themselves, and a
//! candidate that does not bring them near their targets, by the task's metric, is rejected. The
//! stages run from the cheapest to the dearest; a verdict is a pure function of the loss, so it
//! does not matter which worker asks, nor in which order.

mod logits;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use autoloss_expr::{Adam, Loss, Program, Workspace};

use crate::error::SearchError;
use crate::seed::samples_seed;
use crate::settings::{Predictions, ScreeningSettings, Settings};
use crate::task::{BranchSpec, Sample, Task};

/// Verdicts kept for losses that come again, the oldest forgotten first: some 40 MB.
const KNOWN_VERDICTS: usize = 1 << 17;

/// What screening makes of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A branch uses no differentiable input, or does not use its `y`: nothing was computed.
    Structural,
    /// Its value or gradient is not finite, or its gradient is zero: g = −∞.
    Invalid,
    /// g is below the threshold.
    Rejected,
    /// Worth an evaluation.
    Passed,
}

/// The verdict over one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What became of it.
    pub judgement: Judgement,
    /// Why, where it did not pass.
    pub reason: Option<String>,
    /// g(L; ξ), the mean gain of the metric; `None` where it was not needed to the end.
    pub g: Option<f64>,
    /// ‖∂L/∂ŷ_b‖₂ of each sample; empty where it was not computed.
    pub norms: Vec<f64>,
    /// Equal for losses that compute the same; empty for structural verdicts.
    pub canonical: String,
}

/// How often a stage ran and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stage {
    /// Candidates that reached the stage.
    pub count: u64,
    /// Seconds, summed over the workers.
    pub seconds: f64,
}

/// The stages of screening.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stages {
    /// Drawing the candidate and looking at its inputs.
    pub structural: Stage,
    /// Flattening the candidate and looking its canonical form up.
    pub cached: Stage,
    /// Value and gradient at the stored predictions.
    pub gradient: Stage,
    /// Optimising the stored predictions and scoring them.
    pub optimisation: Stage,
}

impl Stages {
    /// Adds another worker's stages.
    pub fn add(&mut self, other: &Self) {
        for (sum, stage) in [
            (&mut self.structural, other.structural),
            (&mut self.cached, other.cached),
            (&mut self.gradient, other.gradient),
            (&mut self.optimisation, other.optimisation),
        ] {
            sum.count += stage.count;
            sum.seconds += stage.seconds;
        }
    }
}

fn timed<T>(stage: &mut Stage, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    stage.count += 1;
    stage.seconds += start.elapsed().as_secs_f64();
    result
}

/// What one worker needs to screen, reused from candidate to candidate.
#[derive(Default)]
pub struct Scratch {
    workspace: Workspace,
    gradients: Vec<Vec<f32>>,
    /// The fields that are optimised, one list a branch.
    fields: Vec<Vec<Vec<f32>>>,
    /// Counts and seconds of the stages so far.
    pub stages: Stages,
}

/// A candidate whose gradients are fine, before its predictions are optimised.
pub struct Open {
    programs: Vec<Program>,
    norms: Vec<f64>,
    canonical: String,
}

/// What the stages before the optimisation give.
pub enum Prepared {
    /// Hopeless by its inputs alone; the reason.
    Structural(String),
    /// A loss that computes the same was judged before.
    Known(Arc<Verdict>),
    /// Its value or gradient settles it.
    Settled(Arc<Verdict>),
    /// To be optimised, see [`Screener::judge`].
    Open(Open),
}

/// The stored samples of a task, and the verdicts given so far.
pub struct Screener {
    settings: ScreeningSettings,
    branches: Vec<BranchSpec>,
    samples: Vec<Sample>,
    /// ξ(ŷ_b, y_b) of the stored predictions.
    before: Vec<f64>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    verdicts: HashMap<String, Arc<Verdict>>,
    order: VecDeque<String>,
}

impl Screener {
    /// Takes the task's samples and scores their stored predictions.
    ///
    /// # Errors
    /// If the task has no samples, or they do not have the form of its branches.
    pub fn new(task: &dyn Task, settings: &Settings) -> Result<Self, SearchError> {
        let fail = |reason| SearchError::Samples {
            task: task.name().to_owned(),
            reason,
        };
        let wanted = settings.screening.samples;
        let mut samples = task
            .samples(wanted, samples_seed(settings.search.seed))
            .map_err(|e| fail(e.to_string()))?;
        if samples.len() != wanted {
            return Err(fail(format!("got {} of {wanted}", samples.len())));
        }
        let branches = task.branches().to_vec();
        let mut before = Vec::with_capacity(wanted);
        for (number, sample) in samples.iter().enumerate() {
            check_form(sample, &branches).map_err(|e| fail(format!("sample {number}: {e}")))?;
            let predictions: Vec<&[f32]> = branches
                .iter()
                .zip(&sample.branches)
                .map(|(spec, branch)| branch.inputs[prediction(spec)].as_slice())
                .collect();
            let score = (sample.scorer)(&predictions);
            if !score.is_finite() {
                return Err(fail(format!(
                    "sample {number}: the metric `{}` of the stored predictions is {score}, expected a finite number",
                    task.metric()
                )));
            }
            before.push(score);
        }
        if settings.screening.predictions == Predictions::Logits {
            for sample in &mut samples {
                for (spec, branch) in branches.iter().zip(&mut sample.branches) {
                    logits::of_probabilities(spec, &mut branch.inputs);
                }
            }
        }
        Ok(Self {
            settings: settings.screening.clone(),
            branches,
            samples,
            before,
            known: Mutex::default(),
        })
    }

    /// Whether candidates can be rejected at all, see `screening.rejection`.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.settings.rejection
    }

    /// All stages: the verdict over a loss.
    pub fn screen(&self, loss: &Loss, scratch: &mut Scratch) -> Arc<Verdict> {
        match self.prepare(loss, scratch) {
            Prepared::Structural(reason) => Arc::new(Verdict {
                judgement: Judgement::Structural,
                reason: Some(reason),
                g: None,
                norms: Vec::new(),
                canonical: String::new(),
            }),
            Prepared::Known(verdict) | Prepared::Settled(verdict) => verdict,
            Prepared::Open(open) => self.judge(open, scratch),
        }
    }

    /// The stages before the optimisation.
    pub fn prepare(&self, loss: &Loss, scratch: &mut Scratch) -> Prepared {
        let mut stages = scratch.stages;
        let structural = timed(&mut stages.structural, || self.structural(loss));
        if let (Some(reason), true) = (structural, self.settings.rejection) {
            scratch.stages = stages;
            return Prepared::Structural(reason);
        }
        let flat = timed(&mut stages.cached, || self.flatten(loss));
        let (programs, canonical) = match flat {
            Ok(flat) => flat,
            Err(reason) => {
                scratch.stages = stages;
                return Prepared::Structural(reason);
            }
        };
        if let Some(verdict) = self.lock().verdicts.get(&canonical) {
            scratch.stages = stages;
            return Prepared::Known(verdict.clone());
        }
        let norms = timed(&mut stages.gradient, || self.norms(&programs, scratch));
        scratch.stages = stages;
        match norms {
            Ok(norms) => Prepared::Open(Open {
                programs,
                norms,
                canonical,
            }),
            // Without rejection the candidate is evaluated all the same.
            Err((norms, _)) if !self.settings.rejection => Prepared::Open(Open {
                programs,
                norms,
                canonical,
            }),
            Err((norms, reason)) => Prepared::Settled(self.remember(Verdict {
                judgement: Judgement::Invalid,
                reason: Some(reason),
                g: Some(f64::NEG_INFINITY),
                norms,
                canonical,
            })),
        }
    }

    /// The last stage: optimises the stored predictions and judges the gain.
    ///
    /// Samples come one after the other; the rest are left out once even a perfect score on them
    /// could not lift g to the threshold.
    pub fn judge(&self, open: Open, scratch: &mut Scratch) -> Arc<Verdict> {
        let (judgement, reason, g) = if self.settings.rejection {
            let mut stage = scratch.stages.optimisation;
            let outcome = timed(&mut stage, || self.gain(&open.programs, scratch));
            scratch.stages.optimisation = stage;
            match outcome {
                Gain::Known(g) if g >= self.settings.threshold => {
                    (Judgement::Passed, None, Some(g))
                }
                Gain::Known(g) => (
                    Judgement::Rejected,
                    Some(format!(
                        "g is {g:.3}, the threshold {}",
                        self.settings.threshold
                    )),
                    Some(g),
                ),
                Gain::AtMost(bound, samples) => (
                    Judgement::Rejected,
                    Some(format!(
                        "g is at most {bound:.3} after {samples} of {} samples",
                        self.samples.len()
                    )),
                    None,
                ),
                Gain::Invalid(reason) => {
                    (Judgement::Invalid, Some(reason), Some(f64::NEG_INFINITY))
                }
            }
        } else {
            (Judgement::Passed, None, None)
        };
        self.remember(Verdict {
            judgement,
            reason,
            g,
            norms: open.norms,
            canonical: open.canonical,
        })
    }

    /// Keeps a verdict; the first over a canonical form stays.
    pub fn remember(&self, verdict: Verdict) -> Arc<Verdict> {
        let verdict = Arc::new(verdict);
        let known = &mut *self.lock();
        if known.verdicts.contains_key(&verdict.canonical) {
            return verdict;
        }
        known
            .verdicts
            .insert(verdict.canonical.clone(), verdict.clone());
        known.order.push_back(verdict.canonical.clone());
        if known.order.len() > KNOWN_VERDICTS
            && let Some(oldest) = known.order.pop_front()
        {
            known.verdicts.remove(&oldest);
        }
        verdict
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // A map whose every change is a whole insertion stays sound when a holder panics.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a loss is hopeless whatever it computes, if it is.
    fn structural(&self, loss: &Loss) -> Option<String> {
        for (spec, branch) in self.branches.iter().zip(&loss.branches) {
            let uses = |wanted: &dyn Fn(&str, bool) -> bool| {
                let mut inputs = spec.inputs.iter();
                inputs.any(|i| wanted(&i.name, i.differentiable) && branch.tree.uses(&i.name))
            };
            if !uses(&|_, differentiable| differentiable) {
                return Some(format!("branch `{}` uses no prediction", spec.name));
            }
            let has_target = spec.inputs.iter().any(|input| input.name == "y");
            if has_target && !uses(&|name, _| name == "y") {
                return Some(format!("branch `{}` does not use `y`", spec.name));
            }
        }
        None
    }

    fn flatten(&self, loss: &Loss) -> Result<(Vec<Program>, String), String> {
        if loss.branches.len() != self.branches.len() {
            return Err(format!(
                "the loss has {} branches, the task {}",
                loss.branches.len(),
                self.branches.len()
            ));
        }
        let mut programs = Vec::with_capacity(loss.branches.len());
        let mut canonical = String::new();
        for (spec, branch) in self.branches.iter().zip(&loss.branches) {
            let inputs: Vec<(&str, bool)> = spec
                .inputs
                .iter()
                .map(|input| (input.name.as_str(), input.differentiable))
                .collect();
            let program = match self.settings.predictions {
                Predictions::Logits => {
                    Program::new(&logits::over_logits(&branch.tree, spec), &inputs)
                }
                _ => Program::new(&branch.tree, &inputs),
            };
            let program = program.map_err(|e| e.to_string())?;
            if !canonical.is_empty() {
                canonical.push_str("; ");
            }
            canonical.push_str(program.canonical());
            programs.push(program);
        }
        Ok((programs, canonical))
    }

    /// The gradient norms, or what was wrong with them.
    fn norms(
        &self,
        programs: &[Program],
        scratch: &mut Scratch,
    ) -> Result<Vec<f64>, (Vec<f64>, String)> {
        let mut norms = Vec::with_capacity(self.samples.len());
        let mut reason = None;
        for (number, sample) in self.samples.iter().enumerate() {
            let mut squares = 0.0;
            for (program, branch) in programs.iter().zip(&sample.branches) {
                let inputs: Vec<&[f32]> = branch.inputs.iter().map(Vec::as_slice).collect();
                scratch
                    .gradients
                    .resize_with(inputs.len().max(scratch.gradients.len()), Vec::new);
                let gradients = &mut scratch.gradients[..inputs.len()];
                gradients.iter_mut().for_each(Vec::clear);
                let value =
                    program.gradient(&mut scratch.workspace, branch.shape, &inputs, gradients);
                if !value.is_finite() && reason.is_none() {
                    reason = Some(format!("the loss value of sample {number} is {value}"));
                }
                let elements = gradients.iter().flatten();
                squares += elements.map(|x| f64::from(*x).powi(2)).sum::<f64>();
            }
            if !squares.is_finite() && reason.is_none() {
                reason = Some(format!("the gradient of sample {number} is not finite"));
            }
            norms.push(squares.sqrt());
        }
        if reason.is_none() && norms.iter().all(|norm| *norm == 0.0) {
            reason = Some("the gradient is zero".to_owned());
        }
        match reason {
            None => Ok(norms),
            Some(reason) => Err((norms, reason)),
        }
    }

    fn gain(&self, programs: &[Program], scratch: &mut Scratch) -> Gain {
        let count = self.samples.len() as f64;
        let room = |b: usize| {
            let room = (1.0 - self.before[b]).max(0.0);
            if self.settings.normalise {
                f64::from(u8::from(room > 0.0))
            } else {
                room
            }
        };
        let mut sum = 0.0;
        let mut left: f64 = (0..self.samples.len()).map(room).sum();
        for b in 0..self.samples.len() {
            // The margin keeps rounding from deciding.
            let bound = (sum + left) / count;
            if bound < self.settings.threshold - 1e-9 {
                return Gain::AtMost(bound, b);
            }
            let after = match self.optimised_score(b, programs, scratch) {
                Ok(score) => score,
                Err(reason) => return Gain::Invalid(reason),
            };
            let gain = after - self.before[b];
            sum += match 1.0 - self.before[b] {
                room if self.settings.normalise && room > 0.0 => gain / room,
                _ => gain,
            };
            left -= room(b);
        }
        Gain::Known(sum / count)
    }

    /// How a branch's predictions are optimised.
    fn adam(&self, spec: &BranchSpec) -> Adam {
        let bounded = self.settings.predictions == Predictions::Bounded
            && spec.inputs.iter().all(|i| i.softmax || !i.differentiable);
        let adam = Adam {
            steps: self.settings.steps,
            step_size: self.settings.step_size as f32,
            ..Adam::default()
        };
        match bounded {
            true => Adam {
                bounds: (0.0, 1.0),
                ..adam
            },
            false => adam,
        }
    }

    /// ξ(ŷ*_b, y_b): the metric of a sample's predictions after their optimisation.
    fn optimised_score(
        &self,
        b: usize,
        programs: &[Program],
        scratch: &mut Scratch,
    ) -> Result<f64, String> {
        let sample = &self.samples[b];
        scratch.fields.resize_with(programs.len(), Vec::new);
        for (((program, stored), fields), spec) in programs
            .iter()
            .zip(&sample.branches)
            .zip(&mut scratch.fields)
            .zip(&self.branches)
        {
            fields.clone_from(&stored.inputs);
            program
                .optimise(
                    &mut scratch.workspace,
                    stored.shape,
                    fields,
                    &self.adam(spec),
                )
                .map_err(|e| format!("sample {b}: {e}"))?;
            if self.settings.predictions == Predictions::Logits {
                logits::to_probabilities(spec, stored.shape, fields, &mut scratch.workspace);
            }
        }
        let predictions: Vec<&[f32]> = self
            .branches
            .iter()
            .zip(&scratch.fields)
            .map(|(spec, fields)| fields[prediction(spec)].as_slice())
            .collect();
        if predictions.iter().any(|p| p.iter().any(|x| !x.is_finite())) {
            return Err(format!("sample {b}: an optimised prediction is not finite"));
        }
        let score = (sample.scorer)(&predictions);
        if score.is_finite() {
            Ok(score)
        } else {
            Err(format!("sample {b}: the metric is {score}"))
        }
    }
}

enum Gain {
    Known(f64),
    /// An upper bound below the threshold, and after how many samples.
    AtMost(f64, usize),
    Invalid(String),
}

/// The input of a branch that the metric reads: the first differentiable one.
fn prediction(spec: &BranchSpec) -> usize {
    let differentiable = spec.inputs.iter().position(|input| input.differentiable);
    differentiable.unwrap_or(0)
}

fn check_form(sample: &Sample, branches: &[BranchSpec]) -> Result<(), String> {
    if sample.branches.len() != branches.len() {
        return Err(format!(
            "{} branches, expected {}",
            sample.branches.len(),
            branches.len()
        ));
    }
    for (spec, branch) in branches.iter().zip(&sample.branches) {
        if !spec.inputs.iter().any(|input| input.differentiable) {
            return Err(format!(
                "branch `{}` has no differentiable input",
                spec.name
            ));
        }
        if branch.inputs.len() != spec.inputs.len() {
            return Err(format!(
                "branch `{}` has {} inputs, expected {}",
                spec.name,
                branch.inputs.len(),
                spec.inputs.len()
            ));
        }
        for (input, field) in spec.inputs.iter().zip(&branch.inputs) {
            if field.len() != branch.shape.len() {
                return Err(format!(
                    "input `{}` of branch `{}` has {} elements, expected {} for the shape {}",
                    input.name,
                    spec.name,
                    field.len(),
                    branch.shape.len(),
                    branch.shape
                ));
            }
        }
    }
    Ok(())
}
