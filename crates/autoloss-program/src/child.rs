//! The child process that describes the task, gives samples and scores predictions.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autoloss_search::{WORKER_VERSION, hello};

use crate::message::{Answer, Ask, Description, GivenSample};
use crate::settings::{ProgramError, ProgramSettings};

/// Time for the error output of a process that has ended to be read.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Lines of the error output that an error shows.
const SHOWN: usize = 5;

/// A running program.
pub(crate) struct Child {
    process: Process,
    input: ChildStdin,
    lines: Receiver<String>,
    errors: Arc<Mutex<VecDeque<String>>>,
    limit: Duration,
}

/// All that is needed to start the program.
pub(crate) struct Start {
    command: Vec<String>,
    folder: Option<PathBuf>,
    /// Time of each answer.
    limit: Duration,
}

impl Start {
    /// The start of a program with these settings.
    ///
    /// # Errors
    /// A command that cannot be split into words.
    pub(crate) fn of(settings: &ProgramSettings) -> Result<Self, ProgramError> {
        Ok(Self {
            command: settings.command()?,
            folder: settings.folder.clone(),
            limit: Duration::from_secs_f64(settings.answer_time),
        })
    }

    /// Starts the program and takes its description.
    ///
    /// # Errors
    /// A program that does not start, answers in another version, refuses, or has no task, in words.
    pub(crate) fn begin(&self, fingerprint: &str) -> Result<(Child, Description), String> {
        let (program, arguments) = self.command.split_first().ok_or("the command is empty")?;
        let mut command = Command::new(program);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut process = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        let (Some(input), Some(output), Some(errors)) = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        ) else {
            unreachable!("all three were asked for");
        };
        let mut child = Child {
            process,
            input,
            lines: lines_of(output),
            errors: last_lines_of(errors),
            limit: self.limit,
        };
        child.put(&hello("", fingerprint));
        let task = match child.answer()? {
            Answer::Ready { version, .. } if version != WORKER_VERSION => {
                return Err(format!(
                    "it speaks version {version} of the messages, expected {WORKER_VERSION}"
                ));
            }
            Answer::Ready {
                task: Some(task), ..
            } => task,
            Answer::Ready { task: None, .. } => {
                return Err(
                    "its `ready` has no `task`, which describes branches and metric".into(),
                );
            }
            other => return Err(unexpected(&other, "ready")),
        };
        Ok((child, task))
    }
}

impl Child {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// The end of the program, silence beyond the limit, a line that is no message, in words.
    pub(crate) fn ask(&mut self, question: &Ask<'_>) -> Result<Answer, String> {
        // All keys are texts and all values have a form in JSON.
        let text = serde_json::to_string(question).expect("messages can be written as JSON");
        self.put(&format!("{text}\n"));
        self.answer()
    }

    /// Asks for the task's samples; their files go into the folder.
    ///
    /// # Errors
    /// Another answer, another number of samples, in words.
    pub(crate) fn samples(
        &mut self,
        count: usize,
        seed: u64,
        folder: &Path,
    ) -> Result<Vec<GivenSample>, String> {
        match self.ask(&Ask::Samples {
            count,
            seed,
            folder,
        })? {
            Answer::Samples(samples) if samples.len() == count => Ok(samples),
            Answer::Samples(samples) => Err(format!(
                "it gave {} screening samples, expected {count}",
                samples.len()
            )),
            other => Err(unexpected(&other, "samples")),
        }
    }

    fn put(&mut self, line: &str) {
        // A process that has ended says so by its output.
        let sent = self.input.write_all(line.as_bytes());
        let _ = sent.and_then(|()| self.input.flush());
    }

    fn answer(&mut self) -> Result<Answer, String> {
        let line = match self.lines.recv_timeout(self.limit) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.limit.as_secs_f64();
                return Err(format!("it did not answer within {seconds} s"));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(self.last_words()),
        };
        serde_json::from_str(&line).map_err(|error| {
            let start: String = line.chars().take(80).collect();
            format!("it wrote {start:?}, which is no message ({error})")
        })
    }

    /// The end of the process, with the last lines of its error output.
    fn last_words(&mut self) -> String {
        let ended = self.process.wait();
        std::thread::sleep(LAST_WORDS);
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<&str> = errors.iter().map(String::as_str).collect();
        let ended = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        match said.is_empty() {
            true => format!("it ended ({ended}) without a word"),
            false => format!("it ended ({ended}): {}", said.join(" | ")),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer in place of the one that was asked for, in words.
pub(crate) fn unexpected(answer: &Answer, expected: &str) -> String {
    match answer {
        Answer::Refused { reason } => format!("it refuses to work: {reason}"),
        Answer::Error { message } => message.clone(),
        other => format!("it answered `{}`, expected `{expected}`", other.name()),
    }
}

/// The lines of an output, read by a thread of their own.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// The last lines of an error output.
fn last_lines_of(errors: ChildStderr) -> Arc<Mutex<VecDeque<String>>> {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let shared = kept.clone();
    std::thread::spawn(move || {
        let mut errors = BufReader::new(errors);
        let mut bytes = Vec::new();
        // What is longer than this is no line that helps.
        while let Ok(1..) = errors.by_ref().take(4096).read_until(b'\n', &mut bytes) {
            let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back(text);
            if kept.len() > SHOWN {
                kept.pop_front();
            }
        }
    });
    kept
}
