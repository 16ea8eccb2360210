//! Screening (the paper's loss rejection): is a candidate worth a proxy training?
//!
//! No network is involved: the stored predictions of a few samples are optimised themselves, and a
//! candidate that does not bring them near their targets, by the task's metric, is rejected. The
//! stages run from the cheapest to the dearest, and each is a function of the loss and of what
//! was judged before it in a fixed order, so it does not matter which worker computes it:
//!
//! 1. structural: a branch without prediction or without target is hopeless;
//! 2. cached: a canonical form that was judged has its verdict;
//! 3. gradient: the value and the gradient of the stored predictions must be finite and not zero;
//! 4. equivalent: gradients that are those of a judged candidate, up to scale, lead the
//!    predictions the same way (`screening.same_gradient`);
//! 5. optimised: g(L; ξ), left as soon as it is certain, or as good as certain
//!    (`screening.early_share`).

mod exact;
mod fingerprint;
mod gain;
mod known;
mod logits;
mod samples;
mod signature;
mod simulated;
#[cfg(test)]
mod tests;
mod whole;

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use autoloss_expr::{Branch, Loss, Program, Workspace};

use crate::branch::prediction_gradient;
use crate::error::SearchError;
use crate::settings::{Predictions, ScreeningSettings, Settings};
use crate::task::{BranchSample, BranchSpec, InputSpec, Sample, Task};
use fingerprint::{Direction, Fingerprint};
use gain::Gain;
use known::Known;
use signature::OnTheWay;
pub(crate) use signature::Signature;
pub(crate) use whole::Looked;
pub use whole::{Screened, Screening};

/// What screening makes of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A branch uses no differentiable input, or none that knows the target: nothing was computed.
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
    /// Equal for losses whose gradients have one direction.
    fingerprint: Option<Fingerprint>,
}

impl Verdict {
    /// That of a loss that passes without being judged.
    pub(crate) fn unasked(canonical: String) -> Self {
        Self {
            judgement: Judgement::Passed,
            reason: None,
            g: None,
            norms: Vec::new(),
            canonical,
            fingerprint: None,
        }
    }

    pub(crate) fn structural(reason: String) -> Self {
        Self {
            judgement: Judgement::Structural,
            reason: Some(reason),
            g: None,
            norms: Vec::new(),
            canonical: String::new(),
            fingerprint: None,
        }
    }

    fn invalid(reason: String, norms: Vec<f64>, flat: Flat) -> Self {
        Self {
            judgement: Judgement::Invalid,
            reason: Some(reason),
            g: Some(f64::NEG_INFINITY),
            norms,
            canonical: flat.canonical,
            fingerprint: None,
        }
    }

    /// The same for a candidate with the same gradients.
    fn of_another(&self, pulled: Pulled) -> Self {
        Self {
            judgement: self.judgement,
            reason: Some(format!("its gradients are those of {}", self.canonical)),
            g: self.g,
            norms: vec![pulled.norm],
            canonical: pulled.flat.canonical,
            fingerprint: pulled.fingerprint,
        }
    }
}

/// The verdict of an earlier part of a run over a loss.
pub struct Past {
    /// What became of it.
    pub judgement: Judgement,
    /// Why, where it did not pass.
    pub reason: Option<String>,
    /// g(L; ξ).
    pub g: Option<f64>,
    /// ‖∂L/∂ŷ_b‖₂ of each sample.
    pub norms: Vec<f64>,
}

/// How often a stage ran and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stage {
    /// Candidates that reached the stage.
    pub count: u64,
    /// Of these, candidates whose verdict fell there.
    pub decided: u64,
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
    /// Looking up candidates with the same gradients.
    pub equivalent: Stage,
    /// Optimising the stored predictions and scoring them.
    pub optimised: Stage,
}

