//! The users whom a limit refused edit access, and what became of them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::Denials;
use crate::access::Reason;
use crate::work::{self, Item};

/// The limits that refuse edit access to an open. The engine's own is the first.
pub(super) const LIMITS: [Reason; 4] =
    [Reason::ConnectionLimit, Reason::DocumentLimit, Reason::UserLimit, Reason::UserQuota];

/// A user who comes back to the document within this time, in milliseconds, is the same case as before.
const RETURN: u64 = 15 * 60_000;

/// So many users of a shard are remembered after they left. Past that the one who left first is forgotten.
const ABSENT_MAX: usize = 256;

/// The waits that are counted apart, in milliseconds.
const STEPS: [u64; 2] = [60_000, 300_000];

/// The users of a shard whom a limit refused edit access and who have none yet. The shard's lock protects it.
///
/// A case is a user on a document. It begins when a limit refuses an open, and ends when the user gets edit access to the
/// document by any connection. A user without any connection to the document has left. Such a user is remembered for a
/// while, since it may open the document again.
///
/// Memory follows those who are here: some 50 bytes each. Nothing is allocated while nobody is refused.
#[derive(Debug, Default)]
pub(super) struct DeniedUsers {
    /// By the hash of the document and the user.
    cases: BTreeMap<u64, DeniedCase>,
    /// Those who left, the earliest first.
    absent: VecDeque<(u64, u64)>,
    /// How many are here, by limit.
    counts: [u32; LIMITS.len()],
    /// By limit: the begin times less the end times of those who are here, in milliseconds since the last collection.
    offsets: [i64; LIMITS.len()],
    totals: DenialTotals,
}

/// One user on one document, as a snapshot keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeniedCase {
    /// When a limit refused it first, in milliseconds.
    since: u64,
    /// The index of that limit.
    limit: u8,
    is_here: bool,
}

/// What happened to refused users in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DenialTotals {
    /// By limit.
    pub(super) refused: [u32; LIMITS.len()],
    /// Who got edit access, by the [`STEPS`], and later.
    granted: [u32; STEPS.len() + 1],
    /// Who left without edit access.
    left: u32,
    /// Who opened the document again after that.
    returned: u32,
    /// By limit: users who were here without edit access, times milliseconds.
    pub(super) lost: [u64; LIMITS.len()],
}

impl DeniedCase {
    /// Returns true if it can be one of a shard, at `now`.
    pub(super) fn fits(&self, now: u64) -> bool {
        usize::from(self.limit) < LIMITS.len() && self.since <= now
    }

    /// Returns true if the user has a connection to the document.
    pub(crate) fn is_here(&self) -> bool {
        self.is_here
    }

    /// The same case, begun by `end` at the latest.
    pub(super) fn begun_by(self, end: u64) -> Self {
        DeniedCase { since: self.since.min(end), ..self }
    }

    /// Moves the beginning back by so many milliseconds.
    pub(super) fn move_back(&mut self, by: u64) {
        self.since = self.since.saturating_sub(by);
    }
}

impl DenialTotals {
    pub(super) fn add(&mut self, other: &DenialTotals) {
        let counts = |totals: &DenialTotals| {
            let DenialTotals { refused, granted, left, returned, .. } = *totals;
            refused.into_iter().chain(granted).chain([left, returned])
        };
        let theirs = counts(other);
        let DenialTotals { refused, granted, left, returned, lost } = self;
        let ours = refused.iter_mut().chain(granted).chain([left, returned]);
        ours.zip(theirs).for_each(|(ours, theirs)| *ours = ours.saturating_add(theirs));
        lost.iter_mut().zip(other.lost).for_each(|(ours, theirs)| *ours = ours.saturating_add(theirs));
    }

    /// Returns true if sums of a few hundred such do not overflow.
    pub(super) fn fits(&self) -> bool {
        self.lost.iter().all(|lost| *lost < 1 << 54)
    }

    /// `present` are those who are here at the end, by limit.
    #[expect(clippy::cast_precision_loss, reason = "rounds to 53 bits")]
    pub(super) fn report(&self, present: [u32; LIMITS.len()]) -> Denials {
        let [within_minute, within_five_minutes, later] = self.granted;
        let by_limit =
            |counts: [u64; LIMITS.len()]| LIMITS.into_iter().zip(counts).filter(|(_, count)| *count > 0);
        Denials {
            refused: by_limit(self.refused.map(u64::from)).collect(),
            within_minute,
            within_five_minutes,
            later,
            never: self.left.saturating_sub(self.returned),
            undecided: present.into_iter().fold(0, u32::saturating_add),
            minutes_lost: by_limit(self.lost).map(|(limit, lost)| (limit, lost as f64 / 60_000.0)).collect(),
        }
    }
}

