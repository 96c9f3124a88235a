//! Reads selected members of a JSON object.
//!
//! Each value stays raw JSON text. So the grammar can check every member by itself, and the reply can repeat `key` and
//! `id` exactly as they came.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A struct with one field for each member that is read from an object.
pub(super) trait Members<'a>: Default {
    /// Returns the field of the member `name`, or `None` if that member is ignored.
    fn field(&mut self, name: &str) -> Option<&mut MemberText<'a>>;
}

/// Reads `text` as one JSON object. Returns `None` if it is anything else.
///
/// If several members have the same name, the last one counts, as in JavaScript's `JSON.parse`.
pub(super) fn read_members<'a, M: Members<'a>>(text: &'a str) -> Option<M> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(MembersVisitor(PhantomData)).ok()?;
    json.end().ok()?;
    Some(members)
}

/// The value of one member, if the object has that member.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemberText<'a>(Option<&'a RawValue>);

impl<'a> MemberText<'a> {
    /// Returns the JSON text of the value. Returns `None` for `null`, which means the same as an absent member.
    pub(super) fn json(self) -> Option<&'a str> {
        self.0.map(RawValue::get).filter(|json| *json != "null")
    }

    /// Returns true if the object has the member, also if it is `null`.
    pub(super) fn is_present(self) -> bool {
        self.0.is_some()
    }

    /// Returns the value if it is a string of valid Unicode text. Borrows unless the string contains escapes.
    pub(super) fn string(self) -> Option<Cow<'a, str>> {
        let json = self.0?.get();
        let inner = json.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str(json).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// Returns the value if a reply can repeat it, see [`can_be_echoed`]. `null` is repeated too.
    pub(super) fn echo(self) -> Option<&'a RawValue> {
        self.0.filter(|value| can_be_echoed(value.get()))
    }

    /// Returns true if the member has a value that a reply cannot repeat.
    pub(super) fn is_unprintable(self) -> bool {
        self.0.is_some() && self.echo().is_none()
    }
}

struct MembersVisitor<M>(PhantomData<M>);

impl<'de, M: Members<'de>> Visitor<'de> for MembersVisitor<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut members = M::default();
        while let Some(field) = map.next_key_seed(FieldSeed(&mut members))? {
            match field {
                Some(field) => *field = MemberText(Some(map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

/// Deserializes a member's name to the field that stores the member's value.
struct FieldSeed<'m, M>(&'m mut M);

impl<'de: 'm, 'm, M: Members<'de>> DeserializeSeed<'de> for FieldSeed<'m, M> {
    type Value = Option<&'m mut MemberText<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de: 'm, 'm, M: Members<'de>> Visitor<'de> for FieldSeed<'m, M> {
    type Value = Option<&'m mut MemberText<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

/// Returns true if a reply can repeat this valid JSON text and common JSON readers still accept the reply.
///
/// The text must be on one line, contain no lone surrogate and no number outside the range of a double, and nest at
/// most [`ECHO_DEPTH`] levels deep.
fn can_be_echoed(json: &str) -> bool {
    // The first two tests are fast paths for the usual keys and ids.
    let plain_string = json.starts_with('"') && !json.contains('\\');
    let short_integer = json.len() < 16 && json.bytes().all(|byte| byte.is_ascii_digit());
    plain_string
        || short_integer
        || (!json.contains('\n')
            && depth(json) <= ECHO_DEPTH
            && serde_json::from_str::<serde_json::Value>(json).is_ok())
}

/// The deepest nesting of a value that a reply repeats. `serde_json` and other readers stop at 128, and the reply adds
/// two levels.
const ECHO_DEPTH: usize = 100;

/// Returns the nesting depth of the arrays and objects in a valid JSON text.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
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

    #[derive(Debug, Default)]
    struct AbcMembers<'a> {
        a: MemberText<'a>,
        b: MemberText<'a>,
        c: MemberText<'a>,
    }

    impl<'a> Members<'a> for AbcMembers<'a> {
        fn field(&mut self, name: &str) -> Option<&mut MemberText<'a>> {
            match name {
                "a" => Some(&mut self.a),
                "b" => Some(&mut self.b),
                "c" => Some(&mut self.c),
                _ => None,
            }
        }
    }

    #[test]
    fn the_last_of_two_equal_names_counts_and_unknown_members_are_ignored() {
        let text = r#"{"a":1,"x":[{"a":0}],"b":"two","a":{"c":3}}"#;
        let found: AbcMembers<'_> = read_members(text).unwrap();
        let values = [found.a, found.b, found.c].map(MemberText::json);
        assert_eq!(values, [Some(r#"{"c":3}"#), Some(r#""two""#), None]);
    }

    #[test]
    fn only_a_json_object_has_members() {
        for text in ["", "null", "[]", "\"a\"", "{", "{\"a\":}", "{} {}", "{\"a\":1,}", "{'a':1}"] {
            assert!(read_members::<AbcMembers<'_>>(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_values_that_common_readers_accept_are_echoed() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let echoed = can_be_echoed;
        assert!(echoed("7") && echoed("null") && echoed(r#""a\n[[[""#) && echoed(&nested(100)));
        assert!(!echoed("[\n]") && !echoed(r#""\ud800""#) && !echoed("1e999") && !echoed(&nested(101)));
    }
}