impl Stages {
    /// The stages in their order, by name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &Stage); 5] {
        [
            ("structural", &self.structural),
            ("cached", &self.cached),
            ("gradient", &self.gradient),
            ("equivalent", &self.equivalent),
            ("optimised", &self.optimised),
        ]
    }

    /// Adds another worker's stages.
    pub fn add(&mut self, other: &Self) {
        for (sum, stage) in [
            (&mut self.structural, other.structural),
            (&mut self.cached, other.cached),
            (&mut self.gradient, other.gradient),
            (&mut self.equivalent, other.equivalent),
            (&mut self.optimised, other.optimised),
        ] {
            sum.count += stage.count;
            sum.decided += stage.decided;
            sum.seconds += stage.seconds;
        }
    }
}

impl Stage {
    /// Does a candidate's part of the stage.
    fn timed<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.count += 1;
        self.seconds += start.elapsed().as_secs_f64();
        result
    }
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

/// A candidate that is not hopeless by its inputs.
pub struct Flat {
    programs: Vec<Program>,
    canonical: String,
}

impl Flat {
    /// Equal for losses that compute the same.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

/// A candidate whose gradient at the first sample is known.
pub struct Pulled {
    flat: Flat,
    /// Norm of the first sample's gradient.
    norm: f64,
    fingerprint: Option<Fingerprint>,
}

impl Pulled {
    /// Equal for losses whose gradients have one direction; `None` where that is not to count.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }
}

/// A candidate whose gradients are fine, before its predictions are optimised.
pub struct Open {
    flat: Flat,
    norms: Vec<f64>,
    fingerprint: Option<Fingerprint>,
}

impl Open {
    /// The verdict over it where it is judged no further.
    pub(crate) fn unjudged(&self) -> Verdict {
        Verdict {
            norms: self.norms.clone(),
            fingerprint: self.fingerprint,
            ..Verdict::unasked(self.flat.canonical.clone())
        }
    }
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

/// The stored samples of some branches of a task, and the verdicts over them given so far.
pub struct Screener {
    settings: ScreeningSettings,
    branches: Vec<BranchSpec>,
    /// The first of them among the task's.
    first: usize,
    /// How many the task has.
    of: usize,
    samples: Vec<Sample>,
    /// ξ(ŷ_b, y_b) of the stored predictions.
    before: Vec<f64>,
    known: Mutex<Known>,
    /// What signatures are taken at.
    on_the_way: OnceLock<OnTheWay>,
}

impl Screener {
    /// Screens all branches together: takes the task's samples and scores their stored predictions.
    ///
    /// # Errors
    /// If the task has no samples, or they do not have the form of its branches.
    pub fn new(task: &dyn Task, settings: &Settings) -> Result<Self, SearchError> {
        let samples = samples::stored(task, settings)?;
        Self::over(task, settings, samples, 0..task.branches().len())
    }

    /// Screens the given branches, whose inputs the samples hold.
    fn over(
        task: &dyn Task,
        settings: &Settings,
        mut samples: Vec<Sample>,
        branches: Range<usize>,
    ) -> Result<Self, SearchError> {
        let specs = task.branches()[branches.clone()].to_vec();
        let before = samples::scores(task, &specs, &samples)?;
        if settings.screening.predictions == Predictions::Logits {
            for sample in &mut samples {
                for (spec, branch) in specs.iter().zip(&mut sample.branches) {
                    logits::of_probabilities(spec, &mut branch.inputs);
                }
            }
        }
        Ok(Self {
            settings: settings.screening.clone(),
            first: branches.start,
            of: task.branches().len(),
            branches: specs,
            samples,
            before,
            known: Mutex::default(),
            on_the_way: OnceLock::new(),
        })
    }

    /// The branches of a loss that are screened here.
    fn mine<'a>(&self, loss: &'a Loss) -> &'a [Branch] {
        let end = (self.first + self.branches.len()).min(loss.branches.len());
        &loss.branches[self.first.min(end)..end]
    }

    /// Whether candidates can be rejected at all, see `screening.rejection`.
    #[must_use]
    pub fn rejects(&self) -> bool {
        self.settings.rejection
    }

    /// All stages: the verdict over a loss.
    pub fn screen(&self, loss: &Loss, scratch: &mut Scratch) -> Arc<Verdict> {
        match self.prepare(loss, scratch) {
            Prepared::Structural(reason) => Arc::new(Verdict::structural(reason)),
            Prepared::Known(verdict) | Prepared::Settled(verdict) => verdict,
            Prepared::Open(open) => self.judge(open, scratch),
        }
    }

