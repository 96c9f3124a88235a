//! Tells the format of a file from its start.

use super::{Format, Settings};

/// Returns true if the bytes contain the end of a line that is not blank.
pub(super) fn has_line(start: &[u8]) -> bool {
    let begin = start.iter().position(|byte| !is_blank(*byte));
    let line = begin.and_then(|begin| start.get(begin..));
    line.is_some_and(|line| line.contains(&b'\n'))
}

/// Returns the format of the first line that is not blank, or the only one that takes the settings.
pub(super) fn format(start: &[u8], settings: &Settings) -> Format {
    let line = first_line(start);
    let contains = |part: &str| line.windows(part.len()).any(|window| window == part.as_bytes());
    if settings.log_format.is_some() || settings.log_path.is_some() {
        Format::Nginx
    } else if line.starts_with(b"[") || line == b"{" {
        // An answer is one value, so its first line may end anywhere. A request ends on its line.
        Format::Prometheus
    } else if line.starts_with(b"{") {
        let is_answer = ["\"status\"", "\"data\"", "\"resultType\""].into_iter().any(contains);
        if is_answer { Format::Prometheus } else { Format::Json }
    } else if has_local_time(line) {
        Format::Nginx
    } else {
        Format::Csv
    }
}

/// Returns the first line that is not blank, without the spaces around it.
fn first_line(start: &[u8]) -> &[u8] {
    let begin = start.iter().position(|byte| !is_blank(*byte)).unwrap_or(start.len());
    let rest = start.get(begin..).unwrap_or_default();
    rest.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end()
}

/// Returns true for a space, a line end, and a byte of the byte order mark.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(&byte)
}

/// Returns true if the line contains the start of a time such as `[26/Nov/2025:09:00:00`.
fn has_local_time(line: &[u8]) -> bool {
    line.windows(LOCAL_TIME.len()).any(|window| {
        window.iter().zip(LOCAL_TIME).all(|(byte, form)| match form {
            b'9' => byte.is_ascii_digit(),
            b'a' => byte.is_ascii_alphabetic(),
            _ => byte == form,
        })
    })
}

/// The form of the time: `9` stands for a digit, and `a` for a letter.
const LOCAL_TIME: &[u8] = b"[99/aaa/9999:99:";
