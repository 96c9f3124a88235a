//! The ways to wait for callbacks and notices: `next().await`, the doorbell for `select!`, and subscriptions.
#![cfg(feature = "async")]

mod support;
use support::*;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use coedit::{
    Access, Bounds, Callbacks, Clock, Connection, Delivery, Notice, Status, Timestamp, TryRecvError,
};
use crossbeam_channel::{Receiver, never, select};

type Next<'a> = Pin<Box<dyn Future<Output = Option<Delivery>> + Send + 'a>>;

/// Wakes a task by unparking its thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task that waits for a callback and that the test polls.
struct Task<'a> {
    next: Next<'a>,
    wakes: Arc<Wakes>,
}

impl<'a> Task<'a> {
    /// Starts to wait. Nothing can be taken yet.
    fn waiting(callbacks: &'a Callbacks) -> Self {
        let mut task = Task { next: Box::pin(callbacks.next()), wakes: Arc::default() };
        assert!(task.poll().is_pending());
        task
    }

    fn poll(&mut self) -> Poll<Option<Delivery>> {
        self.next.as_mut().poll(&mut Context::from_waker(&Waker::from(self.wakes.clone())))
    }

    fn is_woken(&self) -> bool {
        self.wakes.0.load(Ordering::SeqCst) > 0
    }

