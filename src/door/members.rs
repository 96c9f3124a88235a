//! The members of a JSON object as they stand in the text, so that each can be judged, and echoed, by itself.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of these names, in the order of the names. Others are passed over; of two with one name the later
/// counts, as with JavaScript's `JSON.parse`. `None` if the text is no JSON object.
pub(super) fn members<'a, const N: usize>(
    text: &'a str,
    names: &[&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let mut json = serde_json::Deserializer::from_str(text);
    let found = json.deserialize_map(Members { names }).ok()?;
    json.end().ok()?;
    Some(found)
}

struct Members<'n, const N: usize> {
    names: &'n [&'n str; N],
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(position) = map.next_key_seed(Name { names: self.names })? {
            match position.and_then(|position: usize| found.get_mut(position)) {
                Some(place) => *place = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Reads a member's name as its position among those that are looked for.
struct Name<'n> {
    names: &'n [&'n str],
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.names.iter().position(|known| *known == name))
    }
}

/// The string that a value is, without a copy where it has no escapes. `None` if it is no string of Unicode text.
pub(super) fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Whether a value is safe to send back as it came: on one line, text without lone surrogates, numbers that a double can
/// hold, not nested deeper than common readers follow.
pub(super) fn can_be_echoed(value: &RawValue) -> bool {
    let text = value.get();
    let plain_string = text.starts_with('"') && !text.contains('\\');
    let short_integer = text.len() < 16 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain_string
        || short_integer
        || (!text.contains('\n')
            && depth(text) <= ECHO_DEPTH
            && serde_json::from_str::<serde_json::Value>(text).is_ok())
}

/// Deepest nesting of a value that is echoed. `serde_json` and others give up at 128; a reply adds two.
const ECHO_DEPTH: usize = 100;

/// How deep brackets nest in a valid JSON text.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_counts_and_strangers_are_passed_over() {
        let found = members(r#"{"a":1,"x":[{"a":0}],"b":"two","a":{"c":3}}"#, &["a", "b", "c"]).unwrap();
        assert_eq!(found.map(|value| value.map(RawValue::get)), [Some(r#"{"c":3}"#), Some(r#""two""#), None]);
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "null", "[]", "\"a\"", "{", "{\"a\":}", "{} {}", "{\"a\":1,}", "{'a':1}"] {
            assert!(members(text, &["a"]).is_none(), "{text}");
        }
    }

    #[test]
    fn only_what_others_can_read_is_echoed() {
        let echoed = |text: &str| can_be_echoed(serde_json::from_str(text).unwrap());
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(echoed("7") && echoed("null") && echoed(r#""a\n[[[""#) && echoed(&nested(100)));
        assert!(!echoed("[\n]") && !echoed(r#""\ud800""#) && !echoed("1e999") && !echoed(&nested(101)));
    }
}
