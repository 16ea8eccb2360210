//! Messages on standard error and results on standard output.
//!
//! A message never ends or stalls the work: a thread of its own writes it, and a message that cannot
//! be written (the reader has left, the disk is full, the terminal is stopped) is dropped.
//!
//! With `--log-format json` messages, and the events of a search, are JSON objects, one a line.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use autoloss_search::{Ended, Event};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Messages that wait for a slow reader; more are dropped.
const WAITING: usize = 4096;

/// Time between two pictures of the live line.
const TICK: Duration = Duration::from_millis(200);

/// Longest wait for a slow reader at the end of the program.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says a line on standard error.
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::line(format!($($argument)*)) };
}
pub(crate) use say;

/// Form of the messages on standard error: lines for people and live progress on a terminal, or a JSON object a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    // Comments of these variants would stand in the help of every command.
    Text,
    Json,
}

/// The format of `--log-format`; text before the arguments are read.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sets the form of all messages from here on; the first call counts.
pub(crate) fn set_format(format: LogFormat) {
    let _ = FORMAT.set(format);
}

/// Whether messages are JSON objects.
pub(crate) fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// Severity of a message or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    /// The level that the first word of a message tells, and the message without that word.
    fn of(text: &str) -> (Self, &str) {
        let levels = [("warning: ", Self::Warning), ("error: ", Self::Error)];
        let told = levels.into_iter();
        let mut told = told.filter_map(|(word, level)| Some((level, text.strip_prefix(word)?)));
        told.next().unwrap_or((Self::Info, text))
    }

    /// Failures and losses are warnings.
    const fn of_event(event: &Event) -> Self {
        let ended: &Ended = match event {
            Event::Failed { .. } | Event::Lost { .. } => return Self::Warning,
            Event::Repeated { ended, .. } | Event::Trained { ended, .. } => ended,
            _ => return Self::Info,
        };
        match ended {
            Ok(_) => Self::Info,
            Err(_) => Self::Warning,
        }
    }
}

/// A line of the log in JSON.
#[derive(Serialize)]
struct LogLine<T> {
    /// Time in UTC as of RFC 3339.
    time: String,
    level: Level,
    #[serde(flatten)]
    content: T,
}

impl<T: Serialize> LogLine<T> {
    /// The line as of now; `None` where its content has no form in JSON.
    fn now(level: Level, content: T) -> Option<String> {
        let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        serde_json::to_string(&Self {
            time,
            level,
            content,
        })
        .ok()
    }
}

/// Content of a line that tells a message.
#[derive(Serialize)]
#[serde(tag = "kind", content = "fields", rename_all = "snake_case")]
enum Told<'a> {
    Message { text: &'a str },
}

/// Content of a line that tells an event.
#[derive(Serialize)]
struct Happened<'a> {
    /// Seconds into the run.
    elapsed: f64,
    #[serde(flatten)]
    event: &'a Event,
}

enum Note {
    Line(String),
    /// Answered once all messages before are written and the terminal shows the live line as it is.
    Flush(SyncSender<()>),
}

/// Content of the line that a terminal shows while the program works.
#[derive(Clone, PartialEq)]
pub(crate) enum Live {
    /// A line of text and a second one below.
    Text(String, String),
    /// Work done and all work.
    Count(u64, u64),
}

struct Sink {
    messages: SyncSender<Note>,
    /// The newest content alone counts, so that whoever changes it never waits.
    live: Mutex<Option<Live>>,
}

impl Sink {
    /// The one sink of the program; `None` where the system grants no thread.
    fn get() -> Option<&'static Self> {
        static SINK: OnceLock<Option<Sink>> = OnceLock::new();
        let start = || {
            let (messages, receiver) = sync_channel(WAITING);
            let writer = std::thread::Builder::new().name("messages".to_owned());
            writer.spawn(move || write_all(&receiver)).ok()?;
            Some(Self {
                messages,
                live: Mutex::new(None),
            })
        };
        SINK.get_or_init(start).as_ref()
    }

    fn live(&self) -> Option<Live> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.clone()
    }
}

/// Tells a message, which says by its first word where it is a warning or an error.
pub(crate) fn line(text: String) {
    match is_json() {
        true => {
            let (level, text) = Level::of(text.trim());
            hand_over(LogLine::now(level, Told::Message { text }));
        }
        false => hand_over(Some(text)),
    }
}

/// Tells an event of a search, `elapsed` seconds into the run, where messages are JSON objects.
pub(crate) fn event(event: &Event, elapsed: f64) {
    if is_json() {
        let happened = Happened { elapsed, event };
        hand_over(LogLine::now(Level::of_event(event), happened));
    }
}

