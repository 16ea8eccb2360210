//! The other side of worker processes: a program that trains for a search in another process.

use std::io::{self, BufRead, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::executor::protocol::{Order, Reply, Request, VERSION, line};
use crate::executor::train;
use crate::study::{Trial, TrialId};
use crate::task::{Interrupt, Report, Task};

/// Trainings that were asked for and have not ended, and the end of each.
type Wanted = Mutex<Vec<(TrialId, Arc<Interrupt>)>>;

/// Answers of a worker beside trainings, for a search that does not know its task.
pub trait Further {
    /// The description of the task.
    ///
    /// # Errors
    /// A task that the messages cannot describe, in words.
    fn describe(&mut self, task: &dyn Task) -> Result<Value, String>;

    /// The answer to a line that is no message about trainings, without its line break; `None` where it is no message
    /// at all.
    fn answer(&mut self, task: &dyn Task, line: &str) -> Option<String>;
}

/// Answers nothing but trainings.
struct TrainingsAlone;

impl Further for TrainingsAlone {
    fn describe(&mut self, _: &dyn Task) -> Result<Value, String> {
        Err(
            "the search does not tell the fingerprint of its task, and this worker describes none"
                .to_owned(),
        )
    }

    fn answer(&mut self, _: &dyn Task, _: &str) -> Option<String> {
        None
    }
}

/// Serves a search until the input ends: opens the task that the search names, trains its trials one by one,
/// and writes their outcomes. `open` opens a task from its settings, or says why it cannot.
///
/// # Errors
/// If the output cannot be written, which is so when the search has ended.
pub fn serve(
    open: impl FnOnce(&str) -> Result<Box<dyn Task>, String>,
    input: impl BufRead,
    output: impl Write + Send,
) -> io::Result<()> {
    serve_with(open, &mut TrainingsAlone, input, output)
}

/// The same, with answers to further messages.
///
/// # Errors
/// As [`serve`].
pub fn serve_with(
    open: impl FnOnce(&str) -> Result<Box<dyn Task>, String>,
    further: &mut dyn Further,
    input: impl BufRead,
    output: impl Write + Send,
) -> io::Result<()> {
    let output = Mutex::new(output);
    let mut lines = input.lines();
    let Some(first) = lines.next() else {
        return Ok(());
    };
    let (task, description) = match begin(&first?, open, further) {
        Ok(begun) => begun,
        Err(reason) => return put(&output, &Reply::Refused { reason }),
    };
    put(
        &output,
        &Reply::Ready {
            version: VERSION,
            forms: Vec::new(),
            task: description,
        },
    )?;
    let wanted = Wanted::default();
    let (orders, receiver) = channel();
    std::thread::scope(|scope| {
        let (task, wanted, out) = (&*task, &wanted, &output);
        let trainer = scope.spawn(move || train_all(task, &receiver, wanted, out));
        let mut answer = |line: &str| further.answer(task, line);
        let result = read(lines, &orders, wanted, &mut answer, out);
        drop(orders);
        for (_, interrupt) in lock(wanted).iter() {
            interrupt.set();
        }
        let trained = trainer.join();
        result.and(trained.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Opens the task of the first message, and describes it to a search that does not know it.
fn begin(
    first: &str,
    open: impl FnOnce(&str) -> Result<Box<dyn Task>, String>,
    further: &mut dyn Further,
) -> Result<(Box<dyn Task>, Option<Value>), String> {
    let request: Request = serde_json::from_str(first)
        .map_err(|error| format!("the first line is no message of a search: {error}"))?;
    let Request::Hello {
        version,
        settings,
        fingerprint,
    } = request
    else {
        return Err("the first message is not `hello`".to_owned());
    };
    if version != VERSION {
        return Err(format!(
            "the search speaks version {version} of the messages, this worker version {VERSION}: use the same \
             program for both"
        ));
    }
    let task = open(&settings)?;
    if fingerprint.is_empty() {
        let description = further.describe(&*task)?;
        return Ok((task, Some(description)));
    }
    let own = task.fingerprint();
    if own != fingerprint {
        return Err(format!(
            "the task is another one here: {own}, and {fingerprint} for the search; the data or the programs \
             differ"
        ));
    }
    Ok((task, None))
}

/// Takes requests until there are no more.
fn read(
    lines: impl Iterator<Item = io::Result<String>>,
    orders: &std::sync::mpsc::Sender<(Trial, Arc<Interrupt>)>,
    wanted: &Wanted,
    further: &mut dyn FnMut(&str) -> Option<String>,
    output: &Mutex<impl Write>,
) -> io::Result<()> {
    for text in lines {
        let text = text?;
        match serde_json::from_str(&text) {
            Ok(Request::Train(Order { trial, .. })) => {
                let interrupt = Arc::new(Interrupt::default());
                lock(wanted).push((trial.id, interrupt.clone()));
                // The trainer ends after this thread, unless its output is gone.
                let _ = orders.send((trial, interrupt));
            }
            Ok(Request::Cancel(id)) => {
                for (_, interrupt) in lock(wanted).iter().filter(|(other, _)| *other == id) {
                    interrupt.set();
                }
            }
            Ok(Request::Hello { .. }) => {}
            Err(error) => match further(&text) {
                Some(answer) => write_line(output, &format!("{answer}\n"))?,
                None => {
                    let reason = format!("not a message of a search: {error}");
                    return put(output, &Reply::Refused { reason });
                }
            },
        }
    }
    Ok(())
}

fn train_all(
    task: &dyn Task,
    orders: &Receiver<(Trial, Arc<Interrupt>)>,
    wanted: &Wanted,
    output: &Mutex<impl Write + Send>,
) -> io::Result<()> {
    for (trial, interrupt) in orders {
        let id = trial.id;
        let updated = Mutex::new(None);
        let outcome = train(task, &trial, &interrupt, &|report| {
            if is_due(report, &updated) {
                // The end of the search is seen when the outcome is told.
                let _ = put(output, &Reply::Report { id, report });
            }
        });
        lock(wanted).retain(|(other, _)| *other != id);
        put(output, &Reply::Done { id, outcome })?;
    }
    Ok(())
}

/// Time between two updates that are told; the last one always is.
const EVERY: Duration = Duration::from_secs(1);

/// Whether a report is to be told, given when an update last was.
fn is_due(report: Report, updated: &Mutex<Option<Instant>>) -> bool {
    let Report::Update { update, of, .. } = report else {
        return true;
    };
    let mut last = updated.lock().unwrap_or_else(PoisonError::into_inner);
    let due = update == of || last.is_none_or(|last| last.elapsed() >= EVERY);
    if due {
        *last = Some(Instant::now());
    }
    due
}

fn put(output: &Mutex<impl Write>, reply: &Reply) -> io::Result<()> {
    write_line(output, &line(reply))
}

fn write_line(output: &Mutex<impl Write>, line: &str) -> io::Result<()> {
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.write_all(line.as_bytes())?;
    output.flush()
}

fn lock(wanted: &Wanted) -> std::sync::MutexGuard<'_, Vec<(TrialId, Arc<Interrupt>)>> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::protocol::line;
    use crate::study::TrialOutcome;
    use crate::task::Job;
    use crate::toy::Toy;

    fn hello(version: u32, fingerprint: &str) -> String {
        line(&Request::Hello {
            version,
            settings: "toy".to_owned(),
            fingerprint: fingerprint.to_owned(),
        })
    }

    fn replies(input: &str) -> Vec<Reply> {
        let mut output = Vec::new();
        let open = |settings: &str| match settings {
            "toy" => Ok(Box::new(Toy::new()) as Box<dyn Task>),
            other => Err(format!("no task {other}")),
        };
        serve(open, input.as_bytes(), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_worker_trains_what_it_is_given() {
        let trial = |id, loss: &str| {
            let loss = loss.to_owned();
            let (attempt, job) = (0, Job::default());
            let trial = Trial {
                id,
                attempt,
                loss,
                job,
            };
            line(&Request::Train(Order::new(trial, &Toy::new(), &[])))
        };
        let own = Toy::new().fingerprint();
        let input = hello(VERSION, &own) + &trial(4, "-(y * log(yhat))") + &trial(5, "yhat -");
        let [ready, first, second] = &replies(&input)[..] else {
            panic!("three replies");
        };
        assert!(matches!(
            ready,
            Reply::Ready {
                version: VERSION,
                ..
            }
        ));
        let Reply::Done { id: 4, outcome } = first else {
            panic!("{first:?}");
        };
        // The end of the input is that of a search: the training then is ended.
        assert!(matches!(
            outcome,
            TrialOutcome::Trained(_) | TrialOutcome::Interrupted
        ));
        let Reply::Done { id: 5, outcome } = second else {
            panic!("{second:?}");
        };
        assert!(matches!(outcome, TrialOutcome::Failed(_)), "{outcome:?}");
    }

    #[test]
    fn another_version_task_or_message_is_refused_by_name() {
        let refused = |input: &str| match &replies(input)[..] {
            [Reply::Refused { reason }] => reason.clone(),
            other => panic!("{other:?}"),
        };
        let own = Toy::new().fingerprint();
        assert!(refused(&hello(VERSION + 1, &own)).contains("speaks version"));
        assert!(refused(&hello(VERSION, "other data")).contains("the task is another one here"));
        assert!(refused(&hello(VERSION, "")).contains("does not tell the fingerprint"));
        assert!(refused("hello\n").contains("the first line is no message"));
        assert!(refused(&line(&Request::Cancel(1))).contains("not `hello`"));
        assert!(replies("").is_empty());
    }
}