/// `passed` is the time since the last collection, and `now` the present time, in milliseconds.
impl DeniedUsers {
    /// Returns true if nobody is remembered.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// A limit refused edit access to an open of a user who does not edit the document.
    pub(super) fn refuse(&mut self, user: u64, limit: u8, (now, passed): (u64, u64)) {
        self.forget_absent(now);
        if let Some(case) = self.cases.get_mut(&user) {
            if !std::mem::replace(&mut case.is_here, true) {
                let limit = case.limit;
                self.totals.returned += 1;
                self.forget(user);
                self.arrive(limit, passed);
            }
            return;
        }
        self.totals.refused[usize::from(limit)] += 1;
        self.cases.insert(user, DeniedCase { since: now, limit, is_here: true });
        self.arrive(limit, passed);
    }

    /// A user has edit access to the document.
    pub(super) fn grant(&mut self, user: u64, (now, passed): (u64, u64)) {
        self.forget_absent(now);
        let Some(case) = self.cases.remove(&user) else { return };
        if case.is_here {
            self.depart(case.limit, passed);
        } else {
            self.totals.returned += 1;
            self.forget(user);
        }
        let waited = now.saturating_sub(case.since);
        let step = STEPS.iter().position(|step| waited <= *step).unwrap_or(STEPS.len());
        self.totals.granted[step] += 1;
    }

    /// A user has no connection to the document any more.
    pub(super) fn leave(&mut self, user: u64, (now, passed): (u64, u64)) {
        let Some(case) = self.cases.get_mut(&user).filter(|case| case.is_here) else { return };
        case.is_here = false;
        let limit = case.limit;
        self.depart(limit, passed);
        self.totals.left += 1;
        self.forget_absent(now);
        if self.absent.len() == ABSENT_MAX
            && let Some((_, first)) = self.absent.pop_front()
        {
            self.cases.remove(&first);
        }
        self.absent.push_back((now, user));
    }

    /// At most `most` cases, whose hashes come after `after`.
    pub(super) fn list(&self, after: Option<u64>, most: usize) -> Vec<(u64, DeniedCase)> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.cases.range((first, Bound::Unbounded)).take(most);
        work::each(Item::Refused, some).map(|(user, case)| (*user, *case)).collect()
    }

    /// A user of a restored engine is here again.
    pub(super) fn resume(&mut self, user: u64, case: DeniedCase, passed: u64) {
        if self.cases.insert(user, DeniedCase { is_here: true, ..case }).is_none() {
            self.arrive(case.limit, passed);
        }
    }

    /// So many users of a restored engine did not come back.
    pub(super) fn count_left(&mut self, users: u32) {
        self.totals.left += users;
    }

    fn arrive(&mut self, limit: u8, passed: u64) {
        self.counts[usize::from(limit)] += 1;
        self.offsets[usize::from(limit)] += passed.cast_signed();
    }

    fn depart(&mut self, limit: u8, passed: u64) {
        self.counts[usize::from(limit)] -= 1;
        self.offsets[usize::from(limit)] -= passed.cast_signed();
    }

    /// A user who left is back.
    fn forget(&mut self, user: u64) {
        if let Some(at) = self.absent.iter().rposition(|(_, other)| *other == user) {
            self.absent.remove(at);
        }
    }

    /// Forgets those who left too long ago.
    fn forget_absent(&mut self, now: u64) {
        while let Some((left, user)) = self.absent.front().copied()
            && now.saturating_sub(left) > RETURN
        {
            work::item(Item::Refused, 1);
            self.absent.pop_front();
            self.cases.remove(&user);
        }
        if self.absent.is_empty() {
            self.absent = VecDeque::new();
        }
    }

    /// How many are here, by limit.
    pub(super) fn present(&self) -> [u32; LIMITS.len()] {
        self.counts
    }

    /// Returns what happened since the last collection, `passed` milliseconds ago, and begins the next period. `now` is its
    /// beginning.
    pub(super) fn collect(&mut self, now: u64, passed: u64) -> DenialTotals {
        self.forget_absent(now);
        let mut totals = std::mem::take(&mut self.totals);
        let offsets = std::mem::take(&mut self.offsets);
        for ((lost, count), offset) in totals.lost.iter_mut().zip(self.counts).zip(offsets) {
            *lost = (u64::from(count) * passed).saturating_add_signed(-offset);
        }
        totals
    }

    /// Recounts those who are here, and those who left.
    pub(super) fn validate(&self) -> Result<(), String> {
        let mut counted = [0; LIMITS.len()];
        for case in self.cases.values().filter(|case| case.is_here) {
            counted[usize::from(case.limit)] += 1;
        }
        let absent = self.cases.values().filter(|case| !case.is_here).count();
        let left = |user| self.cases.get(user).is_some_and(|case| !case.is_here);
        let in_order = self.absent.len() == absent && self.absent.iter().all(|(_, user)| left(user));
        if counted == self.counts && in_order {
            Ok(())
        } else {
            Err(format!("{counted:?} refused users are here and {absent} left: {self:?}"))
        }
    }
}

/// The index of a limit among the [`LIMITS`]. `None` for any other reason.
pub(super) fn limit_index(reason: Reason) -> Option<u8> {
    let index = LIMITS.iter().position(|limit| *limit == reason)?;
    u8::try_from(index).ok()
}
