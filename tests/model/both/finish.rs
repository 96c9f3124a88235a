//! The end of a history.

use std::time::Duration;

use coedit::Delivery;

use super::Both;
use crate::model::Outcome;
use crate::model::op::Op;
use crate::model::settings::End;

/// After so many deadlines everything is settled.
const ROUNDS_MAX: u32 = 10_000;

impl Both {
    /// Settles everything in hand. One in four fails.
    fn settle_all(&mut self) {
        while let Some(delivery) = self.in_hand.first() {
            if delivery.number().is_multiple_of(4) {
                self.settle(0, Outcome::Failed, false, Delivery::fail);
            } else {
                self.settle(0, Outcome::Done, false, Delivery::ack);
            }
        }
    }

    /// Closes every connection, or ends the engine, and settles every callback. Checks that nothing is left.
    pub fn finish(mut self) {
        if self.engine.is_some() {
            self.compare_holders(usize::MAX);
        }
        match self.model.settings.end {
            _ if self.engine.is_none() => {}
            End::Close => {}
            End::ShutDown => self.run(&Op::ShutDown(20_000)),
            End::DropHandle => self.run(&Op::DropHandle),
        }
        if self.engine.is_some() {
            for number in (0..self.connections.len()).rev() {
                let id = self.connections[number];
                assert_eq!(self.engine().close(id), self.model.close(id));
            }
        }
        self.settle_all();
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the end of the history does not come");
            while self.take(false).is_some() {
                self.settle_all();
            }
            self.compare(&Op::PassToDeadline);
            let due = self.model.next_deadline().filter(|_| self.model.report().is_none());
            let Some(due) = due else { break };
            self.pass(due.saturating_sub(self.model.now));
            self.settle_all();
        }
        let Some(engine) = self.engine.take() else {
            assert!(self.callbacks.report().is_some(), "an engine without a handle ends");
            return;
        };
        if let Some(report) = self.callbacks.report() {
            assert_eq!(*engine.shutdown(Duration::ZERO), *report, "there is one report");
            return;
        }
        self.engine = Some(engine);
        self.compare_license();
        self.compare_usage();
        let engine = self.engine();
        // A forgotten document is open until it is deleted.
        for forgotten in engine.forgotten() {
            engine.delete_forgotten(&forgotten.key).unwrap();
        }
        assert_eq!((engine.documents(), engine.limits().edit.in_use), (0, 0));
        engine.validate().unwrap();
    }
}
