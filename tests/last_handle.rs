//! The end by the last handle, wherever it is dropped: in a worker, on the timer's thread, beside other threads.
mod support;
use support::story::*;
use support::*;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use coedit::{
    Access, Answered, Callbacks, Clock, Config, Delivery, Engine, ManualClock, OpenError, RecvError, Status,
    Timestamp, TryRecvError,
};

/// Runs `act` on a thread of its own. A deadlock fails the test and does not hang it.
fn without_deadlock<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = channel();
    let thread = thread::spawn(move || {
        let result = act();
        let _ = done.send(());
        result
    });
    assert_ne!(finished.recv_timeout(seconds(60)), Err(RecvTimeoutError::Timeout), "deadlock");
    thread.join().unwrap()
}

/// An engine in which ann has changed `doc`, and nobody has taken anything. She is a handle.
fn changed() -> (World, coedit::Connection) {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    (world, ann)
}

/// Takes and acknowledges every callback until the engine has ended.
fn all(callbacks: &Callbacks) -> Vec<String> {
    callbacks.iter().map(|delivery| summary(&delivery.acked())).collect()
}

const TOLD: [&str; 2] = ["1 +ann [ann]", "2 -ann [ann]"];

// Where it is dropped

#[test]
fn in_a_worker_that_has_a_delivery_in_hand() {
    let (report, told) = without_deadlock(|| {
        let (World { engine, callbacks, .. }, ann) = changed();
        let mut handles = Some((engine, ann));
        let told = callbacks.iter().map(|delivery| {
            drop(handles.take());
            summary(&delivery.acked())
        });
        let told: Vec<String> = told.collect();
        (callbacks.report().unwrap(), told)
    });
    assert_eq!((told, report.saved, report.is_complete()), (TOLD.map(String::from).to_vec(), 1, true));
}

#[test]
fn in_a_worker_that_has_the_save_in_hand() {
    let told = without_deadlock(|| {
        let (World { engine, callbacks, clock, .. }, ann) = changed();
        drop(ann);
        callbacks.recv().unwrap().ack();
        clock.advance(seconds(10));
        engine.tick();
        let save = callbacks.recv().unwrap();
        drop(engine);
        assert_eq!((save.attempt(), save.ack()), (1, Answered::InTime));
        all(&callbacks)
    });
    assert!(told.is_empty());
}

#[test]
fn in_a_worker_that_panics_with_a_delivery_in_hand() {
    let told = without_deadlock(|| {
        let (World { engine, callbacks, .. }, ann) = changed();
        let worker = callbacks.clone();
        let panics = thread::spawn(move || {
            // The handles are dropped first.
            let (_in_hand, _handles) = (worker.recv().unwrap(), (engine, ann));
            std::panic::resume_unwind(Box::new("the worker panics"));
        });
        assert!(panics.join().is_err());
        all(&callbacks)
    });
    assert_eq!(told, ["2 -ann [ann]"], "the save is due, so it does not wait for the join that failed");
}

/// A clock that holds the last handle, and drops it when it is read on a thread that `drops` picks. It jumps a second at
/// every read.
struct HoldingClock {
    time: AtomicU64,
    handle: Mutex<Option<Engine>>,
    drops: fn() -> bool,
    is_manual: bool,
}

impl HoldingClock {
    fn new(drops: fn() -> bool, is_manual: bool) -> Arc<Self> {
        Arc::new(HoldingClock { time: AtomicU64::new(START), handle: Mutex::default(), drops, is_manual })
    }

    fn hold(&self, engine: Engine) {
        *self.handle.lock().unwrap() = Some(engine);
    }
}

impl Clock for HoldingClock {
    fn now(&self) -> Timestamp {
        let handle = (self.drops)().then(|| self.handle.lock().unwrap().take());
        drop(handle);
        Timestamp::from_millis(self.time.fetch_add(1_000, Ordering::SeqCst))
    }

    fn is_manual(&self) -> bool {
        self.is_manual
    }
}

fn is_timer() -> bool {
    thread::current().name() == Some("coedit-timer")
}

/// Nothing runs out, although the clock jumps.
fn for_long(config: Config) -> Config {
    let long = seconds(30 * 24 * 3_600);
    config.shards(4).ack_timeout(None).drop_deadline(long).save_patience(long)
}