    /// The stages before the optimisation.
    pub fn prepare(&self, loss: &Loss, scratch: &mut Scratch) -> Prepared {
        let flat = match self.flatten(loss, scratch) {
            Ok(flat) => flat,
            Err(reason) => return Prepared::Structural(reason),
        };
        if let Some(verdict) = self.known(&flat) {
            scratch.stages.cached.decided += 1;
            return Prepared::Known(verdict);
        }
        let settled = |verdict: Box<Verdict>| Prepared::Settled(self.remember(*verdict));
        let pulled = match self.pull(flat, scratch) {
            Ok(pulled) => pulled,
            Err(verdict) => return settled(verdict),
        };
        let alike = self.alike(&pulled, scratch);
        if let Some(verdict) = &alike
            && verdict.judgement != Judgement::Passed
        {
            // Not kept: a later look finds the same.
            return Prepared::Known(Arc::new(verdict.of_another(pulled)));
        }
        match (self.gradients(pulled, scratch), alike) {
            (Err(verdict), _) => settled(verdict),
            (Ok(open), None) => Prepared::Open(open),
            (Ok(open), Some(verdict)) => settled(Box::new(Verdict {
                judgement: Judgement::Passed,
                reason: None,
                g: verdict.g,
                norms: open.norms,
                canonical: open.flat.canonical,
                fingerprint: open.fingerprint,
            })),
        }
    }

    /// The last stage: optimises the stored predictions and judges the gain.
    pub fn judge(&self, open: Open, scratch: &mut Scratch) -> Arc<Verdict> {
        self.remember(self.optimise(open, scratch))
    }

    /// The stages up to the first steps of the last one: what is open then is likely to pass.
    pub(crate) fn look(&self, loss: &Loss, scratch: &mut Scratch) -> Prepared {
        match self.prepare(loss, scratch) {
            Prepared::Open(open) => match self.early(open, scratch) {
                Ok(open) => Prepared::Open(open),
                Err(verdict) => Prepared::Settled(self.remember(*verdict)),
            },
            other => other,
        }
    }

    /// What [`Screener::look`] left open.
    pub(crate) fn finish(&self, open: &Open, scratch: &mut Scratch) -> Arc<Verdict> {
        self.remember(self.late(open, scratch))
    }

    /// The first two stages, without the look-up.
    ///
    /// # Errors
    /// Why the loss is hopeless by its inputs alone.
    pub fn flatten(&self, loss: &Loss, scratch: &mut Scratch) -> Result<Flat, String> {
        let stage = &mut scratch.stages.structural;
        let structural = stage.timed(|| self.structural(loss));
        if let (Some(reason), true) = (structural, self.settings.rejection) {
            stage.decided += 1;
            return Err(reason);
        }
        scratch.stages.cached.timed(|| self.programs(loss))
    }

    /// The verdict over a loss that computes the same, if there was one.
    pub fn known(&self, flat: &Flat) -> Option<Arc<Verdict>> {
        self.lock().canonical(&flat.canonical)
    }

    /// The third stage at the first sample.
    ///
    /// # Errors
    /// The verdict, where value or gradient settle it.
    pub fn pull(&self, flat: Flat, scratch: &mut Scratch) -> Result<Pulled, Box<Verdict>> {
        let mut stage = scratch.stages.gradient;
        let (value, direction) = stage.timed(|| self.descend(&flat.programs, 0, scratch));
        scratch.stages.gradient = stage;
        let rejects = self.settings.rejection;
        match wrong(0, value, &direction) {
            Some(reason) if rejects => {
                scratch.stages.gradient.decided += 1;
                Err(Box::new(Verdict::invalid(
                    reason,
                    vec![direction.norm()],
                    flat,
                )))
            }
            _ => Ok(Pulled {
                norm: direction.norm(),
                fingerprint: match rejects && self.settings.same_gradient {
                    true => direction.fingerprint(),
                    false => None,
                },
                flat,
            }),
        }
    }

