//! Boxes that no document needs just now, for the next that does.

use super::ordered::Further;
use super::pending::Pending;
use super::roster::{Index, Stay};

/// What is lent to documents: in the steady state nothing is allocated, and what a document is lent was in use a moment
/// ago, so that it is in the caches.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    pub(super) pending: Pool<Pending>,
    pub(super) further: Pool<Further<Stay, Index>>,
}

/// Boxes that were used before.
#[derive(Debug)]
pub(crate) struct Pool<T>(Vec<Box<T>>);

/// What a document gave back and no pool keeps, to be freed where no lock is held.
#[derive(Debug)]
#[expect(dead_code, reason = "only to be freed")]
pub(crate) enum TooMany {
    Pending(Box<Pending>),
    Further(Box<Further<Stay, Index>>),
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Vec::new())
    }
}

impl<T: Default> Pool<T> {
    /// So many are kept: what a burst took is given back.
    const MOST: usize = 256;

    #[inline]
    #[expect(clippy::unnecessary_box_returns, reason = "the boxes are what is kept")]
    pub(super) fn take(&mut self) -> Box<T> {
        self.0.pop().unwrap_or_default()
    }

    /// Keeps an empty box if it `fits`. Returns one that is not kept, to be freed.
    #[inline]
    pub(super) fn put(&mut self, spare: Box<T>, fits: impl FnOnce(&T) -> bool) -> Option<Box<T>> {
        if self.0.len() == Self::MOST || !fits(&spare) {
            return Some(spare);
        }
        self.0.push(spare);
        None
    }
}
