//! The documents that have a callback to hand out.

use std::time::Instant;

use crossbeam_channel::bounded;
#[cfg(feature = "async")]
use event_listener::IntoNotification;

use crate::sync::{AtomicBool, AtomicUsize, Ordering, channel};

/// Names a document within its shard.
pub(crate) type DocumentId = u32;

/// A document's place: its shard, and its slot there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) shard: u32,
    pub(crate) document: DocumentId,
}

/// The channel of documents that have something for the storage. A document is in it at most once.
#[derive(Debug)]
pub(crate) struct Ready {
    sender: channel::Sender<Entry>,
    receiver: channel::Receiver<Entry>,
    /// Wakes tasks that wait in `next().await`.
    #[cfg(feature = "async")]
    event: event_listener::Event,
    /// Whether any task ever waited.
    #[cfg(feature = "async")]
    has_tasks: AtomicBool,
    /// Rings for hosts that wait in `select!`.
    doorbell: (crossbeam_channel::Sender<()>, crossbeam_channel::Receiver<()>),
    /// Whether anybody asked for the doorbell.
    has_doorbell: AtomicBool,
    /// Entries whose document is gone.
    orphans: AtomicUsize,
    /// So many documents may wait before those that came and went unchanged are dropped.
    most: usize,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Document(Location),
    /// Nothing comes after this. Whoever receives it puts it back for the others.
    End,
}

/// Why there is nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Nothing is there now.
    Yet,
    /// The engine has ended, and everything was taken.
    AnyMore,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    No,
    Until(Instant),
    Forever,
}

impl Ready {
    pub(super) fn new(most: usize) -> Self {
        let (sender, receiver) = channel::unbounded();
        Ready {
            sender,
            receiver,
            #[cfg(feature = "async")]
            event: event_listener::Event::new(),
            #[cfg(feature = "async")]
            has_tasks: AtomicBool::new(false),
            doorbell: bounded(1),
            has_doorbell: AtomicBool::new(false),
            orphans: AtomicUsize::new(0),
            most,
        }
    }

    /// A document became ready. Called with no lock held.
    pub(super) fn push(&self, location: Location) {
        self.send(Entry::Document(location));
    }

    /// Nothing becomes ready any more.
    pub(super) fn end(&self) {
        self.send(Entry::End);
    }

    fn send(&self, entry: Entry) {
        self.sender.send(entry).expect("the receiver is kept beside the sender");
        #[cfg(feature = "async")]
        if self.has_tasks.load(Ordering::SeqCst) {
            self.event.notify(1.additional());
        }
        self.ring();
    }

    /// Takes the next document.
    pub(super) fn take(&self, wait: Wait) -> Result<Location, Nothing> {
        let entry = match wait {
            Wait::No => self.receiver.try_recv().map_err(|_| Nothing::Yet),
            Wait::Until(deadline) => self.receiver.recv_deadline(deadline).map_err(|_| Nothing::Yet),
            Wait::Forever => self.receiver.recv().map_err(|_| Nothing::AnyMore),
        }?;
        match entry {
            Entry::Document(location) => {
                self.ring();
                Ok(location)
            }
            Entry::End => {
                self.end();
                Err(Nothing::AnyMore)
            }
        }
    }

    /// A listener that is woken when a document becomes ready after this call.
    #[cfg(feature = "async")]
    pub(super) fn listen(&self) -> event_listener::EventListener {
        self.has_tasks.store(true, Ordering::SeqCst);
        self.event.listen()
    }

    /// Returns true if anybody asked for the doorbell.
    pub(super) fn has_doorbell(&self) -> bool {
        self.has_doorbell.load(Ordering::SeqCst)
    }

    /// A receiver that gets a ring while something can be taken.
    pub(super) fn doorbell(&self) -> crossbeam_channel::Receiver<()> {
        self.has_doorbell.store(true, Ordering::SeqCst);
        self.ring();
        self.doorbell.1.clone()
    }

    /// Rings the doorbell if something can be taken. Returns true if it does.
    pub(super) fn ring(&self) -> bool {
        let rings = self.has_doorbell() && !self.receiver.is_empty();
        if rings {
            // One that rings already is enough.
            let _ = self.doorbell.0.try_send(());
        }
        rings
    }

    /// Returns true if more documents wait than the bound allows.
    pub(super) fn has_too_many(&self) -> bool {
        self.receiver.len().saturating_sub(self.orphans.load(Ordering::SeqCst)) > self.most
    }

    /// A document is gone while its entry is still in the channel.
    pub(super) fn entry_orphaned(&self) {
        self.orphans.fetch_add(1, Ordering::SeqCst);
    }

    /// An orphaned entry was taken, or belongs to another document now.
    pub(super) fn orphan_gone(&self) {
        self.orphans.fetch_sub(1, Ordering::SeqCst);
    }
}
