//! The seams where threads meet, under a model checker that picks the interleavings:
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test interleavings`.
//!
//! `COEDIT_INTERLEAVINGS` sets how many a test; a failure prints the schedule, which `shuttle::replay` runs again.
#![cfg(shuttle)]

#[path = "support/settle.rs"]
mod settle;

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Config, Connection, DocumentKey, Engine, LimitLevel, ManualClock, Notice, Status, Timestamp,
    TryRecvError, User, UserId,
};
use settle::Settle;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Runner, thread};

/// Checks half of the interleavings at random, and half by priorities with few changes (PCT), which finds rarer bugs.
fn check(scenario: impl Fn() + Send + Sync + 'static) {
    let count =
        std::env::var("COEDIT_INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let scenario = Arc::new(scenario);
    let again = scenario.clone();
    let mut config = shuttle::Config::new();
    // An engine that is made without optimisation is copied about.
    config.stack_size = 1 << 17;
    Runner::new(RandomScheduler::new(count / 2), config.clone()).run(move || scenario());
    Runner::new(PctScheduler::new(3, count / 2), config).run(move || again());
}

/// One shard, so that a schedule is the same at every run whatever the keyed hash says.
fn engine(set: impl FnOnce(Config) -> Config) -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    (Engine::new(set(Config::new().shards(1)).clock(clock.clone())).unwrap(), clock)
}

fn key(text: &str) -> DocumentKey {
    DocumentKey::new(text).unwrap()
}

fn open(engine: &Engine, document: &str, user: &str) -> Connection {
    engine.open(&key(document), &User::new(user).unwrap(), Access::Edit).unwrap()
}

#[test]
fn p1_the_last_seat_goes_to_one() {
    check(|| {
        let (engine, _) = engine(|config| config.edit_limit(Some(1)));
        let editing = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = ["a", "b", "c"]
            .map(|user| {
                let (engine, editing) = (engine.clone(), editing.clone());
                thread::spawn(move || {
                    let connection = open(&engine, user, user);
                    let got_in = connection.may_edit();
                    if got_in {
                        assert_eq!(
                            editing.fetch_add(1, Ordering::SeqCst),
                            0,
                            "two edit under a limit of one"
                        );
                        editing.fetch_sub(1, Ordering::SeqCst);
                    }
                    drop(connection);
                    got_in
                })
            })
            .into();
        let got_in =
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|got_in| *got_in).count();
        assert!(got_in >= 1, "all were refused while the seat was free");
        assert!(open(&engine, "d", "d").may_edit(), "the seat is free again");
        engine.validate().unwrap();
    });
}

#[test]
fn p1_a_limit_that_falls_meanwhile_is_kept() {
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
        assert!(engine.limits().edit.in_use <= in_use_when_lowered, "nobody came in after the limit fell");
        drop((first, second));
        assert_eq!(engine.limits().edit.in_use, 0);
    });
}

#[test]
fn p4_a_document_is_with_one_worker_at_a_time_and_nothing_is_missed() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let in_hand = Arc::new(AtomicUsize::new(0));
        let editors = Arc::new(Mutex::new(Vec::<UserId>::new()));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (callbacks, in_hand, editors) = (engine.callbacks(), in_hand.clone(), editors.clone());
                thread::spawn(move || {
                    for delivery in callbacks.iter() {
                        assert_eq!(in_hand.fetch_add(1, Ordering::SeqCst), 0, "two have it in hand");
                        let told = delivery.callback().users.clone().unwrap_or_default();
                        *editors.lock().unwrap() = told;
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
        let stays = open(&engine, "x", "a");
        other.join().unwrap();
        let _ = engine.info(&key("x"), None);
        drop((stays, engine));
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(editors.lock().unwrap().is_empty(), "the last that was told: nobody");
    });
}

#[test]
fn p5_a_failed_save_is_handed_out_again_while_others_end() {
    check(|| {
        let (engine, _) = engine(|config| config.retry_pauses([Duration::from_secs(1)]));
        let (failed, saved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (callbacks, failed, saved) = (engine.callbacks(), failed.clone(), saved.clone());
                thread::spawn(move || {
                    for delivery in callbacks.iter() {
                        if delivery.callback().status != Status::Save {
                            delivery.acked();
                        } else if !failed.swap(true, Ordering::SeqCst) {
                            drop(delivery);
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
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let (callbacks, notices) = (engine.callbacks(), engine.notices());
                [
                    thread::spawn(move || while callbacks.recv().map(|delivery| delivery.acked()).is_ok() {}),
                    thread::spawn(move || while notices.recv().is_ok() {}),
                ]
            })
            .flatten()
            .collect();
        let other = engine.clone();
        let handles =
            [thread::spawn(move || drop(open(&other, "x", "a"))), thread::spawn(move || drop(engine))];
        for thread in waiting.into_iter().chain(handles) {
            thread.join().unwrap();
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
            assert!(!(after && tab.change().is_ok()), "accepted after the drop returned");
        }
        dropping.join().unwrap();
        assert!(tab.change().is_err());
        engine.validate().unwrap();
    });
}

/// A host that must not block: it takes until nothing is there, and then waits for the hook.
#[test]
fn the_hook_misses_nothing() {
    check(|| {
        let signal = Arc::new((Mutex::new(false), Condvar::new()));
        let hook = signal.clone();
        let (engine, _) = engine(|config| {
            config.on_callbacks(move || {
                *hook.0.lock().unwrap() = true;
                hook.1.notify_all();
            })
        });
        let callbacks = engine.callbacks();
        let host = thread::spawn(move || {
            let mut seen = 0;
            loop {
                match callbacks.try_recv() {
                    Ok(delivery) => {
                        delivery.acked();
                        seen += 1;
                    }
                    Err(TryRecvError::Disconnected) => return seen,
                    Err(TryRecvError::Empty) => {
                        let mut woken = signal.0.lock().unwrap();
                        while !*woken {
                            woken = signal.1.wait(woken).unwrap();
                        }
                        *woken = false;
                    }
                }
            }
        });
        let opening: Vec<_> = ["x", "y"]
            .map(|document| {
                let engine = engine.clone();
                thread::spawn(move || drop(open(&engine, document, "a")))
            })
            .into();
        drop(engine);
        for thread in opening {
            thread.join().unwrap();
        }
        assert_eq!(host.join().unwrap(), 4, "each came and went");
    });
}

/// A document of either shard, where there are two, by key. The storage has heard of neither.
fn documents_of_two_shards(engine: &Engine) -> [String; 2] {
    // The lowest bits of a connection's place are its shard.
    let shard = |document: &String| open(engine, document, "nobody").id().to_bits() & 1;
    let names = || ('a'..='z').map(String::from);
    let first = names().next().unwrap();
    let other = names().find(|name| shard(name) != shard(&first)).unwrap();
    engine.callbacks().try_iter().for_each(|delivery| drop(delivery.acked()));
    [first, other]
}

/// Two workers, each of which keeps its first callback in hand until the other has one too: whoever is not woken is missed.
/// Which documents they had, by key.
fn workers_who_wait_for_each_other(engine: &Engine) -> [thread::JoinHandle<DocumentKey>; 2] {
    let in_hand = Arc::new((Mutex::new(0), Condvar::new()));
    [(); 2].map(|()| {
        let (callbacks, in_hand) = (engine.callbacks(), in_hand.clone());
        thread::spawn(move || {
            let delivery = callbacks.recv().unwrap();
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

fn all_sorted<T: Ord>(threads: [thread::JoinHandle<T>; 2]) -> [T; 2] {
    let mut results = threads.map(|thread| thread.join().unwrap());
    results.sort();
    results
}

#[test]
fn as_many_workers_are_woken_as_documents_have_something_to_tell() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let documents = documents_of_two_shards(&engine);
        let workers = workers_who_wait_for_each_other(&engine);
        let editors = documents.clone().map(|document| {
            let engine = engine.clone();
            thread::spawn(move || open(&engine, &document, "a").into_id())
        });
        assert_eq!(all_sorted(workers), documents.map(|document| key(&document)));
        all_sorted(editors);
        engine.validate().unwrap();
    });
}

#[test]
fn as_many_workers_are_woken_as_saves_fall_due_at_once() {
    check(|| {
        let (engine, clock) = engine(|config| config.shards(2).save_delay(Duration::from_secs(10)));
        let documents = documents_of_two_shards(&engine);
        for document in &documents {
            open(&engine, document, "a").change().unwrap();
        }
        engine.callbacks().try_iter().for_each(|delivery| drop(delivery.acked()));
        let workers = workers_who_wait_for_each_other(&engine);
        clock.advance(Duration::from_secs(10));
        engine.tick();
        assert_eq!(all_sorted(workers), documents.map(|document| key(&document)));
        engine.validate().unwrap();
    });
}

/// Workers that block, editors in two shards who come and go, a save that falls due, and the end of the engine.
#[test]
fn p5_workers_that_block_hear_all_of_every_shard_up_to_the_end() {
    check(|| {
        let (engine, clock) = engine(|config| config.shards(2).save_delay(Duration::from_secs(10)));
        let documents = documents_of_two_shards(&engine);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (callbacks, heard) = (engine.callbacks(), heard.clone());
                thread::spawn(move || {
                    while let Ok(delivery) = callbacks.recv() {
                        let callback = delivery.callback();
                        heard.lock().unwrap().push((callback.key.clone(), callback.status.number()));
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
        let heard = heard.lock().unwrap();
        for document in documents {
            let of_document = heard.iter().filter(|(key, _)| *key == document.as_str());
            assert_eq!(of_document.map(|(_, status)| *status).collect::<Vec<_>>(), [1, 2]);
        }
        assert_eq!(heard.len(), 4);
    });
}

/// One worker only looks, as often as it likes, and takes what it finds; the other blocks. Neither takes the other's call.
#[test]
fn a_worker_that_waits_no_longer_takes_nobodys_wake_up() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let documents = documents_of_two_shards(&engine);
        let blocks = {
            let callbacks = engine.callbacks();
            thread::spawn(move || callbacks.iter().map(|delivery| delivery.acked()).count())
        };
        let looks = {
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
        let looked = looks.join().unwrap();
        assert!(looked <= 2);
        assert!(tabs.iter().all(|tab| engine.may_edit(*tab)));
        drop(engine);
        assert_eq!(looked + blocks.join().unwrap(), 4, "two came, and went at the end");
    });
}

/// The same host that must not block, but with editors in two shards; what it takes is what it settles.
#[test]
fn the_hook_misses_nothing_of_two_shards() {
    check(|| {
        let signal = Arc::new((Mutex::new(false), Condvar::new()));
        let hook = signal.clone();
        let (engine, _) = engine(|config| {
            config.shards(2).on_callbacks(move || {
                *hook.0.lock().unwrap() = true;
                hook.1.notify_all();
            })
        });
        let documents = documents_of_two_shards(&engine);
        let callbacks = engine.callbacks();
        let host = thread::spawn(move || {
            let mut came = Vec::new();
            // Nobody leaves: what is not heard of now is not made good by the end.
            while came.len() < 4 {
                match callbacks.try_recv() {
                    Ok(delivery) => came.push(delivery.acked().key.clone()),
                    Err(nothing) => {
                        assert_eq!(nothing, TryRecvError::Empty);
                        let mut woken = signal.0.lock().unwrap();
                        while !*woken {
                            woken = signal.1.wait(woken).unwrap();
                        }
                        *woken = false;
                    }
                }
            }
            came
        });
        let editors = documents.clone().map(|document| {
            let engine = engine.clone();
            thread::spawn(move || ["a", "b"].map(|user| open(&engine, &document, user).into_id()))
        });
        let mut came = host.join().unwrap();
        came.sort();
        let [one, other] = documents.map(|document| key(&document));
        assert_eq!(came, [one.clone(), one, other.clone(), other]);
        for editor in editors {
            editor.join().unwrap();
        }
        engine.validate().unwrap();
    });
}

/// The timer sleeps without a deadline when the save delay of the only document begins.
#[test]
fn the_timer_is_woken_for_a_new_deadline() {
    check(|| {
        let (engine, clock) = engine(|config| config.save_delay(Duration::from_secs(10)));
        let timer = engine.spawn_timer().unwrap();
        let callbacks = engine.callbacks();
        let tab = open(&engine, "x", "a");
        tab.change().unwrap();
        callbacks.recv().unwrap().acked();
        let closing = thread::spawn(move || drop(tab));
        closing.join().unwrap();
        clock.advance(Duration::from_secs(10));
        assert_eq!(callbacks.recv().unwrap().acked().status, Status::Save);
        drop(timer);
        engine.validate().unwrap();
    });
}

#[test]
fn p1_a_users_last_seat_goes_to_one_of_its_documents() {
    check(|| {
        let (engine, _) = engine(|config| config.user_limit(Some(1)).shards(2));
        let editing = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = ["x", "y"]
            .map(|document| {
                let (engine, editing) = (engine.clone(), editing.clone());
                thread::spawn(move || {
                    let tab = open(&engine, document, "a");
                    let got_in = tab.may_edit();
                    if got_in {
                        assert_eq!(editing.fetch_add(1, Ordering::SeqCst), 0, "one user edits twice");
                        editing.fetch_sub(1, Ordering::SeqCst);
                    }
                    got_in
                })
            })
            .into();
        engine.set_user_limit(Some(1)).unwrap();
        engine.validate().unwrap();
        let got_in: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(got_in.contains(&true), "both were refused while the seat was free");
        assert!(open(&engine, "z", "a").may_edit(), "the seat is free again");
        engine.validate().unwrap();
    });
}

/// Who is in when a limit is switched on is counted, whoever comes and goes meanwhile.
#[test]
fn p1_a_limit_of_a_user_that_is_switched_on_counts_everybody() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let stays = open(&engine, "x", "a");
        let passes = {
            let engine = engine.clone();
            thread::spawn(move || drop(open(&engine, "y", "a")))
        };
        let switching = {
            let engine = engine.clone();
            thread::spawn(move || {
                engine.set_user_limit(Some(1)).unwrap();
                // It holds since the call returned.
                open(&engine, "z", "a").may_edit()
            })
        };
        assert!(!switching.join().unwrap(), "two of one user under a limit of one");
        passes.join().unwrap();
        engine.validate().unwrap();
        drop(stays);
        assert!(open(&engine, "z", "a").may_edit(), "nothing is counted twice");
        engine.set_user_limit(None).unwrap();
        engine.validate().unwrap();
    });
}

#[test]
fn p1_the_last_place_under_a_cap_goes_to_one() {
    check(|| {
        let (engine, _) = engine(|config| config.max_connections(Some(1)).shards(2));
        let inside = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = ["x", "y"]
            .map(|document| {
                let (engine, inside) = (engine.clone(), inside.clone());
                thread::spawn(move || {
                    let tab = engine.open(&key(document), &User::new(document).unwrap(), Access::View);
                    if tab.is_ok() {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two are in under a cap of one");
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                    tab.is_ok()
                })
            })
            .into();
        engine.validate().unwrap();
        let got_in = threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<bool>>();
        assert!(got_in.contains(&true), "both were turned away while there was room");
        assert_eq!(engine.limits().connections.in_use, 0);
        assert!(engine.open(&key("z"), &User::new("z").unwrap(), Access::Edit).is_ok());
        engine.validate().unwrap();
    });
}

/// Once one was turned away, with nobody going, nobody gets in: whatever the shards have counted by then.
#[test]
fn p1_a_cap_that_is_switched_on_holds_for_all_documents_at_once() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(2));
        let stays = open(&engine, "x", "a");
        let switching = {
            let engine = engine.clone();
            thread::spawn(move || {
                engine.set_max_connections(Some(2)).unwrap();
                engine.validate().unwrap();
            })
        };
        let try_open =
            |document: &str| engine.open(&key(document), &User::new("b").unwrap(), Access::View).ok();
        let mut came = Vec::new();
        let mut turned_away = false;
        // Some of them are in each shard.
        for document in ["r", "s", "t", "u", "v", "r", "s", "t", "u", "v"] {
            let tab = try_open(document);
            assert!(!(turned_away && tab.is_some()), "let in after another was turned away");
            turned_away |= tab.is_none();
            came.extend(tab);
        }
        switching.join().unwrap();
        assert!(try_open("z").is_none(), "it holds since the call returned");
        drop(came);
        assert_eq!(engine.limits().connections.in_use, 1);
        engine.set_max_connections(None).unwrap();
        drop(stays);
        engine.validate().unwrap();
    });
}

#[test]
fn a_peak_of_a_moment_is_in_the_usage() {
    check(|| {
        let (engine, _) =
            engine(|config| config.shards(16).edit_limit(Some(2)).warn_at(100).callbacks(false));
        let notices = engine.notices();
        let ann = open(&engine, "a", "ann");
        let other = engine.clone();
        let coming = thread::spawn(move || open(&other, "bcd", "ben"));
        drop(ann);
        let ben = coming.join().unwrap();
        let full = |notice| matches!(notice, Notice::Limit { level: LimitLevel::Warning, in_use: 2, .. });
        let both = notices.try_iter().any(full);
        let most = engine.usage().unwrap().hour.edit.max;
        assert!(!both || most == 2, "two edited at one time, and the usage knows {most}");
        drop(ben);
    });
}

#[test]
fn a_refusal_that_meets_a_close_leaves_no_limit_reached() {
    check(|| {
        let (engine, _) = engine(|config| config.shards(16).edit_limit(Some(1)).callbacks(false));
        let notices = engine.notices();
        let ann = open(&engine, "a", "ann");
        let other = engine.clone();
        let coming = thread::spawn(move || open(&other, "bcd", "ben"));
        drop(ann);
        let ben = coming.join().unwrap();
        if ben.may_edit() {
            return;
        }
        notices.try_iter().for_each(drop);
        let (cleo, dan) = (open(&engine, "c", "cleo"), open(&engine, "c", "dan"));
        assert!(cleo.may_edit() && !dan.may_edit());
        assert!(notices.try_recv().is_ok(), "one more is in, one was refused, and nothing was said");
    });
}

/// One call that has several notices wakes as many receivers as there are notices.
#[test]
fn as_many_receivers_are_woken_as_a_call_has_notices() {
    check(|| {
        let (engine, _) = engine(|config| config);
        let heard = Arc::new((Mutex::new(0), Condvar::new()));
        let receivers = [(); 2].map(|()| {
            let (notices, heard) = (engine.notices(), heard.clone());
            thread::spawn(move || {
                notices.recv().unwrap();
                let mut count = heard.0.lock().unwrap();
                *count += 1;
                heard.1.notify_all();
                while *count < 2 {
                    count = heard.1.wait(count).unwrap();
                }
            })
        });
        let tabs = ["a", "b"].map(|user| open(&engine, "x", user));
        engine.drop_all(&key("x")).unwrap();
        for receiver in receivers {
            receiver.join().unwrap();
        }
        drop(tabs);
    });
}
