//! Preparation of a candidate: whether it is hopeless by its inputs alone, and the programs that compute it.

use autoloss_expr::{Loss, Program};

use super::logits;
use super::pending::Flat;
use super::scratch::Scratch;
use super::screener::Screener;
use crate::settings::Predictions;
use crate::task::InputSpec;

impl Screener {
    /// The first two stages, without the look-up.
    ///
    /// # Errors
    /// The reason for which the loss is hopeless by its inputs alone.
    pub fn flatten(&self, loss: &Loss, scratch: &mut Scratch) -> Result<Flat, String> {
        let stage = &mut scratch.stages.structural;
        let structural = stage.timed(|| self.structural(loss));
        if let (Some(reason), true) = (structural, self.settings.rejection) {
            stage.decided += 1;
            return Err(reason);
        }
        scratch.stages.cached.timed(|| self.programs(loss))
    }

    /// Reason for which a loss is hopeless whatever it computes; `None` if it is not.
    pub(super) fn structural(&self, loss: &Loss) -> Option<String> {
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

    pub(super) fn programs(&self, loss: &Loss) -> Result<Flat, String> {
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
}
