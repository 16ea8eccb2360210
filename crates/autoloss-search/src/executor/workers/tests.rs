//! Workers that are no processes of this machine: they join and leave while a search runs.

use std::io::{BufReader, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use super::*;
use crate::event::Fate;
use crate::run::{RunReport, Runner};
use crate::store::{NewRun, Recorder, Store};
use crate::task::Interrupt;
use crate::toy::{Toy, unscreened};
use crate::worker::serve;
use crate::{Event, Workers};

/// Threads that serve the toy task as workers elsewhere would.
struct Elsewhere {
    count: Arc<AtomicUsize>,
    started: Arc<AtomicUsize>,
    /// Workers that were started and not ended.
    running: Arc<AtomicUsize>,
    /// Trainings that a worker makes before it is gone; 0: any number.
    leaves_after: usize,
}

impl Workplace for Elsewhere {
    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn shares_cores(&self) -> bool {
        false
    }

    fn start(&self, _: usize, mut ear: Ear) -> Result<Box<dyn Worker>, SearchError> {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        let (lines, input) = channel::<Vec<u8>>();
        let (told, answers) = channel::<Vec<u8>>();
        std::thread::spawn(move || {
            let open = |_: &str| Ok(Box::new(Toy::new()) as Box<dyn Task>);
            // Its end is that of either side.
            let _ = serve(open, BufReader::new(Input(input, Vec::new())), Output(told));
        });
        let left = self.leaves_after;
        let (count, started) = (self.count.clone(), self.started.clone());
        let lacks_workers = move || started.load(Ordering::Relaxed) < count.load(Ordering::Relaxed);
        std::thread::spawn(move || {
            let (mut text, mut trained) = (Vec::new(), 0);
            for part in answers {
                text.extend(part);
                while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    let line = String::from_utf8(line).unwrap();
                    let is_done = line.starts_with(r#"{"done""#);
                    trained += usize::from(is_done);
                    // No training is so fast that the others are not needed.
                    while is_done && lacks_workers() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    if left > 0 && trained > left {
                        return ear.ended("its node was taken away");
                    }
                    assert!(ear.line(line.trim_end()), "{line}");
                }
            }
            ear.ended("its input ended");
        });
        Ok(Box::new(Thread {
            lines: Some(lines),
            running: self.running.clone(),
        }))
    }
}

struct Thread {
    lines: Option<Sender<Vec<u8>>>,
    running: Arc<AtomicUsize>,
}

impl Worker for Thread {
    fn send(&mut self, line: &str) {
        if let Some(lines) = &self.lines {
            let _ = lines.send(line.as_bytes().to_vec());
        }
    }

    fn kill(&mut self) {
        if self.lines.take().is_some() {
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn end(&mut self) {
        self.kill();
    }
}

struct Input(Receiver<Vec<u8>>, Vec<u8>);

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default();
        }
        let count = buffer.len().min(self.1.len());
        buffer[..count].copy_from_slice(&self.1[..count]);
        self.1.drain(..count);
        Ok(count)
    }
}

struct Output(Sender<Vec<u8>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = self.0.send(bytes.to_vec());
        sent.map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A search of 30 evaluations with workers in that place; `on_event` is told each event.
fn search(place: &Arc<Elsewhere>, on_event: &mut dyn FnMut(&Event)) -> (RunReport, Vec<Fate>) {
    let (dir, task, settings) = (tempfile::tempdir().unwrap(), Toy::new(), unscreened(30));
    let about = WorkerSettings {
        settings: vec![String::new()],
        fingerprint: task.fingerprint(),
        limit: None,
    };
    let processes = Processes::at(place.clone(), about).unwrap();
    let run = NewRun::of(&task, &settings);
    let dir = dir.path().join("run");
    let mut recorder = Recorder::create(&dir, &run).unwrap();
    let runner = Runner {
        task: &task,
        workers: Workers::Processes(&processes),
        plan: None,
        interrupt: &Interrupt::default(),
    };
    let report = runner.run(&mut recorder, on_event).unwrap();
    drop(recorder);
    let rows = Store::open(&dir).unwrap().candidates().unwrap();
    let trained = [Fate::Scored, Fate::Stopped, Fate::Failed, Fate::Lost];
    let fates = rows.iter().map(|row| row.fate);
    (
        report,
        fates.filter(|fate| trained.contains(fate)).collect(),
    )
}

fn elsewhere(count: usize, leaves_after: usize) -> Arc<Elsewhere> {
    Arc::new(Elsewhere {
        count: Arc::new(count.into()),
        started: Arc::default(),
        running: Arc::default(),
        leaves_after,
    })
}

#[test]
fn workers_join_and_leave_while_a_search_runs() {
    let place = elsewhere(1, 0);
    let (mut evaluations, mut running) = (0, 0);
    let (report, fates) = search(&place, &mut |event| {
        if matches!(event, Event::Evaluated { .. }) {
            evaluations += 1;
            // More of them until they are there, then one again.
            let all = place.started.load(Ordering::Relaxed) == 3;
            let count = if evaluations < 5 || all { 1 } else { 3 };
            place.count.store(count, Ordering::Relaxed);
            running = place.running.load(Ordering::Relaxed);
        }
    });
    assert_eq!(report.tally.evaluations, 30);
    assert_eq!(fates.len(), 30);
    // One, then two more, of which none was started again; two ended when there was no more room for them.
    assert_eq!(place.started.load(Ordering::Relaxed), 3);
    assert_eq!(running, 1);
}

#[test]
fn trials_of_workers_that_are_gone_are_made_by_others() {
    let place = elsewhere(2, 4);
    let (report, fates) = search(&place, &mut |_| ());
    assert_eq!(report.tally.evaluations, 30);
    assert!(fates.iter().all(|fate| *fate == Fate::Scored), "{fates:?}");
    assert!(place.started.load(Ordering::Relaxed) > 5);
}
