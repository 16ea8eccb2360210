//! Kinds of a task's branches: probabilities or numbers.

use autoloss_search::{RunBranch, Store, StoreError};

/// Kinds of the branches of a run's task.
#[derive(Clone, Debug)]
pub struct Kinds {
    task: String,
    branches: Vec<RunBranch>,
}

impl Kinds {
    /// Those of a run.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn of(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            task: store.info()?.task,
            branches: store.branches()?,
        })
    }

    /// Whether the prediction of a branch is probabilities; the only branch of a loss may have no name. Names tell it
    /// where the run is too old to say.
    #[must_use]
    pub fn is_probabilities(&self, branch: &str) -> bool {
        match &self.branches[..] {
            [] => !(branch.ends_with("_box") || self.task.ends_with("pose")),
            [only] => only.softmax,
            several => several
                .iter()
                .any(|known| known.name == branch && known.softmax),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(task: &str, branches: &[(&str, bool)]) -> Kinds {
        let branch = |(name, softmax): &(&str, bool)| RunBranch {
            name: (*name).to_owned(),
            softmax: *softmax,
        };
        Kinds {
            task: task.to_owned(),
            branches: branches.iter().map(branch).collect(),
        }
    }

    #[test]
    fn a_recorded_kind_counts_more_than_a_name() {
        let known = kinds("pose", &[("odd_box", true), ("depth", false)]);
        assert!(known.is_probabilities("odd_box"));
        assert!(!known.is_probabilities("depth"));
        assert!(!kinds("digits", &[("depth", false)]).is_probabilities(""));
        assert!(kinds("digits-pose", &[("mask", true)]).is_probabilities(""));
    }

    #[test]
    fn names_tell_the_kinds_of_old_runs() {
        assert!(kinds("digits", &[]).is_probabilities(""));
        assert!(!kinds("digits-pose", &[]).is_probabilities(""));
        let detection = kinds("digits-detection", &[]);
        assert!(detection.is_probabilities("rcnn_class"));
        assert!(!detection.is_probabilities("rcnn_box"));
    }
}
