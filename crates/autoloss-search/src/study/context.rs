//! Surroundings of the finders of a search: the space of losses, and the screening of the task.

use autoloss_expr::Loss;

use crate::error::SearchError;
use crate::random::Space;
use crate::screening::{Balance, Scratch, Screening, unbalanced};
use crate::settings::{SearchSettings, Settings};
use crate::task::Task;

/// Surroundings of all finders of a search.
pub struct Context {
    pub(crate) search: SearchSettings,
    pub(crate) space: Space,
    pub(crate) screening: Screening,
    /// Balance of the task's usual loss, where branches are to be balanced.
    balance: Option<Balance>,
}

impl Context {
    /// The space of losses and the screening of a task.
    ///
    /// # Errors
    /// If the settings do not fit the task, or it has no screening samples.
    pub fn new(task: &dyn Task, settings: &Settings) -> Result<Self, SearchError> {
        let screening = Screening::new(task, settings)?;
        let usual = task.baselines().into_iter().next();
        let usual = usual.filter(|_| settings.search.balance);
        Ok(Self {
            search: settings.search.clone(),
            space: Space::new(&settings.search, task.branches())?,
            balance: usual.map(|(_, loss)| Balance::of(&loss, &screening, &mut Scratch::default())),
            screening,
        })
    }

    /// The formula that a loss is trained by.
    pub(crate) fn formula(&self, loss: &Loss, scratch: &mut Scratch) -> String {
        match &self.balance {
            Some(balance) => balance.balanced(loss, &self.screening, scratch).to_string(),
            None => loss.to_string(),
        }
    }

    /// The loss that a formula to train stands for.
    pub(crate) fn loss_of(&self, trained: Loss) -> Loss {
        match &self.balance {
            Some(_) => unbalanced(&trained),
            None => trained,
        }
    }

    /// Whether scores are predicted from earlier ones.
    pub(crate) fn predicts(&self) -> bool {
        self.search.choices > 1
    }
}
