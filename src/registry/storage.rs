//! Handing callbacks out to workers, and settling them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::Registry;
use super::ready::{Location, Nothing, Wait};
use crate::callback::{Answered, Callback};
use crate::session::{Lane, Outcome, Stage, Taken, Verdict, Which, clear};
use crate::sync::Ordering;
use crate::time::Timestamp;

/// A callback in the hands of a worker.
#[derive(Debug)]
pub(crate) struct HandedOut {
    location: Location,
    /// Counts what was handed out, from 1 on.
    pub(crate) number: u64,
    /// Counts the attempts, from 1 on.
    pub(crate) attempt: usize,
    reach: u64,
    pub(crate) callback: Box<Callback>,
}

/// A receiver that has to run what is due looks at the clock so often.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Registry {
    /// The next callback. Waits for one as `wait` says.
    pub(crate) fn next_callback(&self, which: Which, wait: Wait) -> Result<HandedOut, Nothing> {
        loop {
            let is_driver = self.lifecycle.needs_receivers();
            if is_driver {
                // The thread that was to begin it may be gone.
                self.begin_end_if_asked();
                self.tick();
            }
            match self.take_ready(which, wait, is_driver) {
                Ok((location, lane)) => {
                    if let Some(taken) = self.take_callback(location, lane, which) {
                        return Ok(taken);
                    }
                }
                Err(Nothing::Yet) if !is_over(wait) => {}
                Err(nothing) => return Err(nothing),
            }
        }
    }

    /// A document that is ready. A receiver that has to run what is due meanwhile waits for a moment only.
    fn take_ready(&self, which: Which, wait: Wait, is_driver: bool) -> Result<(Location, Lane), Nothing> {
        if is_driver {
            return self.ready.take(which, briefly(wait));
        }
        match self.ready.take(which, Wait::No) {
            Err(Nothing::Yet) if !is_over(wait) => {
                self.ready.block(which, wait, || self.lifecycle.needs_receivers())
            }
            taken => taken,
        }
    }

    fn take_callback(&self, location: Location, lane: Lane, which: Which) -> Option<HandedOut> {
        let Location { shard, document } = location;
        let mut held = self.hold(shard as usize, self.clock.coarse());
        if !held.shard.dequeue(document, lane, &self.ready)
            || matches!(held.cx.stage, Stage::Suspending | Stage::Ended)
        {
            return None;
        }
        let cx = held.cx;
        let (session, blanks) = held.shard.session_and_blanks(document);
        let taken = session.take(&cx, which, blanks);
        let Some(Taken { callback, reach, attempt }) = taken else {
            self.finish(held, document);
            return None;
        };
        // No pair: the numbers only have to differ.
        let number = self.deliveries.fetch_add(1, Ordering::Relaxed) + 1;
        session.number_delivery(&cx, number);
        held.shard.counters.callbacks(callback.status).handed_out += 1;
        let earlier = held.shard.update_deadline(document, &cx);
        self.deadline_moved(held, earlier);
        Some(HandedOut { location, number, attempt, reach, callback })
    }

    /// A worker says what became of its delivery.
    pub(crate) fn settle(
        &self,
        handed_out: HandedOut,
        outcome: Outcome,
        kept_at: Option<Arc<str>>,
    ) -> Answered {
        let HandedOut { location: Location { shard, document }, number, reach, mut callback, .. } =
            handed_out;
        let (status, userdata) = (callback.status, callback.userdata.take());
        clear(&mut callback);
        // A pause that begins now must not get shorter.
        let now = if outcome == Outcome::Failed { self.now() } else { self.clock.coarse() };
        let mut held = self.hold(shard as usize, now);
        held.shard.blanks.give_back(callback);
        let cx = held.cx;
        let Some(session) = held.shard.session_at(document).filter(|_| cx.stage < Stage::Ended) else {
            return Answered::Late;
        };
        let verdict = Verdict { number, status, reach, outcome, kept_at, userdata };
        let (answered, mut effects) = session.settle(&cx, verdict);
        let counts = held.shard.counters.callbacks(status);
        match (answered, outcome) {
            (Answered::InTime, Outcome::Failed) => counts.failed += 1,
            (Answered::InTime | Answered::LateSave, _) => counts.acknowledged += 1,
            (Answered::Late, _) => {}
        }
        let settled = effects.garbage.outstanding.take();
        let copy = settled.and_then(|settled| held.shard.blanks.give_back_outstanding(settled));
        if cx.stage == Stage::ShuttingDown && effects.garbage.unsaved.is_some() {
            self.lifecycle.count_saved();
        }
        self.apply(held, document, effects);
        // With no lock held, since it can be large.
        drop(copy);
        answered
    }

    /// By when a worker is to answer. `None` if it is late already. [`Timestamp::MAX`] if it has any time.
    pub(crate) fn deadline_of(&self, handed_out: &HandedOut) -> Option<Timestamp> {
        let HandedOut { location: Location { shard, document }, number, .. } = *handed_out;
        let mut held = self.hold(shard as usize, self.clock.coarse());
        let cx = held.cx;
        let session = held.shard.session_at(document).filter(|_| cx.stage < Stage::Ended)?;
        let deadline = session.delivery_deadline(&cx, number)?;
        drop(held);
        Some(self.clock.wall_at(deadline))
    }

    /// Gives a worker so much time from now on, if it has less. Returns false if it is late already.
    pub(crate) fn extend(&self, handed_out: &HandedOut, time: Duration) -> bool {
        let HandedOut { location: Location { shard, document }, number, .. } = *handed_out;
        let mut held = self.hold(shard as usize, self.now());
        let deadline = held.cx.now.after(time);
        let has_ended = held.cx.stage == Stage::Ended;
        let session = held.shard.session_at(document).filter(|_| !has_ended);
        session.is_some_and(|session| session.extend_delivery(number, deadline))
    }

    pub(crate) fn doorbell(&self, which: Which) -> Receiver<()> {
        let doorbell = self.ready.doorbell(which);
        if self.ready.ring() {
            self.schedule_ring(self.clock.coarse().steady);
        }
        doorbell
    }

    #[cfg(feature = "async")]
    pub(crate) fn listen(&self, which: Which) -> event_listener::EventListener {
        self.ready.listen(which)
    }
}

/// Waits for a moment only.
fn briefly(wait: Wait) -> Wait {
    let soon = Instant::now() + LOOK_AGAIN;
    match wait {
        Wait::No => Wait::No,
        Wait::Until(deadline) => Wait::Until(deadline.min(soon)),
        Wait::Forever => Wait::Until(soon),
    }
}

fn is_over(wait: Wait) -> bool {
    match wait {
        Wait::No => true,
        Wait::Until(deadline) => deadline <= Instant::now(),
        Wait::Forever => false,
    }
}
