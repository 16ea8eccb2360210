//! The fast computation of a program: value, gradient, and the optimisation of predictions.
//!
//! A program's [`Graph`] is scheduled on *blocks*. A block is a part of the fields on which it can be
//! computed by itself: a run of elements where all steps are pointwise, all channels of a run of
//! positions where some look across channels, a plane or a channel where some pool or average, the
//! whole fields where they do both. The whole optimisation of one block runs before the next block is
//! touched: in the first-level cache where blocks are runs. What no step of an optimisation changes
//! is computed once, before.

use crate::fields::{self, Plane, Winners};
use crate::graph::{Dimension, Extent, Graph, Id, Step};
use crate::kernels::{self, AdamUpdate, Level, Outlook, Partial, Rows, View, ViewMut};
use crate::program::{Program, Shape};
use crate::schedule::{Place, Schedule};

/// Elements of a tile: with what a step reads and writes it stays in the first-level cache, and is
/// long enough that the interpreter's work between loops does not count.
const TILE: usize = 2048;

/// The same where a tile takes in all channels: rows must not become short.
const WIDE: usize = 8192;

/// So many steps pass between two looks at what is to be expected.
const LOOK: usize = 16;

/// Adam (Kingma and Ba 2015) on the predictions themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Number of steps.
    pub steps: usize,
    /// Step size.
    pub step_size: f32,
    /// Decay of the gradient's mean.
    pub beta1: f64,
    /// Decay of the squared gradient's mean.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f32,
    /// Least and greatest value that an element may take: it is put back after each step.
    pub bounds: (f32, f32),
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            steps: 500,
            step_size: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            bounds: (f32::NEG_INFINITY, f32::INFINITY),
        }
    }
}

impl Adam {
    /// One step in f64, counted from 1: moves `x` along a gradient, given its mean and its mean
    /// square of the steps before.
    pub fn step(&self, step: usize, x: &mut [f64], moments: &mut [Vec<f64>; 2], gradient: &[f64]) {
        let t = i32::try_from(step).unwrap_or(i32::MAX);
        let (one, two) = (1.0 - self.beta1.powi(t), 1.0 - self.beta2.powi(t));
        let (low, high) = (f64::from(self.bounds.0), f64::from(self.bounds.1));
        let [m, v] = moments;
        for (((m, v), x), g) in m.iter_mut().zip(v).zip(x).zip(gradient) {
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            let divisor = (*v / two).sqrt() + f64::from(self.epsilon);
            let to = *x - f64::from(self.step_size) * (*m / one) / divisor;
            *x = to.max(low).min(high);
        }
    }

    /// The constants of a step for a gradient that is `factor` times what is computed.
    fn update(&self, step: usize, factor: f64) -> AdamUpdate {
        let t = i32::try_from(step).unwrap_or(i32::MAX);
        let Self { beta1, beta2, .. } = *self;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "single precision is wanted"
        )]
        AdamUpdate {
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            epsilon: (f64::from(self.epsilon) / factor.abs()) as f32,
            bounds: self.bounds,
            rate: (f64::from(self.step_size) * factor.signum() / (1.0 - beta1.powi(t))) as f32,
            scale: (1.0 / (1.0 - beta2.powi(t)).sqrt()) as f32,
        }
    }
}

/// An optimisation that met a value or a gradient that is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value or the gradient is not finite at step {step}")]
pub struct NotFinite {
    /// The step, counted from 1.
    pub step: usize,
}

/// Buffers of a computation, kept between calls so that steps allocate nothing.
#[derive(Debug)]
pub struct Workspace {
    level: Level,
    /// What is computed once for the whole fields.
    whole: Buffers,
    /// What is computed for a block.
    block: Buffers,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// An empty workspace for the processor this runs on.
    #[must_use]
    pub fn new() -> Self {
        Self {
            level: Level::detect(),
            whole: Buffers::default(),
            block: Buffers::default(),
        }
    }
}

/// A field that begins at a place of its own within a page: fields that begin at the same place
/// push each other out of the first cache, and loads wait for stores that only seem to overlap.
#[derive(Debug, Default)]
struct Buffer {
    data: Vec<f32>,
    /// Elements left out at the beginning.
    skipped: usize,
}

impl Buffer {
    /// The buffer of that number among those that are used together.
    fn numbered(number: usize) -> Self {
        // Five cache lines apart, within a page.
        Self {
            data: Vec::new(),
            skipped: number * 80 % 1024,
        }
    }

    fn resize(&mut self, length: usize) {
        self.data.resize(self.skipped + length, 0.0);
    }

    fn clear(&mut self) {
        self.data.clear();
    }

    /// The buffer's contents, to be written anew.
    fn anew(&mut self) -> &mut Vec<f32> {
        self.data.clear();
        self.data.resize(self.skipped, 0.0);
        &mut self.data
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.data.get(self.skipped..).unwrap_or_default()
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.data.get_mut(self.skipped..).unwrap_or_default()
    }
}

/// Results of steps, by the step's number except for those of tiles.
#[derive(Debug, Default)]
struct Buffers {
    block: Vec<Buffer>,
    small: Vec<Buffer>,
    /// Small results repeated for as many elements as a tile has.
    repeated: Vec<Buffer>,
    tile: Vec<Buffer>,
    /// Running sums over the positions, one a channel.
    sums: Vec<Vec<f64>>,
    winners: Vec<Winners>,
    /// One number a plane.
    planes: Vec<f32>,
    /// First and second moments of Adam, one pair an input.
    moments: Vec<[Buffer; 2]>,
}

