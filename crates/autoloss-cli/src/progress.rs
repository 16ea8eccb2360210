//! Live progress of a run: a line that is redrawn on a terminal, plain lines elsewhere, and the
//! run's log file.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use autoloss_search::{Event, Tally};
use indicatif::{ProgressBar, ProgressStyle};

/// How often a run without a terminal reports.
const EVERY: Duration = Duration::from_secs(10);

/// Shows and logs what happens in a run.
pub(crate) struct Progress {
    tally: Tally,
    log: File,
    bar: Option<ProgressBar>,
    start: Instant,
    /// What had been drawn before this process began, so that rates are those of now.
    drawn_before: Option<u64>,
    reported: Instant,
    time: Option<Duration>,
    evaluations: Option<u64>,
    elapsed_before: Duration,
}

impl Progress {
    /// Begins to report on a run in `dir` with the given budgets, after so many seconds of it in
    /// earlier processes.
    pub(crate) fn new(
        dir: &Path,
        time: Option<f64>,
        evaluations: Option<u64>,
        elapsed: f64,
    ) -> Result<Self> {
        let path = dir.join("log.txt");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{}: the log cannot be written", path.display()))?;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {wide_msg}\n  {prefix}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Ok(Self {
            tally: Tally::default(),
            log,
            bar,
            start: Instant::now(),
            drawn_before: None,
            reported: Instant::now(),
            time: time.map(Duration::from_secs_f64),
            evaluations,
            elapsed_before: Duration::from_secs_f64(elapsed),
        })
    }

    /// Takes in an event. A log that cannot be written does not end the run.
    pub(crate) fn on_event(&mut self, event: &Event) {
        self.tally.add(event);
        let seconds = (self.elapsed_before + self.start.elapsed()).as_secs_f64();
        let _ = writeln!(self.log, "{seconds:9.2} {event}");
        self.drawn_before.get_or_insert(self.tally.drawn);
        match &self.bar {
            Some(bar) => {
                bar.set_message(self.counts());
                bar.set_prefix(self.standing());
            }
            None if self.reported.elapsed() >= EVERY => {
                eprintln!("{}, {}", self.counts(), self.standing());
                self.reported = Instant::now();
            }
            None => {}
        }
    }

    /// Ends the live line.
    pub(crate) fn finish(&self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => eprintln!("{}, {}", self.counts(), self.standing()),
        }
    }

    /// What became of the candidates.
    fn counts(&self) -> String {
        let tally = &self.tally;
        let here = self.start.elapsed();
        let drawn = tally.drawn - self.drawn_before.unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = drawn as f64 * 60.0 / here.as_secs_f64().max(1.0);
        let passed = tally.passed();
        let mut line = format!(
            "{} screened ({rate:.0}/min), {passed} passed, {} equivalent, {} evaluated",
            tally.drawn, tally.equivalent, tally.evaluations
        );
        if tally.stopped > 0 {
            line.push_str(&format!(", {} stopped", tally.stopped));
        }
        line
    }

    /// The best score beside that of the task's usual loss, and what is left of the budget.
    fn standing(&self) -> String {
        let best = self.tally.best.as_ref();
        let mut line = best.map_or_else(
            || "best -".to_owned(),
            |best| format!("best {:.4}", best.score),
        );
        if let Some((name, score)) = &self.tally.reference {
            line.push_str(&format!(" ({name} {score:.4})"));
        }
        if let Some(all) = self.evaluations {
            let left = all.saturating_sub(self.tally.evaluations);
            line.push_str(&format!(", {left} evaluations left"));
        }
        if let Some(time) = self.time {
            let spent = self.elapsed_before + self.start.elapsed();
            let seconds = time.saturating_sub(spent).as_secs();
            line.push_str(&format!(", {}:{:02} left", seconds / 60, seconds % 60));
        }
        line
    }
}