#[test]
fn on_the_thread_of_the_timer() {
    let told = without_deadlock(|| {
        let clock = HoldingClock::new(is_timer, false);
        let engine = Engine::new(for_long(Config::new()).clock(clock.clone())).unwrap();
        let callbacks = engine.callbacks();
        engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
        clock.hold(engine);
        all(&callbacks)
    });
    assert_eq!(told, TOLD);
}

#[test]
fn in_a_clock_that_a_receiver_reads() {
    let told = without_deadlock(|| {
        let clock = HoldingClock::new(|| true, true);
        let engine = Engine::new(for_long(Config::new()).clock(clock.clone())).unwrap();
        let callbacks = engine.callbacks();
        engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
        clock.hold(engine);
        all(&callbacks)
    });
    assert_eq!(told, TOLD);
}

#[test]
fn in_a_clock_that_a_call_of_the_last_connection_reads() {
    let told = without_deadlock(|| {
        let clock = HoldingClock::new(|| true, true);
        let engine = Engine::new(for_long(Config::new()).clock(clock.clone())).unwrap();
        let callbacks = engine.callbacks();
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        clock.hold(engine);
        ann.change().unwrap();
        ann.close();
        all(&callbacks)
    });
    assert_eq!(told, TOLD);
}

#[test]
fn beside_a_thread_that_opens_and_closes() {
    for round in 0..40 {
        let told = without_deadlock(move || {
            let World { engine, callbacks, .. } = World::plain();
            let start = Arc::new(Barrier::new(3));
            let others: Vec<_> = (0..2)
                .map(|number| (engine.clone(), start.clone(), number))
                .map(|(engine, start, number)| {
                    thread::spawn(move || {
                        start.wait();
                        for n in 0..round {
                            let open = engine.open(
                                &key(&format!("doc-{n}")),
                                &user(&format!("user-{number}")),
                                Access::Edit,
                            );
                            open.unwrap().change().unwrap();
                        }
                    })
                })
                .collect();
            start.wait();
            drop(engine);
            for other in others {
                other.join().unwrap();
            }
            let saves = callbacks.iter().map(|delivery| delivery.acked().status);
            let count = saves.filter(|status| *status == Status::Save).count();
            assert!(callbacks.report().unwrap().is_complete());
            count
        });
        assert_eq!(told, round, "a save for each document");
    }
}

#[test]
fn beside_a_thread_that_shuts_down() {
    for _ in 0..100 {
        without_deadlock(|| {
            let (World { engine, callbacks, .. }, ann) = changed();
            let (other, start) = (engine.clone(), Arc::new(Barrier::new(3)));
            let starts = [(); 2].map(|()| start.clone());
            let [first, second] = starts;
            let shuts_down = thread::spawn(move || {
                first.wait();
                other.shutdown(seconds(30))
            });
            let drops = thread::spawn(move || {
                second.wait();
                drop((engine, ann));
            });
            start.wait();
            let told = all(&callbacks);
            drops.join().unwrap();
            let report = shuts_down.join().unwrap();
            assert_eq!((told.last().map(String::as_str), report.saved), (Some("2 -ann [ann]"), 1));
            assert!(callbacks.report().is_some_and(|own| Arc::ptr_eq(&own, &report)));
        });
    }
}

#[test]
fn beside_a_worker_that_settles_the_last_callback() {
    for _ in 0..200 {
        without_deadlock(|| {
            let world = World::plain();
            let ann = world.edit("doc", "ann");
            let in_hand = world.take();
            let World { engine, callbacks, .. } = world;
            let start = Arc::new(Barrier::new(2));
            let other = start.clone();
            let settles = thread::spawn(move || {
                other.wait();
                in_hand.ack()
            });
            start.wait();
            drop((ann, engine));
            assert_eq!(all(&callbacks), ["4 -ann"]);
            settles.join().unwrap();
        });
    }
}

// What follows

#[test]
fn p5_a_storage_that_is_away_for_two_seconds_at_the_end_still_gets_the_save() {
    let (World { engine, callbacks, clock, .. }, ann) = changed();
    drop((ann, engine));
    let (mut tries, mut saved) = (0, false);
    loop {
        match callbacks.try_recv() {
            Ok(delivery) => {
                tries += 1;
                let is_back = clock.now() >= at(2_000);
                if is_back {
                    saved |= delivery.acked().status == Status::Save;
                } else {
                    drop(delivery.failed());
                }
            }
            Err(TryRecvError::Empty) => clock.advance(Duration::from_millis(100)),
            Err(TryRecvError::Disconnected) => break,
        }
    }
    assert!(saved, "{tries} tries until {}", clock.now());
    assert_eq!((tries, clock.now()), (4, at(3_000)), "the join, and the save after 0, 1 and 3 seconds");
}