impl Program {
    /// The program's value at every element.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements.
    pub fn output(&self, ws: &mut Workspace, shape: Shape, inputs: &[&[f32]]) -> Vec<f32> {
        let graph = Graph::new(self, shape);
        let wanted = [graph.output];
        let schedule = Schedule::new(&graph, &all(&graph), &wanted, &wanted);
        let mut run = Run::whole(&graph, &schedule, shape, ws.level, &mut ws.block, inputs);
        run.once();
        let mut out = vec![0.0; shape.len()];
        run.copy_out(graph.output, 1.0, &mut out);
        out
    }

    /// The loss value `1/(N·H·W) Σ output`.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements.
    pub fn value(&self, ws: &mut Workspace, shape: Shape, inputs: &[&[f32]]) -> f64 {
        let graph = Graph::new(self, shape);
        let schedule = Schedule::new(&graph, &all(&graph), &[graph.mean], &[]);
        let mut run = Run::whole(&graph, &schedule, shape, ws.level, &mut ws.block, inputs);
        run.once();
        run.loss_value()
    }

    /// The loss value `1/(N·H·W) Σ output`, and its gradient for each differentiable input, in the
    /// shape of the input. Gradients of the other inputs are left empty; those of differentiable
    /// inputs that the program does not use are 0.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements, or there are fewer
    /// gradients than inputs.
    pub fn gradient(
        &self,
        ws: &mut Workspace,
        shape: Shape,
        inputs: &[&[f32]],
        gradients: &mut [Vec<f32>],
    ) -> f64 {
        self.descent(shape).gradient(ws, inputs, gradients)
    }

    /// Value and gradient at fields of a shape, prepared once for many of them.
    #[must_use]
    pub fn descent(&self, shape: Shape) -> Descent<'_> {
        let graph = Graph::new(self, shape);
        let kept: Vec<Id> = graph.gradients.iter().map(|(.., step)| *step).collect();
        let wanted: Vec<Id> = kept.iter().copied().chain([graph.mean]).collect();
        Descent {
            schedule: Schedule::new(&graph, &all(&graph), &wanted, &kept),
            program: self,
            graph,
            shape,
        }
    }

    /// Minimises the loss value by moving the differentiable inputs, in place.
    ///
    /// # Errors
    /// As soon as a gradient is not finite, or if the value is not in the end; the inputs are then
    /// of no further use.
    ///
    /// # Panics
    /// If an input that the program uses does not have `shape.len()` elements.
    pub fn optimise(
        &self,
        ws: &mut Workspace,
        shape: Shape,
        inputs: &mut [Vec<f32>],
        adam: &Adam,
    ) -> Result<(), NotFinite> {
        let graph = Graph::new(self, shape);
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
        match self.value(ws, shape, &borrowed).is_finite() {
            true => Ok(()),
            false => Err(NotFinite { step: adam.steps }),
        }
    }
}

/// Value and gradient of a program at fields of one shape, see [`Program::descent`].
pub struct Descent<'a> {
    program: &'a Program,
    graph: Graph,
    schedule: Schedule,
    shape: Shape,
}

