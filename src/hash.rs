//! How document keys and user ids are hashed.

/// The hasher of an engine.
pub(crate) type Hasher = foldhash::quality::SeedableRandomState;

/// Keyed at random, since strangers may choose keys and must not choose where they land. With a manual clock it is keyed
/// the same in every run, so that runs are reproducible.
pub(crate) fn hasher(reproducible: bool) -> Hasher {
    if reproducible { Hasher::fixed() } else { Hasher::random() }
}