    /// The fourth stage: the verdict over a loss with the same gradients, if there was one.
    pub fn alike(&self, pulled: &Pulled, scratch: &mut Scratch) -> Option<Arc<Verdict>> {
        let fingerprint = pulled.fingerprint?;
        let stage = &mut scratch.stages.equivalent;
        let verdict = stage.timed(|| self.lock().fingerprint(fingerprint))?;
        stage.decided += 1;
        Some(verdict)
    }

    /// The third stage at the other samples.
    ///
    /// # Errors
    /// The verdict, where value or gradient settle it.
    pub fn gradients(&self, pulled: Pulled, scratch: &mut Scratch) -> Result<Open, Box<Verdict>> {
        let start = Instant::now();
        let mut norms = vec![pulled.norm];
        let mut reason = None;
        for number in 1..self.samples.len() {
            let (value, direction) = self.descend(&pulled.flat.programs, number, scratch);
            norms.push(direction.norm());
            reason = reason.or_else(|| wrong(number, value, &direction));
        }
        if reason.is_none() && norms.iter().all(|norm| *norm == 0.0) {
            reason = Some("the gradient is zero".to_owned());
        }
        scratch.stages.gradient.seconds += start.elapsed().as_secs_f64();
        match reason {
            Some(reason) if self.settings.rejection => {
                scratch.stages.gradient.decided += 1;
                Err(Box::new(Verdict::invalid(reason, norms, pulled.flat)))
            }
            // Without rejection the candidate is evaluated whatever its gradients are.
            _ => Ok(Open {
                flat: pulled.flat,
                norms,
                fingerprint: pulled.fingerprint,
            }),
        }
    }

    /// The fifth stage: optimises the stored predictions and judges the gain.
    pub fn optimise(&self, open: Open, scratch: &mut Scratch) -> Verdict {
        match self.early(open, scratch) {
            Ok(open) => self.late(&open, scratch),
            Err(verdict) => *verdict,
        }
    }

    /// The first steps of the fifth stage.
    ///
    /// # Errors
    /// The verdict, where they settle it.
    fn early(&self, open: Open, scratch: &mut Scratch) -> Result<Open, Box<Verdict>> {
        if !self.settings.rejection {
            return Ok(open);
        }
        let mut stage = scratch.stages.optimised;
        let gain = stage.timed(|| self.early_gain(&open.flat.programs, scratch));
        scratch.stages.optimised = stage;
        match gain {
            Some(gain) => Err(Box::new(self.judged(&open, gain, scratch))),
            None => Ok(open),
        }
    }

    /// The rest of the fifth stage.
    fn late(&self, open: &Open, scratch: &mut Scratch) -> Verdict {
        if !self.settings.rejection {
            return open.unjudged();
        }
        let start = Instant::now();
        let gain = self.gain(&open.flat.programs, scratch);
        scratch.stages.optimised.seconds += start.elapsed().as_secs_f64();
        self.judged(open, gain, scratch)
    }

    fn judged(&self, open: &Open, gain: Gain, scratch: &mut Scratch) -> Verdict {
        scratch.stages.optimised.decided += 1;
        let (judgement, reason, g) = gain.judged(self.settings.threshold, self.samples.len());
        Verdict {
            judgement,
            reason,
            g,
            ..open.unjudged()
        }
    }

    /// Keeps a verdict; the first over a canonical form stays.
    pub fn remember(&self, verdict: Verdict) -> Arc<Verdict> {
        self.remember_shared(Arc::new(verdict))
    }

    /// The same for a verdict that is shared already.
    pub fn remember_shared(&self, verdict: Arc<Verdict>) -> Arc<Verdict> {
        self.lock().remember(verdict)
    }

    /// The verdict over what is not to be judged: it passes, with its gradients' norms.
    pub(super) fn measure(&self, loss: &Loss, scratch: &mut Scratch) -> Verdict {
        let mut verdict = Verdict::unasked(String::new());
        // A native loss has no program; held fixed, it does not tell candidates apart either.
        if let Ok(flat) = self.programs(loss) {
            let samples = 0..self.samples.len();
            let norms = samples.map(|b| self.descend(&flat.programs, b, scratch).1.norm());
            verdict.norms = norms.collect();
            verdict.canonical = flat.canonical;
        }
        verdict
    }

