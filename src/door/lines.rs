//! Splits a stream of bytes into lines of bounded length.

/// The longest line, in bytes without the line end: 1 MiB.
pub const LINE_MAX: usize = 1 << 20;

/// Splits a stream of bytes into lines.
///
/// A line ends with `\n`, which is not part of it. The bytes may arrive in pieces of any size. The buffer never holds
/// more than [`LINE_MAX`] bytes: a longer line is discarded while it arrives and reported as `None`.
///
/// ```
/// use coedit::door::Lines;
///
/// let mut lines = Lines::default();
/// let mut seen = Vec::new();
/// lines.feed(b"one\ntw", |line| seen.push(line.map(<[u8]>::to_vec)));
/// lines.feed(b"o\nthree", |line| seen.push(line.map(<[u8]>::to_vec)));
/// lines.end(|line| seen.push(line.map(<[u8]>::to_vec)));
/// assert_eq!(seen, [Some(b"one".to_vec()), Some(b"two".to_vec()), Some(b"three".to_vec())]);
/// ```
#[derive(Debug, Default)]
pub struct Lines {
    /// The start of a line whose end has not arrived.
    partial: Vec<u8>,
    /// True if the line that is arriving is too long. Then nothing of it is kept.
    too_long: bool,
    /// True once a line has ended. A byte order mark is ignored before the first line only.
    started: bool,
}

/// The byte order mark in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Lines {
    /// Takes the next bytes of the stream. Calls `each` with every line that they complete, in order, or with `None`
    /// for a line longer than [`LINE_MAX`].
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Option<&[u8]>)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.started && self.partial.is_empty() && !self.too_long {
                each(Some(line).filter(|line| line.len() <= LINE_MAX));
            } else {
                self.append(line);
                self.end_line(&mut each);
            }
        }
        self.append(rest);
    }

    /// Ends the stream. Calls `each` with the last line if the stream did not end with a line end.
    pub fn end(&mut self, each: impl FnMut(Option<&[u8]>)) {
        if self.too_long || !self.partial.is_empty() {
            self.end_line(each);
        }
    }

    fn end_line(&mut self, mut each: impl FnMut(Option<&[u8]>)) {
        let first = !std::mem::replace(&mut self.started, true);
        let mut line = &*self.partial;
        if first {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        each(Some(line).filter(|_| !self.too_long));
        self.too_long = false;
        self.partial.clear();
    }

    fn append(&mut self, part: &[u8]) {
        self.too_long |= self.partial.len() + part.len() > LINE_MAX;
        if self.too_long {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths_of_lines(parts: &[&[u8]]) -> Vec<Option<usize>> {
        let mut lines = Lines::default();
        let mut lengths = Vec::new();
        for part in parts {
            lines.feed(part, |line| lengths.push(line.map(<[u8]>::len)));
        }
        lines.end(|line| lengths.push(line.map(<[u8]>::len)));
        lengths
    }

    #[test]
    fn empty_lines_count_and_the_last_line_needs_no_end() {
        assert_eq!(lengths_of_lines(&[b"\n\r\na\n"]), [Some(0), Some(1), Some(1)]);
        assert_eq!(lengths_of_lines(&[b"ab", b"", b"c\n", b"d"]), [Some(3), Some(1)]);
        assert_eq!(lengths_of_lines(&[]), []);
        assert_eq!(lengths_of_lines(&[b"a", b"\n"]), [Some(1)]);
    }

    #[test]
    fn a_byte_order_mark_is_ignored_before_the_first_line_only() {
        assert_eq!(lengths_of_lines(&[b"\xef\xbb\xbfab\n", b"\xef\xbb\xbfab\n"]), [Some(2), Some(5)]);
        assert_eq!(lengths_of_lines(&[b"\xef", b"\xbb\xbf\n"]), [Some(0)]);
        assert_eq!(lengths_of_lines(&[b"\xef\xbb\xbfa"]), [Some(1)]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn a_line_of_the_maximum_length_is_accepted_and_a_longer_one_is_not() {
        let (most, over) = (vec![b'x'; LINE_MAX], vec![b'x'; LINE_MAX + 1]);
        assert_eq!(lengths_of_lines(&[&most, b"\n"]), [Some(LINE_MAX)]);
        assert_eq!(lengths_of_lines(&[&over, b"\na\n"]), [None, Some(1)]);
        assert_eq!(lengths_of_lines(&[&[&over[..], b"\na"].concat()]), [None, Some(1)]);
        assert_eq!(lengths_of_lines(&[&most, b"x", &most, b"\n", b"b"]), [None, Some(1)]);
    }
}
