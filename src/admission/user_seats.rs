//! How many seats of edit access each user holds, over all documents.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::ids::UserId;
use crate::sync::{Mutex, MutexGuard};
use crate::work::{self, Item};

/// Seats by user. Counted only while there is a limit of a user.
#[derive(Debug)]
pub(crate) struct UserSeats {
    hasher: RandomState,
    /// Chosen by the user's hash, so that threads seldom wait for each other.
    buckets: [Mutex<UserBucket>; BUCKETS],
}

/// A tree, since it gives memory back as users leave and never moves more than one node's entries under the lock.
type UserBucket = BTreeMap<UserId, u32>;

const BUCKETS: usize = 16;

impl UserSeats {
    pub(super) fn new() -> Self {
        let hasher = RandomState::default();
        UserSeats { hasher, buckets: std::array::from_fn(|_| Mutex::new(UserBucket::new())) }
    }

    /// Locks the count of a user. Nobody else changes it meanwhile.
    pub(crate) fn lock(&self, user: &UserId) -> UserSeatsGuard<'_> {
        let bits = usize::from(self.hasher.hash_one(user).to_be_bytes()[0]);
        UserSeatsGuard { bucket: self.buckets[bits % BUCKETS].lock() }
    }

    /// All counts.
    pub(crate) fn counts(&self) -> BTreeMap<UserId, u32> {
        let copy = |bucket: &Mutex<UserBucket>| {
            work::each(Item::UserSeats, bucket.lock().iter())
                .map(|(user, count)| (user.clone(), *count))
                .collect::<Vec<_>>()
        };
        self.buckets.iter().flat_map(copy).collect()
    }
}

/// The locked count of a user.
pub(crate) struct UserSeatsGuard<'a> {
    bucket: MutexGuard<'a, UserBucket>,
}

impl UserSeatsGuard<'_> {
    pub(super) fn get(&self, user: &UserId) -> u32 {
        self.bucket.get(user).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, user: &UserId, count: u32) {
        work::item(Item::UserSeats, 1);
        match self.bucket.get_mut(user) {
            Some(held) => *held += count,
            None => drop(self.bucket.insert(user.clone(), count)),
        }
    }

    pub(crate) fn subtract(&mut self, user: &UserId, count: u32) {
        work::item(Item::UserSeats, 1);
        let held = self.bucket.get_mut(user).expect("a seat that is released was counted");
        *held -= count;
        if *held == 0 {
            self.bucket.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_seats_are_counted_while_there_are_any() {
        let ann = UserId::new("ann").unwrap();
        let seats = UserSeats::new();
        seats.lock(&ann).add(&ann, 2);
        seats.lock(&ann).subtract(&ann, 1);
        assert_eq!(seats.counts(), BTreeMap::from([(ann.clone(), 1)]));
        seats.lock(&ann).subtract(&ann, 1);
        assert_eq!((seats.counts().len(), seats.lock(&ann).get(&ann)), (0, 0));
    }
}