    /// Enters the verdict of an earlier part of a run.
    pub fn restore(&self, loss: &Loss, verdict: Past, scratch: &mut Scratch) {
        let Ok(flat) = self.programs(loss) else {
            return;
        };
        let canonical = flat.canonical.clone();
        // The stages of the first time tell whether there is a direction to compare: a candidate can
        // also be invalid because its predictions overflowed while they were optimised.
        let fingerprint = match self.pull(flat, scratch) {
            Ok(pulled) if verdict.judgement == Judgement::Invalid => {
                let open = self.gradients(pulled, scratch);
                open.ok().and_then(|open| open.fingerprint)
            }
            Ok(pulled) => pulled.fingerprint,
            Err(_) => None,
        };
        self.remember(Verdict {
            judgement: verdict.judgement,
            reason: verdict.reason,
            g: verdict.g,
            norms: verdict.norms,
            canonical,
            fingerprint,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // A map whose every change is a whole insertion stays sound when a holder panics.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a loss is hopeless whatever it computes, if it is.
    fn structural(&self, loss: &Loss) -> Option<String> {
        for (spec, branch) in self.branches.iter().zip(self.mine(loss)) {
            let uses = |wanted: &dyn Fn(&InputSpec) -> bool| {
                let mut inputs = spec.inputs.iter();
                inputs.any(|i| wanted(i) && branch.tree.uses(&i.name))
            };
            if !uses(&InputSpec::differentiable) {
                return Some(format!("branch `{}` uses no prediction", spec.name));
            }
            let targets = spec.inputs.iter().filter(|input| input.knows_target());
            let targets: Vec<&str> = targets.map(|input| input.name.as_str()).collect();
            if !targets.is_empty() && !uses(&InputSpec::knows_target) {
                let names = targets.join("` or `");
                return Some(format!("branch `{}` does not use `{names}`", spec.name));
            }
        }
        None
    }

    fn programs(&self, loss: &Loss) -> Result<Flat, String> {
        if loss.branches.len() != self.of {
            return Err(format!(
                "the loss has {} branches, the task {}",
                loss.branches.len(),
                self.of
            ));
        }
        let mut programs = Vec::with_capacity(loss.branches.len());
        let mut canonical = String::new();
        for (spec, branch) in self.branches.iter().zip(self.mine(loss)) {
            let inputs = spec.program_inputs();
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
        Ok(Flat {
            programs,
            canonical,
        })
    }

    /// The loss value of a sample, and its gradient's direction.
    fn descend(
        &self,
        programs: &[Program],
        sample: usize,
        scratch: &mut Scratch,
    ) -> (f64, Direction) {
        let mut total = 0.0;
        let mut direction = Direction::default();
        let stored = self.samples[sample].branches.iter().zip(&self.branches);
        for (program, (branch, spec)) in programs.iter().zip(stored) {
            let (value, gradient) = gradient_at(program, spec, branch, &branch.inputs, scratch);
            total += value;
            direction.add(gradient);
        }
        (total, direction)
    }
}

/// The loss value of a stored branch with those inputs, and its gradient for the prediction.
fn gradient_at<'a>(
    program: &Program,
    spec: &BranchSpec,
    stored: &BranchSample,
    inputs: &[Vec<f32>],
    scratch: &'a mut Scratch,
) -> (f64, &'a [f32]) {
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let value = prediction_gradient(
        program,
        spec,
        stored.shape,
        &inputs,
        stored.derived.as_deref(),
        &mut scratch.workspace,
        &mut scratch.gradients,
    );
    (value, &scratch.gradients[spec.prediction()])
}

/// What is wrong with the value or the gradient of a sample, if something is.
fn wrong(sample: usize, value: f64, direction: &Direction) -> Option<String> {
    if !value.is_finite() {
        return Some(format!("the loss value of sample {sample} is {value}"));
    }
    let finite = direction.norm().is_finite();
    (!finite).then(|| format!("the gradient of sample {sample} is not finite"))
}
