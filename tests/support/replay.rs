//! Replays the callbacks of every document and checks that they are consistent, whichever worker takes them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses only a part")]

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use coedit::{ActionKind, Answered, Callback, Delivery, DocumentKey, Status, Timestamp, UserId};

/// The state of all documents, as their callbacks describe it.
///
/// A storage that acknowledges in time hears everything in order, and comings and goings balance between two closings. Only
/// where the caller says so ([`may_supersede`](Self::may_supersede)) may the next closing leave something out.
#[derive(Debug)]
pub struct Replay {
    documents: HashMap<DocumentKey, DocumentReplay>,
    /// The number of times that a failed callback is handed out again.
    retries: usize,
}

#[derive(Debug, Default)]
struct DocumentReplay {
    /// One entry for each edit connection. A user who closes one of several connections loses the last entry and keeps
    /// the place of the first.
    editing: Vec<UserId>,
    /// The leaver of a save that was handed out, while it is not acknowledged in time.
    leaver: Option<Leaver>,
    /// The next closing may leave out what waits before it.
    may_supersede: bool,
    /// The next callback is that closing, or tells that it has happened.
    must_supersede: bool,
    in_hand: Option<InHand>,
    next: Next,
    /// A save of status 2 was given up, and none was acknowledged since.
    given_up: bool,
    /// The time of the last change in an acknowledged save.
    saved: Timestamp,
}

#[derive(Debug)]
struct Leaver {
    user: UserId,
    /// The storage hears of this leave again, unless a save is acknowledged in time. False once one was acknowledged late.
    is_told_again: bool,
}

struct InHand {
    callback: Callback,
    /// `None` if the caller does not know it.
    number: Option<u64>,
    failures: usize,
}

/// What is handed out next.
#[derive(Default)]
enum Next {
    #[default]
    Anything,
    /// This one again, which has failed so often.
    Again(Callback, usize),
    /// The message that this one was given up.
    GivenUp(Callback),
}

impl fmt::Debug for InHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, delivery {:?}", Short(&self.callback), self.number)
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Next::Anything => write!(f, "anything"),
            Next::Again(failed, failures) => write!(f, "{:?} again after {failures}", Short(failed)),
            Next::GivenUp(failed) => write!(f, "that {:?} was given up", Short(failed)),
        }
    }
}

impl Replay {
    pub fn new(retries: usize) -> Self {
        Replay { documents: HashMap::new(), retries }
    }

    fn document(&mut self, key: &DocumentKey) -> &mut DocumentReplay {
        self.documents.entry(key.clone()).or_default()
    }

    /// Records that a worker took `callback` and settled it. Call this in the order in which callbacks are settled. For
    /// one document this is the order in which they are handed out.
    pub fn settled(&mut self, callback: &Callback, acknowledged: bool) {
        self.document(&callback.key).take(callback, None, None);
        if acknowledged {
            self.answered(callback, None, Answered::InTime);
        } else {
            self.failed(&callback.key);
        }
    }

    /// Records that a worker took a delivery.
    pub fn taken(&mut self, delivery: &Delivery) {
        let callback = delivery.callback();
        let (number, attempt) = (Some(delivery.number()), Some(delivery.attempt()));
        self.document(&callback.key).take(callback, number, attempt);
    }

    /// Records how the engine answered an acknowledgement.
    pub fn answered(&mut self, callback: &Callback, number: Option<u64>, answered: Answered) {
        let told = Short(callback);
        let document = self.document(&callback.key);
        let is_in_hand = document.in_hand.as_ref().is_some_and(|in_hand| in_hand.number == number);
        match answered {
            Answered::InTime => {
                assert!(is_in_hand, "it was settled before: {told:?}");
                document.acknowledged(callback);
            }
            Answered::LateSave => {
                assert!(!is_in_hand || document.may_supersede, "it was in time: {told:?}");
                document.acknowledged_late(callback);
            }
            Answered::Late => {
                assert!(!is_in_hand || document.may_supersede, "it was in time: {told:?}");
                let holds = matches!(callback.status, Status::Save | Status::ForceSave);
                let is_lost = holds && callback.lastsave.unwrap() > document.saved;
                assert!(!is_lost, "a late save that holds more than all before did not count: {told:?}");
            }
        }
    }

    /// Records that the callback of a document that a worker has failed or ran out.
    pub fn failed(&mut self, key: &DocumentKey) {
        let retries = self.retries;
        self.document(key).failed(retries);
    }

    /// The number of the delivery that a worker has, as far as the storage knows.
    pub fn in_hand(&self, key: &DocumentKey) -> Option<u64> {
        self.documents.get(key)?.in_hand.as_ref()?.number
    }

