//! Immutable text that is cheap to copy, compare and hash: what names are made of.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Immutable text: up to `INLINE` bytes in place, longer ones shared, so that a clone copies a few words at most.
///
/// The tag of the variants hides among the values that [`Len`] does not have, in the first byte. So a short text is two or
/// three whole words to the machine: copied byte by byte beside a tag of its own, it cost an `info` half its time.
pub(crate) enum Text<S, const INLINE: usize> {
    Inline(Inline<INLINE>),
    Shared(S),
}

impl<S: Clone, const INLINE: usize> Clone for Text<S, INLINE> {
    /// Not inlined: a caller that mixes the two ways copies a short text in odd pieces, and reads it again before the
    /// pieces have arrived. That made 1,000 clones take 11.7 us.
    #[inline(never)]
    fn clone(&self) -> Self {
        match self {
            Text::Inline(text) => Text::Inline(*text),
            Text::Shared(text) => Text::Shared(text.clone()),
        }
    }
}

#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Inline<const INLINE: usize> {
    pub(crate) len: Len,
    /// Zero past the length, which they tell too: no name has a zero in it.
    pub(crate) bytes: [u8; INLINE],
}

impl<const INLINE: usize> Inline<INLINE> {
    /// The bytes as whole words, of which the last two overlap. A hash of them takes two fifths of the instructions of one
    /// of the bytes.
    #[inline]
    fn words(&self) -> impl Iterator<Item = u64> {
        const { assert!(INLINE >= size_of::<u64>(), "there is a word in it") };
        let (words, _) = self.bytes.as_chunks();
        words.iter().chain(self.bytes.last_chunk()).map(|word| u64::from_le_bytes(*word))
    }
}

/// The length of a short text.
#[derive(Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(crate) enum Len {
    L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23,
}

impl Len {
    #[rustfmt::skip]
    const ALL: [Len; 24] = {
        use Len::*;
        [L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23]
    };
}

impl<S: AsRef<str> + From<Box<str>>, const INLINE: usize> Text<S, INLINE> {
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), Len::ALL.get(text.len())) {
            (Some(room), Some(len)) => {
                room.copy_from_slice(text.as_bytes());
                Text::Inline(Inline { len: *len, bytes })
            }
            _ => Text::Shared(Box::<str>::from(text).into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Inline(Inline { len, bytes }) => &bytes[..(*len as usize).min(INLINE)],
            Text::Shared(text) => text.as_ref().as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            // Checked again because the crate forbids unsafe code; it was text when it came in.
            Text::Inline(_) => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Text::Shared(text) => text.as_ref(),
        }
    }
}

impl<S: AsRef<str>, const INLINE: usize> PartialEq for Text<S, INLINE> {
    /// A text is short or long in one way only. Short ones are compared whole, the unused zeros too.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Text::Inline(one), Text::Inline(other)) => {
                one.words().zip(other.words()).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
            }
            (Text::Shared(one), Text::Shared(other)) => one.as_ref() == other.as_ref(),
            _ => false,
        }
    }
}

impl<S: AsRef<str>, const INLINE: usize> Hash for Text<S, INLINE> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Text::Inline(text) => text.words().for_each(|word| state.write_u64(word)),
            Text::Shared(text) => state.write(text.as_ref().as_bytes()),
        }
    }
}

/// A shared text behind one pointer, where `Arc<str>` takes two.
#[derive(Clone)]
pub(crate) struct Thin(Arc<Box<str>>);

impl From<Box<str>> for Thin {
    fn from(text: Box<str>) -> Self {
        Thin(Arc::new(text))
    }
}

impl AsRef<str> for Thin {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
