//! How document keys are hashed.

use std::hash::{BuildHasher, DefaultHasher, RandomState};

/// `SipHash`, keyed at random: keys come from outside, and whoever chooses them must not choose where they land. On a
/// manual clock the key is the same in every run, so that the run is.
#[derive(Debug)]
pub(super) enum KeyHasher {
    Random(RandomState),
    Same,
}

impl KeyHasher {
    pub(super) fn new(reproducible: bool) -> Self {
        if reproducible { KeyHasher::Same } else { KeyHasher::Random(RandomState::new()) }
    }
}

impl BuildHasher for KeyHasher {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        match self {
            KeyHasher::Random(state) => state.build_hasher(),
            KeyHasher::Same => DefaultHasher::new(),
        }
    }
}
