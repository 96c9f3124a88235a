//! Formulas the other way round, and several servers.

use super::{
    CONNECTIONS_MAX, LOAD_MAX, OutOfBounds, check, check_load, check_share, connections_for,
    connections_for_group, engset, load_for,
};

/// The largest number of users for whom a number of connections is enough, by Erlang B: at most `share` of the opens fall back.
///
/// `load_per_user` is the load of one user in erlangs: the documents that a user has open at work, times the share of the users
/// at work in the busiest hour. It is more than 0 and at most [`LOAD_MAX`]. The other parameters are bounded as for
/// [`load_for`], whose cost this has. The result is at most `u32::MAX`.
///
/// ```
/// use coedit::capacity::{connections_for, users_for};
///
/// let load_per_user = 1.3 / 3.0; // a third of the users is at work, with 1.3 documents each
/// assert_eq!(users_for(200, load_per_user, 0.01)?, 414);
/// assert!(connections_for(414.0 * load_per_user, 0.01)? <= 200);
/// assert!(connections_for(415.0 * load_per_user, 0.01)? > 200);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub fn users_for(connections: u32, load_per_user: f64, share: f64) -> Result<u32, OutOfBounds> {
    check(load_per_user > 0.0 && load_per_user <= LOAD_MAX, "the load of a user", "more than 0")?;
    // A rounding error can take a user away whose load just fits.
    Ok((load_for(connections, share)? / load_per_user + 1e-9) as u32)
}

/// The largest group for which a number of connections is enough, by Engset's formula: at most `share` of the opens fall back.
///
/// The parameters are bounded as for [`connections_for_group`]. A user who works on two documents counts as two. The result is
/// at most [`CONNECTIONS_MAX`]. It costs about 25 times as much as [`engset()`].
///
/// ```
/// use coedit::capacity::{connections_for_group, group_for};
///
/// assert_eq!(group_for(200, 1.0 / 3.0, 0.01)?, 547);
/// assert_eq!(connections_for_group(547, 1.0 / 3.0, 0.01)?, 200);
/// assert_eq!(connections_for_group(548, 1.0 / 3.0, 0.01)?, 201);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn group_for(connections: u32, at_work: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    engset(0, at_work, connections)?;
    let (mut enough, mut most) = (0, CONNECTIONS_MAX);
    while enough < most {
        // Rounded up, so that each step gets nearer.
        let middle = enough + (most - enough).div_ceil(2);
        if engset(middle, at_work, connections)? <= share {
            enough = middle;
        } else {
            most = middle - 1;
        }
    }
    Ok(enough)
}

/// The connections that each of several servers needs if the load is shared evenly between them, by Erlang B.
///
/// Each server has a limit of its own, and a document is on one server. So a free connection of one server is of no use to
/// the users of another, and several small servers need more connections than a large one. `servers` is at least 1. The other
/// parameters are bounded as for [`connections_for`]. If documents are not spread evenly, more is needed.
///
/// ```
/// use coedit::capacity::connections_for_each;
///
/// assert_eq!(connections_for_each(1, 346.7, 0.01)?, 371);
/// assert_eq!(connections_for_each(2, 346.7, 0.01)?, 194); // 388 in all
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_each(servers: u32, load: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_load(load)?;
    check(servers > 0, "the number of servers", "at least 1")?;
    connections_for(load / f64::from(servers), share)
}

/// The connections that each of several servers needs if a group is shared evenly between them, by Engset's formula. If the
/// group cannot be divided evenly, this is for the servers with one user more.
///
/// `servers` is at least 1. The other parameters are bounded as for [`connections_for_group`].
///
/// ```
/// use coedit::capacity::connections_for_each_group;
///
/// assert_eq!(connections_for_each_group(1, 1_040, 1.0 / 3.0, 0.01)?, 369);
/// assert_eq!(connections_for_each_group(2, 1_040, 1.0 / 3.0, 0.01)?, 191);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_each_group(
    servers: u32,
    users: u32,
    at_work: f64,
    share: f64,
) -> Result<u32, OutOfBounds> {
    check(users <= CONNECTIONS_MAX, "the number of users", "at most 16,777,216")?;
    check(servers > 0, "the number of servers", "at least 1")?;
    connections_for_group(users.div_ceil(servers), at_work, share)
}
