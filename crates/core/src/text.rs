//! Types that stand in JSON as the text they are written and read as.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Serialises a type as its `Display`, and reads it back by its `FromStr`.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::text::Parsed(std::marker::PhantomData))
            }
        }
    };
}

/// Parses the text where it stands: views hold hundreds, and none needs a copy.
pub(crate) struct Parsed<T>(pub(crate) PhantomData<T>);

impl<T> serde::de::Visitor<'_> for Parsed<T>
where
    T: FromStr<Err: fmt::Display>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
