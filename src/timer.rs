//! The built-in timer thread.

use std::fmt;
use std::sync::Arc;

use crate::registry::Registry;
use crate::sync::{AtomicBool, JoinHandle, Ordering, current, spawn};

/// A thread that keeps an engine's time. Dropped, it stops; so it does when the last handle of the engine is gone.
///
/// It sleeps until the next deadline and is woken only for an earlier one. It keeps no engine alive.
#[must_use = "a timer that is dropped stops"]
pub struct Timer {
    registry: Arc<Registry>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    pub(crate) fn spawn(registry: Arc<Registry>) -> std::io::Result<Self> {
        if !registry.take_over_time() {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = {
            let (registry, stopped) = (registry.clone(), stopped.clone());
            let keep_time = move || registry.keep_time(|| stopped.load(Ordering::SeqCst));
            spawn("coedit-timer", keep_time)
        };
        match thread {
            Ok(thread) => Ok(Timer { registry, stopped, thread: Some(thread) }),
            Err(error) => {
                registry.leave_time();
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
        // A hook may drop the timer on its own thread, which cannot wait for itself.
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
