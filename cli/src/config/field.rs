//! Reads JSON into fields where they lie, which have their defaults until then. One
//! visitor reads them all. serde's derive would make a reader for each struct, with
//! four times the code.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

/// What JSON can be read into.
pub trait Field {
    /// What may be read into such a field.
    fn kind_of() -> Kind
    where
        Self: Sized;

    /// What may be read into it.
    fn kind(&self) -> Kind;

    /// Makes it, before its parts are read.
    fn make(&mut self) {}

    /// Sets it, if it is a scalar.
    fn set(&mut self, _: Scalar<'_>) -> Result<(), Refused> {
        Err(Refused::Type)
    }

    /// This part of it, which is made if need be.
    fn part(&mut self, _: Part<'_>) -> Option<&mut dyn Field> {
        None
    }
}

/// What may be read into a field.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A scalar; the name of its type.
    Scalar(&'static str),
    /// A list.
    List,
    /// An object whose members may have any name.
    Map,
    /// An object with these members. Others are ignored.
    Object(&'static [Member]),
}

/// A member of an object.
#[derive(Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub needed: bool,
}

/// Whether a member is followed by a word.
pub(crate) const fn is_needed(words: &[&str]) -> bool {
    !words.is_empty()
}

/// A value without parts.
#[derive(Clone, Copy)]
pub enum Scalar<'a> {
    /// true or false.
    Bool(bool),
    /// A whole number.
    Number(i128),
    /// A string.
    Text(&'a str),
}

/// Why a scalar was not set.
pub enum Refused {
    /// It has another type.
    Type,
    /// It is too small or too large.
    Range,
}

/// A part of a field.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// One more element of a list.
    Element,
    /// A member of a map.
    Entry(&'a str),
    /// A member of an object, as Kind::Object counts them.
    Member(usize),
}

/// Reads a JSON text into a field.
pub(super) fn read(field: &mut dyn Field, json: &str) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(json);
    Fill { field, may_be_null: false }.deserialize(&mut reader)?;
    reader.end()
}

/// Reads one value into a field. Returns whether it was another than null.
struct Fill<'a> {
    field: &'a mut dyn Field,
    may_be_null: bool,
}