impl Descent<'_> {
    /// What [`Program::gradient`] gives.
    ///
    /// # Panics
    /// As [`Program::gradient`].
    pub fn gradient(
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
        for (gradient, differentiable) in gradients.iter_mut().zip(&self.program.differentiable) {
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

/// Every step is computed here.
fn all(graph: &Graph) -> Vec<bool> {
    vec![true; graph.steps.len()]
}

/// What a schedule is given by an earlier stage besides inputs.
fn results(graph: &Graph, schedule: &Schedule) -> Vec<Id> {
    let is_result = |id: &Id| !matches!(graph.steps[*id], Step::Input(_));
    schedule.given.iter().copied().filter(is_result).collect()
}

/// The constants of each step, for each gradient.
fn updates(adam: &Adam, graph: &Graph) -> Vec<Vec<AdamUpdate>> {
    let of_step = |t| {
        let gradients = graph.gradients.iter();
        gradients
            .map(|(_, factor, _)| adam.update(t, *factor))
            .collect()
    };
    (1..=adam.steps).map(of_step).collect()
}

/// A part of the fields that is computed by itself.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Its own extents.
    shape: Shape,
    /// Extents of the fields.
    fields: Shape,
    /// Index of its first element in the fields.
    start: usize,
    /// A run of elements whatever their channel.
    flat: bool,
}

impl Block {
    /// The blocks of the fields for a schedule.
    fn all(schedule: &Schedule, fields: Shape) -> Vec<Self> {
        if fields.len() == 0 {
            return Vec::new();
        }
        let wanted = schedule.reach.block(fields, TILE, WIDE);
        let block = |shape, start| Self {
            shape,
            fields,
            start,
            flat: schedule.reach.is_element(),
        };
        let plane = fields.h * fields.w;
        if schedule.reach.is_element() {
            let starts = (0..fields.len()).step_by(wanted.w);
            let length = |start| wanted.w.min(fields.len() - start);
            return starts
                .map(|start| block(Shape::new(1, 1, 1, length(start)), start))
                .collect();
        }
        let mut blocks = Vec::new();
        for n in (0..fields.n).step_by(wanted.n) {
            for c in (0..fields.c).step_by(wanted.c) {
                let first = (n * fields.c + c) * plane;
                if wanted.h == fields.h && wanted.w == fields.w {
                    blocks.push(block(wanted, first));
                    continue;
                }
                for at in (0..plane).step_by(wanted.w) {
                    let w = wanted.w.min(plane - at);
                    blocks.push(block(Shape { w, ..wanted }, first + at));
                }
            }
        }
        blocks
    }

    /// The runs of neighbouring elements that it takes from the fields, in its own order.
    fn runs(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (shape, start) = (self.shape, self.start);
        let plane = self.fields.h * self.fields.w;
        let sample = self.fields.c * plane;
        let length = shape.h * shape.w;
        let starts = move |n| (0..shape.c).map(move |c| start + n * sample + c * plane);
        (0..shape.n).flat_map(starts).map(move |at| at..at + length)
    }

    fn gather(&self, field: &[f32], into: &mut Buffer) {
        let into = into.anew();
        for run in self.runs() {
            into.extend_from_slice(&field[run]);
        }
    }

    /// Gathers from a result that does not vary over everything.
    fn gather_narrow(&self, extent: Extent, result: &[f32], into: &mut Buffer) {
        let plane = self.fields.h * self.fields.w;
        let of_element = |i: usize| {
            let (c, n) = (i / plane % self.fields.c, i / plane / self.fields.c);
            match (extent.channels, extent.positions) {
                (true, true) => i,
                (true, false) => c,
                (false, true) => n * plane + i % plane,
                (false, false) => 0,
            }
        };
        let into = into.anew();
        if self.flat {
            into.extend(self.runs().flatten().map(|i| result[of_element(i)]));
            return;
        }
        let per_sample = if extent.channels { self.shape.c } else { 1 };
        let per_run = if extent.positions { usize::MAX } else { 1 };
        let samples = if extent.positions { self.shape.n } else { 1 };
        for (k, run) in self.runs().enumerate() {
            if k % self.shape.c < per_sample && k / self.shape.c < samples {
                into.extend(run.take(per_run).map(|i| result[of_element(i)]));
            }
        }
    }

    fn scatter(&self, values: &[f32], field: &mut [f32]) {
        let length = self.shape.h * self.shape.w;
        for (run, values) in self.runs().zip(values.chunks_exact(length)) {
            field[run].copy_from_slice(values);
        }
    }
}

/// A part of a block that is computed at once: positions of one sample, in all its channels.
#[derive(Clone, Copy)]
struct Tile {
    sample: usize,
    position: usize,
    length: usize,
}

/// One computation of a schedule on a block.
struct Run<'a> {
    graph: &'a Graph,
    schedule: &'a Schedule,
    shape: Shape,
    /// Positions of a tile.
    length: usize,
    /// Elements from one channel to the next in the block.
    plane: usize,
    level: Level,
    buffers: &'a mut Buffers,
    /// Fields that are read where they are.
    inputs: &'a [&'a [f32]],
}

