//! Progress of a run: a line that is redrawn on a terminal, plain lines elsewhere, each event where messages are JSON
//! objects, and the run's log file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use autoloss_search::{EvaluationSet, Event, FinalStage, Origin, RunInfo, Tally};

use crate::output::{self, Live, say};

/// Time between two reports of a run without a terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Shows and logs the events of a run.
pub(crate) struct Progress {
    tally: Tally,
    log: File,
    /// Whether a terminal shows a live line.
    live: bool,
    start: Instant,
    /// Candidates drawn before this process searched, so that rates are those of now; `None` while it does
    /// not search.
    drawn_before: Option<u64>,
    reported: Instant,
    time: Option<Duration>,
    evaluations: Option<u64>,
    elapsed_before: Duration,
    /// The stage of full trainings, the number of those that were made, and of all.
    full: Option<(FinalStage, usize, usize)>,
}

impl Progress {
    /// Progress of a run in `dir` that came as far as `tally` in earlier processes.
    pub(crate) fn new(dir: &Path, info: &RunInfo, tally: Tally) -> Result<Self> {
        let path = dir.join("log.txt");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{}: the log cannot be written", path.display()))?;
        Ok(Self {
            tally,
            log,
            live: output::is_live(),
            start: Instant::now(),
            drawn_before: None,
            reported: Instant::now(),
            time: info.settings.search.time.map(Duration::from_secs_f64),
            evaluations: info.settings.search.evaluations,
            elapsed_before: Duration::from_secs_f64(info.elapsed),
            full: None,
        })
    }

    /// Takes in an event. A log that cannot be written does not end the run.
    pub(crate) fn on_event(&mut self, event: &Event) {
        self.tally.add(event);
        let seconds = (self.elapsed_before + self.start.elapsed()).as_secs_f64();
        let _ = writeln!(self.log, "{seconds:9.2} {event}");
        output::event(event, seconds);
        match event {
            Event::Started { .. } => self.drawn_before = Some(self.tally.drawn),
            Event::StageStarted { stage, missing } => self.full = Some((*stage, 0, *missing)),
            Event::Trained { .. } => {
                if let Some((_, made, _)) = &mut self.full {
                    *made += 1;
                }
            }
            Event::Screened {
                candidate, reason, ..
            } if candidate.origin == Origin::Given => say!(
                "`{}` does not begin the population: {reason} (search.start_screened = false trains it in any case)",
                candidate.formula
            ),
            _ => {}
        }
        if self.live {
            output::show(Some(Live::Text(self.counts(), self.standing())));
        } else if !output::is_json() && self.reported.elapsed() >= EVERY {
            say!("{}, {}", self.counts(), self.standing());
            self.reported = Instant::now();
        }
    }

    /// Ends the live line of a run that `worked` or failed.
    pub(crate) fn finish(&self, worked: bool) {
        if self.live {
            output::show(None);
            output::flush();
        }
        if self.drawn_before.is_none() && worked {
            say!("{} evaluated, nothing left", self.tally.evaluations);
        } else if self.drawn_before.is_some() && !self.live {
            say!("{}, {}", self.counts(), self.standing());
        }
    }

    /// Numbers of candidates by their fates, and the rate of screening.
    fn counts(&self) -> String {
        let tally = &self.tally;
        let here = self.start.elapsed();
        let drawn = tally.drawn - self.drawn_before.unwrap_or(tally.drawn);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = drawn as f64 * 60.0 / here.as_secs_f64().max(1.0);
        let passed = tally.passed();
        let mut line = format!(
            "{} screened ({rate:.0}/min), {passed} passed, {} equivalent, {} evaluated",
            tally.drawn, tally.equivalent, tally.evaluations
        );
        for (number, fate) in [
            (tally.stopped, "stopped"),
            (tally.failed, "failed"),
            (tally.lost, "lost"),
        ] {
            if number > 0 {
                line.push_str(&format!(", {number} {fate}"));
            }
        }
        line
    }

    /// The best score beside that of the task's usual loss, and the rest of the budget.
    fn standing(&self) -> String {
        if let Some((stage, made, all)) = self.full {
            return format!(
                "{stage}: {made} of {all} full trainings{}",
                self.time_left()
            );
        }
        let best = self.tally.best.as_ref();
        let mut line = best.map_or_else(
            || "best -".to_owned(),
            |best| format!("best {:.4} on the {}", best.score, EvaluationSet::Search),
        );
        if let Some((name, score)) = &self.tally.reference {
            line.push_str(&format!(" ({name} {score:.4})"));
        }
        if let Some(all) = self.evaluations {
            let left = all.saturating_sub(self.tally.evaluations);
            line.push_str(&format!(", {left} evaluations left"));
        }
        line + &self.time_left()
    }

    fn time_left(&self) -> String {
        self.time.map_or_else(String::new, |time| {
            let spent = self.elapsed_before + self.start.elapsed();
            let seconds = time.saturating_sub(spent).as_secs();
            format!(", {}:{:02} left", seconds / 60, seconds % 60)
        })
    }
}
