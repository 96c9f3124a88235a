//! How document keys are hashed.

use std::hash::BuildHasher;

use foldhash::quality::{FixedState, FoldHasher, RandomState};

/// Foldhash, keyed at random: keys come from outside, and whoever chooses them must not choose where they land. On a
/// manual clock the key is the same in every run, so that the run is.
#[derive(Debug)]
pub(crate) enum KeyHasher {
    Random(RandomState),
    Same(FixedState),
}

impl KeyHasher {
    pub(super) fn new(reproducible: bool) -> Self {
        if reproducible {
            KeyHasher::Same(FixedState::default())
        } else {
            KeyHasher::Random(RandomState::default())
        }
    }
}

impl BuildHasher for KeyHasher {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> FoldHasher<'static> {
        match self {
            KeyHasher::Random(state) => state.build_hasher(),
            KeyHasher::Same(state) => state.build_hasher(),
        }
    }
}
