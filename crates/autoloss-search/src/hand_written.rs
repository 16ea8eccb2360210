//! Hand-written losses that fit a task: its baselines, its metric as a loss, and losses of the zoo.

use autoloss_expr::{Loss, Tree, ZooKind, ZooLoss};

use crate::error::SearchError;
use crate::random::Space;
use crate::seed::{Stream, generator, samples_seed};
use crate::settings::SearchSettings;
use crate::task::{BranchSpec, Task, TaskError};

/// The task's baselines, the surrogate of its metric, and losses that together hold every loss of the zoo
/// in every branch that it fits.
pub(crate) fn hand_written_losses(
    task: &dyn Task,
    settings: &SearchSettings,
    space: &Space,
) -> Result<Vec<(String, Loss)>, SearchError> {
    let specs = task.branches();
    let mut losses = task.baselines();
    if let (Some(surrogate), [only]) = (task.surrogate(), specs) {
        let name = surrogate.name().to_owned();
        losses.push((name, Loss::single(&only.name, Tree::Native(surrogate))));
    }
    let seed = samples_seed(settings.seed);
    let samples = task.samples(1, seed).map_err(|error| match error {
        TaskError::Interrupted => SearchError::Interrupted,
        TaskError::Failed(reason) => SearchError::Samples {
            task: task.name().to_owned(),
            reason,
        },
    })?;
    let fitting: Vec<Vec<&ZooLoss>> = specs
        .iter()
        .enumerate()
        .map(|(place, spec)| {
            // Losses that are no tree of operators look at the neighbours of a pixel.
            let shape = samples.first().map(|sample| sample.branches[place].shape);
            let images = shape.is_some_and(|shape| shape.h > 1 && shape.w > 1);
            ZooLoss::all()
                .filter(|zoo| fits(zoo, spec, images))
                .collect()
        })
        .collect();
    let free: Vec<usize> = space.free().collect();
    let most = free.iter().map(|branch| fitting[*branch].len()).max();
    if free.iter().any(|branch| fitting[*branch].is_empty()) {
        return Ok(losses);
    }
    // A loss of fixed branches alone has them all.
    let fixed = space.random_loss(&mut generator(0, Stream::Panel, 0));
    for number in 0..most.unwrap_or(0) {
        let mut loss = fixed.clone();
        let mut names: Vec<&str> = Vec::new();
        for branch in &free {
            let list = &fitting[*branch];
            let zoo = list[number % list.len()];
            loss.branches[*branch].tree = zoo.tree();
            if !names.contains(&zoo.name) {
                names.push(zoo.name);
            }
        }
        losses.push((names.join(" + "), loss));
    }
    Ok(losses)
}

/// Whether a branch offers a hand-written loss all its inputs, of the kind that it compares.
pub(crate) fn fits(zoo: &ZooLoss, spec: &BranchSpec, images: bool) -> bool {
    let tree = zoo.tree();
    let softmax = spec.inputs[spec.prediction()].is_softmax();
    let kind = match zoo.kind {
        ZooKind::Classes => softmax,
        ZooKind::Numbers | ZooKind::Boxes => !softmax,
    };
    let offered = |name: &&str| spec.inputs.iter().any(|input| input.name == **name);
    kind && tree.inputs().iter().all(offered) && (images || tree.native().is_none())
}
