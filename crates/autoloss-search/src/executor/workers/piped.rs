//! A child process whose input and outputs are pipes.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time for the error output of a process that has ended to be read.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Lines of the error output that are kept.
const KEPT: usize = 5;

/// A running process and its input.
pub struct PipedProcess {
    child: Child,
    input: ChildStdin,
}

impl PipedProcess {
    /// Starts a program, in a folder or that of this process; its output, and the last lines of its error output.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: &[A],
        folder: Option<&Path>,
    ) -> io::Result<(Self, ChildStdout, LastLines)> {
        let mut command = Command::new(program);
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for");
        };
        Ok((Self { child, input }, output, LastLines::of(errors)))
    }

    /// Writes a line, which has its line break. A process that has ended says so by its output.
    pub fn send(&mut self, line: &str) {
        let sent = self.input.write_all(line.as_bytes());
        let _ = sent.and_then(|()| self.input.flush());
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Kills the process, if it has not ended, and waits until it has.
    ///
    /// # Errors
    /// If its status is not known.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        self.kill();
        self.child.wait()
    }
}

/// The last lines of a process's error output.
pub struct LastLines {
    lines: Arc<Mutex<VecDeque<String>>>,
    ended: Receiver<()>,
}

impl LastLines {
    fn of(errors: ChildStderr) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (told, ended) = channel();
        let kept = lines.clone();
        std::thread::spawn(move || {
            keep(errors, &kept);
            let _ = told.send(());
        });
        Self { lines, ended }
    }

    /// The end of the process with its last lines, in words; `end` is asked once these are there.
    pub fn after(&self, end: impl FnOnce() -> String) -> String {
        // Something that the process started may hold its error output open.
        let _ = self.ended.recv_timeout(LAST_WORDS);
        let end = end();
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        match lines.is_empty() {
            true => format!("{end} without a word"),
            false => format!("{end}: {}", lines.join(" | ")),
        }
    }
}

fn keep(errors: ChildStderr, kept: &Mutex<VecDeque<String>>) {
    let mut errors = BufReader::new(errors);
    let mut bytes = Vec::new();
    // A longer line is none that helps.
    while let Ok(1..) = errors.by_ref().take(4096).read_until(b'\n', &mut bytes) {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(text);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}
