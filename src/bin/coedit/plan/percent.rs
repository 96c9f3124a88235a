//! Shares in percent.

/// Formats a share in percent. Small shares get more decimal places.
pub(crate) fn percent(share: f64) -> String {
    let places = match share {
        _ if (share * 100.0).fract() == 0.0 => 0,
        _ if share >= 0.001 => 2,
        _ => 4,
    };
    format!("{:.places$} %", share * 100.0)
}
