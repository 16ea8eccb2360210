//! The stages in their order, over the stored samples of a task, and the verdicts given so far.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use autoloss_expr::{Branch, Loss};

use super::cache::VerdictCache;
use super::on_the_way::OnTheWay;
use super::pending::{Flat, Open, Prepared, Pulled};
use super::scratch::Scratch;
use super::verdict::{Judgement, Past, Verdict};
use super::{logits, samples};
use crate::error::SearchError;
use crate::settings::{Predictions, ScreeningSettings, Settings};
use crate::task::{BranchSpec, Sample, Task};

/// The stored samples of some branches of a task, and the verdicts over them given so far.
pub struct Screener {
    pub(super) settings: ScreeningSettings,
    pub(super) branches: Vec<BranchSpec>,
    /// Position of the first of them among the task's.
    first: usize,
    /// Number of branches of the task.
    pub(super) of: usize,
    pub(super) samples: Vec<Sample>,
    /// ξ(ŷ_b, y_b) of the stored predictions.
    pub(super) before: Vec<f64>,
    known: Mutex<VerdictCache>,
    /// Inputs that signatures are taken at, computed when the first one is.
    pub(super) on_the_way: OnceLock<OnTheWay>,
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
    pub(super) fn over(
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
    pub(super) fn mine<'a>(&self, loss: &'a Loss) -> &'a [Branch] {
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
            // Not kept: a later comparison of gradients finds the same.
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

    /// The stages up to the first steps of the last one: a candidate that is open then is likely to pass.
    pub(crate) fn prescreen(&self, loss: &Loss, scratch: &mut Scratch) -> Prepared {
        match self.prepare(loss, scratch) {
            Prepared::Open(open) => match self.early(open, scratch) {
                Ok(open) => Prepared::Open(open),
                Err(verdict) => Prepared::Settled(self.remember(*verdict)),
            },
            other => other,
        }
    }

    /// The verdict over a candidate that [`Screener::prescreen`] left open.
    pub(crate) fn finish(&self, open: &Open, scratch: &mut Scratch) -> Arc<Verdict> {
        self.remember(self.late(open, scratch))
    }

    /// The verdict over a loss that computes the same, if there was one.
    pub fn known(&self, flat: &Flat) -> Option<Arc<Verdict>> {
        self.lock().canonical(&flat.canonical)
    }

    /// The fourth stage: the verdict over a loss with the same gradients, if there was one.
    pub fn alike(&self, pulled: &Pulled, scratch: &mut Scratch) -> Option<Arc<Verdict>> {
        let fingerprint = pulled.fingerprint?;
        let stage = &mut scratch.stages.equivalent;
        let verdict = stage.timed(|| self.lock().fingerprint(fingerprint))?;
        stage.decided += 1;
        Some(verdict)
    }

    /// Keeps a verdict; the first over a canonical form stays.
    pub fn remember(&self, verdict: Verdict) -> Arc<Verdict> {
        self.remember_shared(Arc::new(verdict))
    }

    /// Keeps a verdict that is shared already; the first over a canonical form stays.
    pub fn remember_shared(&self, verdict: Arc<Verdict>) -> Arc<Verdict> {
        self.lock().remember(verdict)
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

    fn lock(&self) -> std::sync::MutexGuard<'_, VerdictCache> {
        // A map whose every change is a whole insertion stays sound when a holder panics.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
