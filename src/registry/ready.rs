//! The documents that have a callback to hand out.

use std::time::Instant;

use crossbeam_channel::bounded;
#[cfg(feature = "async")]
use event_listener::IntoNotification;

use crate::session::{Lane, Which};
use crate::sync::{AtomicBool, AtomicUsize, Lanes, Ordering};

/// Names a document within its shard.
pub(crate) type DocumentId = u32;

/// A document's place: its shard, and its slot there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) shard: u32,
    pub(crate) document: DocumentId,
}

/// The lanes of documents that have something for the storage. A document is in each at most once. One whose save fell due
/// goes to an earlier lane; its entry in the other one stays, and whoever takes it there finds what there is.
#[derive(Debug)]
pub(crate) struct Ready {
    lanes: Lanes<Entry, LANES>,
    /// For workers that take all callbacks, and for those that take saves alone.
    bells: [Bell; 2],
    /// Whether anybody asked for a doorbell.
    has_doorbell: AtomicBool,
    /// Whether nothing is handed out any more.
    ended: AtomicBool,
    /// How many receivers block.
    blocked: AtomicUsize,
    /// Entries beyond one for each document that waits.
    surplus: AtomicUsize,
    /// So many documents may wait before those that came and went unchanged are dropped.
    most: usize,
}

const LANES: usize = 3;

/// In which lanes a document has an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queued(u8);

#[derive(Clone, Copy, Debug)]
enum Entry {
    Document(Location),
    /// Somebody has to run what is due, and whoever receives it looks whether to.
    Wake,
    /// Nothing is handed out any more. Whoever receives it puts it back for the others.
    End,
}

/// Why there is nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Nothing is there now.
    Yet,
    /// The engine has ended.
    AnyMore,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    No,
    Until(Instant),
    Forever,
}

/// Wakes workers that do not block in the channel.
#[derive(Debug)]
struct Bell {
    /// Wakes tasks that wait in `next().await`.
    #[cfg(feature = "async")]
    event: event_listener::Event,
    /// Whether any task ever waited.
    #[cfg(feature = "async")]
    has_tasks: AtomicBool,
    /// Rings for hosts that wait in `select!`.
    doorbell: (crossbeam_channel::Sender<()>, crossbeam_channel::Receiver<()>),
}

