//! Workers in child processes of this one.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;

use super::piped::{LastLines, PipedProcess};
use super::{Ear, ProcessSettings, Worker, Workplace};
use crate::error::SearchError;

impl Workplace for ProcessSettings {
    fn count(&self) -> usize {
        self.settings.len()
    }

    fn shares_cores(&self) -> bool {
        self.shares_cores
    }

    fn start(&self, _: usize, ear: Ear) -> Result<Box<dyn Worker>, SearchError> {
        let started = PipedProcess::start(&self.program, &self.arguments, self.folder.as_deref());
        let (process, output, errors) = started.map_err(|error| {
            let program = self.program.display();
            SearchError::Worker(format!("{program} cannot be started: {error}"))
        })?;
        std::thread::spawn(move || listen(output, &errors, ear));
        Ok(Box::new(process))
    }
}

impl Worker for PipedProcess {
    fn send(&mut self, line: &str) {
        Self::send(self, line);
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn end(&mut self) {
        let _ = Self::end(self);
    }
}

/// Reads a process's output to its end.
fn listen(output: ChildStdout, errors: &LastLines, mut ear: Ear) {
    for text in BufReader::new(output).lines() {
        let Ok(text) = text else { break };
        if !ear.line(&text) {
            break;
        }
    }
    ear.ended(&errors.after(|| "it ended".to_owned()));
}
