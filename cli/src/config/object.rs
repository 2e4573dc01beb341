//! What is an object in every document of the spec, and nothing else: serde's
//! derive would read a list in its place as its members in order.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};

/// A type whose derived `deserialize` is its own, as of `serde(remote = "Self")`.
pub(super) trait Object: Sized {
    /// Reads it from an object's members.
    fn from_members<'de, A: MapAccess<'de>>(members: A) -> Result<Self, A::Error>;
}

/// Reads a type from an object alone.
pub(super) struct Members<T>(pub(super) PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::from_members(members)
    }
}

/// `object! { A, B }`: these are read from objects alone.
macro_rules! object {
    ($($name:ident),* $(,)?) => { $(
        impl $crate::config::object::Object for $name {
            fn from_members<'de, A: serde::de::MapAccess<'de>>(
                members: A,
            ) -> Result<Self, A::Error> {
                // The derived one, which is not the trait's.
                $name::deserialize(serde::de::value::MapAccessDeserializer::new(members))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                let members = $crate::config::object::Members(std::marker::PhantomData);
                reader.deserialize_map(members)
            }
        }
    )* };
}
pub(crate) use object;
