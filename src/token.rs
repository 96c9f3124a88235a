//! The token by which a connection that was lost comes back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;

use crate::ids::ConnectionId;

/// Proves that whoever has it may take over a connection, see [`Engine::resume`](crate::Engine::resume). It stays the same
/// when the connection is resumed.
///
/// It holds 128 random bits of the operating system. Send it to the client of the connection and to nobody else, and write
/// it to no log: [`Debug`](fmt::Debug) hides it. [`Display`](fmt::Display) writes it in 56 hexadecimal digits, and
/// [`FromStr`] reads that.
#[derive(Clone, Copy)]
pub struct ResumeToken {
    /// How often the engine had been restored when the connection was opened.
    pub(crate) epoch: u32,
    /// The id that the connection had when it was opened.
    pub(crate) name: ConnectionId,
    pub(crate) secret: Secret,
}

/// The random part of a token.
#[derive(Clone, Copy)]
pub(crate) struct Secret(pub(crate) [u8; 16]);

impl Secret {
    /// Compares in a time that does not depend on where the two differ.
    pub(crate) fn matches(&self, other: &Secret) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(..)")
    }
}

impl PartialEq for ResumeToken {
    /// Takes a time that does not depend on where the two differ.
    fn eq(&self, other: &Self) -> bool {
        (self.epoch, self.name) == (other.epoch, other.name) && self.secret.matches(&other.secret)
    }
}

impl Eq for ResumeToken {}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = u128::from_be_bytes(self.secret.0);
        write!(f, "{:08x}{:016x}{secret:032x}", self.epoch, self.name.to_bits())
    }
}

/// A text is no [`ResumeToken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenError(());

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a token of 56 hexadecimal digits")
    }
}

impl std::error::Error for TokenError {}

impl FromStr for ResumeToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 56 || !text.bytes().all(is_hex) {
            return Err(TokenError(()));
        }
        let (epoch, text) = text.split_at(8);
        let (name, secret) = text.split_at(16);
        let epoch = u32::from_str_radix(epoch, 16).map_err(|_| TokenError(()))?;
        let name = u64::from_str_radix(name, 16).map_err(|_| TokenError(()))?;
        let secret = u128::from_str_radix(secret, 16).map_err(|_| TokenError(()))?;
        Ok(ResumeToken { epoch, name: ConnectionId::from_bits(name), secret: Secret(secret.to_be_bytes()) })
    }
}

/// As the text that [`Display`](fmt::Display) writes.
impl Serialize for ResumeToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResumeToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_written_read_back_and_hidden() {
        let text = "000000070123456789abcdef00112233445566778899aabbccddeeff";
        let token: ResumeToken = text.parse().unwrap();
        assert_eq!(
            (token.to_string(), format!("{token:?}")),
            (text.to_owned(), "ResumeToken(..)".to_owned())
        );
        assert_eq!(text.parse(), Ok(token));
        let other: ResumeToken = "000000070123456789abcdef00112233445566778899aabbccddeefe".parse().unwrap();
        assert_ne!(token, other);
        for text in ["", "0123", &text.to_uppercase(), &format!("{text}0"), &text.replace('0', "+")] {
            assert_eq!(text.parse::<ResumeToken>(), Err(TokenError(())), "{text}");
        }
    }
}
