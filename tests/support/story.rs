//! The beginnings that many stories share: `ann` changes `doc` and leaves, and her save is due.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use coedit::{Connection, Delivery, Notice, Status, Timestamp};

use super::{START, World, key, seconds, summary};

/// So many milliseconds after [`START`].
pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// The notice that the storage has a save of `doc` that came from no request.
pub fn saved(status: Status) -> Notice {
    Notice::Saved { key: key("doc"), status, userdata: None }
}

/// The notice that a callback of `doc` was given up, or a force save superseded.
pub fn storage(status: Status) -> Notice {
    Notice::Storage { key: key("doc"), status, userdata: None }
}

/// A notice about a callback of `doc` with this `userdata`.
pub fn asked_for(userdata: &str, mut notice: Notice) -> Notice {
    let (Notice::Saved { userdata: of, .. } | Notice::Storage { userdata: of, .. }) = &mut notice else {
        panic!("{notice:?}")
    };
    *of = Some(userdata.into());
    notice
}

impl World {
    /// Lets ann join `doc` and change it, and acknowledges her join.
    pub fn changed(&self) -> Connection {
        let ann = self.edit("doc", "ann");
        ann.change().unwrap();
        assert_eq!(summary(&self.ack()), "1 +ann [ann]");
        ann
    }

    /// Lets ann join, change and leave `doc`, and makes its save due.
    pub fn make_save_due(&self) {
        drop(self.changed());
        self.pass(seconds(10));
    }

    /// Makes the save of `doc` due and takes it.
    pub fn take_save(&self) -> Delivery {
        self.make_save_due();
        let save = self.take();
        assert_eq!(summary(save.callback()), "2 -ann [ann]");
        save
    }

    /// Makes the engine forget `doc`, and acknowledges the callback of status 3. Without retries.
    pub fn forget(&self) {
        self.take_save().fail();
        assert_eq!(summary(&self.ack()), "3 -ann [ann]");
        assert_eq!(self.forgotten(), ["doc"]);
        self.take_notices();
    }

    /// The keys of the forgotten documents.
    pub fn forgotten(&self) -> Vec<String> {
        self.engine.forgotten().into_iter().map(|forgotten| forgotten.key.to_string()).collect()
    }

    /// Panics if anything of `doc` is unsaved, or not told.
    #[track_caller]
    pub fn assert_over(&self) {
        self.engine.validate().unwrap();
        assert!(!self.engine.is_open(&key("doc")) && self.engine.documents() == 0);
        assert_eq!((self.engine.remaining().documents, self.forgotten()), (vec![], vec![]));
        self.assert_nothing_falls_due();
    }
}
