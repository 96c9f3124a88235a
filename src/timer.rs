//! The optional thread that runs deadlines.

use std::fmt;
use std::sync::Arc;

use crate::registry::Registry;
use crate::sync::{AtomicBool, JoinHandle, Ordering, current, spawn};

/// A thread that calls [`Engine::tick`](crate::Engine::tick) whenever something is due.
/// [`Engine::spawn_timer`](crate::Engine::spawn_timer) starts it.
///
/// The thread stops when this is dropped, or when the last handle of the engine is dropped. Dropping this waits until the
/// thread has stopped. The thread sleeps until the next deadline and wakes early only for an earlier one. A timer does not
/// keep the engine alive.
#[must_use = "a timer that is dropped stops"]
pub struct Timer {
    registry: Arc<Registry>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    pub(crate) fn spawn(registry: Arc<Registry>) -> std::io::Result<Self> {
        if !registry.claim_timer() {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = {
            let (registry, stopped) = (registry.clone(), stopped.clone());
            let run = move || registry.run_timer(|| stopped.load(Ordering::SeqCst));
            spawn("coedit-timer", run)
        };
        match thread {
            Ok(thread) => Ok(Timer { registry, stopped, thread: Some(thread) }),
            Err(error) => {
                registry.release_timer();
                Err(error)
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.registry.wake_timer();
        let Some(thread) = self.thread.take() else { return };
        // The clock is host code and may drop the timer on the timer's own thread, which cannot join itself.
        if thread.thread().id() != current().id() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}
