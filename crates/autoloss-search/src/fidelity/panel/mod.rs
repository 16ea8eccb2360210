//! The panel of losses that a proxy is measured by: hand-written losses that fit the task, and random ones
//! that pass screening.

mod pools;
#[cfg(test)]
mod tests;

use autoloss_expr::Loss;
use serde::{Deserialize, Serialize};

use crate::error::SearchError;
use crate::hand_written::hand_written_losses;
use crate::random::Space;
use crate::settings::Settings;
use crate::task::{Interrupt, Task};
use pools::Pools;

/// Share of a panel that hand-written losses take at most, so that random ones are left some.
const HAND_WRITTEN: f64 = 2.0 / 3.0;

/// Origin of a loss of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PanelKind {
    /// Given by the user.
    Given,
    /// A baseline of the task, the surrogate of its metric, or losses of the zoo.
    HandWritten,
    /// Random trees that pass screening, in all branches or in one of them.
    Random,
}

impl PanelKind {
    /// The kind in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::HandWritten => "hand-written",
            Self::Random => "random",
        }
    }
}

/// A loss of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelLoss {
    /// Its name, which no other loss of the panel has.
    pub name: String,
    /// The loss.
    pub loss: Loss,
    /// Its origin.
    pub kind: PanelKind,
}

/// A panel: the given losses and `size` others, fewer where the task has too few. It is a function of the
/// task, the settings and the seed; a larger one begins with the same random losses.
///
/// `on_progress` is told the number of random trees of a branch that were screened, and of those that passed.
///
/// # Errors
/// If the settings are out of range, the task has no samples, or the user asked for the end.
pub fn panel(
    task: &dyn Task,
    settings: &Settings,
    (size, seed): (usize, u64),
    given: Vec<(String, Loss)>,
    interrupt: &Interrupt,
    on_progress: &mut dyn FnMut(u64, usize),
) -> Result<Vec<PanelLoss>, SearchError> {
    settings.validate()?;
    let space = Space::new(&settings.search, task.branches())?;
    let mut losses = Panel::default();
    for (name, loss) in given {
        losses.add(name, loss, PanelKind::Given);
    }
    let given = losses.0.len();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of losses"
    )]
    let hand_written = given + (size as f64 * HAND_WRITTEN).round() as usize;
    for (name, loss) in hand_written_losses(task, &settings.search, &space)? {
        if losses.0.len() < hand_written {
            losses.add(name, loss, PanelKind::HandWritten);
        }
    }
    let missing = (given + size).saturating_sub(losses.0.len());
    let mut pools = Pools::new(task, settings, &space, seed)?;
    for (name, loss) in pools.losses(missing, interrupt, on_progress)? {
        losses.add(name, loss, PanelKind::Random);
    }
    Ok(losses.0)
}

/// Losses of different formulas and names.
#[derive(Default)]
struct Panel(Vec<PanelLoss>);

impl Panel {
    fn add(&mut self, name: String, loss: Loss, kind: PanelKind) {
        let formula = loss.to_string();
        if self.0.iter().any(|other| other.loss.to_string() == formula) {
            return;
        }
        let taken = |name: &str| self.0.iter().any(|other| other.name == name);
        let name = match taken(&name) {
            true if kind == PanelKind::HandWritten && loss.branches.len() == 1 => return,
            true => {
                let numbered = (2..).map(|n| format!("{name} ({n})"));
                let mut free = numbered.filter(|name| !taken(name));
                free.next().expect("names do not run out")
            }
            false => name,
        };
        self.0.push(PanelLoss { name, loss, kind });
    }
}
