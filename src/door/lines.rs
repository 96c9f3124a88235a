//! Lines out of a stream of bytes, of bounded length.

/// Most bytes of a line, its end not counted: 1 MiB.
pub const LINE_MAX: usize = 1 << 20;

/// Cuts a stream into lines, and keeps no more than one line's bytes.
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
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// What has begun is longer than a line may be, and not kept.
    too_long: bool,
}

impl Lines {
    /// Hands every line that `bytes` completes to `each`, without its end; `None` for one longer than
    /// [`LINE_MAX`].
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Option<&[u8]>)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.begun.is_empty() && !self.too_long {
                each(Some(line).filter(|line| line.len() <= LINE_MAX));
            } else {
                self.begin(line);
                self.end(&mut each);
            }
        }
        self.begin(rest);
    }

    /// Hands over the last line, if the stream did not end with a line's end.
    pub fn end(&mut self, mut each: impl FnMut(Option<&[u8]>)) {
        if std::mem::take(&mut self.too_long) {
            each(None);
        } else if !self.begun.is_empty() {
            each(Some(&self.begun));
        }
        self.begun.clear();
    }

    fn begin(&mut self, part: &[u8]) {
        self.too_long |= self.begun.len() + part.len() > LINE_MAX;
        if self.too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parts: &[&[u8]]) -> Vec<Option<usize>> {
        let mut lines = Lines::default();
        let mut lengths = Vec::new();
        for part in parts {
            lines.feed(part, |line| lengths.push(line.map(<[u8]>::len)));
        }
        lines.end(|line| lengths.push(line.map(<[u8]>::len)));
        lengths
    }

    #[test]
    fn empty_lines_count_and_a_missing_end_is_none() {
        assert_eq!(cut(&[b"\n\r\na\n"]), [Some(0), Some(1), Some(1)]);
        assert_eq!(cut(&[b"ab", b"", b"c\n", b"d"]), [Some(3), Some(1)]);
        assert_eq!(cut(&[]), []);
        assert_eq!(cut(&[b"a", b"\n"]), [Some(1)]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_bound_and_no_longer() {
        let (most, over) = (vec![b'x'; LINE_MAX], vec![b'x'; LINE_MAX + 1]);
        assert_eq!(cut(&[&most, b"\n"]), [Some(LINE_MAX)]);
        assert_eq!(cut(&[&over, b"\na\n"]), [None, Some(1)]);
        assert_eq!(cut(&[&[&over[..], b"\na"].concat()]), [None, Some(1)]);
        assert_eq!(cut(&[&most, b"x", &most, b"\n", b"b"]), [None, Some(1)]);
    }
}
