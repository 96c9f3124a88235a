//! Two threads with few calls each, where the order of memory decides. They are small enough for miri, which lets a thread read
//! old values wherever the orderings allow that, and which `weak_memory.sh` runs with many seeds. `cargo test` runs them as well.

mod support;
use support::*;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use coedit::{Access, Config, Engine, LimitLevel, ManualClock, Notice, Status, Timestamp, TryRecvError};

/// How often each test is repeated. Under miri the seeds do that.
const ROUNDS: usize = if cfg!(miri) { 1 } else { 100 };

/// How two calls meet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Neither,
    /// The other call comes later, but nothing orders the memory of the two threads.
    One,
    Other,
}

fn rounds(test: impl Fn(First)) {
    (0..ROUNDS).for_each(|_| [First::Neither, First::One, First::Other].into_iter().for_each(&test));
}

/// The same, for another call that blocks until the one has come.
fn rounds_with_a_wait(test: impl Fn(First)) {
    (0..ROUNDS).for_each(|_| [First::Neither, First::One].into_iter().for_each(&test));
}

/// Runs two calls in two threads.
fn meet<A: Send, B>(first: First, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    let start = Barrier::new(2);
    let one_is_done = AtomicBool::new(first != First::One);
    let other_is_done = AtomicBool::new(first != First::Other);
    // Relaxed, so that the call which comes later may read old values.
    let wait_for = |done: &AtomicBool| {
        while !done.load(Ordering::Relaxed) {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            start.wait();
            wait_for(&other_is_done);
            let result = one();
            one_is_done.store(true, Ordering::Relaxed);
            result
        });
        start.wait();
        wait_for(&one_is_done);
        let result = other();
        other_is_done.store(true, Ordering::Relaxed);
        (thread.join().unwrap(), result)
    })
}

#[test]
fn p1_two_threads_ask_for_the_last_seat() {
    rounds(|first| {
        let world = World::new(|config| config.edit_limit(Some(1)));
        let open = |document| world.open(document, "ann", Access::Edit);
        let (one, other) = meet(first, || open("a"), || open("bcd"));
        assert_ne!(one.may_edit(), other.may_edit());
        assert_eq!(world.engine.limits().edit.in_use, 1);
    });
}

#[test]
fn p1_the_last_notice_agrees_with_a_count_that_rises_and_falls() {
    rounds(|first| {
        let world = World::new(|config| config.edit_limit(Some(2)));
        let [ann, _ben] = ["ann", "ben"].map(|name| world.edit("a", name));
        let ((), cleo) = meet(first, || ann.close(), || world.open("bcd", "cleo", Access::Edit));
        let level = |notice| match notice {
            Notice::Limit { level, .. } => Some(level),
            _ => None,
        };
        let last = world.take_notices().into_iter().filter_map(level).last();
        assert_eq!(last == Some(LimitLevel::Clear), !cleo.may_edit(), "{last:?}");
    });
}

#[test]
fn p3_after_a_drop_returned_no_change_is_accepted() {
    rounds(|first| {
        let world = World::plain();
        let (ann, dropped) = (world.edit("a", "ann"), AtomicBool::new(false));
        let ((), (after, changed)) = meet(
            first,
            || {
                world.engine.drop_all(&key("a")).unwrap();
                dropped.store(true, Ordering::Release);
            },
            || (dropped.load(Ordering::Acquire), ann.change().is_ok()),
        );
        assert!(!(after && changed));
        assert_eq!(world.engine.is_unsaved(&key("a")), changed);
    });
}

#[test]
fn p11_a_connection_is_resumed_or_closed() {
    rounds(|first| {
        let world = World::new(|config| config.edit_limit(Some(1)).reconnect_grace(Some(seconds(30))));
        let old = world.edit("a", "ann").into_id();
        let token = world.engine.token(old).unwrap();
        world.engine.lost(old).unwrap();
        let (closed, back) = meet(first, || world.engine.close(old), || world.engine.resume(&token, 0));
        assert_eq!(back.as_ref().is_ok_and(coedit::Connection::may_edit), closed.is_err());
        assert_eq!(world.engine.limits().edit.in_use, u32::from(back.is_ok()));
    });
}

