//! How document keys are hashed.

use foldhash::quality::SeedableRandomState;

/// Foldhash, keyed at random: keys come from outside, and whoever chooses them must not choose where they land.
pub(crate) type KeyHasher = SeedableRandomState;

/// On a manual clock the key is the same in every run, so that the run is.
pub(super) fn key_hasher(reproducible: bool) -> KeyHasher {
    if reproducible { KeyHasher::fixed() } else { KeyHasher::random() }
}
