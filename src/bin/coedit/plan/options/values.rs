//! Reads the values of options.

use std::str::FromStr;

/// The share of the users who work at the same time, or the range in which it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Concurrent {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Default for Concurrent {
    /// All users.
    fn default() -> Self {
        Concurrent { low: 1.0, high: 1.0 }
    }
}

impl FromStr for Concurrent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        let (low, high) = (share_of_users(low)?, share_of_users(high)?);
        if low <= high { Ok(Concurrent { low, high }) } else { Err("the range begins above its end") }
    }
}

/// Reads local time minus UTC. Returns minutes.
pub(super) fn utc_offset(text: &str) -> Result<i32, &'static str> {
    const RULE: &str = "an offset such as +02:00 or -05:30 is needed, or Z";
    if text.eq_ignore_ascii_case("z") {
        return Ok(0);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(RULE),
    };
    let (hours, minutes) = rest.split_once(':').ok_or(RULE)?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse::<i32>().ok().filter(|_| two_digits(text));
    match (number(hours), number(minutes)) {
        (Some(hours @ 0..=14), Some(minutes @ 0..=59)) => Ok(sign * (hours * 60 + minutes)),
        _ => Err(RULE),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, &'static str> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or("a number above 0 is needed")
}

pub(super) fn share_of_users(text: &str) -> Result<f64, &'static str> {
    let share = share(text).filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or("a share above 0 and not above 1 is needed, such as 0.33, 33% or 1/3")
}

pub(super) fn share_of_opens(text: &str) -> Result<f64, &'static str> {
    let share = share(text).filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or("a share between 0 and 1 is needed, such as 0.01, 1% or 1/100")
}

/// Reads a share that is written as a number, in percent, or as a fraction.
pub(super) fn share(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Some(percent) = text.strip_suffix('%') {
        return Some(percent.trim_end().parse::<f64>().ok()? / 100.0);
    }
    match text.split_once('/') {
        Some((part, all)) => Some(part.trim().parse::<f64>().ok()? / all.trim().parse::<f64>().ok()?),
        None => text.parse().ok(),
    }
}

pub(super) fn growth(text: &str) -> Result<f64, &'static str> {
    let growth = share(text).filter(|growth| *growth > 0.0 && *growth <= 1.0);
    growth.ok_or("a growth above 0 and not above 1 is needed, such as 4% or 0.04")
}
