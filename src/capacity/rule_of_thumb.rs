//! The rule of thumb that buyers are given.

/// The rule of thumb of the ONLYOFFICE FAQ on co-editing: the number of connections from the number of users alone.
///
/// The rule does not know how many users work at the same time, or how many documents each of them has open. So its answer
/// can be far too high, and it can be too low. Costs nothing.
///
/// ```
/// use coedit::capacity::{RuleOfThumb, connections_for};
///
/// let rule = RuleOfThumb::of(200);
/// assert_eq!((rule.at_least, rule.all_at_work), (200, 400));
/// assert_eq!(connections_for(40.0, 0.01)?, 53); // one user in five at work, with one document each
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleOfThumb {
    /// One connection for each user.
    pub at_least: u32,
    /// Two connections for each user, for the case that all users work at the same time.
    pub all_at_work: u32,
}

impl RuleOfThumb {
    /// Applies the rule to a number of users. The results are at most `u32::MAX`.
    pub const fn of(users: u32) -> Self {
        RuleOfThumb { at_least: users, all_at_work: users.saturating_mul(2) }
    }
}