/// Hands a line to the thread that writes.
fn hand_over(line: Option<String>) {
    if let (Some(sink), Some(line)) = (Sink::get(), line) {
        let _ = sink.messages.try_send(Note::Line(line));
    }
}

/// Whether a live line is seen: standard error is a terminal that shows text.
pub(crate) fn is_live() -> bool {
    !is_json() && std::io::stderr().is_terminal()
}

/// Shows the live line, or with `None` ends it.
pub(crate) fn show(content: Option<Live>) {
    if let Some(sink) = Sink::get().filter(|_| is_live()) {
        *sink.live.lock().unwrap_or_else(PoisonError::into_inner) = content;
    }
}

/// Waits until all messages are written, but not for ever.
pub(crate) fn flush() {
    let Some(sink) = Sink::get() else { return };
    let (done, written) = sync_channel(1);
    let end = Instant::now() + PATIENCE;
    let mut message = Note::Flush(done);
    while let Err(error) = sink.messages.try_send(message) {
        if Instant::now() >= end {
            return;
        }
        message = match error {
            std::sync::mpsc::TrySendError::Full(message)
            | std::sync::mpsc::TrySendError::Disconnected(message) => message,
        };
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
}

/// Messages of panics go the same way as all others.
pub(crate) fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        match is_json() {
            true => say!("error: {panic}"),
            false => say!("{panic}"),
        }
        flush();
    }));
}

/// Writes notes until the program ends.
fn write_all(messages: &Receiver<Note>) {
    let mut bar: Option<ProgressBar> = None;
    loop {
        let message = messages.recv_timeout(TICK);
        if let Ok(Note::Line(text)) = &message {
            let write = || {
                let _ = writeln!(std::io::stderr(), "{text}");
            };
            match &bar {
                Some(bar) => bar.suspend(write),
                None => write(),
            }
            continue;
        }
        draw(&mut bar, Sink::get().and_then(Sink::live));
        match message {
            Ok(Note::Flush(done)) => {
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Disconnected) => return,
            _ => {}
        }
    }
}

/// Brings the terminal's live line up to date.
fn draw(bar: &mut Option<ProgressBar>, live: Option<Live>) {
    let styled = |bar: ProgressBar, template| {
        let style = ProgressStyle::with_template(template);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    };
    match live {
        None => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        }
        Some(Live::Text(message, below)) => {
            let bar = bar.get_or_insert_with(|| {
                styled(
                    ProgressBar::new_spinner(),
                    "{spinner} {wide_msg}\n  {prefix}",
                )
            });
            bar.set_message(message);
            bar.set_prefix(below);
            bar.tick();
        }
        Some(Live::Count(done, all)) => {
            let bar = bar.get_or_insert_with(|| {
                styled(
                    ProgressBar::new(all),
                    "{bar:30} {pos} of {len} screened, {eta} left",
                )
            });
            bar.set_position(done);
        }
    }
}

/// Prints a result to standard output. A reader that has read enough, such as `head`, is no failure.
///
/// # Errors
/// Any other reason why the text cannot be written.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output: the result cannot be written")
        }
        _ => Ok(()),
    }
}

/// Prints a JSON value on lines of its own.
///
/// # Errors
/// The errors of [`print()`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_of_the_log_is_an_object_with_time_level_kind_and_fields() {
        let read = |line: Option<String>| -> Value {
            let line = line.unwrap();
            assert!(!line.contains('\n'), "{line}");
            serde_json::from_str(&line).unwrap()
        };
        let (level, text) = Level::of("warning: two\nlines");
        let line = read(LogLine::now(level, Told::Message { text }));
        assert_eq!(
            (&line["level"], &line["kind"]),
            (&json!("warning"), &json!("message"))
        );
        assert_eq!(line["fields"], json!({"text": "two\nlines"}));
        let time = line["time"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
        assert_eq!(Level::of("run r"), (Level::Info, "run r"));
        let event = Event::Lost {
            id: 3,
            attempt: 1,
            reason: "it ended".to_owned(),
            worker: 2,
            seconds: f64::NAN,
        };
        let elapsed = 1.5;
        let happened = Happened {
            elapsed,
            event: &event,
        };
        let line = read(LogLine::now(Level::of_event(&event), happened));
        assert_eq!(
            (&line["level"], &line["kind"]),
            (&json!("warning"), &json!("lost"))
        );
        assert_eq!(line["elapsed"], 1.5);
        assert_eq!(line["fields"]["worker"], 2);
        assert_eq!(line["fields"]["seconds"], Value::Null);
    }
}
