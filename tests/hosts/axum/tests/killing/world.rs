//! What the clients and the story share: which process runs, who was told that they may edit, and what went wrong.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime};

use coedit::{Access, ResumeToken};
use tokio::sync::watch;

use super::history::History;
use super::{CLIENTS, EDITORS};

/// A running host process.
#[derive(Debug)]
pub struct Process {
    pub number: u32,
    pub address: String,
    /// The access that a client's token has in the snapshot, if it has any.
    pub promised: HashMap<usize, Access>,
    /// Until then no lease of the snapshot ends.
    pub promised_until: Instant,
}

/// How a client can come back.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    pub token: ResumeToken,
    /// The number of its last attempt.
    pub attempt: u64,
    pub access: Access,
    /// It has had this access since then.
    pub since: SystemTime,
    /// The process that it was in last.
    pub process: u32,
    /// It had not lost the line then.
    pub heard: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    /// The process that runs, 0 for none.
    process: u32,
    editors: BTreeSet<usize>,
    seats: HashMap<usize, Seat>,
    parked: usize,
    operations: u64,
    counts: Counts,
    history: History,
    fault: Option<String>,
}

/// What the clients did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub most_editors: usize,
    pub changes: u64,
    pub asked_to_edit: u64,
    /// Resumes with a token of a process that was killed, and how many of them came so late that they could have failed.
    pub came_back: u64,
    pub late: u64,
    pub came_back_to_edit: u64,
    pub turned_away: u64,
}

#[derive(Debug)]
pub struct World {
    inner: Mutex<Inner>,
    pub process: watch::Sender<Option<Arc<Process>>>,
}

impl World {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), process: watch::Sender::new(None) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics under this lock")
    }

    /// Lets the clients into a process.
    pub fn up(&self, process: Process) {
        self.lock().process = process.number;
        self.process.send_replace(Some(Arc::new(process)));
    }

    /// The process is dead.
    pub fn down(&self) {
        let mut inner = self.lock();
        inner.process = 0;
        inner.editors.clear();
        self.process.send_replace(None);
    }

    /// A client was told that it may edit. It is told after that is true, and gives it back after [`loses`](Self::loses):
    /// so at no moment more are counted here than the host has let in.
    pub fn gains(&self, client: usize, process: u32) {
        let mut inner = self.lock();
        if inner.process == process {
            inner.editors.insert(client);
            let editors = inner.editors.len();
            inner.counts.most_editors = inner.counts.most_editors.max(editors);
            if editors > EDITORS as usize {
                inner.fault.get_or_insert(format!("{editors} clients were told that they may edit"));
            }
        }
    }

    /// A client is about to give its access back, or has heard that it is gone.
    pub fn loses(&self, client: usize) {
        self.lock().editors.remove(&client);
    }

    pub fn park(&self, by: isize) {
        let mut inner = self.lock();
        inner.parked = inner.parked.saturating_add_signed(by);
    }

    pub fn all_parked(&self) -> bool {
        self.lock().parked == CLIENTS
    }

    pub fn seat(&self, client: usize) -> Option<Seat> {
        self.lock().seats.get(&client).copied()
    }

    pub fn seats(&self) -> Vec<(usize, Seat)> {
        self.lock().seats.iter().map(|(client, seat)| (*client, *seat)).collect()
    }

    pub fn take_seat(&self, client: usize, seat: Option<Seat>) {
        let mut inner = self.lock();
        match seat {
            Some(seat) => _ = inner.seats.insert(client, seat),
            None => _ = inner.seats.remove(&client),
        }
    }

    /// Changes what is known of a client's seat, if it has one.
    pub fn update(&self, client: usize, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.lock().seats.get_mut(&client) {
            change(seat);
        }
    }

    pub fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.lock().counts);
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub fn history<T>(&self, act: impl FnOnce(&mut History) -> T) -> T {
        act(&mut self.lock().history)
    }

    pub fn operated(&self) {
        self.lock().operations += 1;
    }

    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Something does not hold. The first such thing fails the test.
    pub fn fault(&self, what: String) {
        self.lock().fault.get_or_insert(what);
    }

    pub fn check(&self) {
        let fault = self.lock().fault.clone();
        assert!(fault.is_none(), "{}", fault.unwrap_or_default());
    }
}
