//! What an order hands out: tokens, a code to type, a phrase to compare.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parallax_core::{Fingerprint, Suite};
use rand_core::Rng;

/// 16 random bytes, written in base64url: 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; 16]);

/// A text is no token, or no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// No token.
    #[error("a token is 16 bytes in base64url without padding: 22 characters")]
    Token,
    /// No code.
    #[error("a code is 8 of the letters A to Z and the digits 2 to 7, such as ABCD2345")]
    Code,
}

impl Token {
    /// A new one. The generator must be one for secrets.
    pub fn draw(rng: &mut dyn Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A token is a secret: no log shows one by mistake.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Token)?;
        bytes.try_into().map(Self).map_err(|_| BadToken::Token)
    }
}

impl serde::Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// 40 random bits, to be typed: 8 characters of base32 (RFC 4648 section 6), upper case.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl Code {
    /// A new one. The generator must be one for secrets.
    pub fn draw(rng: &mut dyn Rng) -> Self {
        let bits = rng.next_u64();
        let digit = |place: u32| BASE32.get((bits >> (5 * place) & 31) as usize).copied().map_or('A', char::from);
        Self((0..8).map(digit).collect())
    }

    /// What a person typed: case, spaces and hyphens do not matter, and 0, 1 and 8 are what they look like.
    pub fn from_typed(text: &str) -> Result<Self, BadToken> {
        let typed = text.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| match c.to_ascii_uppercase() {
            '0' => 'O',
            '1' => 'I',
            '8' => 'B',
            other => other,
        });
        typed.take(9).collect::<String>().parse()
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let right = text.len() == 8 && text.bytes().all(|byte| BASE32.contains(&byte));
        if right { Ok(Self(text.into())) } else { Err(BadToken::Code) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A code is a secret: no log shows one by mistake.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

/// A short phrase that the mail and the asking client show: whoever compares them knows that the mail is about this
/// request. Two proquints (arXiv:0901.4016), 32 bits.
pub fn phrase(suite: &dyn Suite, order: &Token, request: &Fingerprint) -> String {
    let bytes = [b"parallax janus phrase 1\0".as_slice(), &order.0, request.as_bytes()].concat();
    let hash = suite.sha256(&bytes);
    let words: Vec<String> = hash
        .chunks_exact(2)
        .take(2)
        .map(|pair| proquint(pair.iter().fold(0, |word, byte| word << 8 | u16::from(*byte))))
        .collect();
    words.join("-")
}

fn proquint(word: u16) -> String {
    const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
    const VOWELS: &[u8; 4] = b"aiou";
    let consonant = |shift: u16| CONSONANTS.get(usize::from(word >> shift & 15));
    let vowel = |shift: u16| VOWELS.get(usize::from(word >> shift & 3));
    let letters = [consonant(12), vowel(10), consonant(6), vowel(4), consonant(0)];
    letters.into_iter().flatten().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proquints_by_their_vectors() {
        // 127.0.0.1 and 63.84.220.193, from the paper.
        let told = |a: u16, b: u16| format!("{}-{}", proquint(a), proquint(b));
        assert_eq!(told(0x7f00, 0x0001), "lusab-babad");
        assert_eq!(told(0x3f54, 0xdcc1), "gutih-tugad");
    }

    #[test]
    fn codes_forgive_how_they_are_typed() {
        for typed in ["ABOI2B7Z", "abo1-2b7z", " A B 0 1 2 8 7 Z "] {
            assert_eq!(Code::from_typed(typed).unwrap().as_str(), "ABOI2B7Z");
        }
        for typed in ["", "ABCD234", "ABCD23456", "ABCD234!", "ÄBCD2345", &"A".repeat(1_000_000)] {
            assert_eq!(Code::from_typed(typed), Err(BadToken::Code));
        }
        assert!("abcd2345".parse::<Code>().is_err(), "one spelling is signed");
    }

    #[test]
    fn tokens_have_one_spelling_and_are_not_shown_by_mistake() {
        let token: Token = "AAECAwQFBgcICQoLDA0ODw".parse().unwrap();
        assert_eq!(token.to_string(), "AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(format!("{token:?}{:?}", Code::from_typed("ABCD2345").unwrap()), "Token(…)Code(…)");
        for text in [
            "",
            "AAECAwQFBgcICQoLDA0OD",
            "AAECAwQFBgcICQoLDA0ODw==",
            "AAECAwQFBgcICQoLDA0ODx",
            "AAECAwQFBgcICQoLDA0O/w",
        ] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
