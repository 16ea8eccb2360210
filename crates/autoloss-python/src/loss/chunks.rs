//! Computation of a large batch in chunks of samples, on several threads.

use std::env;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use autoloss_expr::Shape;

use crate::guard::lock;

/// Elements of a batch from which it is computed in chunks.
const LARGE: usize = 1 << 18;

/// Elements of a chunk, at least: what a thread takes up is worth its start.
const CHUNK: usize = 1 << 16;

/// Names a number of threads, for the metrics, too.
const THREADS: &str = "RAYON_NUM_THREADS";

/// The division of a batch by its samples. It follows from the shape alone, and results are summed in its order, so
/// that they do not depend on the number of threads.
#[derive(Clone, Copy)]
pub(super) struct Chunks {
    whole: Shape,
    /// Samples of each chunk but the last, which may have fewer.
    samples: usize,
}

impl Chunks {
    /// The division of a batch of a shape; `None` of one that is too small.
    pub(super) fn of(whole: Shape) -> Option<Self> {
        let of_sample = Shape { n: 1, ..whole }.len();
        let samples = (CHUNK / of_sample.max(1)).max(1);
        (whole.len() >= LARGE && samples < whole.n).then_some(Self { whole, samples })
    }

    fn count(self) -> usize {
        self.whole.n.div_ceil(self.samples)
    }

    /// Elements of each chunk but the last.
    fn len(self) -> usize {
        let Self { whole, samples } = self;
        Shape {
            n: samples,
            ..whole
        }
        .len()
    }

    /// The loss value of the batch, given the shape, the inputs, the share of the samples and the place in `results` of
    /// each chunk and its loss value.
    pub(super) fn sum<T: Sync, R: Send, E: Send>(
        self,
        inputs: &[&[T]],
        results: &mut [R],
        compute: impl Fn(Shape, &[&[T]], f64, &mut [R]) -> Result<f64, E> + Sync,
    ) -> Result<f64, E> {
        let (whole, length) = (self.whole, self.len());
        let one = |number: usize, results: &mut [R]| {
            let begin = number * length;
            let end = (begin + length).min(whole.len());
            let n = self.samples.min(whole.n - number * self.samples);
            let inputs: Vec<&[T]> = inputs.iter().map(|field| &field[begin..end]).collect();
            let share = n as f64 / whole.n as f64;
            compute(Shape { n, ..whole }, &inputs, share, results).map(|value| share * value)
        };
        // Without results each chunk has an empty part of them.
        let mut parts = results.chunks_mut(length);
        let parts = (0..self.count()).map(|number| (number, parts.next().unwrap_or_default()));
        let mut values = on_threads(self.count(), parts, &one);
        values.sort_by_key(|(number, _)| *number);
        values.into_iter().map(|(_, value)| value).sum()
    }
}

/// Results of `work` for numbered items, on as many threads as there are cores, in any order.
fn on_threads<I: Send, R: Send>(
    count: usize,
    items: impl Iterator<Item = (usize, I)> + Send,
    work: &(impl Fn(usize, I) -> R + Sync),
) -> Vec<(usize, R)> {
    let items = Mutex::new(items);
    let take = || lock(&items).next();
    let run = || {
        let mut done = Vec::new();
        while let Some((number, item)) = take() {
            done.push((number, work(number, item)));
        }
        done
    };
    // Not a pool: a process that was forked off would wait for its threads for ever.
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, run).ok();
        let others: Vec<_> = (1..threads().min(count)).filter_map(start).collect();
        let mut done = run();
        for other in others {
            done.extend(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        done
    })
}

fn threads() -> usize {
    let given = env::var(THREADS)
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let given = given.filter(|count| *count > 0);
    given.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get))
}
