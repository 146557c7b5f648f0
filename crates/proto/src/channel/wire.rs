//! Exact bytes: lengths, base64url, and JSON in which no name stands twice.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why bytes are no message. Anybody can see that, so it is told to anybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// It is too large.
    #[error("a message has at most 65536 bytes, this one has {0}")]
    TooLarge(usize),
    /// It is not JSON, or a name stands in it twice.
    #[error("it is not a JSON object: {0}")]
    Json(String),
    /// A field is missing or of another kind.
    #[error("\"{field}\" must be {wanted}")]
    Field {
        /// Which.
        field: &'static str,
        /// What would be right.
        wanted: &'static str,
    },
}

/// A 4-byte big-endian length and the bytes.
pub(super) fn put_lp(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing here is longer than a message.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Reads a length and its bytes; what is behind them comes with them.
pub(super) fn take_lp(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// base64url without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The same behind what is there already.
pub(super) fn encode_to(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// The bytes of a base64url text; `None` for padding, other letters and stray bits.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A JSON object of at most a message's size, in which no name stands twice.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, BadForm> {
    if bytes.len() > super::LARGEST_MESSAGE {
        return Err(BadForm::TooLarge(bytes.len()));
    }
    match serde_json::from_slice(bytes).map_err(|error| BadForm::Json(error.to_string()))? {
        Unique(Value::Object(map)) => Ok(map),
        Unique(_) => Err(BadForm::Json("it is another kind of value".into())),
    }
}

/// A text field.
pub(super) fn text<'a>(map: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, BadForm> {
    map.get(field).and_then(Value::as_str).ok_or(BadForm::Field { field, wanted: "a text" })
}

/// A field of bytes.
pub(super) fn binary(map: &Map<String, Value>, field: &'static str) -> Result<Vec<u8>, BadForm> {
    decode(text(map, field)?).ok_or(BadForm::Field { field, wanted: "base64url without padding" })
}

/// A field of exactly so many bytes.
pub(super) fn exactly<const N: usize>(map: &Map<String, Value>, field: &'static str) -> Result<[u8; N], BadForm> {
    let wanted = match N {
        16 => "16 bytes in base64url",
        32 => "32 bytes in base64url",
        _ => "bytes of another number in base64url",
    };
    binary(map, field)?.try_into().map_err(|_| BadForm::Field { field, wanted })
}

/// Bytes of a fixed number as base64url in a signed body.
pub(super) mod fixed {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::channel) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::encode(bytes))
    }

    pub(in crate::channel) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = super::decode(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom(format!("{N} bytes in base64url are wanted")))
    }
}

/// The same where there may be none.
pub(super) mod fixed_or_none {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::channel) fn serialize<S: Serializer>(
        bytes: &Option<[u8; 32]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::fixed::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::channel) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        #[derive(Deserialize)]
        struct Fixed(#[serde(with = "super::fixed")] [u8; 32]);
        Ok(Some(Fixed::deserialize(deserializer)?.0))
    }
}

/// A JSON value in which no name stands twice in one object: two readers can't read it in two ways.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Unique)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in which no name stands twice")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let Unique(value) = entries.next_value()?;
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("\"{name}\" stands in it twice")));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice_at_any_depth() {
        assert!(object(br#"{"a":{"b":[1,-2,2.5,true,null,"x"]},"b":{}}"#).is_ok());
        for twice in [r#"{"a":1,"a":2}"#, r#"{"x":{"a":1,"a":1}}"#, r#"{"x":[{"a":1,"\u0061":1}]}"#] {
            let error = object(twice.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("\"a\" stands in it twice"), "{error}");
        }
        for bad in ["", "[]", "1", "{", "{}{}", "\"x\"", &"[".repeat(10_000)] {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(object(&[b' '; 65_537]), Err(BadForm::TooLarge(65_537)));
    }

    #[test]
    fn lengths_are_believed_only_as_far_as_there_are_bytes() {
        let mut out = Vec::new();
        put_lp(&mut out, b"abc");
        out.push(9);
        assert_eq!(take_lp(&out), Some((&b"abc"[..], &[9][..])));
        for cut in 0..7 {
            assert_eq!(take_lp(&out[..cut]), None, "{cut}");
        }
        assert_eq!(take_lp(&[0xff; 8]), None);
    }

    #[test]
    fn one_spelling_of_bytes() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for other in ["AQ==", "AR", "A", "A Q", "+/", "é"] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