#[test]
fn p12_nobody_waits_at_a_limit_of_documents_that_is_raised_meanwhile() {
    rounds(|first| {
        let world = World::new(|config| config.document_limit(Some(1)));
        let [_ann, ben] = ["ann", "ben"].map(|name| world.open("a", name, Access::Edit));
        let (raised, asked) = meet(first, || world.engine.set_document_limit(Some(2)), || ben.request_edit());
        assert!(raised.is_ok() && asked.is_ok() && ben.may_edit(), "{asked:?}");
    });
}

#[test]
fn p12_nobody_waits_at_a_limit_of_users_that_is_raised_meanwhile() {
    rounds(|first| {
        let world = World::new(|config| config.user_limit(Some(1)));
        let [_first, second] = ["a", "bcd"].map(|document| world.open(document, "ann", Access::Edit));
        let (raised, asked) = meet(first, || world.engine.set_user_limit(Some(2)), || second.request_edit());
        assert!(raised.is_ok() && asked.is_ok() && second.may_edit(), "{asked:?}");
    });
}

#[test]
fn p12_nobody_waits_for_a_seat_that_is_given_back_meanwhile() {
    rounds(|first| {
        let world = World::new(|config| config.edit_limit(Some(1)));
        let [ann, ben] = ["a", "bcd"].map(|document| world.open(document, document, Access::Edit));
        let ((), asked) = meet(first, || ann.close(), || ben.request_edit());
        assert!(asked.is_ok() && ben.may_edit(), "{asked:?}");
    });
}

/// Who subscribes and then sees no seat in use gets the notice of whoever takes it.
#[test]
fn a_subscription_misses_nothing_that_happens_after_what_it_saw() {
    rounds(|first| {
        // A `World` would have a subscription already.
        let clock = ManualClock::new(Timestamp::from_millis(START));
        let engine = Engine::new(Config::new().shards(4).edit_limit(Some(1)).clock(clock)).unwrap();
        let subscribe = || (engine.notices(), engine.limits().edit.in_use);
        let (_ann, (notices, in_use)) =
            meet(first, || engine.open(&key("a"), &user("ann"), Access::Edit), subscribe);
        assert!(in_use == 1 || !notices.is_empty());
    });
}

#[test]
fn a_doorbell_that_is_asked_for_meanwhile_rings() {
    rounds_with_a_wait(|first| {
        let world = World::plain();
        let (_ann, rings) = meet(first, || world.edit("a", "ann"), || world.callbacks.ready().recv().is_ok());
        assert!(rings);
        assert_eq!(world.ack().status, Status::Editing);
    });
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_task_that_begins_to_wait_meanwhile_is_woken() {
    rounds_with_a_wait(|first| {
        let world = World::plain();
        let next = || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut future = pin!(world.callbacks.next());
            loop {
                if let Poll::Ready(delivery) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return delivery.unwrap().acked().status;
                }
                thread::park();
            }
        };
        let (_ann, status) = meet(first, || world.edit("a", "ann"), next);
        assert_eq!(status, Status::Editing);
    });
}

/// With a manual clock there is no thread of the engine: the receiver that blocks has to run its end.
#[test]
fn p5_a_receiver_that_blocks_ends_with_the_last_handle() {
    rounds_with_a_wait(|first| {
        let World { engine, callbacks, .. } = World::plain();
        let ((), left) = meet(first, || drop(engine), || callbacks.iter().count());
        assert_eq!((left, callbacks.try_recv().err()), (0, Some(TryRecvError::Disconnected)));
    });
}

/// A minute ends while two users come and go.
#[test]
fn usage_counts_every_open_of_two_threads() {
    rounds(|first| {
        let world = World::plain();
        world.clock.advance(seconds(60));
        let come_and_go = |document| drop(world.edit(document, document));
        meet(first, || come_and_go("a"), || come_and_go("bcd"));
        let hour = world.engine.usage().unwrap().hour;
        assert_eq!((hour.opens, hour.edit.min), (2, 0));
        assert!((1..=2).contains(&hour.edit.max));
    });
}
