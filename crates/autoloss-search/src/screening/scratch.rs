//! The memory that one worker reuses from candidate to candidate.

use autoloss_expr::Workspace;

use super::stages::Stages;

/// Memory of one worker for screening, reused from candidate to candidate.
#[derive(Default)]
pub struct Scratch {
    pub(super) workspace: Workspace,
    pub(super) gradients: Vec<Vec<f32>>,
    /// The fields that are optimised, one list a branch.
    pub(super) fields: Vec<Vec<Vec<f32>>>,
    /// Counts and seconds of the stages so far.
    pub stages: Stages,
}
