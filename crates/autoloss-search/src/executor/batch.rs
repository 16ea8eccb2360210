//! A list of trainings on an executor.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tracing::Span;

use super::{Executor, Inbox, Message, TICK, Workers};
use crate::comparison::Entry;
use crate::error::SearchError;
use crate::event::{Ended, FailedTraining};
use crate::study::{ATTEMPTS, Failure, Trial, TrialId, TrialOutcome};
use crate::task::{Interrupt, Report, Task};
use crate::trace;

/// News of a list of trainings.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// The training of an entry ended, or failed.
    Ended(&'a Entry, &'a Ended),
    /// The training of an entry goes on.
    Reported(&'a Entry, Report),
}

/// Makes the trainings; the result is in the order of the entries, without those that an interrupt took.
/// `on_news` is told each as it ends, and on its way what its job asks for; an error of `on_news` ends everything.
///
/// # Errors
/// An error of `on_news`, or workers that cannot work.
pub fn train_all(
    task: &dyn Task,
    entries: &[Entry],
    workers: Workers<'_>,
    interrupt: &Interrupt,
    on_news: &mut dyn FnMut(News<'_>) -> Result<(), SearchError>,
) -> Result<Vec<Ended>, SearchError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let (inbox, messages) = Inbox::new();
    std::thread::scope(|scope| {
        let mut executor = workers.executor(scope, task, entries.len(), &inbox);
        let batch = TrainingList {
            executor: &mut *executor,
            entries,
            left: (0..)
                .zip(entries)
                .map(|(id, entry)| trial(id, 0, entry))
                .collect(),
            lost: HashMap::new(),
            running: 0,
            spans: HashMap::new(),
            done: Vec::new(),
            error: None,
        };
        batch.run(&messages, interrupt, on_news)
    })
}

/// An entry as a trial, which has its place among the entries as its number.
fn trial(id: TrialId, attempt: u32, entry: &Entry) -> Trial {
    Trial {
        id,
        attempt,
        loss: entry.loss.to_string(),
        job: entry.job.clone(),
    }
}

/// Trainings of a list.
struct TrainingList<'a, 'b> {
    executor: &'a mut (dyn Executor + 'b),
    entries: &'a [Entry],
    left: VecDeque<Trial>,
    /// Number of times that each trial was lost.
    lost: HashMap<TrialId, u32>,
    /// Trials in training.
    running: usize,
    /// The span of each of them.
    spans: HashMap<TrialId, Span>,
    done: Vec<(TrialId, Ended)>,
    error: Option<SearchError>,
}