impl<'a> Run<'a> {
    /// A run on whole fields, which are read in place.
    fn whole(
        graph: &'a Graph,
        schedule: &'a Schedule,
        shape: Shape,
        level: Level,
        buffers: &'a mut Buffers,
        inputs: &'a [&'a [f32]],
    ) -> Self {
        let mut run = Self::given(graph, schedule, shape, level, buffers, inputs);
        run.size_buffers();
        for id in 0..graph.steps.len() {
            // Nothing is kept of inputs: they are read where they are.
            if matches!(graph.steps[id], Step::Input(_)) {
                run.buffers.block[id].clear();
            }
        }
        run
    }

    /// A run whose results are there.
    fn given(
        graph: &'a Graph,
        schedule: &'a Schedule,
        shape: Shape,
        level: Level,
        buffers: &'a mut Buffers,
        inputs: &'a [&'a [f32]],
    ) -> Self {
        let plane = shape.h * shape.w;
        Self {
            graph,
            schedule,
            shape,
            length: tile_length(shape),
            plane,
            level,
            buffers,
            inputs,
        }
    }

    /// A run on a block of the fields that another run was on.
    fn block(
        graph: &'a Graph,
        schedule: &'a Schedule,
        block: &Block,
        level: Level,
        buffers: &'a mut Buffers,
        whole: &Run<'_>,
    ) -> Self {
        let mut run = Self::given(graph, schedule, block.shape, level, buffers, &[]);
        run.size_buffers();
        for &id in &schedule.given {
            match (graph.steps[id], graph.extents[id]) {
                (Step::Input(input), _) => {
                    block.gather(whole.inputs[input], &mut run.buffers.block[id]);
                }
                (_, extent) if extent.positions => {
                    let result = &whole.buffers.block[id];
                    block.gather_narrow(extent, result, &mut run.buffers.block[id]);
                }
                (_, extent) if block.flat && extent.channels => {
                    let result = &whole.buffers.small[id];
                    block.gather_narrow(extent, result, &mut run.buffers.repeated[id]);
                }
                (_, extent) => {
                    let result = &whole.buffers.small[id];
                    block.gather_narrow(extent, result, &mut run.buffers.small[id]);
                    run.repeat(id);
                }
            }
        }
        for (input, ..) in &graph.gradients {
            for moment in &mut run.buffers.moments[*input] {
                moment.resize(block.shape.len());
                moment.fill(0.0);
            }
        }
        run
    }

    /// Sizes the buffers, and fills those of constants.
    fn size_buffers(&mut self) {
        let steps = self.graph.steps.len();
        let inputs = self
            .graph
            .gradients
            .iter()
            .map(|(input, ..)| input + 1)
            .max();
        let buffers = &mut *self.buffers;
        // Numbered on, so that what is used together begins at different places.
        let numbered = |first: usize| move |k| Buffer::numbered(first + k);
        let pair = |k| [1, 2].map(|moment| Buffer::numbered(2 * k + moment));
        grow(&mut buffers.block, steps, numbered(0));
        grow(&mut buffers.small, steps, numbered(0));
        grow(&mut buffers.repeated, steps, numbered(5));
        grow(&mut buffers.sums, steps, |_| Vec::new());
        grow(&mut buffers.winners, steps, |_| Winners::default());
        grow(&mut buffers.tile, self.schedule.buffers, numbered(8));
        grow(&mut buffers.moments, inputs.unwrap_or(0), pair);
        for tile in &mut buffers.tile[..self.schedule.buffers] {
            tile.resize(self.shape.c * self.length);
        }
        for id in 0..steps {
            let rows = self.channels_of(id);
            let positions = self.shape.n * self.plane;
            let buffers = &mut *self.buffers;
            match self.schedule.places[id] {
                Place::Block if self.schedule.unread[id] => buffers.block[id].clear(),
                Place::Block => buffers.block[id].resize(rows * positions),
                Place::Small => {
                    buffers.small[id].resize(rows);
                    if self.schedule.repeated[id] {
                        buffers.repeated[id].resize(rows * self.length);
                    }
                }
                Place::Nowhere | Place::Tile(_) => {}
            }
            match self.graph.steps[id] {
                #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
                Step::Constant(c) => {
                    buffers.small[id].fill(c as f32);
                    self.repeat(id);
                }
                Step::Mean(Dimension::Positions, _) => {
                    let sums = &mut buffers.sums[id];
                    sums.clear();
                    sums.resize(rows, 0.0);
                }
                _ => {}
            }
        }
    }

    /// Channels over which a step's result varies in the block.
    fn channels_of(&self, id: Id) -> usize {
        if self.graph.extents[id].channels {
            self.shape.c
        } else {
            1
        }
    }

    fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let (n, plane, length) = (self.shape.n, self.plane, self.length);
        let starts = move |sample| (0..plane).step_by(length).map(move |at| (sample, at));
        (0..n).flat_map(starts).map(move |(sample, position)| Tile {
            sample,
            position,
            length: length.min(plane - position),
        })
    }

    /// All phases, once.
    fn once(&mut self) {
        for phase in 0..self.schedule.phases.len() {
            self.before(phase);
            self.pass(phase);
        }
    }

    fn pass(&mut self, phase: usize) {
        if !self.schedule.phases[phase].tiles.is_empty() {
            for tile in self.tiles() {
                self.tile(phase, tile);
            }
        }
    }

    /// All steps of an optimisation.
    fn optimise(&mut self, updates: &[Vec<AdamUpdate>]) -> Result<(), NotFinite> {
        let last = self.schedule.phases.len() - 1;
        if last > 0 {
            self.pass(0);
        }
        for (i, update) in updates.iter().enumerate() {
            for phase in 1..last {
                self.before(phase);
                self.pass(phase);
            }
            if last > 0 {
                self.before(last);
            }
            // Looking costs about as much as moving.
            let look = i % LOOK == 0 || i + 1 == updates.len();
            let mut outlook = Outlook {
                finite: true,
                settled: true,
            };
            for tile in self.tiles() {
                self.tile(last, tile);
                if look {
                    let Outlook { finite, settled } = self.look(update, tile);
                    outlook.finite &= finite;
                    outlook.settled &= settled;
                }
                self.step(update, tile);
                // The next step's first phase, while the tile is in the cache.
                if last > 0 {
                    self.tile(0, tile);
                }
            }
            if !outlook.finite {
                return Err(NotFinite { step: i + 1 });
            }
            if look && outlook.settled {
                break;
            }
        }
        Ok(())
    }

    /// What is to be expected of a tile.
    fn look(&self, updates: &[AdamUpdate], tile: Tile) -> Outlook {
        let mut outlook = Outlook {
            finite: true,
            settled: true,
        };
        let gradients = &self.graph.gradients;
        for ((input, _, gradient), update) in gradients.iter().zip(updates) {
            let id = self.graph.input(*input);
            let (at, stride) = self.layout(id, tile);
            fn part(field: &[f32], at: usize, stride: usize) -> View<'_> {
                View {
                    data: &field[at..],
                    stride,
                }
            }
            let now = kernels::look(
                self.level,
                *update,
                self.rows(id, tile),
                self.view(*gradient, tile),
                part(&self.buffers.moments[*input][0], at, stride),
                part(&self.buffers.block[id], at, stride),
            );
            outlook.finite &= now.finite;
            outlook.settled &= now.settled;
        }
        outlook
    }

    /// Moves a tile of the differentiable inputs.
    fn step(&mut self, updates: &[AdamUpdate], tile: Tile) {
        let gradients = &self.graph.gradients;
        for ((input, _, gradient), update) in gradients.iter().zip(updates) {
            let id = self.graph.input(*input);
            let mut x = std::mem::take(&mut self.buffers.block[id]);
            let [mut m, mut v] = std::mem::take(&mut self.buffers.moments[*input]);
            let (at, stride) = self.layout(id, tile);
            fn part(field: &mut [f32], at: usize, stride: usize) -> ViewMut<'_> {
                ViewMut {
                    data: &mut field[at..],
                    stride,
                }
            }
            kernels::adam(
                self.level,
                *update,
                self.rows(id, tile),
                self.view(*gradient, tile),
                part(&mut m, at, stride),
                part(&mut v, at, stride),
                part(&mut x, at, stride),
            );
            self.buffers.block[id] = x;
            self.buffers.moments[*input] = [m, v];
        }
    }

    /// The values of a moved input.
    fn moved(&self, input: usize) -> &[f32] {
        &self.buffers.block[self.graph.input(input)]
    }

    /// Where a result's part for a tile begins, and how far its rows are apart.
    fn layout(&self, id: Id, tile: Tile) -> (usize, usize) {
        let channels = self.graph.extents[id].channels;
        match self.schedule.places[id] {
            Place::Block => {
                let rows = self.channels_of(id);
                let start = tile.sample * rows * self.plane + tile.position;
                (start, if channels { self.plane } else { 0 })
            }
            Place::Tile(_) | Place::Small | Place::Nowhere => {
                (0, if channels { self.length } else { 0 })
            }
        }
    }

    fn view(&self, id: Id, tile: Tile) -> View<'_> {
        let (start, stride) = self.layout(id, tile);
        let data = match self.schedule.places[id] {
            Place::Block => self.field(id),
            Place::Tile(number) => &self.buffers.tile[number],
            Place::Small | Place::Nowhere => &self.buffers.repeated[id],
        };
        View {
            data: &data[start..],
            stride,
        }
    }

    /// A result that is kept for the block.
    fn field(&self, id: Id) -> &[f32] {
        match self.graph.steps[id] {
            Step::Input(input) if self.buffers.block[id].is_empty() => self.inputs[input],
            _ => &self.buffers.block[id],
        }
    }

    fn rows(&self, id: Id, tile: Tile) -> Rows {
        Rows {
            count: self.channels_of(id),
            length: tile.length,
        }
    }

    /// The steps of a phase for one tile.
    fn tile(&mut self, phase: usize, tile: Tile) {
        let schedule = self.schedule;
        for &id in &schedule.phases[phase].tiles {
            if let Step::Mean(Dimension::Positions, x) = self.graph.steps[id] {
                let mut sums = std::mem::take(&mut self.buffers.sums[id]);
                kernels::sums(
                    self.level,
                    self.rows(x, tile),
                    self.view(x, tile),
                    &mut sums,
                );
                self.buffers.sums[id] = sums;
                continue;
            }
            // Taken out so that it can be written while others are read.
            let mut result = std::mem::take(self.result(id));
            let (at, stride) = self.layout(id, tile);
            let view = |id| self.view(id, tile);
            let out = ViewMut {
                data: &mut result[at..],
                stride,
            };
            self.compute(id, self.rows(id, tile), &view, out);
            *self.result(id) = result;
        }
    }

    fn result(&mut self, id: Id) -> &mut Buffer {
        match self.schedule.places[id] {
            Place::Tile(number) => &mut self.buffers.tile[number],
            Place::Small => &mut self.buffers.small[id],
            Place::Block | Place::Nowhere => &mut self.buffers.block[id],
        }
    }

    /// Computes rows of a step from views of its operands.
    fn compute<'v>(&self, id: Id, rows: Rows, view: &dyn Fn(Id) -> View<'v>, out: ViewMut<'_>) {
        let level = self.level;
        match self.graph.steps[id] {
            Step::Value(op, [a, b]) => kernels::value(level, op, rows, view(a), view(b), out),
            Step::Partial {
                op,
                which,
                operands,
                value,
                adjoint,
            } => {
                let read = Partial {
                    which,
                    operands: operands.map(view),
                    value: view(value),
                    adjoint: view(adjoint),
                };
                kernels::partial(level, op, rows, read, out);
            }
            #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
            Step::Combine(a, factor, b) => {
                kernels::combine(level, factor as f32, rows, view(a), view(b), out);
            }
            Step::Mean(Dimension::Channels, x) => {
                let count = self.channels_of(x);
                fields::mean_rows(level, Rows { count, ..rows }, view(x), out.data);
            }
            Step::Softmax(x) => fields::softmax(level, rows, view(x), out),
            // x − 0 · x would not do for what is not finite.
            Step::Spread(x, _) => copy(rows, view(x), out),
            step => unreachable!("{step:?} is not computed in rows"),
        }
    }

    /// What comes before a phase's pass.
    fn before(&mut self, phase: usize) {
        let schedule = self.schedule;
        for &id in &schedule.phases[phase].before {
            match self.graph.steps[id] {
                Step::Pool { min, x } => self.pool(id, min, x),
                Step::PoolGradient { pool, adjoint } => self.pool_gradient(id, pool, adjoint),
                Step::Mean(Dimension::Positions, _) => {
                    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
                    let share = 1.0 / self.shape.positions() as f64;
                    let Buffers { sums, small, .. } = &mut *self.buffers;
                    for (mean, sum) in small[id].iter_mut().zip(&mut sums[id]) {
                        #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
                        {
                            *mean = (*sum * share) as f32;
                        }
                        *sum = 0.0;
                    }
                    self.repeat(id);
                }
                _ => self.small(id),
            }
        }
    }

    /// A step on numbers, or one number a channel: rows of one element.
    fn small(&mut self, id: Id) {
        let mut result = std::mem::take(self.result(id));
        let rows = Rows {
            count: self.channels_of(id),
            length: 1,
        };
        let view = |id: Id| View {
            data: &self.buffers.small[id],
            stride: usize::from(self.graph.extents[id].channels),
        };
        let out = ViewMut {
            data: &mut result,
            stride: 1,
        };
        self.compute(id, rows, &view, out);
        *self.result(id) = result;
        self.repeat(id);
    }

    /// Repeats a small result for as many elements as a tile has, if some tile reads it.
    fn repeat(&mut self, id: Id) {
        if self.schedule.repeated[id] {
            let Buffers {
                small, repeated, ..
            } = &mut *self.buffers;
            let rows = repeated[id].chunks_exact_mut(self.length);
            for (row, value) in rows.zip(small[id].iter()) {
                row.fill(*value);
            }
        }
    }

    fn plane(&self) -> Plane {
        Plane {
            height: self.shape.h,
            width: self.shape.w,
        }
    }

    fn pool(&mut self, id: Id, min: bool, x: Id) {
        let mut result = std::mem::take(&mut self.buffers.block[id]);
        let mut winners = std::mem::take(&mut self.buffers.winners[id]);
        let plane = self.plane();
        fields::pool(
            self.level,
            min,
            plane,
            self.field(x),
            &mut result,
            &mut winners,
        );
        self.buffers.block[id] = result;
        self.buffers.winners[id] = winners;
    }

    fn pool_gradient(&mut self, id: Id, pool: Id, adjoint: Id) {
        let mut result = std::mem::take(&mut self.buffers.block[id]);
        let mut winners = std::mem::take(&mut self.buffers.winners[pool]);
        let (plane, level) = (self.plane(), self.level);
        let extent = self.graph.extents[adjoint];
        if extent.positions {
            let adjoint = self.field(adjoint);
            fields::pool_gradient(level, plane, &mut winners, false, adjoint, &mut result);
        } else {
            // One number a plane, in the planes' order.
            let small = &self.buffers.small[adjoint];
            let planes = 0..self.shape.n * self.channels_of(id);
            let of_plane = |k: usize| small[if extent.channels { k % self.shape.c } else { 0 }];
            let mut numbers = std::mem::take(&mut self.buffers.planes);
            numbers.clear();
            numbers.extend(planes.map(of_plane));
            fields::pool_gradient(level, plane, &mut winners, true, &numbers, &mut result);
            self.buffers.planes = numbers;
        }
        self.buffers.block[id] = result;
        self.buffers.winners[pool] = winners;
    }

    /// Writes `factor` times a result of the whole fields to every element it stands for.
    fn copy_out(&self, id: Id, factor: f64, field: &mut [f32]) {
        #[expect(clippy::cast_possible_truncation, reason = "fields are f32")]
        let factor = factor as f32;
        let extent = self.graph.extents[id];
        let result = match self.schedule.places[id] {
            Place::Small => &self.buffers.small[id],
            _ => self.field(id),
        };
        for (k, plane) in field.chunks_exact_mut(self.plane).enumerate() {
            let (n, c) = (k / self.shape.c, k % self.shape.c);
            let row = n * self.channels_of(id) + if extent.channels { c } else { 0 };
            if extent.positions {
                let result = &result[row * self.plane..][..self.plane];
                for (to, value) in plane.iter_mut().zip(result) {
                    *to = factor * value;
                }
            } else {
                plane.fill(factor * result[if extent.channels { c } else { 0 }]);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "channels are few")]
    fn loss_value(&self) -> f64 {
        f64::from(self.buffers.small[self.graph.mean][0]) * self.shape.c as f64
    }
}