    /// Returns the key of the document that it got, once it is woken.
    fn acked_key(mut self) -> String {
        assert!(self.is_woken());
        match self.poll() {
            Poll::Ready(Some(delivery)) => delivery.acked().key.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn key_of(delivery: &Delivery) -> String {
    delivery.callback().key.to_string()
}

// Tasks

#[test]
fn a_task_that_waits_is_woken_for_a_callback_and_for_the_end() {
    let World { engine, callbacks, .. } = World::plain();
    let (sender, keys) = mpsc::channel();
    let task = thread::spawn(move || {
        block_on(async {
            while let Some(delivery) = callbacks.next().await {
                sender.send(summary(&delivery.acked())).unwrap();
            }
        });
    });
    for _ in 0..100 {
        let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
        assert_eq!(keys.recv().unwrap(), "1 +ann [ann]");
        drop(ann);
        assert_eq!(keys.recv().unwrap(), "4 -ann");
    }
    drop(engine);
    task.join().unwrap();
    assert!(keys.recv().is_err());
}

#[test]
fn one_task_is_woken_for_each_document() {
    let world = World::plain();
    let [first, second, third] = [(); 3].map(|()| Task::waiting(&world.callbacks));
    let _a = world.edit("a", "ann");
    assert_eq!([&first, &second, &third].map(Task::is_woken), [true, false, false]);
    let _b = world.edit("b", "ann");
    assert_eq!([&first, &second, &third].map(Task::is_woken), [true, true, false]);
    // The documents go out in order, whichever task comes first.
    assert_eq!((second.acked_key(), first.acked_key()), ("a".to_owned(), "b".to_owned()));
    let _c = world.edit("c", "ann");
    assert_eq!(third.acked_key(), "c");
}

#[test]
fn a_delivery_that_hangs_stalls_no_other_document() {
    let World { engine, callbacks, .. } = World::plain();
    let open = |document: &str| engine.open(&key(document), &user("ann"), Access::Edit).unwrap();
    let (sender, taken) = mpsc::channel::<Delivery>();
    let tasks: Vec<_> = (0..4)
        .map(|_| (callbacks.clone(), sender.clone()))
        .map(|(callbacks, sender)| {
            thread::spawn(move || {
                block_on(async {
                    while let Some(delivery) = callbacks.next().await {
                        // The test holds the delivery, and the task goes on.
                        let _ = sender.send(delivery);
                    }
                });
            })
        })
        .collect();
    let hangs = open("hangs");
    let hung = taken.recv().unwrap();
    assert_eq!(key_of(&hung), "hangs");
    hangs.change().unwrap();
    drop(hangs);
    let mut others: Vec<Connection> = Vec::new();
    for round in 0..50 {
        others.push(open(&format!("doc-{round}")));
        let delivery = taken.recv().unwrap();
        assert_eq!(key_of(&delivery), format!("doc-{round}"));
        delivery.ack();
    }
    // Several at the same time, none of them acknowledged.
    let more = ["x", "y", "z"].map(open);
    let mut held = [(); 3].map(|()| taken.recv().unwrap());
    held.sort_by_key(key_of);
    assert_eq!(held.each_ref().map(key_of), ["x", "y", "z"]);
    for delivery in held {
        delivery.ack();
    }
    hung.ack();
    drop((others, more, engine));
    let mut saves = 0;
    for _ in 0..54 {
        let callback = taken.recv().unwrap().acked();
        saves += usize::from(callback.status == Status::Save);
    }
    assert_eq!(saves, 1);
    for task in tasks {
        task.join().unwrap();
    }
}

#[test]
fn a_future_that_is_dropped_passes_its_wake_up_on() {
    let world = World::plain();
    let (first, second) = (Task::waiting(&world.callbacks), Task::waiting(&world.callbacks));
    let _ann = world.edit("doc", "ann");
    assert!(first.is_woken() && !second.is_woken());
    drop(first);
    assert_eq!(second.acked_key(), "doc");
}

#[test]
fn a_future_that_is_dropped_before_it_is_woken_takes_no_wake_up() {
    let world = World::plain();
    let [first, second, third] = [(); 3].map(|()| Task::waiting(&world.callbacks));
    drop(first);
    let _a = world.edit("a", "ann");
    let _b = world.edit("b", "ann");
    assert_eq!((second.acked_key(), third.acked_key()), ("a".to_owned(), "b".to_owned()));
}

#[test]
fn a_future_that_is_dropped_has_taken_nothing() {
    let world = World::plain();
    for _ in 0..100 {
        drop(Task::waiting(&world.callbacks));
    }
    let _ann = world.edit("doc", "ann");
    assert_eq!(block_on(world.callbacks.next()).unwrap().acked().key, "doc");
}

#[test]
fn a_save_that_falls_due_and_a_retry_wake_a_task() {
    let world = World::plain();
    world.edit("doc", "ann").change().unwrap();
    world.ack();
    for pause in [10, 1, 2] {
        let mut task = Task::waiting(&world.callbacks);
        world.pass(seconds(pause));
        assert!(task.is_woken());
        let Poll::Ready(Some(delivery)) = task.poll() else { panic!("the save is due") };
        assert_eq!(delivery.failed().status, Status::Save);
    }
}

#[test]
fn every_task_ends_with_the_engine() {
    let World { engine, callbacks, .. } = World::plain();
    let mut tasks = [(); 5].map(|()| Task::waiting(&callbacks));
    drop(engine);
    // Each task that learns of the end wakes another one, in any order.
    for round in 0..tasks.len() {
        let woken = tasks.iter().filter(|task| task.is_woken()).count();
        assert!(woken > round, "{woken} tasks are woken after {round} have ended");
        let next = tasks.iter_mut().filter(|task| task.is_woken()).nth(round).unwrap();
        assert!(matches!(next.poll(), Poll::Ready(None)));
    }
    assert!(block_on(callbacks.next()).is_none());
    assert_eq!(callbacks.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

#[test]
fn tasks_and_threads_share_the_callbacks() {
    const DOCUMENTS: usize = 200;
    let World { engine, callbacks, .. } = World::plain();
    let doorbell = callbacks.ready();
    let workers: Vec<_> = (0..6)
        .map(|number| (number, callbacks.clone(), doorbell.clone()))
        .map(|(number, callbacks, doorbell)| {
            thread::spawn(move || match number % 3 {
                0 => callbacks.iter().map(Settle::acked).count(),
                1 => block_on(async {
                    let mut count = 0;
                    while let Some(delivery) = callbacks.next().await {
                        delivery.ack();
                        count += 1;
                    }
                    count
                }),
                _ => serve(&callbacks, &doorbell),
            })
        })
        .collect();
    for number in 0..DOCUMENTS {
        drop(engine.open(&key(&format!("doc-{number}")), &user("ann"), Access::Edit).unwrap());
    }
    drop(engine);
    let taken: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert_eq!(taken, 2 * DOCUMENTS);
}

// The doorbell

/// Answers each ring with one take, until the engine ends. Returns how many callbacks it acknowledged.
fn serve(callbacks: &Callbacks, doorbell: &Receiver<()>) -> usize {
    let mut count = 0;
    loop {
        doorbell.recv().unwrap();
        match callbacks.try_recv() {
            Ok(delivery) => {
                delivery.ack();
                count += 1;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return count,
        }
    }
}

/// Returns true if the doorbell rings. Answers the ring.
fn rings(doorbell: &Receiver<()>) -> bool {
    select! {
        recv(doorbell) -> ring => ring.is_ok(),
        default => false,
    }
}

fn in_one_second(world: &World) -> Timestamp {
    world.clock.now().after(seconds(1))
}

#[test]
fn the_doorbell_rings_once_for_one_document() {
    let world = World::plain();
    let doorbell = world.callbacks.ready();
    assert!(!rings(&doorbell), "nothing is there");
    let ann = world.edit("doc", "ann");
    assert!(rings(&doorbell));
    assert!(!rings(&doorbell), "one ring was answered");
    let in_hand = world.take();
    drop(ann);
    assert!(!rings(&doorbell), "the document waits for its outstanding callback");
    in_hand.ack();
    assert!(rings(&doorbell));
    world.take().ack();
    assert!(!rings(&doorbell), "everything was taken");
}

#[test]
fn the_doorbell_rings_again_while_more_is_there() {
    let world = World::plain();
    let doorbell = world.callbacks.ready();
    let _open: Vec<Connection> = (0..5).map(|number| world.edit(&format!("doc-{number}"), "ann")).collect();
    for _ in 0..5 {
        assert!(rings(&doorbell) && !rings(&doorbell));
        world.take().ack();
    }
    assert!(!rings(&doorbell));
}

#[test]
fn the_doorbell_rings_for_what_was_there_before() {
    let world = World::plain();
    let _ann = world.edit("doc", "ann");
    assert_eq!(world.engine.next_deadline(), None);
    assert!(rings(&world.callbacks.ready()));
    assert_eq!(world.engine.next_deadline(), Some(in_one_second(&world)), "a ring was not answered");
    assert_eq!(world.ack().key, "doc");
}

#[test]
fn the_doorbell_rings_for_a_save_that_falls_due_and_for_a_retry() {
    let world = World::plain();
    let doorbell = world.callbacks.ready();
    world.edit("doc", "ann").change().unwrap();
    assert!(rings(&doorbell));
    world.take().ack();
    for pause in [10, 1, 2] {
        assert!(!rings(&doorbell));
        world.pass(seconds(pause));
        assert!(rings(&doorbell));
        assert_eq!(world.take().failed().status, Status::Save);
    }
}

/// A worker answers a ring and takes nothing, for example because it panics.
#[test]
fn a_tick_repeats_a_ring_that_was_not_answered() {
    let world = World::plain();
    let doorbell = world.callbacks.ready();
    let _ann = world.edit("doc", "ann");
    for second in 0..3 {
        assert!(rings(&doorbell) && !rings(&doorbell), "second {second}");
        let deadline = world.engine.next_deadline().unwrap();
        assert_eq!(deadline, in_one_second(&world));
        world.clock.advance(seconds(1));
        assert_eq!(world.engine.tick(), Some(in_one_second(&world)));
        assert_eq!(world.engine.next_deadline(), Some(in_one_second(&world)));
    }
    assert!(rings(&doorbell));
    world.take().ack();
    world.clock.advance(seconds(1));
    world.engine.tick();
    assert!(!rings(&doorbell), "nothing is left to ring for");
    world.assert_nothing_falls_due();
    assert!(!rings(&doorbell));
    world.engine.validate().unwrap();
}

#[test]
fn a_tick_returns_an_earlier_deadline_before_that_of_a_ring() {
    let world = World::new(|config| config.save_delay(seconds(10)));
    let doorbell = world.callbacks.ready();
    world.edit("doc", "ann").change().unwrap();
    world.take().ack();
    world.clock.advance(Duration::from_millis(9_500));
    let _other = world.edit("other", "ann");
    let save = world.engine.tick().unwrap();
    assert!(save < in_one_second(&world) && rings(&doorbell));
    world.pass(Duration::from_millis(500));
    assert!(rings(&doorbell));
    assert_eq!(["doc", "other"].map(key), [world.ack().key, world.ack().key], "the save goes first");
}

#[test]
fn the_doorbell_rings_at_the_end_of_the_engine() {
    let World { engine, callbacks, .. } = World::plain();
    let (doorbell, other) = (callbacks.ready(), callbacks.clone());
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    drop((ann, engine));
    for expected in ["1 +ann [ann]", "4 -ann"] {
        assert!(rings(&doorbell));
        assert_eq!(summary(&callbacks.try_recv().unwrap().acked()), expected);
    }
    for callbacks in [&callbacks, &other, &callbacks] {
        assert!(rings(&doorbell), "each worker learns of the end");
        assert_eq!(callbacks.try_recv().unwrap_err(), TryRecvError::Disconnected);
    }
}

#[test]
fn two_receivers_of_the_doorbell_serve_all_documents() {
    const DOCUMENTS: usize = 300;
    let World { engine, callbacks, .. } = World::plain();
    let workers = [(); 2].map(|()| {
        let (callbacks, doorbell) = (callbacks.clone(), callbacks.ready());
        thread::spawn(move || serve(&callbacks, &doorbell))
    });
    for number in 0..DOCUMENTS {
        drop(engine.open(&key(&format!("doc-{number}")), &user("ann"), Access::Edit).unwrap());
    }
    drop(engine);
    assert_eq!(workers.map(|worker| worker.join().unwrap()).iter().sum::<usize>(), 2 * DOCUMENTS);
}

/// Hangs if a worker is not woken: each holds its delivery until the other one has one too.
#[test]
fn the_doorbell_wakes_two_workers() {
    let world = World::plain();
    let both = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            let (callbacks, doorbell) = (world.callbacks.clone(), world.callbacks.ready());
            let both = &both;
            scope.spawn(move || {
                let delivery = loop {
                    doorbell.recv().unwrap();
                    if let Ok(delivery) = callbacks.try_recv() {
                        break delivery;
                    }
                };
                both.wait();
                delivery.ack();
            });
        }
        let _open = ["a", "b"].map(|document| world.edit(document, "ann").into_id());
    });
}

#[test]
fn callbacks_and_notices_are_selected_together() {
    let World { engine, callbacks, notices, .. } = World::plain();
    let doorbell = callbacks.ready();
    let host = thread::spawn(move || {
        let mut seen = (0, 0);
        let mut notices = notices;
        loop {
            select! {
                recv(doorbell) -> _ => match callbacks.try_recv() {
                    Ok(delivery) => { delivery.ack(); seen.0 += 1; }
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) if notices.is_empty() => return seen,
                    Err(TryRecvError::Disconnected) => {}
                },
                recv(notices) -> notice => match notice {
                    Ok(_) => seen.1 += 1,
                    Err(_) => notices = never(),
                },
            }
        }
    });
    let ann = engine.open(&key("doc"), &user("ann"), Access::Edit).unwrap();
    (0..10).for_each(|_| engine.rename(&key("doc"), "title").unwrap());
    drop((ann, engine));
    assert_eq!(host.join().unwrap(), (2, 10));
}

// Notices

fn titled(title: usize) -> Notice {
    Notice::Meta { key: key("doc"), title: title.to_string() }
}

#[test]
fn every_subscription_gets_every_notice() {
    let world = World::plain();
    let _ann = world.edit("doc", "ann");
    let other = world.engine.notices();
    (0..3).for_each(|title| world.engine.rename(&key("doc"), &title.to_string()).unwrap());
    let expected = [0, 1, 2].map(titled);
    assert_eq!(world.take_notices(), expected);
    assert_eq!(other.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn p6_past_the_bound_a_subscription_misses_notices_and_is_told_how_many() {
    let bounds = Bounds { notices: 2, ..Bounds::default() };
    let world = World::new(|config| config.bounds(bounds));
    let ann = world.edit("doc", "ann");
    let other = world.engine.notices();
    let rename = |title: usize| world.engine.rename(&key("doc"), &title.to_string()).unwrap();
    for title in 0..5 {
        rename(title);
        assert_eq!(other.try_recv(), Ok(titled(title)), "a slow subscription takes nothing from another");
    }
    assert_eq!(world.take_notices(), [0, 1].map(titled));
    rename(5);
    assert_eq!(world.take_notices(), [Notice::Missed { count: 3 }, titled(5)]);
    (6..9).for_each(rename);
    let World { engine, callbacks, notices, .. } = world;
    drop((ann, engine));
    assert_eq!(callbacks.try_iter().map(Delivery::ack).count(), 2);
    assert_eq!(notices.iter().collect::<Vec<_>>(), [titled(6), titled(7), Notice::Missed { count: 1 }]);
    assert_eq!(other.iter().collect::<Vec<_>>(), [titled(5), titled(6), Notice::Missed { count: 2 }]);
}
