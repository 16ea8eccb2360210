//! The fast computation in single precision: value, gradient, and the optimisation of predictions.
//!
//! A [`Graph`] is scheduled on *blocks*. A block is a part of the fields that can be computed by
//! itself: a run of elements where all steps are pointwise, all channels of a run of positions where
//! some steps look across channels, a plane or a channel where some pool or average, the whole fields
//! where some do both. The whole optimisation of one block runs before the next block is touched, in
//! the first-level cache where blocks are runs. Results that no step of an optimisation changes are
//! computed once, before.

mod adam;
mod block;
mod kernels;
mod run;
mod schedule;
#[cfg(test)]
mod tests;
mod workspace;

pub use adam::{Adam, NotFinite};
pub use workspace::Workspace;

use crate::flat::Flat;
use crate::graph::{Graph, Id, Step};
use crate::shape::Shape;
use block::Block;
use kernels::AdamUpdate;
use run::Run;
use schedule::Schedule;

/// The value at every element.
pub(crate) fn output(flat: &Flat, ws: &mut Workspace, shape: Shape, inputs: &[&[f32]]) -> Vec<f32> {
    let graph = Graph::new(flat, shape);
    let wanted = [graph.output];
    let schedule = Schedule::new(&graph, &all(&graph), &wanted, &wanted);
    let mut run = Run::whole(&graph, &schedule, shape, ws.level, &mut ws.block, inputs);
    run.once();
    let mut out = vec![0.0; shape.len()];
    run.copy_out(graph.output, 1.0, &mut out);
    out
}

/// The loss value.
pub(crate) fn value(flat: &Flat, ws: &mut Workspace, shape: Shape, inputs: &[&[f32]]) -> f64 {
    let graph = Graph::new(flat, shape);
    let schedule = Schedule::new(&graph, &all(&graph), &[graph.mean], &[]);
    let mut run = Run::whole(&graph, &schedule, shape, ws.level, &mut ws.block, inputs);
    run.once();
    run.loss_value()
}

/// Minimises the loss value by moving the differentiable inputs, in place.
pub(crate) fn optimise(
    flat: &Flat,
    ws: &mut Workspace,
    shape: Shape,
    inputs: &mut [Vec<f32>],
    adam: &Adam,
) -> Result<(), NotFinite> {
    let graph = Graph::new(flat, shape);
    let moved = graph
        .gradients
        .iter()
        .map(|(input, ..)| graph.input(*input));
    let gradients = graph.gradients.iter().map(|(.., step)| *step);
    let wanted: Vec<Id> = moved.chain(gradients).collect();
    let schedule = Schedule::new(&graph, &graph.dynamic, &wanted, &[]);
    let results = results(&graph, &schedule);
    let fixed: Vec<bool> = graph.dynamic.iter().map(|dynamic| !dynamic).collect();
    let once = Schedule::new(&graph, &fixed, &results, &results);
    let borrowed: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut run = Run::whole(&graph, &once, shape, ws.level, &mut ws.whole, &borrowed);
    run.once();
    let updates = updates(adam, &graph);
    for block in Block::all(&schedule, shape) {
        let borrowed: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let whole = Run::given(&graph, &once, shape, ws.level, &mut ws.whole, &borrowed);
        let mut run = Run::block(&graph, &schedule, &block, ws.level, &mut ws.block, &whole);
        run.optimise(&updates)?;
        for (input, ..) in &graph.gradients {
            block.scatter(run.moved(*input), &mut inputs[*input]);
        }
    }
    let borrowed: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    match value(flat, ws, shape, &borrowed).is_finite() {
        true => Ok(()),
        false => Err(NotFinite { step: adam.steps }),
    }
}

/// Value and gradient on fields of one shape, ready to be computed.
#[derive(Debug)]
pub(crate) struct Compiled {
    graph: Graph,
    schedule: Schedule,
    differentiable: Vec<bool>,
    shape: Shape,
}

impl Compiled {
    pub(crate) fn new(flat: &Flat, shape: Shape) -> Self {
        let graph = Graph::new(flat, shape);
        let kept: Vec<Id> = graph.gradients.iter().map(|(.., step)| *step).collect();
        let wanted: Vec<Id> = kept.iter().copied().chain([graph.mean]).collect();
        Self {
            schedule: Schedule::new(&graph, &all(&graph), &wanted, &kept),
            graph,
            differentiable: flat.differentiable.clone(),
            shape,
        }
    }

    /// The shape of the fields.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Computes the loss value and the gradients.
    pub(crate) fn gradient(
        &self,
        ws: &mut Workspace,
        inputs: &[&[f32]],
        gradients: &mut [Vec<f32>],
    ) -> f64 {
        let Self {
            graph,
            schedule,
            shape,
            ..
        } = self;
        let mut run = Run::whole(graph, schedule, *shape, ws.level, &mut ws.block, inputs);
        run.once();
        for (gradient, differentiable) in gradients.iter_mut().zip(&self.differentiable) {
            gradient.clear();
            if *differentiable {
                gradient.resize(shape.len(), 0.0);
            }
        }
        for (input, factor, step) in &graph.gradients {
            run.copy_out(*step, *factor, &mut gradients[*input]);
        }
        run.loss_value()
    }
}

/// A mark at every step: none is computed elsewhere.
fn all(graph: &Graph) -> Vec<bool> {
    vec![true; graph.steps.len()]
}

/// The results of an earlier stage, inputs aside, that a schedule reads.
fn results(graph: &Graph, schedule: &Schedule) -> Vec<Id> {
    let is_result = |id: &Id| !matches!(graph.steps[*id], Step::Input(_));
    schedule.given.iter().copied().filter(is_result).collect()
}

/// The constants of each Adam step, one set a gradient.
fn updates(adam: &Adam, graph: &Graph) -> Vec<Vec<AdamUpdate>> {
    let of_step = |t| {
        let gradients = graph.gradients.iter();
        gradients
            .map(|(_, factor, _)| adam.update(t, *factor))
            .collect()
    };
    (1..=adam.steps).map(of_step).collect()
}
