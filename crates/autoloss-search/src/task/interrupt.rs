//! The request to end early.

use std::sync::atomic::{AtomicBool, Ordering};

/// A request to end early, shared by everything that runs.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// Asks everything to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks everything to end if this thread panics before the guard goes out of scope. A thread that
    /// records what others do holds one, so that they do not go on unrecorded.
    #[must_use]
    pub fn set_on_panic(&self) -> SetOnPanic<'_> {
        SetOnPanic(self)
    }
}

/// See [`Interrupt::set_on_panic`].
#[derive(Debug)]
pub struct SetOnPanic<'a>(&'a Interrupt);

impl Drop for SetOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set();
        }
    }
}
