//! How notices reach the host's transport: a channel for each subscription.

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::notice::Notice;
use crate::sync::{AtomicUsize, Mutex, Ordering};
use crate::work::{self, Item};

/// The subscriptions to the notices of an engine.
///
/// Every subscription gets every notice from then on. A notice is sent without waiting, under the lock that orders what
/// it tells: the lock here is a leaf.
#[derive(Debug)]
pub(crate) struct NoticeBoard {
    subscriptions: Mutex<Subscriptions>,
    /// How many there are, so that nothing is done where there is none.
    count: AtomicUsize,
    /// So many notices wait for a subscription at most.
    most: usize,
}

#[derive(Debug, Default)]
struct Subscriptions {
    list: Vec<Subscription>,
    ended: bool,
}

#[derive(Debug)]
struct Subscription {
    sender: Sender<Notice>,
    /// Notices that were not kept since the last one that was.
    missed: u64,
}

impl NoticeBoard {
    pub(crate) fn new(most: usize) -> Self {
        NoticeBoard { subscriptions: Mutex::default(), count: AtomicUsize::new(0), most }
    }

    /// A new subscription. It ends when its last receiver is dropped, or with the engine.
    pub(crate) fn subscribe(&self) -> Receiver<Notice> {
        let (sender, receiver) = unbounded();
        let mut subscriptions = self.subscriptions.lock();
        if !subscriptions.ended {
            subscriptions.list.push(Subscription { sender, missed: 0 });
            self.count.store(subscriptions.list.len(), Ordering::SeqCst);
        }
        receiver
    }

    /// Sends a notice to every subscription.
    pub(crate) fn send(&self, notice: &Notice) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        work::item(Item::Notice, 1);
        let mut subscriptions = self.subscriptions.lock();
        subscriptions.list.retain_mut(|subscription| subscription.send(notice, self.most));
        self.count.store(subscriptions.list.len(), Ordering::SeqCst);
    }

    /// Ends every subscription once its receiver has taken what was sent. A receiver that missed notices is told so last.
    pub(crate) fn end(&self) {
        let mut subscriptions = self.subscriptions.lock();
        subscriptions.ended = true;
        let ended = std::mem::take(&mut subscriptions.list);
        self.count.store(0, Ordering::SeqCst);
        drop(subscriptions);
        for mut subscription in ended {
            subscription.send_missed();
        }
    }
}

impl Subscription {
    /// Sends a notice, unless too many wait. Returns false if there is no receiver any more.
    fn send(&mut self, notice: &Notice, most: usize) -> bool {
        if self.sender.len() >= most {
            self.missed += 1;
            return true;
        }
        self.send_missed() && self.sender.send(notice.clone()).is_ok()
    }

    /// Sends the count of the notices that were not kept, if there are any. Returns false if there is no receiver any
    /// more.
    fn send_missed(&mut self) -> bool {
        let missed = std::mem::take(&mut self.missed);
        missed == 0 || self.sender.send(Notice::Missed { count: missed }).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DocumentKey;

    fn title(number: usize) -> Notice {
        Notice::Meta { key: DocumentKey::new("k").unwrap(), title: number.to_string() }
    }

    #[test]
    fn every_subscription_gets_every_notice_and_one_that_leaves_takes_none_from_another() {
        let board = NoticeBoard::new(10);
        board.send(&title(0));
        let [first, second] = [board.subscribe(), board.subscribe()];
        board.send(&title(1));
        drop(first);
        board.send(&title(2));
        assert_eq!(second.try_iter().collect::<Vec<_>>(), [title(1), title(2)]);
        board.end();
        assert!(second.recv().is_err() && board.subscribe().recv().is_err());
    }

    #[test]
    fn each_of_two_subscriptions_gets_all_that_is_sent() {
        let board = NoticeBoard::new(10);
        let both = [board.subscribe(), board.subscribe()];
        (0..3).for_each(|number| board.send(&title(number)));
        for one in both {
            assert_eq!(one.try_iter().collect::<Vec<_>>(), [title(0), title(1), title(2)]);
        }
    }

    #[test]
    fn p6_past_the_bound_notices_are_counted_and_the_count_is_told() {
        let board = NoticeBoard::new(2);
        let slow = board.subscribe();
        (0..5).for_each(|number| board.send(&title(number)));
        assert_eq!(slow.try_iter().collect::<Vec<_>>(), [title(0), title(1)]);
        board.send(&title(5));
        assert_eq!(slow.try_iter().collect::<Vec<_>>(), [Notice::Missed { count: 3 }, title(5)]);
        (6..9).for_each(|number| board.send(&title(number)));
        board.end();
        assert_eq!(slow.iter().collect::<Vec<_>>(), [title(6), title(7), Notice::Missed { count: 1 }]);
    }
}
