//! Fingerprints and what is named by one.

use std::fmt;
use std::str::FromStr;

/// The text was not lower-case hex of the right length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {what} is {digits} lower-case hex digits, not \"{found}\"")]
pub struct BadHex {
    what: &'static str,
    digits: usize,
    found: String,
}

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// From the raw bytes.
            #[inline]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[inline]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 2 * $len];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
                }
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = BadHex;

            fn from_str(text: &str) -> Result<Self, BadHex> {
                let bad = || BadHex { what: $what, digits: $len * 2, found: text.chars().take(80).collect() };
                let digits = text.as_bytes();
                if digits.len() != $len * 2 {
                    return Err(bad());
                }
                let mut bytes = [0; $len];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = pair.iter().try_fold(0u8, |value, digit| match digit {
                        b'0'..=b'9' => Ok(value << 4 | (digit - b'0')),
                        b'a'..=b'f' => Ok(value << 4 | (digit - b'a' + 10)),
                        _ => Err(bad()),
                    })?;
                }
                Ok(Self(bytes))
            }
        }

        serde_as_text!($name);
    };
}

hex_bytes!(
    /// A SHA-256 digest: of a certificate (*leaf*) or of a DER SubjectPublicKeyInfo (*key*, *issuer key*).
    Fingerprint,
    32,
    "SHA-256 fingerprint"
);
hex_bytes!(
    /// The MD5 of a leaf certificate, kept only because old notaries know certificates by it.
    /// Never compared to decide anything where a SHA-256 is known.
    Md5Fingerprint,
    16,
    "MD5 fingerprint"
);
hex_bytes!(
    /// The identity of a vantage point: SHA-256 of its CA's SubjectPublicKeyInfo (a node) or of its key's (a peer).
    VantageId,
    32,
    "vantage id"
);

hex_bytes!(
    /// What a client's or peer's key is known by: SHA-256 of its SubjectPublicKeyInfo (DER), whatever kind of key it is.
    KeyId,
    32,
    "key id"
);

impl From<KeyId> for VantageId {
    /// A peer's key is its vantage point.
    fn from(id: KeyId) -> Self {
        Self::from_bytes(*id.as_bytes())
    }
}

/// Of a number below 16. Byte by byte through the formatter, ids would be a tenth of what writing a view costs.
fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + (value - 10) }
}

impl VantageId {
    /// The first eight digits: what tables show where the whole id has no room. Never an input.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl Fingerprint {
    /// The first eight digits: what tables show where the whole fingerprint has no room. Never an input.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trip_and_refusals() {
        let text = "00ff".repeat(16);
        let print: Fingerprint = text.parse().unwrap();
        assert_eq!(print.to_string(), text);
        assert_eq!(print.short(), "00ff00ff");
        for bad in ["", "00FF", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32), &"00FF".repeat(16)]
        {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
        let message = "zz".parse::<VantageId>().unwrap_err().to_string();
        assert_eq!(message, "a vantage id is 64 lower-case hex digits, not \"zz\"");
    }
}
