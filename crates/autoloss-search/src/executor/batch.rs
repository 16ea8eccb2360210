//! A list of trainings on an executor.

use std::sync::mpsc::{Receiver, RecvTimeoutError};

use super::{Executor, Inbox, Message, TICK, Threads};
use crate::comparison::Entry;
use crate::error::SearchError;
use crate::event::{Ended, FailedTraining};
use crate::study::{Trial, TrialOutcome};
use crate::task::{Interrupt, Task};

/// Makes the trainings on `workers` threads; the result is in the order of the entries, without those
/// that an interrupt took. `on_done` is told each as it ends, a failed one too; an error of `on_done`
/// ends everything.
///
/// # Errors
/// That error, or a worker that panicked outside the task.
pub fn train_all(
    task: &dyn Task,
    entries: &[Entry],
    workers: usize,
    interrupt: &Interrupt,
    on_done: &mut dyn FnMut(&Ended) -> Result<(), SearchError>,
) -> Result<Vec<Ended>, SearchError> {
    let (inbox, messages) = Inbox::new();
    std::thread::scope(|scope| {
        let workers = workers.clamp(1, entries.len().max(1));
        let mut executor = Threads::new(scope, task, workers, &inbox);
        train_on(&mut executor, &messages, entries, interrupt, on_done)
    })
}

/// The same on an executor.
fn train_on(
    executor: &mut dyn Executor,
    messages: &Receiver<Message>,
    entries: &[Entry],
    interrupt: &Interrupt,
    on_done: &mut dyn FnMut(&Ended) -> Result<(), SearchError>,
) -> Result<Vec<Ended>, SearchError> {
    let mut left = (0..).zip(entries);
    let mut running = 0;
    let mut done: Vec<(u64, Ended)> = Vec::new();
    let mut error = None;
    loop {
        let ending = interrupt.is_set() || error.is_some();
        while !ending
            && running < executor.slots()
            && let Some((id, entry)) = left.next()
        {
            executor.submit(Trial {
                id,
                attempt: 0,
                loss: entry.loss.to_string(),
                job: entry.job.clone(),
            });
            running += 1;
        }
        if running == 0 {
            break;
        }
        if ending {
            executor.cancel(None);
        }
        let (id, outcome) = match messages.recv_timeout(TICK) {
            Ok(Message::Done(id, outcome)) => (id, outcome),
            Ok(Message::Panicked(text)) => {
                error.get_or_insert(SearchError::Worker(text));
                running -= 1;
                continue;
            }
            Ok(Message::Found(_)) | Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        running -= 1;
        #[expect(clippy::cast_possible_truncation, reason = "an index of the entries")]
        let Some(ended) = ended(&entries[id as usize], outcome) else {
            continue;
        };
        if error.is_none()
            && let Err(e) = on_done(&ended)
        {
            error = Some(e);
        }
        done.push((id, ended));
    }
    if let Some(error) = error {
        return Err(error);
    }
    done.sort_by_key(|(id, _)| *id);
    Ok(done.into_iter().map(|(_, ended)| ended).collect())
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
        TrialOutcome::Interrupted => return None,
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
            let trainings = train_all(&toy, &entries, workers, &interrupt, &mut |_| {
                told += 1;
                Ok(())
            });
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
        let result = train_all(&toy, &entries, 1, &interrupt, &mut |ended| {
            told.push(ended.clone());
            if told.len() == 3 {
                interrupt.set();
            }
            Ok(())
        });
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
            train_all(&toy, &entries, 2, &Interrupt::default(), &mut |_| {
                panic!("nobody reads")
            })
        };
        let start = std::time::Instant::now();
        assert!(std::panic::catch_unwind(panics).is_err());
        // Two million trainings take minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
    }
}