impl<'a> TrainingList<'a, '_> {
    #[expect(clippy::cast_possible_truncation, reason = "an index of the entries")]
    const fn entry(&self, id: TrialId) -> &'a Entry {
        &self.entries[id as usize]
    }

    fn run(
        mut self,
        messages: &Receiver<Message>,
        interrupt: &Interrupt,
        on_news: &mut dyn FnMut(News<'_>) -> Result<(), SearchError>,
    ) -> Result<Vec<Ended>, SearchError> {
        loop {
            if interrupt.is_set() || self.error.is_some() {
                self.left.clear();
                self.executor.cancel(None);
            }
            self.hand_out();
            if self.running == 0 && (self.left.is_empty() || self.error.is_some()) {
                break;
            }
            match messages.recv_timeout(TICK) {
                Ok(message) => self.take(message, on_news),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.executor.tick();
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        self.done.sort_by_key(|(id, _)| *id);
        Ok(self.done.into_iter().map(|(_, ended)| ended).collect())
    }

    fn hand_out(&mut self) {
        while self.error.is_none()
            && self.running < self.executor.slots()
            && let Some(trial) = self.left.pop_front()
        {
            let (id, span) = (trial.id, trace::trial(&trial, self.running));
            match self.executor.submit(trial) {
                Ok(()) => {
                    self.running += 1;
                    self.spans.insert(id, span);
                }
                Err(error) => self.error = Some(error),
            }
        }
    }

    fn take(
        &mut self,
        message: Message,
        on_news: &mut dyn FnMut(News<'_>) -> Result<(), SearchError>,
    ) {
        let (id, outcome) = match message {
            Message::Done(id, outcome) => (id, outcome),
            Message::Broken(text) => {
                self.running = self.running.saturating_sub(1);
                self.error.get_or_insert(SearchError::Worker(text));
                return;
            }
            Message::Reported(id, report) => {
                let entry = self.entry(id);
                return self.tell(News::Reported(entry, report), on_news);
            }
            Message::Found(_) => return,
        };
        self.running -= 1;
        self.spans.remove(&id);
        let entry = self.entry(id);
        let outcome = match outcome {
            TrialOutcome::Lost(reason) => {
                let lost = self.lost.entry(id).or_default();
                *lost += 1;
                if *lost < ATTEMPTS {
                    return self.left.push_front(trial(id, *lost, entry));
                }
                TrialOutcome::Failed(Failure::lost(&reason))
            }
            other => other,
        };
        let Some(ended) = ended(entry, outcome) else {
            return;
        };
        self.tell(News::Ended(entry, &ended), on_news);
        self.done.push((id, ended));
    }

    fn tell(
        &mut self,
        news: News<'_>,
        on_news: &mut dyn FnMut(News<'_>) -> Result<(), SearchError>,
    ) {
        if self.error.is_none()
            && let Err(error) = on_news(news)
        {
            self.error = Some(error);
        }
    }
}

/// The end of an entry's training; `None` after an interrupt.
fn ended(entry: &Entry, outcome: TrialOutcome) -> Option<Ended> {
    let formula = entry.loss.to_string();
    Some(match outcome {
        TrialOutcome::Trained(trained) => {
            Ok(trained.into_training(&entry.name, formula, &entry.job))
        }
        TrialOutcome::Failed(failure) => Err(FailedTraining {
            name: entry.name.clone(),
            formula,
            seed: entry.job.seed,
            message: failure.message,
            seconds: failure.seconds,
        }),
        TrialOutcome::Interrupted | TrialOutcome::Lost(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{entries, summarise};
    use crate::task::Job;
    use crate::toy::Toy;

    #[test]
    fn the_order_is_that_of_losses_and_seeds() {
        let toy = Toy::new();
        let losses = crate::Task::baselines(&toy);
        let run = |workers| {
            let mut told = 0;
            let entries = entries(&losses, &[7, 3, 5], &Job::default(), 0);
            let interrupt = Interrupt::default();
            let trainings = train_all(
                &toy,
                &entries,
                Workers::Threads(workers),
                &interrupt,
                &mut |_| {
                    told += 1;
                    Ok(())
                },
            );
            let mut result = summarise(trainings.unwrap());
            assert_eq!(told, losses.len() * 3);
            for training in result.iter_mut().flat_map(|c| &mut c.trainings) {
                training.seconds = 0.0;
            }
            result
        };
        let one = run(1);
        assert_eq!(one, run(3));
        let names: Vec<&str> = one.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(
            names,
            losses.iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        assert_eq!(
            one[0].trainings.iter().map(|t| t.seed).collect::<Vec<_>>(),
            [7, 3, 5]
        );
    }

    #[test]
    fn an_interrupt_leaves_what_was_done() {
        let toy = Toy::new();
        let interrupt = Interrupt::default();
        let losses = crate::Task::baselines(&toy);
        let seeds: Vec<u64> = (0..2000).collect();
        let entries = entries(&losses, &seeds, &Job::default(), 0);
        let mut told = Vec::new();
        let result = train_all(
            &toy,
            &entries,
            Workers::Threads(1),
            &interrupt,
            &mut |news| {
                if let News::Ended(_, ended) = news {
                    told.push(ended.clone());
                }
                if told.len() == 3 {
                    interrupt.set();
                }
                Ok(())
            },
        );
        let result = result.unwrap();
        assert_eq!(result, told);
        assert!(
            (3..entries.len()).contains(&result.len()),
            "{}",
            result.len()
        );
    }

    #[test]
    fn trainings_end_when_whoever_is_told_of_them_panics() {
        let toy = Toy::new();
        let losses = crate::Task::baselines(&toy);
        let seeds: Vec<u64> = (0..1_000_000).collect();
        let entries = entries(&losses, &seeds, &Job::default(), 0);
        let panics = || {
            train_all(
                &toy,
                &entries,
                Workers::Threads(2),
                &Interrupt::default(),
                &mut |_| panic!("nobody reads"),
            )
        };
        let start = std::time::Instant::now();
        assert!(std::panic::catch_unwind(panics).is_err());
        // Two million trainings take minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(60));
    }
}
