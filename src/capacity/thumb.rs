//! What a buyer is told to take.

/// The rule of thumb of the ONLYOFFICE FAQ on co-editing: connections by the number of users alone.
///
/// It knows neither how many are at work at one time nor how many documents each has open, so it can be far too many, and
/// too few. Costs nothing.
///
/// ```
/// use coedit::capacity::{RuleOfThumb, connections_for};
///
/// let thumb = RuleOfThumb::of(200);
/// assert_eq!((thumb.at_least, thumb.all_at_work), (200, 400));
/// assert_eq!(connections_for(40.0, 0.01)?, 53); // one in five at work, one document each
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleOfThumb {
    /// At least one connection a user.
    pub at_least: u32,
    /// Two a user, if all are at work at one time.
    pub all_at_work: u32,
}

impl RuleOfThumb {
    /// The rule for so many users; no more than a `u32` holds.
    pub const fn of(users: u32) -> Self {
        RuleOfThumb { at_least: users, all_at_work: users.saturating_mul(2) }
    }
}
