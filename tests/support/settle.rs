//! Settles a delivery and returns its callback.

use coedit::{Callback, Delivery};

pub trait Settle {
    /// Acknowledges the delivery and returns its callback.
    fn acked(self) -> Box<Callback>;
    /// Fails the delivery and returns its callback.
    fn failed(self) -> Box<Callback>;
}

impl Settle for Delivery {
    fn acked(self) -> Box<Callback> {
        let callback = Box::new(self.callback().clone());
        self.ack();
        callback
    }

    fn failed(self) -> Box<Callback> {
        let callback = Box::new(self.callback().clone());
        self.fail();
        callback
    }
}
