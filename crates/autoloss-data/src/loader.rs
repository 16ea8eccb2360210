//! Training batches, made by threads beside the training.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, never, unbounded};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::augment::{Augmentation, Prepared};
use crate::error::DataError;
use crate::example::SegmentationData;
use crate::split::Split;
use crate::streams::{Purpose, stream};

/// Examples of one size, as a network reads them.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Normalised colours as in [`Prepared`]; shape (n, 3, h, w).
    pub images: Vec<f32>,
    /// Class of each pixel; shape (n, h, w).
    pub labels: Vec<u8>,
    /// Number of examples.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Batch {
    /// Puts examples of one size together.
    ///
    /// # Errors
    /// No example at all, or examples of different sizes.
    pub fn stack(examples: &[Prepared]) -> Result<Self, DataError> {
        let wrong = |reason| DataError::Setting {
            name: "batch",
            reason,
        };
        let Some(Prepared { height, width, .. }) = examples.first() else {
            return Err(wrong("no examples given, expected at least 1".to_owned()));
        };
        let mut batch = Self {
            images: Vec::with_capacity(3 * examples.len() * height * width),
            labels: Vec::with_capacity(examples.len() * height * width),
            n: examples.len(),
            h: *height,
            w: *width,
        };
        for example in examples {
            if (example.height, example.width) != (batch.h, batch.w) {
                return Err(wrong(format!(
                    "one example is {}x{} and another {}x{} (width x height): resize them to one size",
                    batch.w, batch.h, example.width, example.height
                )));
            }
            batch.images.extend_from_slice(&example.image);
            batch.labels.extend_from_slice(&example.labels);
        }
        Ok(batch)
    }
}

/// Settings of batches.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderSettings {
    /// Examples a batch.
    pub batch: usize,
    /// Height and width of the crops.
    pub crop: (usize, usize),
    /// Variation of the examples.
    pub augmentation: Augmentation,
    /// Threads that make batches; with 0 the thread of the caller does.
    pub workers: usize,
    /// Batches in the making or waiting at any time; at least one for each worker.
    pub prefetch: usize,
}

/// An endless stream of training batches.
///
/// Every epoch visits the examples in a new random order; a batch at its end
/// goes on with the next epoch. Batch i is a pure function of the data, the
/// settings, the seed and i, whatever the number of workers. An example that
/// cannot be read makes its batch an error; the batches after it still come.
/// Dropping the loader ends its threads.
pub struct Loader<B = Batch> {
    maker: Arc<Maker<B>>,
    next: u64,
    source: Source<B>,
}

enum Source<B> {
    Caller(EpochOrder),
    Workers(Pool<B>),
}

/// An example of a batch: its index in the split, and its position in the endless sequence of epochs.
type Turn = (usize, u64);

/// Settings of batches of any kind.
pub(super) struct Recipe {
    /// Examples of an epoch.
    pub(super) len: usize,
    /// Examples a batch.
    pub(super) batch: usize,
    /// Threads that make batches; with 0 the thread of the caller does.
    pub(super) workers: usize,
    /// Batches in the making or waiting.
    pub(super) prefetch: usize,
    /// Seed of the order of epochs and of the variation of examples.
    pub(super) seed: u64,
}

impl Loader {
    /// Starts the workers, which begin with the first batches at once.
    ///
    /// # Errors
    /// An empty split, a setting outside its range, no threads left.
    pub fn new(
        data: Arc<dyn SegmentationData>,
        split: Split,
        settings: LoaderSettings,
        seed: u64,
    ) -> Result<Self, DataError> {
        settings.augmentation.check()?;
        positive("crop", settings.crop.0.min(settings.crop.1))?;
        let recipe = Recipe {
            len: data.len(split),
            batch: settings.batch,
            workers: settings.workers,
            prefetch: settings.prefetch,
            seed,
        };
        let prepare = move |index, rng: &mut ChaCha8Rng| {
            let example = data.example(split, index)?;
            Ok(settings.augmentation.apply(&example, settings.crop, rng))
        };
        let stack = |examples: Vec<Prepared>| Batch::stack(&examples);
        Self::with(split, recipe, prepare, stack)
    }
}

fn positive(name: &'static str, value: usize) -> Result<(), DataError> {
    match value {
        0 => Err(DataError::Setting {
            name,
            reason: "0 given, expected at least 1".to_owned(),
        }),
        _ => Ok(()),
    }
}

impl<B: Send + 'static> Loader<B> {
    /// Starts the workers on batches of any kind: `prepare` makes the example of an index, varied
    /// by the generator; `stack` puts the examples of a batch together.
    ///
    /// # Errors
    /// An empty split, a batch of nothing, no threads left.
    pub(super) fn with<T: 'static>(
        split: Split,
        recipe: Recipe,
        prepare: impl Fn(usize, &mut ChaCha8Rng) -> Result<T, DataError> + Send + Sync + 'static,
        stack: impl Fn(Vec<T>) -> Result<B, DataError> + Send + Sync + 'static,
    ) -> Result<Self, DataError> {
        positive("batch", recipe.batch)?;
        if recipe.len == 0 {
            return Err(DataError::Setting {
                name: "data",
                reason: format!("the {split} split is empty, expected at least one example"),
            });
        }
        let (workers, prefetch, seed) = (recipe.workers, recipe.prefetch, recipe.seed);
        let example = move |&(index, place): &Turn| {
            prepare(index, &mut stream(seed, Purpose::Augmentation, place))
        };
        let make = move |turns: &[Turn]| {
            let examples: Result<Vec<T>, DataError> = turns.iter().map(&example).collect();
            stack(examples?)
        };
        let maker = Arc::new(Maker {
            recipe,
            make: Box::new(make),
        });
        let source = match workers {
            0 => Source::Caller(EpochOrder::default()),
            _ => Source::Workers(Pool::start(&maker, workers, prefetch.max(workers))?),
        };
        Ok(Self {
            maker,
            next: 0,
            source,
        })
    }
}

