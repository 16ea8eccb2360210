//! Workers in child processes of this one.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Ear, Worker, Workplace};
use crate::error::SearchError;

/// Time for the error output of a process that has ended to be read.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Lines of a worker's error output that an error shows.
const SHOWN: usize = 5;

/// The program whose processes are workers.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// The folder that it runs in; `None`: that of this process.
    pub(super) folder: Option<PathBuf>,
    pub(super) count: usize,
    pub(super) shares_cores: bool,
}

impl Workplace for Local {
    fn count(&self) -> usize {
        self.count
    }

    fn shares_cores(&self) -> bool {
        self.shares_cores
    }

    fn start(&self, _: usize, ear: Ear) -> Result<Box<dyn Worker>, SearchError> {
        let program = self.program.display();
        let broken = |error| SearchError::Worker(format!("{program} cannot be started: {error}"));
        let mut command = Command::new(&self.program);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for");
        };
        std::thread::spawn(move || listen(output, errors, ear));
        Ok(Box::new(Process { child, input }))
    }
}

/// A running process.
struct Process {
    child: Child,
    input: ChildStdin,
}

impl Worker for Process {
    fn send(&mut self, line: &str) {
        // A process that has ended says so by its output.
        let sent = self.input.write_all(line.as_bytes());
        let _ = sent.and_then(|()| self.input.flush());
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a process's output to its end.
fn listen(output: ChildStdout, errors: ChildStderr, mut ear: Ear) {
    let said = Arc::new(Mutex::new(VecDeque::new()));
    let ended = keep(errors, said.clone());
    for text in BufReader::new(output).lines() {
        let Ok(text) = text else { break };
        if !ear.line(&text) {
            break;
        }
    }
    // Its last words; something that it started may hold its error output open.
    let _ = ended.recv_timeout(LAST_WORDS);
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    ear.ended(&match said.is_empty() {
        true => "it ended without a word".to_owned(),
        false => format!("it ended: {}", said.join(" | ")),
    });
}

/// Keeps the last lines of a process's error output, and tells its end.
fn keep(errors: ChildStderr, said: Arc<Mutex<VecDeque<String>>>) -> Receiver<()> {
    let (told, ended) = channel();
    std::thread::spawn(move || {
        let mut errors = BufReader::new(errors);
        let mut bytes = Vec::new();
        // What is longer than this is no line that helps.
        while let Ok(1..) = errors.by_ref().take(4096).read_until(b'\n', &mut bytes) {
            let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_back(text);
            if said.len() > SHOWN {
                said.pop_front();
            }
        }
        let _ = told.send(());
    });
    ended
}
