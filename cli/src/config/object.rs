//! Types that are read from JSON objects only. serde's derive would also accept a
//! list of the members' values in order.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};

/// A type with `serde(remote = "Self")`, so that its derived `deserialize` is an
/// inherent function.
pub(super) trait Object: Sized {
    /// Reads it from the members of an object.
    fn from_members<'de, A: MapAccess<'de>>(members: A) -> Result<Self, A::Error>;
}

/// A visitor that accepts only objects.
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

/// `object! { A, B }` lets these types be read from objects only.
macro_rules! object {
    ($($name:ident),* $(,)?) => { $(
        impl $crate::config::object::Object for $name {
            fn from_members<'de, A: serde::de::MapAccess<'de>>(
                members: A,
            ) -> Result<Self, A::Error> {
                // The derived function, not the trait's.
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
