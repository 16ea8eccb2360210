//! Messages on standard error and results on standard output.
//!
//! A message never ends or stalls the work: a thread of its own writes it, and a message that cannot
//! be written (the reader has left, the disk is full, the terminal is stopped) is dropped.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

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

enum Message {
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
    messages: SyncSender<Message>,
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

/// Hands a line to the thread that writes.
pub(crate) fn line(text: String) {
    if let Some(sink) = Sink::get() {
        let _ = sink.messages.try_send(Message::Line(text));
    }
}

/// Whether a live line is seen: standard error is a terminal.
pub(crate) fn is_live() -> bool {
    std::io::stderr().is_terminal()
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
    let mut message = Message::Flush(done);
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
        say!("{panic}");
        flush();
    }));
}

/// Writes what comes until the program ends.
fn write_all(messages: &Receiver<Message>) {
    let mut bar: Option<ProgressBar> = None;
    loop {
        let message = messages.recv_timeout(TICK);
        if let Ok(Message::Line(text)) = &message {
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
            Ok(Message::Flush(done)) => {
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
/// As [`print()`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}