    /// The status of that delivery.
    pub fn status_in_hand(&self, key: &DocumentKey) -> Option<Status> {
        Some(self.documents.get(key)?.in_hand.as_ref()?.callback.status)
    }

    /// A save or a closing of the document was due for the save patience, or it was due and something before it failed: it
    /// may go before everything that waits.
    pub fn may_supersede(&mut self, key: &DocumentKey) {
        self.document(key).may_supersede = true;
    }

    /// The same, and the closing goes next: it was due when something before it failed.
    pub fn must_supersede(&mut self, key: &DocumentKey) {
        let document = self.document(key);
        (document.may_supersede, document.must_supersede) = (true, true);
    }

    /// The engine shuts down: failures are counted anew.
    pub fn pauses_begin_again(&mut self) {
        for document in self.documents.values_mut() {
            if let Next::Again(_, failures) = &mut document.next {
                *failures = 0;
            }
            if let Some(in_hand) = &mut document.in_hand {
                in_hand.failures = 0;
            }
        }
    }

    /// The changes up to `at` need no save any more: the host deleted the document from the list of forgotten ones, or the
    /// storage kept the file of a save that was given up.
    pub fn needs_no_save(&mut self, key: &DocumentKey, at: Timestamp) {
        let document = self.document(key);
        document.saved = document.saved.max(at);
    }

    pub fn editing(&self, key: &DocumentKey) -> Vec<UserId> {
        self.documents.get(key).map(|document| distinct(&document.editing)).unwrap_or_default()
    }

    pub fn saved(&self, key: &DocumentKey) -> Timestamp {
        self.documents.get(key).map(|document| document.saved).unwrap_or_default()
    }

    /// Returns true if the storage failed with nothing that it is to be told again.
    pub fn is_up_to_date(&self, key: &DocumentKey) -> bool {
        self.documents.get(key).is_none_or(|document| matches!(document.next, Next::Anything))
    }

    /// Checks that every callback is settled and every join has a leave.
    pub fn assert_balanced(&self) {
        for (key, document) in &self.documents {
            // A late acknowledgement may take the place of a save that is tried again and has superseded the rest.
            if !(document.may_supersede && document.given_up) {
                assert!(document.in_hand.is_none(), "{key}: {:?} is outstanding", document.in_hand);
                assert!(matches!(document.next, Next::Anything), "{key}: expected {:?}", document.next);
            }
            assert!(document.editing.is_empty(), "{key}: {:?} never left", document.editing);
            let told_again = document.leaver.as_ref().filter(|leaver| leaver.is_told_again);
            assert!(told_again.is_none(), "{key}: {told_again:?} was not told again");
        }
    }
}

impl DocumentReplay {
    fn take(&mut self, callback: &Callback, number: Option<u64>, attempt: Option<usize>) {
        let told = Short(callback);
        assert!(
            self.in_hand.is_none() || self.may_supersede,
            "{:?} is outstanding, and {told:?} was handed out",
            self.in_hand
        );
        if std::mem::take(&mut self.must_supersede) {
            let tells_it = match callback.status {
                Status::Editing => callback.users.as_ref().is_some_and(Vec::is_empty),
                Status::Save => true,
                Status::Closed => callback.action.is_some(),
                _ => false,
            };
            // The save of a forgotten document leaves no trace if an editor comes back.
            assert!(tells_it || self.given_up, "a closing was to go before {told:?}");
        }
        let failures = match std::mem::take(&mut self.next) {
            Next::Again(failed, failures) if is_again(&failed, callback, failures, attempt) => failures,
            next => {
                self.check_next(&next, callback);
                self.apply(callback);
                0
            }
        };
        assert!(attempt.is_none_or(|attempt| attempt == failures + 1), "attempt {attempt:?}: {told:?}");
        self.in_hand = Some(InHand { callback: callback.clone(), number, failures });
    }

    /// Checks that a new callback leaves out no attempt and no message.
    fn check_next(&self, next: &Next, callback: &Callback) {
        let told = Short(callback);
        // What was asked while the save was with a worker is answered first.
        let is_leave_or_answer =
            callback.action.as_ref().is_none_or(|action| action.kind == ActionKind::Left);
        let comes_back = callback.status == Status::Editing
            && is_leave_or_answer
            && callback.users.as_ref().is_some_and(Vec::is_empty);
        let allowed = match next {
            Next::Anything => true,
            // An editor came back before the next attempt.
            Next::Again(failed, _) if failed.status == Status::Save && self.leaver.is_some() => {
                comes_back || self.may_supersede
            }
            // The save of a forgotten document names no leaver.
            Next::Again(failed, _) if failed.status == Status::Save => true,
            Next::Again(..) => self.may_supersede,
            Next::GivenUp(failed) => {
                let message =
                    if failed.status == Status::Save { Status::SaveFailed } else { Status::ForceSaveFailed };
                callback.status == message && callback.lastsave == failed.lastsave || self.may_supersede
            }
        };
        assert!(allowed, "expected {next:?}, got {told:?}");
    }

