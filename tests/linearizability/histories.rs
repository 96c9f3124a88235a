//! Random histories: a few calls one after the other, and then a few on each of some threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use coedit::Access;

use super::call::{Call, Event};
use super::player::{Known, Player, final_reads, watch};
use crate::random::Random;

/// What one thread does.
pub type Thread = Box<dyn FnOnce() -> Vec<Event> + Send>;
/// How the threads of a history run: on their own, or under a model checker.
pub type Threads = fn(Vec<Thread>) -> Vec<Event>;

/// Returns a history by the seed, and the player of its engine. The events are sorted by their starts.
pub fn history(seed: u64, run: Threads) -> (Arc<Player>, Vec<Event>) {
    let mut random = Random::new(seed);
    let (documents, limit) = (1 + random.below(2), 1 + u32::from(random.one_in(2)));
    let player = Arc::new(Player::new(documents, limit, !random.one_in(3)));
    let mut events = watch(&player);
    let mut known = Known::default();
    for _ in 0..2 + random.below(4) {
        let opens = !random.one_in(3);
        let call = if opens { open(&mut random, documents) } else { choose(&mut random, &known, &player) };
        let event = player.play(0, call);
        known.learn(&event);
        events.push(event);
    }
    let count = 2 + random.below(3);
    let arrived = Arc::new(AtomicUsize::new(0));
    let threads = (1..=count).map(|thread| -> Thread {
        let (player, arrived, known) = (player.clone(), arrived.clone(), known.clone());
        let random = Random::new(random.next());
        Box::new(move || {
            wait_for_all(&arrived, count);
            calls_of(thread, random, known, &player)
        })
    });
    events.extend(run(threads.collect()));
    events.sort_by_key(|event| event.start);
    let reads = final_reads(&player, &events);
    events.extend(reads);
    (player, events)
}

/// Waits until all threads are there, so that their calls meet. A model checker needs no such help.
fn wait_for_all(arrived: &AtomicUsize, count: usize) {
    arrived.fetch_add(1, SeqCst);
    for _ in 0..100_000 {
        if cfg!(shuttle) || arrived.load(SeqCst) == count {
            return;
        }
        std::thread::yield_now();
    }
}

fn calls_of(thread: usize, mut random: Random, mut known: Known, player: &Player) -> Vec<Event> {
    let calls = 2 + random.below(3);
    let call = |_| {
        let event = player.play(thread, choose(&mut random, &known, player));
        known.learn(&event);
        event
    };
    (0..calls).map(call).collect()
}

fn open(random: &mut Random, documents: usize) -> Call {
    let (document, user) = (random.below(documents), *random.pick(&[0, 1, 2]));
    Call::Open { document, user, asked: if random.one_in(5) { Access::View } else { Access::Edit } }
}

/// Returns a random call on the connections that are known.
fn choose(random: &mut Random, known: &Known, player: &Player) -> Call {
    let documents = player.start.documents.len();
    if known.0.is_empty() {
        return open(random, documents);
    }
    let (id, token) = *random.pick(&known.0);
    match random.below(26) {
        0..=3 => open(random, documents),
        4..=6 => Call::Change(id),
        7 | 8 => Call::Close(id),
        9 | 10 => {
            let users = [vec![0], vec![1], vec![2, 0], vec![0, 1, 2]];
            Call::DropUsers { document: random.below(documents), users: random.pick(&users).clone() }
        }
        11 | 12 => Call::Lost(id),
        13..=15 if player.start.grace => Call::Resume { token, attempt: u64::from(random.one_in(2)) },
        13..=19 => Call::RequestEdit(id),
        20 | 21 => Call::ReleaseEdit(id),
        22 => Call::SetEditLimit(*random.pick(&[0, 1, 2, 3])),
        23 => Call::Access(id),
        24 => Call::Editors(random.below(documents)),
        _ => Call::Limits,
    }
}