#[test]
fn p5_no_worker_ends_while_another_has_a_save_in_hand() {
    let world = World::plain();
    let save = world.take_save();
    let World { engine, callbacks, clock, .. } = world;
    let other = callbacks.clone();
    drop(engine);
    for callbacks in [&other, &callbacks] {
        assert_eq!(callbacks.try_recv().unwrap_err(), TryRecvError::Empty);
    }
    save.fail();
    assert_eq!(other.try_recv().unwrap_err(), TryRecvError::Empty, "it waits for its next attempt");
    clock.advance(seconds(1));
    let again = other.try_recv().unwrap();
    assert_eq!(callbacks.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(again.ack(), Answered::InTime);
    assert_eq!(callbacks.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

/// The same with workers that wait: the second one gets what the first one could not save.
#[test]
fn p5_a_worker_that_waits_gets_the_save_that_another_could_not_make() {
    let told = without_deadlock(|| {
        let world = World::new(|config| config.retry_pauses([Duration::ZERO]));
        let save = world.take_save();
        let World { engine, callbacks, .. } = world;
        drop(engine);
        let waits = thread::spawn(move || all(&callbacks));
        save.fail();
        waits.join().unwrap()
    });
    assert_eq!(told, ["2 -ann [ann]"]);
}

#[test]
fn p5_when_its_deadline_comes_the_receivers_end_and_name_what_is_not_saved() {
    for leaked in [true, false] {
        let world = World::new(|config| config.drop_deadline(seconds(5)));
        let mut save = Some(world.take_save());
        if leaked {
            std::mem::forget(save.take());
        }
        let World { engine, callbacks, clock, notices } = world;
        drop(engine);
        clock.advance(Duration::from_millis(4_999));
        assert_eq!((callbacks.try_recv().unwrap_err(), callbacks.report()), (TryRecvError::Empty, None));
        clock.advance(Duration::from_millis(1));
        assert_eq!(callbacks.recv().unwrap_err(), RecvError);
        let report = callbacks.report().unwrap();
        assert_eq!((report.saved, report.unsaved.len(), report.unsaved[0].key.as_str()), (0, 1, "doc"));
        assert!(notices.try_iter().count() == 0 && notices.recv().is_err());
        assert!(save.is_none_or(|save| save.ack() == Answered::Late));
    }
}

#[test]
fn a_receiver_that_waits_runs_what_is_due_by_a_manual_clock() {
    without_deadlock(|| {
        let world = World::plain();
        world.take_save().fail();
        let World { engine, callbacks, clock, .. } = world;
        drop(engine);
        // It is tried at once, since the end has begun, and after the pause.
        callbacks.recv().unwrap().fail();
        let waits = thread::spawn(move || all(&callbacks));
        clock.advance(seconds(1));
        assert_eq!(waits.join().unwrap(), ["2 -ann [ann]"]);
    });
}

/// Receivers that wait when the last handle is dropped run what is due from then on.
#[test]
fn p5_receivers_that_wait_already_end_at_the_deadline() {
    for _ in 0..50 {
        without_deadlock(|| {
            let world = World::plain();
            let save = world.take_save();
            let waits: Vec<_> = [world.engine.callbacks(), world.engine.save_callbacks()]
                .map(|callbacks| thread::spawn(move || all(&callbacks)))
                .into();
            let World { engine, clock, .. } = world;
            drop(engine);
            clock.advance(seconds(30));
            assert!(waits.into_iter().all(|waits| waits.join().unwrap().is_empty()));
            assert_eq!(save.ack(), Answered::Late);
        });
    }
}

#[test]
fn a_connection_that_is_left_keeps_the_engine() {
    let (World { engine, callbacks, .. }, ann) = changed();
    drop(engine);
    assert!(ann.change().is_ok() && callbacks.report().is_none());
    drop(ann);
    assert_eq!(all(&callbacks), TOLD);
}

#[test]
fn bare_connections_are_closed() {
    let (World { engine, callbacks, notices, .. }, ann) = changed();
    let _bare = ann.into_id();
    drop(engine);
    assert_eq!(all(&callbacks), TOLD);
    assert_eq!(notices.iter().count(), 2, "the connection ended, and the document is saved");
}

#[test]
fn a_host_that_keeps_only_a_shutdown_has_no_handle() {
    let (World { engine, callbacks, .. }, ann) = changed();
    let shutdown = engine.begin_shutdown(seconds(30));
    assert_eq!(engine.open(&key("doc"), &user("ben"), Access::View).unwrap_err(), OpenError::ShutDown);
    drop((ann, engine));
    assert_eq!(all(&callbacks), TOLD);
    assert_eq!(shutdown.wait().saved, 1);
}

// The timer

/// The drop returns at once, and a thread begins the end: it needs no tick, also where the host had switched the timer off.
#[test]
fn a_thread_runs_what_is_due_after_the_last_handle() {
    for timer in [true, false] {
        let told = without_deadlock(move || {
            let clock = HoldingClock::new(|| false, false);
            let config = for_long(Config::new()).timer(timer).retry_pauses([Duration::from_millis(500); 5]);
            let engine = Engine::new(config.clock(clock)).unwrap();
            let callbacks = engine.callbacks();
            engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap().change().unwrap();
            drop(engine);
            let mut told = Vec::new();
            while let Ok(delivery) = callbacks.recv() {
                told.push(delivery.callback().status.number());
                // The join is acknowledged, and the save fails twice.
                if (2..4).contains(&told.len()) {
                    delivery.fail()
                } else {
                    delivery.ack()
                };
            }
            told
        });
        assert_eq!(told, [1, 2, 2, 2], "timer {timer}");
    }
}

/// Uses the system clock.
#[test]
fn in_real_time_the_deadline_ends_what_a_leaked_delivery_holds_up() {
    for timer in [true, false] {
        let config = Config::new().drop_deadline(Duration::from_millis(20)).timer(timer);
        let engine = Engine::new(config).unwrap();
        let callbacks = engine.callbacks();
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        ann.change().unwrap();
        callbacks.recv().unwrap().ack();
        engine.drop_all(&key("doc")).unwrap();
        std::mem::forget(callbacks.recv().unwrap());
        drop((ann, engine));
        assert_eq!(callbacks.recv().unwrap_err(), RecvError);
        assert_eq!(callbacks.report().unwrap().unsaved.len(), 1);
    }
}

/// A clock that panics when the timer's thread reads it.
struct PanickingClock(ManualClock);

impl Clock for PanickingClock {
    fn now(&self) -> Timestamp {
        if is_timer() {
            std::panic::resume_unwind(Box::new("the clock panics"));
        }
        self.0.now()
    }
}

#[test]
fn p5_when_the_clock_panics_in_the_timer_the_receivers_run_what_is_due() {
    let told = without_deadlock(|| {
        let clock = Arc::new(PanickingClock(ManualClock::new(at(0))));
        let engine = Engine::new(Config::new().clock(clock.clone())).unwrap();
        let callbacks = engine.callbacks();
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        ann.change().unwrap();
        callbacks.recv().unwrap().ack();
        drop(ann);
        clock.0.advance(seconds(10));
        callbacks.recv().map(Delivery::fail).unwrap();
        // The thread that is started for the end panics too.
        drop(engine);
        clock.0.advance(seconds(2));
        all(&callbacks)
    });
    assert_eq!(told, ["2 -ann [ann]"]);
}

/// The same, and time passes whenever another thread looks.
struct PanickingAndPassingClock(PanickingClock);

impl Clock for PanickingAndPassingClock {
    fn now(&self) -> Timestamp {
        let now = self.0.now();
        self.0.0.advance(Duration::from_millis(100));
        now
    }
}

/// Nobody takes callbacks, and the timer's thread is gone: whoever waits for the report runs what is due, again and again.
#[test]
fn p5_when_the_clock_panics_in_the_timer_whoever_waits_for_the_end_runs_it() {
    let report = without_deadlock(|| {
        let clock = PanickingAndPassingClock(PanickingClock(ManualClock::new(at(0))));
        let engine = Engine::new(Config::new().clock(Arc::new(clock))).unwrap();
        let _callbacks = engine.callbacks();
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        ann.change().unwrap();
        engine.shutdown(seconds(30))
    });
    assert_eq!(report.unsaved.len(), 1);
}
