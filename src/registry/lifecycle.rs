//! How far the end of an engine has come.

use std::sync::Arc;
use std::time::Duration;

use crate::report::Report;
use crate::session::Stage;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, Ordering};
use crate::time::Moment;

/// The end of an engine: asked for, begun, over.
#[derive(Debug)]
pub(super) struct Lifecycle {
    /// A [`Stage`].
    stage: AtomicUsize,
    /// The thread that runs deadlines is to begin the end.
    asks_to_begin: AtomicBool,
    /// When the end comes in any case, in milliseconds of steady time.
    deadline: AtomicU64,
    /// For how long a due save waits for the rest while the engine shuts down, in milliseconds.
    patience: AtomicU64,
    /// How many documents the end waits for, plus one until all connections are closed.
    unsettled: AtomicUsize,
    /// How many documents were saved meanwhile.
    saved: AtomicUsize,
    /// Nobody is left but the receivers, and no thread runs deadlines.
    needs_receivers: AtomicBool,
    report: Mutex<Option<Arc<Report>>>,
    /// Wakes those who wait for the report.
    reported: Condvar,
    #[cfg(feature = "async")]
    event: event_listener::Event,
}

const RUNNING: usize = 0;
const SUSPENDING: usize = 1;
const SHUTTING_DOWN: usize = 2;
const ENDED: usize = 3;

impl Lifecycle {
    pub(super) fn new() -> Self {
        Lifecycle {
            stage: AtomicUsize::new(RUNNING),
            asks_to_begin: AtomicBool::new(false),
            deadline: AtomicU64::new(u64::MAX),
            patience: AtomicU64::new(u64::MAX),
            unsettled: AtomicUsize::new(1),
            saved: AtomicUsize::new(0),
            needs_receivers: AtomicBool::new(false),
            report: Mutex::new(None),
            reported: Condvar::new(),
            #[cfg(feature = "async")]
            event: event_listener::Event::new(),
        }
    }

    /// The engine is to end by `time` from now on. Returns false if it is already.
    pub(super) fn begin(&self, now: Moment, time: Duration) -> bool {
        if self.stage() != Stage::Running {
            return false;
        }
        let patience = u64::try_from(time.as_millis() / 4).unwrap_or(u64::MAX);
        self.patience.fetch_min(patience, Ordering::SeqCst);
        if !self.moves(RUNNING, SHUTTING_DOWN) {
            return false;
        }
        self.deadline.store(now.after(time).as_millis(), Ordering::SeqCst);
        true
    }

    /// The engine is to be suspended by `time` from now on. Returns false if it ends already.
    pub(super) fn begin_suspend(&self, now: Moment, time: Duration) -> bool {
        let begins = self.moves(RUNNING, SUSPENDING);
        if begins {
            self.deadline.store(now.after(time).as_millis(), Ordering::SeqCst);
        }
        begins
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            RUNNING => Stage::Running,
            SUSPENDING => Stage::Suspending,
            SHUTTING_DOWN => Stage::ShuttingDown,
            _ => Stage::Ended,
        }
    }

    fn moves(&self, from: usize, to: usize) -> bool {
        self.stage.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// The patience of a due save while the engine shuts down. It is `usual` before that.
    pub(super) fn patience(&self, usual: Duration) -> Duration {
        usual.min(Duration::from_millis(self.patience.load(Ordering::SeqCst)))
    }

    /// When the end comes in any case.
    pub(super) fn deadline(&self) -> Option<u64> {
        let deadline = self.deadline.load(Ordering::SeqCst);
        (deadline != u64::MAX && !self.has_ended()).then_some(deadline)
    }

    /// Leaves the beginning of the end to the thread that runs deadlines.
    pub(super) fn ask_to_begin(&self) {
        self.asks_to_begin.store(true, Ordering::SeqCst);
    }

    pub(super) fn asks_to_begin(&self) -> bool {
        self.asks_to_begin.load(Ordering::SeqCst)
    }

    /// Returns true for one caller, if anybody asked.
    pub(super) fn take_asked(&self) -> bool {
        self.asks_to_begin() && self.asks_to_begin.swap(false, Ordering::SeqCst)
    }

    pub(super) fn wait_for_one_more(&self) {
        self.unsettled.fetch_add(1, Ordering::SeqCst);
    }

    /// One thing that the end waited for is done. Returns true if it was the last.
    pub(super) fn one_is_settled(&self) -> bool {
        self.unsettled.fetch_sub(1, Ordering::SeqCst) == 1
    }

    pub(super) fn count_saved(&self) {
        self.saved.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn saved(&self) -> usize {
        self.saved.load(Ordering::SeqCst)
    }

    pub(super) fn set_needs_receivers(&self) {
        self.needs_receivers.store(true, Ordering::SeqCst);
    }

    /// Returns true if a receiver has to run what is due.
    pub(super) fn needs_receivers(&self) -> bool {
        self.needs_receivers.load(Ordering::SeqCst) && !self.has_ended()
    }

    /// From now on nothing counts any more. Returns true for one caller.
    pub(super) fn end(&self) -> bool {
        self.moves(SHUTTING_DOWN, ENDED) || self.moves(SUSPENDING, ENDED)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.stage() == Stage::Ended
    }
}

/// The report.
impl Lifecycle {
    pub(super) fn set_report(&self, report: Report) {
        *self.report.lock() = Some(Arc::new(report));
        self.reported.notify_all();
        #[cfg(feature = "async")]
        self.event.notify(usize::MAX);
    }

    pub(super) fn report(&self) -> Option<Arc<Report>> {
        self.report.lock().clone()
    }

    /// Waits for the report, until [`wake_waiters`](Self::wake_waiters) is called, at most for the `pause` if there is one.
    /// No call of it after the pause was asked for is missed.
    pub(super) fn wait_for_report(&self, pause: impl FnOnce() -> Option<Duration>) -> Option<Arc<Report>> {
        let mut report = self.report.lock();
        if report.is_none() {
            match pause() {
                Some(pause) => drop(self.reported.wait_for(&mut report, pause)),
                None => self.reported.wait(&mut report),
            }
        }
        report.clone()
    }

    /// Whoever waits for the report is to see whether it has to run what is due.
    pub(super) fn wake_waiters(&self) {
        // Whoever is about to wait holds the lock until it does.
        drop(self.report.lock());
        self.reported.notify_all();
    }

    #[cfg(feature = "async")]
    pub(super) fn listen(&self) -> event_listener::EventListener {
        self.event.listen()
    }
}
