//! The child process that describes the task, gives samples and scores predictions.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use autoloss_search::{LastLines, PipedProcess, WORKER_VERSION, hello};

use crate::message::{Answer, Ask, Description, GivenSample};
use crate::settings::{ProgramError, ProgramSettings};

/// A running program.
pub(crate) struct Child {
    process: PipedProcess,
    lines: Receiver<String>,
    errors: LastLines,
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

    /// Starts the program for a task that is not known yet, and takes its description.
    ///
    /// # Errors
    /// As [`Start::again`]; a program that describes no task.
    pub(crate) fn begin(&self) -> Result<(Child, Description), String> {
        let (child, task) = self.again("")?;
        let task = task.ok_or("its `ready` has no `task`, which describes branches and metric")?;
        Ok((child, task))
    }

    /// Starts the program for the task of that fingerprint; its description, if it gives one.
    ///
    /// # Errors
    /// A program that does not start, answers in another version, or refuses, in words.
    pub(crate) fn again(&self, fingerprint: &str) -> Result<(Child, Option<Description>), String> {
        let (program, arguments) = self.command.split_first().ok_or("the command is empty")?;
        let (process, output, errors) =
            PipedProcess::start(program, arguments, self.folder.as_deref())
                .map_err(|error| format!("{program} cannot be started: {error}"))?;
        let mut child = Child {
            process,
            lines: lines_of(output),
            errors,
            limit: self.limit,
        };
        child.process.send(&hello("", fingerprint));
        match child.answer()? {
            Answer::Ready { version, task } if version == WORKER_VERSION => Ok((child, task)),
            Answer::Ready { version, .. } => Err(format!(
                "it speaks version {version} of the messages, expected {WORKER_VERSION}"
            )),
            other => Err(unexpected(&other, "ready")),
        }
    }
}

impl Child {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// The end of the program, silence beyond the limit, a line that is no message, in words.
    pub(crate) fn ask(&mut self, question: &Ask) -> Result<Answer, String> {
        // All keys are texts and all values have a form in JSON.
        let text = serde_json::to_string(question).expect("messages can be written as JSON");
        self.process.send(&format!("{text}\n"));
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
            folder: folder.to_owned(),
        })? {
            Answer::Samples(samples) if samples.len() == count => Ok(samples),
            Answer::Samples(samples) => Err(format!(
                "it gave {} screening samples, expected {count}",
                samples.len()
            )),
            other => Err(unexpected(&other, "samples")),
        }
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
        let process = &mut self.process;
        self.errors.after(|| match process.end() {
            Ok(status) => format!("it ended ({status})"),
            Err(error) => format!("it ended ({error})"),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.end();
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
