//! Tests of concurrent calls under the model checker shuttle, which chooses the interleavings of the threads:
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test interleavings`.
//!
//! `COEDIT_INTERLEAVINGS` sets the number of interleavings for each test. A failure prints the schedule, which
//! `shuttle::replay` runs again.
#![cfg(all(shuttle, feature = "async"))]

#[path = "support/settle.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test file uses only a part")]
mod settle;

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Answered, Callbacks, Clock, Config, Connection, Delivery, DocumentKey, Engine, LimitLevel,
    ManualClock, Notice, Report, Status, Timestamp, TryRecvError, User, UserId,
};
use crossbeam_channel::Receiver;
use settle::Settle;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Runner, thread};

/// Runs a scenario under many interleavings. Half are random, and half use priorities with few changes (PCT), which finds
/// rarer bugs.
fn check(scenario: impl Fn() + Send + Sync + 'static) {
    let count =
        std::env::var("COEDIT_INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let scenario = Arc::new(scenario);
    let again = scenario.clone();
    let mut config = shuttle::Config::new();
    // An engine built without optimisation is copied on the stack.
    config.stack_size = 1 << 17;
    Runner::new(RandomScheduler::new(count / 2), config.clone()).run(move || scenario());
    Runner::new(PctScheduler::new(3, count / 2), config).run(move || again());
}

/// Creates an engine with one shard. So a schedule is the same in every run and does not depend on the keyed hash.
fn engine(set: impl FnOnce(Config) -> Config) -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    (Engine::new(set(Config::new().shards(1)).clock(clock.clone())).unwrap(), clock)
}

/// A clock that tests move, but that the engine takes for a real one. So the engine has a thread of its own.
#[derive(Clone, Default)]
struct HostClock(Arc<AtomicUsize>);

impl HostClock {
    fn advance(&self, seconds: usize) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000 + 1_000 * self.0.load(Ordering::SeqCst) as u64)
    }

    fn steady(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.0.load(Ordering::SeqCst) as u64))
    }
}

/// Creates an engine with a thread of its own. The thread ends with the engine, or shuttle reports a deadlock.
fn threaded_engine(set: impl FnOnce(Config) -> Config) -> (Engine, HostClock) {
    let clock = HostClock::default();
    (Engine::new(set(Config::new().shards(1)).clock(clock.clone())).unwrap(), clock)
}

fn key(text: &str) -> DocumentKey {
    DocumentKey::new(text).unwrap()
}

fn open(engine: &Engine, document: &str, user: &str) -> Connection {
    engine.open(&key(document), &User::new(user).unwrap(), Access::Edit).unwrap()
}

#[test]
fn p1_the_last_seat_goes_to_one_connection() {
    check(|| {
        let (engine, _) = engine(|config| config.edit_limit(Some(1)));
        let editing = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = ["a", "b", "c"]
            .map(|user| {
                let (engine, editing) = (engine.clone(), editing.clone());
                thread::spawn(move || {
                    let connection = open(&engine, user, user);
                    let granted = connection.may_edit();
                    if granted {
                        assert_eq!(
                            editing.fetch_add(1, Ordering::SeqCst),
                            0,
                            "two connections edit under a limit of one"
                        );
                        editing.fetch_sub(1, Ordering::SeqCst);
                    }
                    drop(connection);
                    granted
                })
            })
            .into();
        let granted =
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|granted| *granted).count();
        assert!(granted >= 1, "every open was refused while the seat was free");
        assert!(open(&engine, "d", "d").may_edit(), "the seat is free again");
        engine.validate().unwrap();
    });
}

#[test]
fn p1_a_limit_lowered_concurrently_holds() {
    check(|| {
        let (engine, _) = engine(|config| config.edit_limit(Some(2)));
        let lowering = {
            let engine = engine.clone();
            thread::spawn(move || {
                engine.set_edit_limit(Some(0)).unwrap();
                engine.limits().edit.in_use
            })
        };
        let first = open(&engine, "x", "a");
        let second = open(&engine, "x", "b");
        let in_use_when_lowered = lowering.join().unwrap();
        assert!(
            engine.limits().edit.in_use <= in_use_when_lowered,
            "no connection got a seat after the limit was lowered"
        );
        drop((first, second));
        assert_eq!(engine.limits().edit.in_use, 0);
    });
}

#[test]
fn p4_a_document_has_one_worker_at_a_time_and_no_callback_is_missed() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let in_hand = Arc::new(AtomicUsize::new(0));
        let editors = Arc::new(Mutex::new(Vec::<UserId>::new()));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (callbacks, in_hand, editors) = (engine.callbacks(), in_hand.clone(), editors.clone());
                thread::spawn(move || {
                    for delivery in callbacks.iter() {
                        assert_eq!(
                            in_hand.fetch_add(1, Ordering::SeqCst),
                            0,
                            "two workers have a callback of the document"
                        );
                        let users = delivery.callback().users.clone().unwrap_or_default();
                        *editors.lock().unwrap() = users;
                        in_hand.fetch_sub(1, Ordering::SeqCst);
                        delivery.acked();
                    }
                })
            })
            .collect();
        let other = {
            let engine = engine.clone();
            thread::spawn(move || drop(open(&engine, "x", "b")))
        };
        let first = open(&engine, "x", "a");
        other.join().unwrap();
        let _ = engine.info(&key("x"), None);
        drop((first, engine));
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(editors.lock().unwrap().is_empty(), "the last callback lists nobody");
    });
}

#[test]
fn p5_a_failed_save_is_handed_out_again_while_the_engine_ends() {
    check(|| {
        let (engine, clock) = engine(|config| config.retry_pauses([Duration::from_secs(1)]));
        let (failed, saved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (callbacks, failed, saved) = (engine.callbacks(), failed.clone(), saved.clone());
                let clock = clock.clone();
                thread::spawn(move || {
                    for delivery in callbacks.iter() {
                        if delivery.callback().status != Status::Save {
                            delivery.acked();
                        } else if !failed.swap(true, Ordering::SeqCst) {
                            drop(delivery);
                            clock.advance(Duration::from_secs(1));
                        } else {
                            saved.fetch_add(1, Ordering::SeqCst);
                            delivery.acked();
                        }
                    }
                })
            })
            .collect();
        let tab = open(&engine, "x", "a");
        tab.change().unwrap();
        drop((tab, engine));
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(saved.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn the_last_handle_ends_every_receiver() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let notices = [engine.notices(), engine.notices()];
        let workers = [engine.callbacks(), engine.callbacks()]
            .map(|callbacks| thread::spawn(move || while callbacks.recv().map(Settle::acked).is_ok() {}));
        let task = engine.callbacks();
        let task = thread::spawn(move || {
            shuttle::future::block_on(async { while task.next().await.map(Settle::acked).is_some() {} });
        });
        let other = engine.clone();
        let handles =
            [thread::spawn(move || drop(open(&other, "x", "a"))), thread::spawn(move || drop(engine))];
        for thread in workers.into_iter().chain([task]).chain(handles) {
            thread.join().unwrap();
        }
        for notices in notices {
            assert_eq!(notices.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
        }
    });
}

#[test]
fn p3_after_a_drop_no_change_is_accepted() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let tab = open(&engine, "x", "a");
        let dropped = Arc::new(AtomicBool::new(false));
        let dropping = {
            let (engine, dropped) = (engine.clone(), dropped.clone());
            thread::spawn(move || {
                engine.drop_all(&key("x")).unwrap();
                dropped.store(true, Ordering::SeqCst);
            })
        };
        for _ in 0..3 {
            let after = dropped.load(Ordering::SeqCst);
            assert!(!(after && tab.change().is_ok()), "a change was accepted after the drop returned");
        }
        dropping.join().unwrap();
        assert!(tab.change().is_err());
        engine.validate().unwrap();
    });
}

/// Takes the next callback when the doorbell rings. The doorbell is a real channel, whose blocking wait shuttle does not
/// know. So it is polled. Once the threads that make documents ready are `done`, it must ring after some polls: another
/// worker may have answered a ring and not have taken its document yet.
fn take_when_it_rings(
    callbacks: &Callbacks,
    doorbell: &Receiver<()>,
    done: &AtomicBool,
) -> Result<Delivery, TryRecvError> {
    let mut polls_left = 1_000;
    loop {
        polls_left -= usize::from(done.load(Ordering::SeqCst));
        assert!(polls_left > 0, "something can be taken, and the doorbell does not ring");
        if doorbell.try_recv().is_err() {
            thread::yield_now();
            continue;
        }
        match callbacks.try_recv() {
            // A ring may come too often.
            Err(TryRecvError::Empty) => {}
            taken => return taken,
        }
    }
}

/// A host that waits for the doorbell, and takes once for each ring.
#[test]
fn the_doorbell_misses_nothing() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let done = Arc::new(AtomicBool::new(false));
        let host = {
            let (callbacks, done) = (engine.callbacks(), done.clone());
            thread::spawn(move || {
                let (mut seen, doorbell) = (0, callbacks.ready());
                while let Ok(delivery) = take_when_it_rings(&callbacks, &doorbell, &done) {
                    delivery.ack();
                    seen += 1;
                }
                seen
            })
        };
        let opening = ["x", "y"].map(|document| {
            let engine = engine.clone();
            thread::spawn(move || drop(open(&engine, document, "a")))
        });
        drop(engine);
        for thread in opening {
            thread.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        assert_eq!(host.join().unwrap(), 4, "a join and a leave of each document");
    });
}

/// Returns one document of each of two shards. The storage knows neither document.
fn documents_of_two_shards(engine: &Engine) -> [String; 2] {
    // The lowest bit of a connection id is its shard.
    let shard = |document: &String| open(engine, document, "nobody").id().to_bits() & 1;
    let names = || ('a'..='z').map(String::from);
    let first = names().next().unwrap();
    let other = names().find(|name| shard(name) != shard(&first)).unwrap();
    engine.callbacks().try_iter().for_each(|delivery| drop(delivery.acked()));
    [first, other]
}

/// Takes the next callback in one of the ways to wait for it.
type Take = fn(&Callbacks, &AtomicBool) -> Delivery;

/// Every way to wait for a callback.
const WAYS: [Take; 3] = [
    |callbacks, _| callbacks.recv().unwrap(),
    |callbacks, _| shuttle::future::block_on(callbacks.next()).unwrap(),
    |callbacks, done| take_when_it_rings(callbacks, &callbacks.ready(), done).unwrap(),
];

/// Starts two workers. Each holds its first callback until the other one has a callback too, so the test fails if a worker
/// is not woken. Each returns the key of its document.
fn workers_that_wait_for_each_other(
    engine: &Engine,
    take: Take,
    done: &Arc<AtomicBool>,
) -> [thread::JoinHandle<DocumentKey>; 2] {
    let in_hand = Arc::new((Mutex::new(0), Condvar::new()));
    [(); 2].map(|()| {
        let (callbacks, in_hand, done) = (engine.callbacks(), in_hand.clone(), done.clone());
        thread::spawn(move || {
            let delivery = take(&callbacks, &done);
            let mut count = in_hand.0.lock().unwrap();
            *count += 1;
            in_hand.1.notify_all();
            while *count < 2 {
                count = in_hand.1.wait(count).unwrap();
            }
            drop(count);
            delivery.acked().key.clone()
        })
    })
}

fn join_sorted<T: Ord>(threads: [thread::JoinHandle<T>; 2]) -> [T; 2] {
    let mut results = threads.map(|thread| thread.join().unwrap());
    results.sort();
    results
}

fn a_worker_is_woken_for_each_ready_document(take: Take) {
    check(move || {
        let (engine, _) = engine(|config| config.shards(2));
        let documents = documents_of_two_shards(&engine);
        let done = Arc::new(AtomicBool::new(false));
        let workers = workers_that_wait_for_each_other(&engine, take, &done);
        let editors = documents.clone().map(|document| {
            let engine = engine.clone();
            thread::spawn(move || open(&engine, &document, "a").into_id())
        });
        join_sorted(editors);
        done.store(true, Ordering::SeqCst);
        assert_eq!(join_sorted(workers), documents.map(|document| key(&document)));
        engine.validate().unwrap();
    });
}

#[test]
fn a_blocked_worker_is_woken_for_each_ready_document() {
    a_worker_is_woken_for_each_ready_document(WAYS[0]);
}

#[test]
fn a_waiting_task_is_woken_for_each_ready_document() {
    a_worker_is_woken_for_each_ready_document(WAYS[1]);
}

#[test]
fn the_doorbell_rings_for_each_ready_document() {
    a_worker_is_woken_for_each_ready_document(WAYS[2]);
}

fn a_worker_is_woken_for_each_save_that_falls_due(take: Take) {
    check(move || {
        let (engine, clock) = engine(|config| config.shards(2).save_delay(Duration::from_secs(10)));
        let documents = documents_of_two_shards(&engine);
        for document in &documents {
            open(&engine, document, "a").change().unwrap();
        }
        engine.callbacks().try_iter().for_each(|delivery| drop(delivery.acked()));
        let done = Arc::new(AtomicBool::new(false));
        let workers = workers_that_wait_for_each_other(&engine, take, &done);
        clock.advance(Duration::from_secs(10));
        engine.tick();
        done.store(true, Ordering::SeqCst);
        assert_eq!(join_sorted(workers), documents.map(|document| key(&document)));
        engine.validate().unwrap();
    });
}

#[test]
fn a_blocked_worker_is_woken_for_each_save_that_falls_due() {
    a_worker_is_woken_for_each_save_that_falls_due(WAYS[0]);
}

#[test]
fn a_waiting_task_is_woken_for_each_save_that_falls_due() {
    a_worker_is_woken_for_each_save_that_falls_due(WAYS[1]);
}

#[test]
fn the_doorbell_rings_for_each_save_that_falls_due() {
    a_worker_is_woken_for_each_save_that_falls_due(WAYS[2]);
}

/// One task gives up waiting while a document becomes ready. The other task gets the document.
#[test]
fn a_task_that_stops_waiting_passes_its_wake_up_on() {
    check(|| {
        let (engine, clock) = engine(|config| config);
        let waits = {
            let callbacks = engine.callbacks();
            thread::spawn(move || shuttle::future::block_on(callbacks.next()).unwrap().acked().key.clone())
        };
        let stops = {
            let callbacks = engine.callbacks();
            thread::spawn(move || {
                let mut next = Box::pin(callbacks.next());
                let waker = std::task::Waker::noop();
                for _ in 0..2 {
                    if next.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready() {
                        // Its document fails, and the other task gets the callback after the retry.
                        return true;
                    }
                    thread::yield_now();
                }
                false
            })
        };
        let tab = open(&engine, "x", "a");
        if stops.join().unwrap() {
            clock.advance(Duration::from_secs(1));
            engine.tick();
        }
        assert_eq!(waits.join().unwrap(), "x");
        drop(tab);
    });
}

/// Two workers block, editors join and leave in two shards, saves fall due, and the engine ends.
#[test]
fn p5_blocked_workers_get_every_callback_of_every_shard_until_the_end() {
    check(|| {
        let (engine, clock) = engine(|config| config.shards(2).save_delay(Duration::from_secs(10)));
        let documents = documents_of_two_shards(&engine);
        let taken = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (callbacks, taken) = (engine.callbacks(), taken.clone());
                thread::spawn(move || {
                    while let Ok(delivery) = callbacks.recv() {
                        let callback = delivery.callback();
                        taken.lock().unwrap().push((callback.key.clone(), callback.status.number()));
                        delivery.acked();
                    }
                })
            })
            .collect();
        let editors = documents.clone().map(|document| {
            let engine = engine.clone();
            thread::spawn(move || {
                let tab = open(&engine, &document, "a");
                tab.change().unwrap();
                drop(tab);
            })
        });
        clock.advance(Duration::from_secs(10));
        engine.tick();
        drop(engine);
        for thread in workers.into_iter().chain(editors) {
            thread.join().unwrap();
        }
        let taken = taken.lock().unwrap();
        for document in documents {
            let of_document = taken.iter().filter(|(key, _)| *key == document.as_str());
            assert_eq!(of_document.map(|(_, status)| *status).collect::<Vec<_>>(), [1, 2]);
        }
        assert_eq!(taken.len(), 4);
    });
}

/// One worker polls and takes what it finds, the other one blocks. The polling worker does not consume a wake-up.
#[test]
fn a_polling_worker_does_not_consume_the_wake_up_of_a_blocked_one() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let documents = documents_of_two_shards(&engine);
        let blocking = {
            let callbacks = engine.callbacks();
            thread::spawn(move || callbacks.iter().map(Settle::acked).count())
        };
        let polling = {
            let callbacks = engine.callbacks();
            thread::spawn(move || {
                let found = (0..3).filter_map(|_| callbacks.recv_timeout(Duration::ZERO).ok());
                found.map(|delivery| delivery.acked()).count()
            })
        };
        let editors = documents.map(|document| {
            let engine = engine.clone();
            thread::spawn(move || open(&engine, &document, "a").into_id())
        });
        let tabs = editors.map(|editor| editor.join().unwrap());
        let polled = polling.join().unwrap();
        assert!(polled <= 2);
        assert!(tabs.iter().all(|tab| engine.may_edit(*tab)));
        drop(engine);
        assert_eq!(polled + blocking.join().unwrap(), 4, "two joins, and two leaves at the end");
    });
}

/// The same host with editors in two shards. Nobody leaves, so the end makes up for no missed ring.
#[test]
fn the_doorbell_misses_nothing_of_two_shards() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let documents = documents_of_two_shards(&engine);
        let done = Arc::new(AtomicBool::new(false));
        let host = {
            let (callbacks, done) = (engine.callbacks(), done.clone());
            let doorbell = callbacks.ready();
            let take = move || take_when_it_rings(&callbacks, &doorbell, &done).unwrap().acked().key.clone();
            thread::spawn(move || [(); 4].map(|()| take()))
        };
        let editors = documents.clone().map(|document| {
            let engine = engine.clone();
            thread::spawn(move || ["a", "b"].map(|user| open(&engine, &document, user).into_id()))
        });
        for editor in editors {
            editor.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        let mut taken = host.join().unwrap();
        taken.sort();
        let [one, other] = documents.map(|document| key(&document));
        assert_eq!(taken, [one.clone(), one, other.clone(), other]);
        engine.validate().unwrap();
    });
}

/// Nothing is due and nobody ends the engine: that its thread sleeps is a deadlock for shuttle.
#[test]
#[should_panic(expected = "deadlock")]
fn the_timer_sleeps_while_nothing_is_due() {
    check(|| {
        let (engine, _) = threaded_engine(|config| config);
        std::mem::forget(engine);
    });
}

/// The same of a worker that blocks.
#[test]
#[should_panic(expected = "deadlock")]
fn a_blocked_worker_sleeps_while_nothing_is_due() {
    check(|| {
        let (engine, _) = engine(|config| config);
        drop(engine.callbacks().recv());
    });
}

/// The engine's thread sleeps without a deadline when the save delay of the only document starts.
#[test]
fn the_timer_is_woken_for_a_new_deadline() {
    check(|| {
        let (engine, clock) =
            threaded_engine(|config| config.save_delay(Duration::from_secs(10)).ack_timeout(None));
        let callbacks = engine.callbacks();
        let tab = open(&engine, "x", "a");
        tab.change().unwrap();
        callbacks.recv().unwrap().acked();
        let closing = thread::spawn(move || drop(tab));
        closing.join().unwrap();
        clock.advance(10);
        assert_eq!(callbacks.recv().unwrap().acked().status, Status::Save);
        engine.validate().unwrap();
    });
}

/// A worker answers a ring and takes nothing. The engine's thread may sleep without a deadline when the document becomes
/// ready.
#[test]
fn the_timer_repeats_a_ring_that_was_not_answered() {
    check(|| {
        let (engine, _) = threaded_engine(|config| config.ack_timeout(None));
        let callbacks = engine.callbacks();
        let doorbell = callbacks.ready();
        thread::yield_now();
        let tab = open(&engine, "x", "a");
        doorbell.try_recv().expect("the document is ready");
        let _ = doorbell.try_recv();
        let done = AtomicBool::new(true);
        assert_eq!(take_when_it_rings(&callbacks, &doorbell, &done).unwrap().acked().key, "x");
        drop(tab);
        assert_eq!(take_when_it_rings(&callbacks, &doorbell, &done).unwrap().acked().status, Status::Closed);
    });
}

// The end, and answers that come late.

/// Takes the save of a document in the hands of a worker. The clock shows the moment at which it was due.
fn save_in_hand(engine: &Engine, clock: &ManualClock) -> Delivery {
    let tab = open(engine, "x", "a");
    tab.change().unwrap();
    engine.callbacks().recv().unwrap().acked();
    drop(tab);
    clock.advance(Duration::from_secs(10));
    engine.tick();
    let save = engine.callbacks().try_recv().unwrap();
    assert_eq!(save.callback().status, Status::Save);
    save
}

fn count_saved(notices: &Receiver<Notice>) -> usize {
    notices.try_iter().filter(|notice| matches!(notice, Notice::Saved { .. })).count()
}

/// Acknowledges everything until the engine has ended. Returns the statuses.
fn serve(callbacks: Callbacks) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || callbacks.iter().map(|delivery| delivery.acked().status.number()).collect())
}

fn keys_of(report: &Report) -> Vec<DocumentKey> {
    let forgotten = report.forgotten.iter().map(|one| &one.key);
    report.unsaved.iter().map(|one| &one.key).chain(forgotten).cloned().collect()
}

#[test]
fn p5_an_acknowledgement_counts_once_whether_it_runs_out_or_not() {
    check(|| {
        let (engine, clock) = engine(|config| config);
        let notices = engine.notices();
        let save = save_in_hand(&engine, &clock);
        let acknowledging = thread::spawn(move || save.ack());
        clock.advance(Duration::from_secs(60));
        engine.tick();
        assert_ne!(acknowledging.join().unwrap(), Answered::Late);
        clock.advance(Duration::from_secs(1));
        engine.tick();
        assert!(engine.callbacks().try_recv().is_err(), "there is no other attempt");
        assert_eq!((count_saved(&notices), engine.unsaved().len(), engine.documents()), (1, 0, 0));
        engine.validate().unwrap();
    });
}

#[test]
fn p5_of_a_late_acknowledgement_and_the_next_attempt_one_counts() {
    check(|| {
        let (engine, clock) = engine(|config| config);
        let notices = engine.notices();
        let late = save_in_hand(&engine, &clock);
        clock.advance(Duration::from_secs(60));
        engine.tick();
        let acknowledging = thread::spawn(move || late.ack());
        let trying = {
            let callbacks = engine.save_callbacks();
            thread::spawn(move || callbacks.try_recv().ok().map(Delivery::ack))
        };
        clock.advance(Duration::from_secs(1));
        engine.tick();
        let answered = (acknowledging.join().unwrap(), trying.join().unwrap());
        let one_counts = matches!(
            answered,
            (Answered::LateSave, None | Some(Answered::Late)) | (Answered::Late, Some(Answered::InTime))
        );
        assert!(one_counts, "{answered:?}");
        assert!(engine.callbacks().try_recv().is_err());
        assert_eq!((count_saved(&notices), engine.unsaved().len(), engine.documents()), (1, 0, 0));
        assert!(open(&engine, "x", "b").may_edit());
        engine.validate().unwrap();
    });
}

#[test]
fn p5_the_last_handle_is_dropped_while_others_open_and_shut_down() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let callbacks = engine.callbacks();
        let workers = [serve(engine.callbacks()), serve(engine.callbacks())];
        let tab = open(&engine, "x", "a");
        tab.change().unwrap();
        let others = [engine.clone(), engine.clone()];
        let [opens, shuts_down] = others;
        let opens = thread::spawn(move || {
            let opened = opens.open(&key("y"), &User::new("b").unwrap(), Access::Edit);
            opened.ok().map(|tab| tab.change().is_ok())
        });
        let shuts_down = thread::spawn(move || drop(shuts_down.begin_shutdown(Duration::from_secs(20))));
        drop(tab);
        drop(engine);
        shuts_down.join().unwrap();
        let changed = opens.join().unwrap() == Some(true);
        let told: Vec<u8> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        let saves = told.iter().filter(|status| **status == 2).count();
        assert_eq!(saves, 1 + usize::from(changed), "{told:?}");
        let report = callbacks.report().expect("the engine has ended");
        assert!(report.is_complete(), "{report:?}");
    });
}

#[test]
fn p5_the_last_handle_is_dropped_by_a_worker_with_a_callback_in_hand() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let tab = open(&engine, "x", "a");
        tab.change().unwrap();
        let callbacks = engine.callbacks();
        let joined = callbacks.try_recv().unwrap();
        let drops = {
            let engine = engine.clone();
            thread::spawn(move || {
                drop(engine);
                joined.ack()
            })
        };
        drop((tab, engine));
        let other = serve(callbacks.clone());
        let (first, told) = (drops.join().unwrap(), other.join().unwrap());
        assert_eq!((first, told.last(), told.len()), (Answered::InTime, Some(&2), 1));
        assert!(callbacks.report().unwrap().is_complete());
    });
}

/// Nobody but a worker that blocks is left to see that the time for the end is over.
#[test]
fn p5_a_blocked_worker_ends_the_engine_at_its_deadline() {
    check(|| {
        let (engine, clock) = engine(|config| config.drop_deadline(Duration::from_secs(2)));
        let tab = open(&engine, "x", "a");
        tab.change().unwrap();
        let in_hand = engine.callbacks().try_recv().unwrap();
        let worker = serve(engine.callbacks());
        drop((tab, engine));
        clock.advance(Duration::from_secs(2));
        assert_eq!(worker.join().unwrap(), [0_u8; 0]);
        assert_eq!(in_hand.ack(), Answered::Late);
    });
}

/// More workers block than the end sends entries to.
#[test]
fn p5_the_end_passes_from_one_blocked_worker_to_the_next() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let workers = [0; 3].map(|_| serve(engine.save_callbacks()));
        drop(engine);
        for worker in workers {
            assert_eq!(worker.join().unwrap(), [0_u8; 0]);
        }
    });
}

/// The deadline comes while a worker answers. What it is told is what the report says.
#[test]
fn p5_an_answer_counts_or_its_document_is_in_the_report() {
    for fails in [false, true] {
        check(move || {
            let (engine, clock) = engine(|config| config.retry_pauses([]));
            let save = save_in_hand(&engine, &clock);
            let answering = thread::spawn(move || if fails { save.fail() } else { save.ack() });
            let shutdown = engine.begin_shutdown(Duration::from_secs(1));
            clock.advance(Duration::from_secs(1));
            engine.tick();
            let report = shutdown.wait();
            let answered = answering.join().unwrap();
            let is_saved = answered == Answered::InTime && !fails;
            assert_eq!(keys_of(&report).len(), usize::from(!is_saved), "{answered:?}: {report:?}");
            let is_forgotten = answered == Answered::InTime && fails;
            assert_eq!(report.forgotten.len(), usize::from(is_forgotten), "{answered:?}: {report:?}");
        });
    }
}

/// The deadline comes while connections are still being closed.
#[test]
fn p5_a_change_is_refused_or_its_document_is_in_the_report() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let tab = open(&engine, "x", "a");
        let ticking = {
            let engine = engine.clone();
            thread::spawn(move || engine.tick())
        };
        let changing = thread::spawn(move || tab.change().is_ok());
        let report = engine.shutdown(Duration::ZERO);
        let _ = ticking.join().unwrap();
        let changed = changing.join().unwrap();
        assert_eq!(keys_of(&report).len(), usize::from(changed), "{report:?}");
    });
}

/// A time-out is run while the engine ends.
#[test]
fn p5_a_report_lists_a_document_once() {
    check(|| {
        let (engine, clock) =
            engine(|config| config.retry_pauses([]).ack_timeout(Some(Duration::from_secs(1))));
        let save = save_in_hand(&engine, &clock);
        let shutdown = engine.begin_shutdown(Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        let ticking = {
            let engine = engine.clone();
            thread::spawn(move || engine.tick())
        };
        engine.tick();
        let report = shutdown.wait();
        let _ = ticking.join().unwrap();
        assert_eq!(keys_of(&report), [key("x")], "{report:?}");
        assert_eq!(engine.forgotten(), report.forgotten);
        assert_eq!(save.ack(), Answered::Late);
    });
}

#[test]
fn p5_a_save_that_falls_due_goes_to_one_of_two_kinds_of_workers() {
    check(|| {
        let (engine, clock) = engine(|config| config.shards(2));
        let documents = documents_of_two_shards(&engine);
        for document in &documents {
            open(&engine, document, "a").change().unwrap();
        }
        let workers = [serve(engine.callbacks()), serve(engine.save_callbacks())];
        clock.advance(Duration::from_secs(10));
        engine.tick();
        drop(engine);
        let [all, saves] = workers.map(|worker| worker.join().unwrap());
        assert!(saves.iter().all(|status| *status == 2), "{saves:?}");
        let mut told: Vec<u8> = all.into_iter().chain(saves).collect();
        told.sort_unstable();
        assert_eq!(told, [1, 1, 2, 2]);
    });
}

/// A worker for saves alone blocks while a worker for all has the callback before the save. The save goes first when the
/// patience is over.
#[test]
fn p5_a_worker_for_saves_is_woken_for_a_save_that_supersedes() {
    check(|| {
        let (engine, clock) = engine(|config| config);
        open(&engine, "x", "a").change().unwrap();
        let joined = engine.callbacks().try_recv().unwrap();
        let saves = engine.save_callbacks();
        let saving = thread::spawn(move || saves.recv().unwrap().acked().status);
        clock.advance(Duration::from_secs(10));
        engine.tick();
        let answering = thread::spawn(move || joined.ack());
        clock.advance(Duration::from_secs(5));
        engine.tick();
        answering.join().unwrap();
        assert_eq!(saving.join().unwrap(), Status::Save);
        assert!(engine.unsaved().is_empty() && engine.callbacks().try_recv().is_err());
        engine.validate().unwrap();
    });
}

#[test]
fn two_shutdowns_at_one_time_are_one() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let worker = serve(engine.callbacks());
        let tab = open(&engine, "x", "a");
        tab.change().unwrap();
        let shutting_down = [20, 30].map(|seconds| {
            let engine = engine.clone();
            thread::spawn(move || engine.shutdown(Duration::from_secs(seconds)))
        });
        let reports = shutting_down.map(|thread| thread.join().unwrap());
        assert!(Arc::ptr_eq(&reports[0], &reports[1]), "both get the same report");
        assert!(reports[0].is_complete() && reports[0].saved == 1, "{reports:?}");
        assert_eq!(worker.join().unwrap(), [1, 2]);
        assert!(tab.change().is_err());
    });
}

/// With a clock that is not manual, the engine's thread does what is left after the last handle.
#[test]
fn p5_the_engines_own_thread_ends_it() {
    for timer in [true, false] {
        check(move || {
            let (engine, clock) = threaded_engine(|config| config.timer(timer));
            let worker = serve(engine.callbacks());
            let tab = open(&engine, "x", "a");
            tab.change().unwrap();
            let report = engine.callbacks();
            let other = thread::spawn(move || drop(tab));
            drop(engine);
            other.join().unwrap();
            let told = worker.join().unwrap();
            assert_eq!(told, [1, 2]);
            assert!(report.report().unwrap().is_complete());
            drop(clock);
        });
    }
}

/// A worker hangs with the answer to a question, and nothing is due: only the call itself wakes the engine's thread for the
/// deadline.
#[test]
fn p5_the_engines_own_thread_ends_it_at_the_deadline_while_a_worker_hangs() {
    check(|| {
        let (engine, clock) = threaded_engine(|config| config.ack_timeout(None));
        let _viewer = engine.open(&key("x"), &User::new("a").unwrap(), Access::View).unwrap();
        engine.info(&key("x"), None).unwrap();
        let in_hand = engine.callbacks().try_recv().unwrap();
        let shutdown = engine.begin_shutdown(Duration::from_secs(1));
        let waiting = thread::spawn(move || shuttle::future::block_on(shutdown.done()));
        clock.advance(1);
        assert!(waiting.join().unwrap().is_complete());
        assert_eq!(in_hand.ack(), Answered::Late);
    });
}

/// The same of a suspension.
#[test]
fn p5_the_engines_own_thread_ends_a_suspension_at_the_deadline_while_a_worker_hangs() {
    check(|| {
        let (engine, clock) = threaded_engine(|config| config.ack_timeout(None));
        let tab = open(&engine, "x", "a");
        let in_hand = engine.callbacks().try_recv().unwrap();
        let suspends = thread::spawn(move || engine.suspend(Duration::from_secs(1)));
        // It takes no calls from when it has begun.
        while tab.change().is_ok() {
            thread::yield_now();
        }
        clock.advance(1);
        assert_eq!(suspends.join().unwrap().documents(), 1);
        assert_eq!(in_hand.ack(), Answered::Late);
    });
}

/// Nobody takes callbacks. The engine's thread ends it at the deadline, and a task that waits for the report gets it.
#[test]
fn p5_a_task_that_waits_for_the_report_is_woken() {
    check(|| {
        let (engine, clock) = threaded_engine(|config| config);
        open(&engine, "x", "a").change().unwrap();
        let shutdown = engine.begin_shutdown(Duration::from_secs(1));
        let waiting = thread::spawn(move || shuttle::future::block_on(shutdown.done()));
        clock.advance(1);
        assert_eq!(keys_of(&waiting.join().unwrap()), [key("x")]);
    });
}

#[test]
fn p1_the_last_seat_of_a_user_goes_to_one_document() {
    check(|| {
        let (engine, _) = engine(|config| config.user_limit(Some(1)).shards(2));
        let editing = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = ["x", "y"]
            .map(|document| {
                let (engine, editing) = (engine.clone(), editing.clone());
                thread::spawn(move || {
                    let tab = open(&engine, document, "a");
                    let granted = tab.may_edit();
                    if granted {
                        assert_eq!(editing.fetch_add(1, Ordering::SeqCst), 0, "one user has two seats");
                        editing.fetch_sub(1, Ordering::SeqCst);
                    }
                    granted
                })
            })
            .into();
        engine.set_user_limit(Some(1)).unwrap();
        engine.validate().unwrap();
        let granted: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(granted.contains(&true), "both opens were refused while the seat was free");
        assert!(open(&engine, "z", "a").may_edit(), "the seat is free again");
        engine.validate().unwrap();
    });
}

/// A limit that is switched on counts the open connections, while others open and close.
#[test]
fn p1_a_limit_of_a_user_that_is_switched_on_counts_every_connection() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let open_tab = open(&engine, "x", "a");
        let visiting = {
            let engine = engine.clone();
            thread::spawn(move || drop(open(&engine, "y", "a")))
        };
        let switching = {
            let engine = engine.clone();
            thread::spawn(move || {
                engine.set_user_limit(Some(1)).unwrap();
                // The limit holds as soon as the call returned.
                open(&engine, "z", "a").may_edit()
            })
        };
        assert!(!switching.join().unwrap(), "two connections of one user edit under a limit of one");
        visiting.join().unwrap();
        engine.validate().unwrap();
        drop(open_tab);
        assert!(open(&engine, "z", "a").may_edit(), "no seat is counted twice");
        engine.set_user_limit(None).unwrap();
        engine.validate().unwrap();
    });
}

#[test]
fn p1_the_last_connection_under_the_maximum_goes_to_one_user() {
    check(|| {
        let (engine, _) = engine(|config| config.max_connections(Some(1)).shards(2));
        let connected = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = ["x", "y"]
            .map(|document| {
                let (engine, connected) = (engine.clone(), connected.clone());
                thread::spawn(move || {
                    let tab = engine.open(&key(document), &User::new(document).unwrap(), Access::View);
                    if tab.is_ok() {
                        assert_eq!(
                            connected.fetch_add(1, Ordering::SeqCst),
                            0,
                            "two connections are open under a maximum of one"
                        );
                        connected.fetch_sub(1, Ordering::SeqCst);
                    }
                    tab.is_ok()
                })
            })
            .into();
        engine.validate().unwrap();
        let granted = threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<bool>>();
        assert!(granted.contains(&true), "both opens failed below the maximum");
        assert_eq!(engine.limits().connections.in_use, 0);
        assert!(engine.open(&key("z"), &User::new("z").unwrap(), Access::Edit).is_ok());
        engine.validate().unwrap();
    });
}

/// After one open failed and while no connection closes, every later open fails in every shard.
#[test]
fn p1_a_maximum_that_is_switched_on_holds_for_all_documents_at_once() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let open_tab = open(&engine, "x", "a");
        let switching = {
            let engine = engine.clone();
            thread::spawn(move || {
                engine.set_max_connections(Some(2)).unwrap();
                engine.validate().unwrap();
            })
        };
        let try_open =
            |document: &str| engine.open(&key(document), &User::new("b").unwrap(), Access::View).ok();
        let mut opened = Vec::new();
        let mut failed_before = false;
        // Each shard has some of these documents.
        for document in ["r", "s", "t", "u", "v", "r", "s", "t", "u", "v"] {
            let tab = try_open(document);
            assert!(!(failed_before && tab.is_some()), "an open succeeded after another one failed");
            failed_before |= tab.is_none();
            opened.extend(tab);
        }
        switching.join().unwrap();
        assert!(try_open("z").is_none(), "the maximum holds as soon as the call returned");
        drop(opened);
        assert_eq!(engine.limits().connections.in_use, 1);
        engine.set_max_connections(None).unwrap();
        drop(open_tab);
        engine.validate().unwrap();
    });
}

#[test]
fn a_short_peak_is_in_the_usage() {
    check(|| {
        let (engine, _) =
            engine(|config| config.shards(16).edit_limit(Some(2)).warn_at(100).callbacks(false));
        let notices = engine.notices();
        let ann = open(&engine, "a", "ann");
        let other = engine.clone();
        let opening = thread::spawn(move || open(&other, "bcd", "ben"));
        drop(ann);
        let ben = opening.join().unwrap();
        let full = |notice| matches!(notice, Notice::Limit { level: LimitLevel::Warning, in_use: 2, .. });
        let both = notices.try_iter().any(full);
        let max = engine.usage().unwrap().hour.edit.max;
        assert!(!both || max == 2, "two edited at the same time, and the usage has a maximum of {max}");
        drop(ben);
    });
}

#[test]
fn a_refusal_during_a_close_does_not_leave_the_limit_reached() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(16).edit_limit(Some(1)).callbacks(false));
        let notices = engine.notices();
        let ann = open(&engine, "a", "ann");
        let other = engine.clone();
        let opening = thread::spawn(move || open(&other, "bcd", "ben"));
        drop(ann);
        let ben = opening.join().unwrap();
        if ben.may_edit() {
            return;
        }
        notices.try_iter().for_each(drop);
        let (cleo, dan) = (open(&engine, "c", "cleo"), open(&engine, "c", "dan"));
        assert!(cleo.may_edit() && !dan.may_edit());
        assert!(
            notices.try_recv().is_ok(),
            "one open was granted and one was refused, but no notice was sent"
        );
    });
}

/// Two threads cause notices while a third one subscribes. All subscriptions have the same order, and a later one misses
/// only a beginning.
#[test]
fn all_subscriptions_get_the_notices_in_one_order() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let documents = documents_of_two_shards(&engine);
        let first = engine.notices();
        let renaming = documents.clone().map(|document| {
            let engine = engine.clone();
            thread::spawn(move || {
                let tab = open(&engine, &document, "a");
                for title in ["one", "two"] {
                    engine.rename(&key(&document), title).unwrap();
                }
                drop(tab);
            })
        });
        let late = engine.notices();
        drop(engine.notices());
        for thread in renaming {
            thread.join().unwrap();
        }
        let [first, late] = [first, late].map(|notices| notices.try_iter().collect::<Vec<_>>());
        assert!(first.len() == 4 && first.ends_with(&late), "{first:?} and {late:?}");
    });
}

/// Checks that the last notice about the limit of edit access tells its level: a warning from 70 % on, clear ten points
/// below. Nobody was refused.
fn check_last_notice(engine: &Engine, notices: &Receiver<Notice>) {
    let coedit::Limit { limit, in_use } = engine.limits().edit;
    let mut last = (LimitLevel::Clear, limit);
    for notice in notices.try_iter() {
        if let Notice::Limit { level, limit, .. } = notice {
            last = (level, Some(limit));
        }
    }
    let limit = limit.unwrap();
    if in_use * 100 >= limit * 70 {
        assert_eq!(last, (LimitLevel::Warning, Some(limit)), "{in_use} of {limit}");
    } else if in_use * 100 <= limit * 60 {
        assert_eq!(last.0, LimitLevel::Clear, "{in_use} of {limit}");
    }
}

/// The fall below the level of clear and the rise to the warning meet.
#[test]
fn p1_a_close_that_meets_an_open_leaves_the_true_level() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(16).edit_limit(Some(10)).callbacks(false));
        let notices = engine.notices();
        let mut tabs: Vec<Connection> = (0..7).map(|n| open(&engine, "a", &format!("user-{n}"))).collect();
        let other = engine.clone();
        let opening = thread::spawn(move || open(&other, "bcd", "ben"));
        drop(tabs.pop());
        tabs.push(opening.join().unwrap());
        check_last_notice(&engine, &notices);
    });
}

/// The same for an open that is the first to reach the warning.
#[test]
fn p1_an_open_that_meets_a_close_leaves_the_true_level() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(16).edit_limit(Some(10)).callbacks(false));
        let notices = engine.notices();
        let mut tabs: Vec<Connection> = (0..6).map(|n| open(&engine, "a", &format!("user-{n}"))).collect();
        let other = engine.clone();
        let opening = thread::spawn(move || open(&other, "bcd", "ben"));
        drop(tabs.pop());
        tabs.push(opening.join().unwrap());
        check_last_notice(&engine, &notices);
    });
}

/// Two threads change the limit while a third one opens. Afterwards the level goes by the limit that is in force.
#[test]
fn p1_two_changes_of_a_limit_leave_the_level_of_the_one_that_holds() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(16).edit_limit(Some(4)).callbacks(false));
        let notices = engine.notices();
        let ann = open(&engine, "a", "ann");
        let changing = [2, 100].map(|limit| {
            let engine = engine.clone();
            thread::spawn(move || engine.set_edit_limit(Some(limit)).unwrap())
        });
        let ben = open(&engine, "bcd", "ben");
        for thread in changing {
            thread.join().unwrap();
        }
        let mut all: Vec<Notice> = Vec::new();
        let mut check_now = || {
            all.extend(notices.try_iter());
            let (sender, told) = crossbeam_channel::unbounded();
            all.iter().for_each(|notice| sender.send(notice.clone()).unwrap());
            check_last_notice(&engine, &told);
        };
        check_now();
        drop(ben);
        check_now();
        drop(ann);
        check_now();
    });
}
