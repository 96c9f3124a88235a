//! The deliveries that wait for an `ack`.

use std::collections::HashMap;

use crate::callback::{Answered, Status};
use crate::delivery::Delivery;
use crate::engine::Engine;
use crate::error::ErrorCode;
use crate::ids::DocumentKey;

/// The deliveries that a door has written, by document.
#[derive(Debug, Default)]
pub(super) struct InHand {
    by_key: HashMap<DocumentKey, OfDocument>,
    /// The number of the latest delivery.
    latest: u64,
}

/// The deliveries of one document.
#[derive(Debug, Default)]
struct OfDocument {
    current: Option<Delivery>,
    /// Saves that ran out, or that another save went before, the latest last. A late acknowledgement of them can count.
    late: Vec<Delivery>,
    /// Whether an `ack` has to name its delivery.
    needs_number: bool,
}

/// So many late saves of a document are kept.
const LATE_MAX: usize = 64;

/// Says how to settle a delivery.
pub(super) type Settle<'a> = &'a mut dyn FnMut(Delivery) -> Answered;

impl InHand {
    /// Keeps a delivery that was written.
    pub(super) fn add(&mut self, delivery: Delivery) {
        self.latest = delivery.number();
        let of_document = self.by_key.entry(delivery.callback().key.clone()).or_default();
        of_document.retire_current();
        of_document.current = Some(delivery);
    }

    /// Settles the delivery of a document that an `ack` means.
    pub(super) fn settle(
        &mut self,
        engine: &Engine,
        (key, number): (&DocumentKey, Option<u64>),
        settle: Settle<'_>,
    ) -> Result<Answered, ErrorCode> {
        let taken = match self.by_key.get_mut(key) {
            Some(of_document) => of_document.take(number),
            None => Ok(None),
        };
        let answered = match taken? {
            Some(delivery) => settle(delivery),
            None => self.explain(engine, (key, number))?,
        };
        self.forget_if_settled(engine, key);
        if answered == Answered::Late { Err(ErrorCode::NotChanged) } else { Ok(answered) }
    }

    /// Why there is no such delivery: it was settled or is of no consequence any more, or there never was one.
    fn explain(
        &self,
        engine: &Engine,
        (key, number): (&DocumentKey, Option<u64>),
    ) -> Result<Answered, ErrorCode> {
        match number {
            Some(number) if (1..=self.latest).contains(&number) => Ok(Answered::Late),
            _ if engine.is_open(key) => Err(ErrorCode::Command),
            _ => Err(ErrorCode::Key),
        }
    }

    fn forget_if_settled(&mut self, engine: &Engine, key: &DocumentKey) {
        let is_over = |one: &OfDocument| one.current.is_none() && engine.is_settled(key);
        if self.by_key.get(key).is_some_and(is_over) {
            self.by_key.remove(key);
        }
    }
}

impl OfDocument {
    /// Another delivery was handed out, or the current one ran out.
    fn retire_current(&mut self) {
        if let Some(delivery) = self.current.take() {
            self.needs_number = true;
            if matches!(delivery.callback().status, Status::Save | Status::ForceSave) {
                self.late.push(delivery);
            }
            let surplus = self.late.len().saturating_sub(LATE_MAX);
            self.late.drain(..surplus);
        }
    }

    /// Takes the delivery with this number, or the current one. Errors if a number is needed.
    fn take(&mut self, number: Option<u64>) -> Result<Option<Delivery>, ErrorCode> {
        if self.current.as_ref().is_some_and(|current| current.deadline().is_none()) {
            self.retire_current();
        }
        let Some(number) = number else {
            return if self.needs_number { Err(ErrorCode::Command) } else { Ok(self.current.take()) };
        };
        if self.current.as_ref().is_some_and(|current| current.number() == number) {
            return Ok(self.current.take());
        }
        let at = self.late.iter().position(|late| late.number() == number);
        Ok(at.map(|at| self.late.remove(at)))
    }
}
