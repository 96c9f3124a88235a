//! Settling a delivery and keeping its callback.

use coedit::{Callback, Delivery};

pub trait Settle {
    /// Acknowledges, and returns what was acknowledged.
    fn acked(self) -> Box<Callback>;
    /// Fails, and returns what failed.
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