/// Positions of a tile of a block.
fn tile_length(shape: Shape) -> usize {
    let length = match shape.c {
        1 => TILE,
        c => (WIDE / c / 16 * 16).max(64),
    };
    length.min((shape.h * shape.w).max(1))
}

fn grow<T>(list: &mut Vec<T>, length: usize, new: impl Fn(usize) -> T) {
    let known = list.len();
    list.extend((known..length).map(new));
}

fn copy(rows: Rows, from: View<'_>, out: ViewMut<'_>) {
    let ViewMut { data, stride } = out;
    for r in 0..rows.count {
        let row = &from.data[r * from.stride..][..rows.length];
        data[r * stride..][..rows.length].copy_from_slice(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::Operator;
    use crate::reference::{self, ReferenceInput};
    use crate::testing::{any_tree, close, smooth_inputs, tame};
    use crate::tree::Tree;
    use proptest::prelude::*;

    const SHAPES: [Shape; 4] = [
        Shape::new(1, 1, 1, 1),
        Shape::new(2, 3, 4, 5),
        Shape::new(1, 11, 9, 7),
        Shape::new(3, 2, 1, 700),
    ];
    const INPUTS: &[(&str, bool)] = &[("yhat", true), ("y", false)];

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fast computation is in f32"
    )]
    fn single(values: &[f64]) -> Vec<f32> {
        values.iter().map(|v| *v as f32).collect()
    }

    fn double(values: &[f32]) -> Vec<f64> {
        values.iter().map(|v| f64::from(*v)).collect()
    }

    fn fields_agree(got: &[f32], want: &[f64], tolerance: f64) -> bool {
        close(&double(got), want, tolerance)
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

        #[test]
        fn value_and_gradient_equal_the_reference(
            tree in any_tree(4),
            shape in prop::sample::select(&SHAPES[..3]),
            (yhat, y) in smooth_inputs(700),
        ) {
            let (yhat, y) = (single(&yhat[..shape.len()]), single(&y[..shape.len()]));
            let (yhat64, y64) = (double(&yhat), double(&y));
            let given = [
                ReferenceInput { name: "yhat", values: &yhat64 },
                ReferenceInput { name: "y", values: &y64 },
            ];
            prop_assume!(tame(&tree, shape, &given));
            let program = Program::new(&tree, INPUTS).unwrap();
            let mut ws = Workspace::new();
            let mut gradients = [Vec::new(), Vec::new()];
            let value = program.gradient(&mut ws, shape, &[&yhat, &y], &mut gradients);
            let output = program.output(&mut ws, shape, &[&yhat, &y]);
            let want = reference::output(&tree, shape, &given);
            prop_assert!(fields_agree(&output, &want, 1e-4), "{tree}: {output:?}, not {want:?}");
            let want_value = reference::loss_value(&tree, shape, &given);
            let scale = want.iter().fold(0.0_f64, |m, v| m.max(v.abs())) * shape.c as f64;
            prop_assert!((value - want_value).abs() <= 1e-4 * scale, "{value}, not {want_value}");
            let want = reference::gradient(&tree, shape, &given, "yhat");
            prop_assert!(fields_agree(&gradients[0], &want, 1e-4), "{tree}: {:?}, not {want:?}", gradients[0]);
            prop_assert!(gradients[1].is_empty());
        }
    }

    /// Whether a logarithm is ln(1 + ε), which is 0 in single precision, or of what rounds to 1.
    fn looks_at_epsilon(tree: &Tree, shape: Shape, inputs: &[ReferenceInput<'_>]) -> bool {
        let mut looks = false;
        tree.visit(&mut |node| {
            if let Tree::Apply(Operator::Log, _) = node {
                let values = reference::output(node, shape, inputs);
                looks |= values.iter().any(|v| *v != 0.0 && v.abs() < 1e-6);
            }
        });
        looks
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_not_finite_in_the_reference_is_not_finite(
            tree in any_tree(5),
            scale in prop::sample::select(&[1.0, 1e3, 1e-30, 0.0][..]),
            (yhat, y) in smooth_inputs(60),
        ) {
            let shape = Shape::new(1, 3, 4, 5);
            let yhat = single(&yhat.iter().map(|x| x * scale).collect::<Vec<_>>());
            let y = single(&y);
            let (yhat64, y64) = (double(&yhat), double(&y));
            let given = [
                ReferenceInput { name: "yhat", values: &yhat64 },
                ReferenceInput { name: "y", values: &y64 },
            ];
            prop_assume!(!looks_at_epsilon(&tree, shape, &given));
            let program = Program::new(&tree, INPUTS).unwrap();
            let mut gradients = [Vec::new(), Vec::new()];
            let value = program.gradient(&mut Workspace::new(), shape, &[&yhat, &y], &mut gradients);
            if !reference::loss_value(&tree, shape, &given).is_finite() {
                prop_assert!(!value.is_finite(), "{tree}: {value}");
            }
            let want = reference::gradient(&tree, shape, &given, "yhat");
            if want.iter().any(|g| !g.is_finite()) {
                // A derivative that is 0 · ∞ may be left out as 0 where the value tells of it.
                let told = gradients[0].iter().any(|g| !g.is_finite()) || !value.is_finite();
                prop_assert!(told, "{tree}");
            }
        }
    }

    #[test]
    fn the_softmax_of_equal_infinities_is_not_finite() {
        let tree = Tree::parse("softmax_c(mean_c(div(yhat, y)))", &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, INPUTS).unwrap();
        let shape = Shape::new(1, 3, 4, 5);
        for (y, finite) in [(0.5, true), (0.0, false)] {
            let mut gradients = [Vec::new(), Vec::new()];
            let fields = [vec![0.25; 60], vec![y; 60]];
            let inputs = [fields[0].as_slice(), &fields[1]];
            let value = program.gradient(&mut Workspace::new(), shape, &inputs, &mut gradients);
            assert_eq!(value.is_finite(), finite, "{value}");
            assert!(gradients[0].iter().all(|g| g.is_finite() == finite));
            assert!(!finite || gradients[0].iter().all(|g| *g == 0.0));
        }
    }

    /// Formulas of every reach, with shared subtrees and one node as both operands.
    const FORMULAS: &[&str] = &[
        "-(y * log(yhat))",
        "exp(square(y - yhat))",
        "yhat * yhat + y",
        "sqrt(abs(yhat - y)) / (yhat + y)",
        "tanh(yhat * mean_c(yhat - y)) + max_pool(square(yhat - y))",
        "-(y * log(softmax_c(yhat)))",
        "1 - mean_nhw(y * yhat) / (mean_nhw(y) + mean_nhw(yhat))",
        "min_pool(yhat) * max_pool(y) + mean_c(max_pool(yhat) * yhat)",
        "square(mean_c(yhat)) * mean_c(yhat)",
        "yhat",
        "y",
        "1",
    ];

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn example(shape: Shape) -> (Vec<f32>, Vec<f32>) {
        let wave = |i: usize, f: f32| 0.5 + 0.4 * (i as f32 * f + 0.3).sin();
        let yhat = (0..shape.len()).map(|i| wave(i, 0.71)).collect();
        let y = (0..shape.len()).map(|i| wave(i, 1.37).round()).collect();
        (yhat, y)
    }

    #[test]
    fn formulas_of_every_reach_equal_the_reference() {
        for text in FORMULAS {
            let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
            let program = Program::new(&tree, INPUTS).unwrap();
            // One workspace for all shapes: what an earlier call left must not show.
            let mut ws = Workspace::new();
            for shape in SHAPES {
                let (yhat, y) = example(shape);
                let (yhat64, y64) = (double(&yhat), double(&y));
                let given = [
                    ReferenceInput {
                        name: "yhat",
                        values: &yhat64,
                    },
                    ReferenceInput {
                        name: "y",
                        values: &y64,
                    },
                ];
                let mut gradients = [Vec::new(), Vec::new()];
                let value = program.gradient(&mut ws, shape, &[&yhat, &y], &mut gradients);
                let want = reference::loss_value(&tree, shape, &given);
                assert!(
                    (value - want).abs() <= 1e-5 * want.abs().max(1.0),
                    "{text}: {value}, not {want}"
                );
                let want = reference::gradient(&tree, shape, &given, "yhat");
                assert!(fields_agree(&gradients[0], &want, 1e-5), "{text} {shape}");
            }
        }
    }

    #[test]
    fn bounds_hold_what_is_optimised() {
        let tree = Tree::parse("-(y * yhat) + (1 - y) * yhat", &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, INPUTS).unwrap();
        let shape = SHAPES[1];
        let (yhat, y) = example(shape);
        let adam = Adam {
            bounds: (0.0, 1.0),
            ..Adam::default()
        };
        let mut moved = [yhat, y.clone()];
        program
            .optimise(&mut Workspace::new(), shape, &mut moved, &adam)
            .unwrap();
        assert_eq!(moved[0], y);
    }

    /// Adam in f64 on the reference gradient.
    fn slow_adam(tree: &Tree, shape: Shape, yhat: &[f32], y: &[f32], adam: &Adam) -> Vec<f64> {
        let (mut x, y) = (double(yhat), double(y));
        let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let [b1, b2] = [adam.beta1, adam.beta2];
        for t in 1..=adam.steps {
            let given = [
                ReferenceInput {
                    name: "yhat",
                    values: &x,
                },
                ReferenceInput {
                    name: "y",
                    values: &y,
                },
            ];
            let g = reference::gradient(tree, shape, &given, "yhat");
            let t = i32::try_from(t).unwrap();
            for i in 0..x.len() {
                m[i] = b1 * m[i] + (1.0 - b1) * g[i];
                v[i] = b2 * v[i] + (1.0 - b2) * g[i] * g[i];
                let (m, v) = (m[i] / (1.0 - b1.powi(t)), v[i] / (1.0 - b2.powi(t)));
                x[i] -= f64::from(adam.step_size) * m / (v.sqrt() + f64::from(adam.epsilon));
            }
        }
        x
    }

    #[test]
    fn optimising_equals_adam_on_the_reference() {
        let adam = Adam {
            steps: 12,
            ..Adam::default()
        };
        for text in &FORMULAS[..9] {
            let tree = Tree::parse(text, &["yhat", "y"]).unwrap();
            let program = Program::new(&tree, INPUTS).unwrap();
            let mut ws = Workspace::new();
            for shape in &SHAPES[..3] {
                let (yhat, y) = example(*shape);
                let want = slow_adam(&tree, *shape, &yhat, &y, &adam);
                let mut moved = [yhat, y.clone()];
                program
                    .optimise(&mut ws, *shape, &mut moved, &adam)
                    .unwrap();
                assert!(
                    fields_agree(&moved[0], &want, 2e-3),
                    "{text} {shape}: {:?} {want:?}",
                    moved[0]
                );
                assert_eq!(moved[1], y);
            }
        }
    }

    #[test]
    fn optimising_reports_what_is_not_finite() {
        let shape = SHAPES[1];
        let tree = Tree::parse("exp(exp(exp(exp(yhat + 1 + 1))))", &["yhat", "y"]).unwrap();
        let program = Program::new(&tree, INPUTS).unwrap();
        let (yhat, y) = example(shape);
        let error = program
            .optimise(
                &mut Workspace::new(),
                shape,
                &mut [yhat, y],
                &Adam::default(),
            )
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the value or the gradient is not finite at step 1"
        );
    }

    #[test]
    fn the_comparison_can_fail() {
        assert!(!fields_agree(&[1.0, 2.0], &[1.0, 2.1], 1e-2));
        assert!(!fields_agree(&[f32::NAN], &[1.0], 1e-2));
    }
}