impl Fill<'_> {
    fn set<E: Error>(self, scalar: Scalar<'_>, value: Unexpected<'_>) -> Result<bool, E> {
        match self.field.set(scalar) {
            Ok(()) => Ok(true),
            Err(Refused::Type) => Err(E::invalid_type(value, &self)),
            Err(Refused::Range) => Err(E::invalid_value(value, &self)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.field.kind() {
            Kind::Scalar(name) => name,
            Kind::List => "a sequence",
            Kind::Map => "a map",
            Kind::Object(_) => "an object",
        })
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        match self.may_be_null {
            true => Ok(false),
            false => Err(E::invalid_type(Unexpected::Unit, &self)),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.set(Scalar::Bool(value), Unexpected::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.set(Scalar::Number(value.into()), Unexpected::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.set(Scalar::Number(value.into()), Unexpected::Signed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        self.set(Scalar::Text(value), Unexpected::Str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        if !matches!(self.field.kind(), Kind::List) {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.field.make();
        while list.next_element_seed(Element(self.field))?.is_some() {}
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let kind = self.field.kind();
        if matches!(kind, Kind::Scalar(_) | Kind::List) {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        self.field.make();
        let mut seen = 0_u32;
        while let Some(key) = map.next_key_seed(Key(kind))? {
            let part = match &key {
                Found::Member(index, _) => self.field.part(Part::Member(*index)),
                Found::Entry(name) => self.field.part(Part::Entry(name)),
                Found::Unknown => None,
            };
            let Some(field) = part else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let is_there = map.next_value_seed(Fill { field, may_be_null: true })?;
            if let (Found::Member(index, name), true) = (key, is_there) {
                if seen & (1 << index) != 0 {
                    return Err(A::Error::duplicate_field(name));
                }
                seen |= 1 << index;
            }
        }
        let members = if let Kind::Object(members) = kind { members } else { &[] };
        let is_missing =
            |(index, member): &(usize, &Member)| member.needed && seen & (1 << index) == 0;
        match members.iter().enumerate().find(is_missing) {
            Some((_, member)) => Err(A::Error::missing_field(member.name)),
            None => Ok(true),
        }
    }
}

/// Reads one more element of a list.
struct Element<'a>(&'a mut dyn Field);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if let Some(field) = self.0.part(Part::Element) {
            reader.deserialize_any(Fill { field, may_be_null: false })?;
        }
        Ok(())
    }
}

/// Reads the name of a member.
struct Key(Kind);

/// Which member a name stands for.
enum Found {
    Member(usize, &'static str),
    Entry(String),
    Unknown,
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Found, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Found, E> {
        let Kind::Object(members) = self.0 else { return Ok(Found::Entry(name.to_owned())) };
        let member = members.iter().enumerate().find(|(_, member)| member.name == name);
        Ok(member.map_or(Found::Unknown, |(index, member)| Found::Member(index, member.name)))
    }
}

/// Gives a type its kind.
macro_rules! kind {
    ($kind:expr) => {
        fn kind_of() -> Kind {
            $kind
        }

        fn kind(&self) -> Kind {
            Self::kind_of()
        }
    };
}

/// Reads scalars of one form into a type.
macro_rules! scalar {
    ($type:ident, $name:expr, $form:ident($value:ident) => $result:expr) => {
        impl Field for $type {
            kind!(Kind::Scalar($name));

            fn set(&mut self, scalar: Scalar<'_>) -> Result<(), Refused> {
                let Scalar::$form($value) = scalar else { return Err(Refused::Type) };
                *self = $result;
                Ok(())
            }
        }
    };
}

macro_rules! numbers {
    ($($type:ident)*) => { $(
        scalar! { $type, stringify!($type), Number(number) =>
            number.try_into().map_err(|_| Refused::Range)? }
    )* };
}

scalar! { bool, "a boolean", Bool(value) => value }
scalar! { String, "a string", Text(text) => text.to_owned() }
numbers! { u16 u32 u64 i32 i64 }

impl<T: Field + Default> Field for Option<T> {
    kind!(T::kind_of());

    fn make(&mut self) {
        self.get_or_insert_default();
    }

    fn set(&mut self, scalar: Scalar<'_>) -> Result<(), Refused> {
        self.get_or_insert_default().set(scalar)
    }

    fn part(&mut self, part: Part<'_>) -> Option<&mut dyn Field> {
        self.get_or_insert_default().part(part)
    }
}

impl<T: Field + Default> Field for Vec<T> {
    kind!(Kind::List);

    fn part(&mut self, _: Part<'_>) -> Option<&mut dyn Field> {
        self.push(T::default());
        self.last_mut().map(|element| element as &mut dyn Field)
    }
}

impl<T: Field + Default> Field for BTreeMap<String, T> {
    kind!(Kind::Map);

    fn part(&mut self, part: Part<'_>) -> Option<&mut dyn Field> {
        let Part::Entry(name) = part else { return None };
        Some(self.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::process::Process;
    use crate::config::{Config, parse};

    fn error(json: &str) -> String {
        parse::<Config>(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn null_is_as_if_it_was_not_there() {
        let process = r#"{"args": null, "user": null, "capabilities": null, "terminal": null,
            "env": ["A=1"], "oomScoreAdj": null, "rlimits": null}"#;
        let process: Process = parse(process.as_bytes()).unwrap();
        assert!(process.args.is_empty() && process.capabilities.is_none() && !process.terminal);
        assert_eq!((process.env.len(), process.oom_score_adj), (1, None));
        assert!(error(r#"{"ociVersion": null}"#).starts_with("missing field `ociVersion`"));
        let config: Config = parse(br#"{"ociVersion": null, "ociVersion": "1.0"}"#).unwrap();
        assert_eq!(config.oci_version, "1.0");
        let error = error(r#"{"ociVersion": "1.0", "mounts": [null]}"#);
        assert!(error.starts_with("mounts[0]: invalid type: null, expected an object"), "{error}");
        assert!(parse::<Config>(b"null").is_err());
    }

    #[test]
    fn empty_is_not_missing() {
        let config: Config = parse(
            br#"{"ociVersion": "1.0", "process": {}, "linux": {"seccomp": {"defaultAction": "x",
            "flags": []}}, "hooks": {"prestart": [{"path": "/x", "env": []}]}}"#,
        )
        .unwrap();
        assert!(config.process.is_some_and(|process| process.capabilities.is_none()));
        assert_eq!(config.linux.seccomp.unwrap().flags, Some(Vec::new()));
        assert_eq!(config.hooks.prestart[0].env, Some(Vec::new()));
    }

    #[test]
    fn numbers_are_in_their_range() {
        for (number, fits) in
            [("0", true), ("4294967295", true), ("4294967296", false), ("-1", false)]
        {
            let json = format!(r#"{{"user": {{"uid": {number}}}}}"#);
            assert_eq!(parse::<Process>(json.as_bytes()).is_ok(), fits, "{number}");
        }
        let wrong = |limit: &str| {
            error(&format!(
                r#"{{"ociVersion": "", "linux": {{"resources": {{"memory": {{"limit": {limit}}}}}}}}}"#
            ))
        };
        let path = "linux.resources.memory.limit: invalid";
        for limit in ["9223372036854775808", "1e3", "1.0", "\"1\"", "true", "[]", "{}", "[1]"] {
            assert!(wrong(limit).starts_with(path), "{}", wrong(limit));
        }
    }

    #[test]
    fn a_member_is_there_once() {
        let error = error(r#"{"ociVersion": "1.0", "hostname": "a", "hostname": "b"}"#);
        assert!(error.contains("duplicate field `hostname`"), "{error}");
        let config = br#"{"ociVersion": "1.0", "annotations": {"a": "1", "a": "2", "b": ""}}"#;
        let config: Config = parse(config).unwrap();
        assert_eq!(config.annotations["a"], "2");
        assert_eq!(config.annotations.len(), 2);
    }
}