impl Queued {
    pub(super) fn contains(self, lane: Lane) -> bool {
        self.0 & 1 << lane as u8 != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn entries(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(super) fn insert(&mut self, lane: Lane) {
        self.0 |= 1 << lane as u8;
    }

    pub(super) fn remove(&mut self, lane: Lane) {
        self.0 &= !(1 << lane as u8);
    }
}

impl Bell {
    fn new() -> Self {
        Bell {
            #[cfg(feature = "async")]
            event: event_listener::Event::new(),
            #[cfg(feature = "async")]
            has_tasks: AtomicBool::new(false),
            doorbell: bounded(1),
        }
    }

    #[cfg(feature = "async")]
    fn wake_a_task(&self) {
        if self.has_tasks.load(Ordering::SeqCst) {
            self.event.notify(1.additional());
        }
    }

    /// One that rings already is enough.
    fn ring(&self) {
        let _ = self.doorbell.0.try_send(());
    }
}

impl Ready {
    pub(super) fn new(most: usize) -> Self {
        Ready {
            lanes: Lanes::new(),
            bells: [Bell::new(), Bell::new()],
            has_doorbell: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            blocked: AtomicUsize::new(0),
            surplus: AtomicUsize::new(0),
            most,
        }
    }

    /// A document became ready. Called with no lock held.
    pub(super) fn push(&self, location: Location, lane: Lane) {
        self.send(lane as usize, Entry::Document(location));
    }

    /// Nothing is handed out any more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        (0..LANES).for_each(|lane| self.send(lane, Entry::End));
    }

    fn send(&self, lane: usize, entry: Entry) {
        self.lanes.send(lane, entry);
        #[cfg(feature = "async")]
        self.bell(Which::All).wake_a_task();
        if lane == Lane::Saves as usize {
            #[cfg(feature = "async")]
            self.bell(Which::Saves).wake_a_task();
        }
        self.ring();
    }

    /// Takes the next document. Also returns in which lane it was.
    pub(super) fn take(&self, which: Which, wait: Wait) -> Result<(Location, Lane), Nothing> {
        if self.ended.load(Ordering::SeqCst) {
            // Each task, and each receiver of a doorbell, passes the end on to the next one.
            #[cfg(feature = "async")]
            self.bell(which).wake_a_task();
            self.ring();
            return Err(Nothing::AnyMore);
        }
        let taken = match wait {
            Wait::No => self.lanes.try_recv(lanes_of(which)),
            Wait::Until(deadline) => self.lanes.recv(lanes_of(which), Some(deadline)),
            Wait::Forever => self.lanes.recv(lanes_of(which), None),
        };
        match taken.ok_or(Nothing::Yet)? {
            (lane, Entry::Document(location)) => {
                self.ring();
                Ok((location, [Lane::Saves, Lane::BeforeSaves, Lane::Others][lane]))
            }
            (_, Entry::Wake) => Err(Nothing::Yet),
            (lane, Entry::End) => {
                self.send(lane, Entry::End);
                Err(Nothing::AnyMore)
            }
        }
    }

    /// Waits for the next document, but returns at once if `is_needed`, or when [`wake_blocked`](Self::wake_blocked) is
    /// called.
    pub(super) fn block(
        &self,
        which: Which,
        wait: Wait,
        is_needed: impl Fn() -> bool,
    ) -> Result<(Location, Lane), Nothing> {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        let taken = if is_needed() { Err(Nothing::Yet) } else { self.take(which, wait) };
        self.blocked.fetch_sub(1, Ordering::SeqCst);
        taken
    }

    /// Wakes every receiver that blocks.
    pub(super) fn wake_blocked(&self) {
        for _ in 0..self.blocked.load(Ordering::SeqCst) {
            self.lanes.send(Lane::Saves as usize, Entry::Wake);
        }
    }

    fn bell(&self, which: Which) -> &Bell {
        &self.bells[which as usize]
    }

    /// A listener that is woken when a document becomes ready after this call.
    #[cfg(feature = "async")]
    pub(super) fn listen(&self, which: Which) -> event_listener::EventListener {
        let bell = self.bell(which);
        bell.has_tasks.store(true, Ordering::SeqCst);
        bell.event.listen()
    }

    /// Returns true if anybody asked for a doorbell.
    pub(super) fn has_doorbell(&self) -> bool {
        self.has_doorbell.load(Ordering::SeqCst)
    }

    /// A receiver that gets a ring while something can be taken. The caller rings for what is there already.
    pub(super) fn doorbell(&self, which: Which) -> crossbeam_channel::Receiver<()> {
        self.has_doorbell.store(true, Ordering::SeqCst);
        self.bell(which).doorbell.1.clone()
    }

    /// Rings the doorbells for which something can be taken. Returns true if any does.
    pub(super) fn ring(&self) -> bool {
        if !self.has_doorbell() {
            return false;
        }
        let rings = |which: &Which| (0..lanes_of(*which)).any(|lane| self.lanes.len(lane) > 0);
        let ringing = [Which::All, Which::Saves].into_iter().filter(rings);
        ringing.map(|which| self.bell(which).ring()).count() > 0
    }

    /// Returns true if more documents wait than the bound allows.
    pub(super) fn has_too_many(&self) -> bool {
        self.waiting_documents() > self.most
    }

    /// How many documents wait for a worker.
    pub(super) fn waiting_documents(&self) -> usize {
        let entries: usize = (0..LANES).map(|lane| self.lanes.len(lane)).sum();
        entries.saturating_sub(self.surplus.load(Ordering::SeqCst))
    }

    /// So many entries more stand for no document of their own.
    pub(super) fn add_surplus(&self, entries: usize) {
        self.surplus.fetch_add(entries, Ordering::SeqCst);
    }

    /// So many entries less stand for no document of their own.
    pub(super) fn take_surplus(&self, entries: usize) {
        self.surplus.fetch_sub(entries, Ordering::SeqCst);
    }
}

/// How many lanes a worker takes from.
fn lanes_of(which: Which) -> usize {
    match which {
        Which::All => LANES,
        Which::Saves => Lane::Saves as usize + 1,
    }
}