impl<B> Loader<B> {
    /// Makes batch `index` the next one.
    pub fn skip_to(&mut self, index: u64) {
        self.next = index;
        if let Source::Workers(pool) = &mut self.source {
            pool.skip_to(index);
        }
    }
}

impl<B> Iterator for Loader<B> {
    type Item = Result<B, DataError>;

    /// The next batch; never `None`.
    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        self.next += 1;
        Some(match &mut self.source {
            Source::Caller(order) => self.maker.make(index, order),
            Source::Workers(pool) => pool.take(index),
        })
    }
}

/// All inputs of a batch.
struct Maker<B> {
    recipe: Recipe,
    /// Makes a batch of the given examples; a pure function.
    #[expect(clippy::type_complexity, reason = "a function, named nowhere else")]
    make: Box<dyn Fn(&[Turn]) -> Result<B, DataError> + Send + Sync>,
}

impl<B> Maker<B> {
    fn make(&self, index: u64, order: &mut EpochOrder) -> Result<B, DataError> {
        let Recipe {
            len, batch, seed, ..
        } = self.recipe;
        let places = index * batch as u64..(index + 1) * batch as u64;
        let turn = |place: u64| {
            let (epoch, rank) = (place / len as u64, place % len as u64);
            (order.of(seed, epoch, len)[rank as usize], place)
        };
        let turns: Vec<Turn> = places.map(turn).collect();
        (self.make)(&turns)
    }
}

/// The order of the last epoch that was asked for; each thread keeps its own.
#[derive(Default)]
struct EpochOrder {
    epoch: u64,
    order: Vec<usize>,
}

impl EpochOrder {
    fn of(&mut self, seed: u64, epoch: u64, len: usize) -> &[usize] {
        if self.order.is_empty() || self.epoch != epoch {
            self.epoch = epoch;
            self.order.clear();
            self.order.extend(0..len);
            self.order
                .shuffle(&mut stream(seed, Purpose::EpochOrder, epoch));
        }
        &self.order
    }
}

/// A batch, or the panic of its making. Without the panic a caller would wait for ever.
type Made<B> = Result<Result<B, DataError>, Box<dyn Any + Send>>;

/// Threads that make batches of given numbers (tickets). Each batch that is taken frees one new ticket, so that at most
/// `prefetch` are out.
struct Pool<B> {
    tickets: Sender<u64>,
    next_ticket: u64,
    made: Receiver<(u64, Made<B>)>,
    /// Batches made before their turn.
    early: BTreeMap<u64, Made<B>>,
    threads: Vec<JoinHandle<()>>,
}

impl<B> Pool<B> {
    fn start(maker: &Arc<Maker<B>>, workers: usize, prefetch: usize) -> Result<Self, DataError>
    where
        B: Send + 'static,
    {
        let (tickets, open_tickets) = unbounded();
        let (deliver, made) = unbounded();
        let mut pool = Self {
            tickets,
            next_ticket: 0,
            made,
            early: BTreeMap::new(),
            threads: Vec::with_capacity(workers),
        };
        for _ in 0..workers {
            let (maker, tickets, deliver) = (maker.clone(), open_tickets.clone(), deliver.clone());
            let thread = thread::Builder::new()
                .name("loader".to_owned())
                .spawn(move || work(&maker, &tickets, &deliver))
                .map_err(|error| DataError::Setting {
                    name: "workers",
                    reason: format!("cannot start {workers} threads ({error}), lower it"),
                })?;
            pool.threads.push(thread);
        }
        for _ in 0..prefetch {
            pool.hand_out();
        }
        Ok(pool)
    }

    /// Gives out a ticket. Sending fails only if no worker is left, which `take` reports.
    fn hand_out(&mut self) {
        let _ = self.tickets.send(self.next_ticket);
        self.next_ticket += 1;
    }

    /// Batches whose tickets are out are still made, and dropped when they arrive.
    fn skip_to(&mut self, index: u64) {
        if index < self.next_ticket {
            return;
        }
        let waiting = self.next_ticket;
        self.next_ticket = index;
        (0..waiting).for_each(|_| self.hand_out());
    }

    fn take(&mut self, index: u64) -> Result<B, DataError> {
        self.early = self.early.split_off(&index);
        let made = loop {
            if let Some(made) = self.early.remove(&index) {
                break made;
            }
            let (number, made) = self
                .made
                .recv()
                .expect("workers end only when the pool is dropped");
            self.early.insert(number, made);
        };
        self.hand_out();
        made.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn work<B>(maker: &Maker<B>, tickets: &Receiver<u64>, deliver: &Sender<(u64, Made<B>)>) {
    let mut order = EpochOrder::default();
    for index in tickets {
        let made = catch_unwind(AssertUnwindSafe(|| maker.make(index, &mut order)));
        if deliver.send((index, made)).is_err() {
            return;
        }
    }
}

impl<B> Drop for Pool<B> {
    fn drop(&mut self) {
        // Without its receiving end the next delivery fails, which ends a
        // worker even though tickets are left.
        self.made = never();
        self.tickets = unbounded().0;
        for thread in self.threads.drain(..) {
            // Panics of the making were delivered as results.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