    fn acknowledged(&mut self, callback: &Callback) {
        self.in_hand = None;
        self.next = Next::Anything;
        if matches!(callback.status, Status::Save | Status::ForceSave) {
            self.saved = self.saved.max(callback.lastsave.expect("a save has the time of its last change"));
        }
        if callback.status == Status::Save {
            (self.leaver, self.given_up) = (None, false);
        }
    }

    fn acknowledged_late(&mut self, late: &Callback) {
        assert!(matches!(late.status, Status::Save | Status::ForceSave), "{late:?}");
        let holds_more = late.lastsave > Some(self.saved);
        assert!(late.status == Status::Save || holds_more, "it holds nothing more: {:?}", Short(late));
        // A force save takes the place of no save of status 2, which closes the document.
        let is_over = |other: &Callback| {
            let is_save = other.status != Status::Save || late.status == Status::Save;
            is_save && other.lastsave.is_some() && other.lastsave <= late.lastsave
        };
        let is_attempt = |other: &Callback| matches!(other.status, Status::Save | Status::ForceSave);
        if self.in_hand.as_ref().is_some_and(|one| is_attempt(&one.callback) && is_over(&one.callback)) {
            self.in_hand = None;
        }
        let next_is_over = match &self.next {
            Next::Anything => false,
            Next::Again(failed, _) => is_over(failed),
            Next::GivenUp(failed) => failed.lastsave <= late.lastsave,
        };
        // A document that was saved after all has left.
        let closes = late.status == Status::Save
            || next_is_over && matches!(&self.next, Next::GivenUp(failed) if failed.status == Status::Save);
        if next_is_over {
            self.next = Next::Anything;
        }
        self.saved = self.saved.max(late.lastsave.expect("a save has the time of its last change"));
        if let Some(leaver) = &mut self.leaver
            && closes
        {
            leaver.is_told_again = false;
        }
    }

    fn failed(&mut self, retries: usize) {
        let Some(InHand { callback, failures, .. }) = self.in_hand.take() else {
            panic!("nothing is outstanding");
        };
        self.next = match callback.status {
            Status::Editing | Status::Closed if callback.action.is_none() => Next::Anything,
            _ if failures < retries => Next::Again(callback, failures + 1),
            Status::Save => {
                self.given_up = true;
                Next::GivenUp(callback)
            }
            Status::ForceSave => Next::GivenUp(callback),
            _ => Next::Anything,
        };
    }

    fn apply(&mut self, callback: &Callback) {
        let told = Short(callback);
        match (callback.status, &callback.action) {
            (Status::Editing, Some(action)) => match action.kind {
                ActionKind::Joined => {
                    let told_again = self.leaver.take().filter(|leaver| leaver.is_told_again);
                    if told_again.is_some() && self.given_up && self.may_supersede {
                        // The save was tried again and superseded its message of failure, and then an editor came back.
                        self.may_supersede = false;
                    } else {
                        assert!(told_again.is_none(), "before it {told_again:?} is told: {told:?}");
                    }
                    self.editing.push(action.user.clone());
                    self.check_users(callback);
                }
                ActionKind::Left if callback.users.as_ref().is_some_and(Vec::is_empty) => {
                    self.end(callback, &action.user);
                }
                ActionKind::Left => {
                    self.leave(callback);
                    self.check_users(callback);
                }
                ActionKind::ForceSaveRequested => {
                    panic!("a callback of status 1 has no such action: {told:?}")
                }
            },
            (Status::Editing, None) => match callback.users.as_deref() {
                // While the last leave is withheld, nobody edits and the storage does not know yet who left.
                Some([]) => assert!(
                    self.editing.len() <= 1 || self.may_supersede,
                    "{:?} edit: {told:?}",
                    self.editing
                ),
                _ => self.check_users(callback),
            },
            (Status::Closed, Some(action)) => self.end(callback, &action.user),
            (Status::Closed, None) => {
                assert!(callback.users.is_none() && self.editing.is_empty(), "{told:?}");
                assert!(self.leaver.as_ref().is_none_or(|leaver| !leaver.is_told_again), "{told:?}");
            }
            (Status::Save, Some(action)) => {
                self.end(callback, &action.user);
                self.leaver = Some(Leaver { user: action.user.clone(), is_told_again: true });
            }
            // A forgotten document that is tried again.
            (Status::Save, None) => {
                assert!(self.given_up, "a save without a leave: {told:?}");
                let is_open = self.leaver.is_some() || !self.editing.is_empty();
                assert!(!is_open || self.may_supersede, "{told:?}");
                self.leaver = None;
                self.editing.clear();
                self.may_supersede = false;
            }
            (Status::SaveFailed, action) => {
                assert!(self.given_up && self.editing.is_empty(), "{told:?}");
                let leaver = self.leaver.take().map(|leaver| leaver.user);
                assert_eq!(leaver.as_ref(), action.as_ref().map(|action| &action.user), "{told:?}");
            }
            (Status::ForceSave | Status::ForceSaveFailed, _) => {}
        }
    }

    /// The document is closed, or nobody edits it any more: every coming told before has ended.
    fn end(&mut self, callback: &Callback, user: &UserId) {
        let told = Short(callback);
        match self.leaver.take() {
            // The save named who left.
            Some(leaver) if leaver.user == *user && self.editing.is_empty() => {}
            Some(leaver) if leaver.is_told_again && !self.may_supersede => {
                panic!("{leaver:?} left last: {told:?}")
            }
            _ => {
                let balanced = self.editing == [user.clone()];
                assert!(balanced || self.may_supersede, "{:?} edit: {told:?}", self.editing);
            }
        }
        self.editing.clear();
        self.may_supersede = false;
    }

    /// Checks that the callback lists exactly the editors. If a leave and a join cancelled each other out, the callback
    /// has the right order and the replay takes it over.
    fn check_users(&mut self, callback: &Callback) {
        let told = Short(callback);
        let users = callback.users.as_ref().expect("a callback of status 1 lists users");
        self.editing.sort_by_key(|user| users.iter().position(|one| one == user));
        assert_eq!(*users, distinct(&self.editing), "{told:?}");
    }

    fn leave(&mut self, callback: &Callback) {
        let told = Short(callback);
        let user = &callback.action.as_ref().expect("the callback names who left").user;
        let position = self.editing.iter().rposition(|one| one == user);
        self.editing.remove(position.unwrap_or_else(|| panic!("{user} left without a join: {told:?}")));
    }
}

/// Returns true if this is another attempt of a callback that failed. A save is formed anew for each.
fn is_again(failed: &Callback, callback: &Callback, failures: usize, attempt: Option<usize>) -> bool {
    let same = if failed.status == Status::Save {
        callback.status == Status::Save
            && (&failed.action, failed.lastsave) == (&callback.action, callback.lastsave)
    } else {
        failed == callback
    };
    same && attempt.is_none_or(|attempt| attempt == failures + 1)
}

fn distinct(list: &[UserId]) -> Vec<UserId> {
    let mut seen = Vec::new();
    for user in list {
        if !seen.contains(user) {
            seen.push(user.clone());
        }
    }
    seen
}

/// Since when a save or a closing of each document is due, as the calls from outside tell. A document that is not here is
/// edited, or its save was handed out.
#[derive(Debug)]
pub struct Dues {
    save_delay: Duration,
    /// For so long a save or a closing that is due waits for what is handed out before it.
    pub patience: Duration,
    due: BTreeMap<DocumentKey, Timestamp>,
}

impl Dues {
    pub fn new(save_delay: Duration, patience: Duration) -> Self {
        Dues { save_delay, patience, due: BTreeMap::new() }
    }

    /// The last editor left. The save of what is unsaved waits for the save delay, unless it is due `at_once`.
    pub fn last_editor_left(&mut self, key: &DocumentKey, now: Timestamp, at_once: bool) {
        let due = if at_once { now } else { now.after(self.save_delay) };
        self.due.insert(key.clone(), due);
    }

    /// Somebody edits the document again, or its save was handed out.
    pub fn is_no_longer_due(&mut self, key: &DocumentKey) {
        self.due.remove(key);
    }

    /// A save that waits for the save delay waits no longer.
    pub fn skip_delay(&mut self, key: &DocumentKey, now: Timestamp) {
        if let Some(due) = self.due.get_mut(key) {
            *due = now.min(*due);
        }
    }

    /// The same, for every document.
    pub fn skip_delays(&mut self, now: Timestamp) {
        self.due.values_mut().for_each(|due| *due = now.min(*due));
    }

    pub fn is_due(&self, key: &DocumentKey, now: Timestamp) -> bool {
        self.due.get(key).is_some_and(|due| *due <= now)
    }

    /// The documents of which a save or a closing has been due for the save patience.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &DocumentKey> {
        let is_overdue = move |due: &Timestamp| due.after(self.patience) <= now;
        self.due.iter().filter(move |(_, due)| is_overdue(due)).map(|(key, _)| key)
    }
}

/// A callback in short, for messages.
struct Short<'a>(&'a Callback);

impl fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Short(callback) = self;
        write!(f, "`{}` of {}", super::summary(callback), callback.key)?;
        callback.lastsave.map_or(Ok(()), |at| write!(f, " up to {at}"))
    }
}
