//! The annotations `org.systemd.property.NAME`: properties of the scope, whose values are
//! in the text form of GVariant.

use std::collections::BTreeMap;
use std::str::Chars;

use super::super::wrong;
use crate::error::Error;
use crate::plan::scope::{Property, Value};

const PREFIX: &str = "org.systemd.property.";

/// Properties on which the container depends.
const FIXED: [&str; 5] = ["Slice", "PIDs", "PIDFDs", "Delegate", "Scope"];

/// The properties that annotations set.
pub(super) fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>, Error> {
    let mut properties = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let refused = |what: std::fmt::Arguments<'_>| {
            Err(wrong(format_args!("annotations[\"{key}\"]"), what))
        };
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return refused(format_args!("\"{name}\" is not the name of a property of systemd"));
        }
        if FIXED.contains(&name) {
            return refused(format_args!("vial sets {name} itself"));
        }
        let Some(value) = Parser::parse(text) else {
            return refused(format_args!(
                "\"{text}\" is not a value such as true, uint64 5, 'text' or ['one', 'two']"
            ));
        };
        match in_microseconds(name) {
            None => properties.push(Property::new(name, value)),
            Some(long_name) => match seconds(&value) {
                Some(value) => properties.push(Property::new(&long_name, value)),
                None => return refused(format_args!("\"{text}\" is not a number of seconds")),
            },
        }
    }
    Ok(properties)
}

/// The bus has `TimeoutStopUSec` where units have `TimeoutStopSec`.
fn in_microseconds(name: &str) -> Option<String> {
    let stem = name.strip_suffix("Sec")?;
    stem.ends_with(|c: char| c.is_ascii_lowercase()).then(|| format!("{stem}USec"))
}

fn seconds(value: &Value) -> Option<Value> {
    let Value::Number(code, bits) = value else { return None };
    let seconds = match code {
        b'b' => return None,
        b'n' | b'i' | b'x' if bits.cast_signed() < 0 => return None,
        _ => *bits,
    };
    seconds.checked_mul(1_000_000).map(Value::u64)
}

/// Reads the text form.
struct Parser<'a> {
    rest: Chars<'a>,
    /// How many more arrays and tuples may be open.
    depth: u32,
}

/// The types of numbers, by name and code.
const NUMBERS: [(&str, u8); 8] = [
    ("boolean", b'b'),
    ("byte", b'y'),
    ("int16", b'n'),
    ("uint16", b'q'),
    ("int32", b'i'),
    ("uint32", b'u'),
    ("int64", b'x'),
    ("uint64", b't'),
];

impl<'a> Parser<'a> {
    fn parse(text: &'a str) -> Option<Value> {
        let mut parser = Parser { rest: text.chars(), depth: 8 };
        let value = parser.value(None)?;
        parser.skip_spaces();
        parser.rest.as_str().is_empty().then_some(value)
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.as_str().trim_start().chars();
    }

    /// Whether this is next; if so, it is taken.
    fn takes(&mut self, wanted: char) -> bool {
        self.skip_spaces();
        let rest = self.rest.as_str().strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest.as_str()).chars();
        rest.is_some()
    }

    /// A word or number.
    fn word(&mut self) -> &'a str {
        self.skip_spaces();
        let rest = self.rest.as_str();
        let is_end =
            |c: char| c.is_whitespace() || matches!(c, ',' | ']' | ')' | '[' | '(' | '\'' | '"');
        let (word, rest) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
        self.rest = rest.chars();
        word
    }

    /// A value, of this type if one is given.
    fn value(&mut self, kind: Option<&str>) -> Option<Value> {
        self.skip_spaces();
        match self.rest.as_str().chars().next()? {
            '\'' | '"' if kind.is_none_or(|kind| kind == "s") => self.text(),
            '[' => self.array(kind),
            '(' if kind.is_none_or(|kind| kind.starts_with('(')) => self.tuple(),
            '@' => {
                self.rest.next();
                let rest = self.rest.as_str();
                let (kind, rest) = rest.split_at(rest.find(char::is_whitespace)?);
                self.rest = rest.chars();
                self.value(Some(kind))
            }
            _ => match (self.word(), kind) {
                (word @ ("true" | "false"), None | Some("b")) => {
                    Some(Value::boolean(word == "true"))
                }
                (word, None) => match NUMBERS.iter().find(|(name, _)| *name == word) {
                    Some((_, b'b')) => self.value(Some("b")),
                    Some((_, code)) => number(self.word(), *code),
                    None => number(word, b'i'),
                },
                (word, Some(kind)) => match kind.as_bytes() {
                    [code] if *code != b'b' && NUMBERS.iter().any(|(_, known)| known == code) => {
                        number(word, *code)
                    }
                    _ => None,
                },
            },
        }
    }

    fn text(&mut self) -> Option<Value> {
        let quote = self.rest.next()?;
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                '\\' => text.push(match self.rest.next()? {
                    'n' => '\n',
                    't' => '\t',
                    c if c.is_ascii_alphanumeric() => return None, // Nobody needs the others.
                    c => c,
                }),
                '\0' => return None,
                c if c == quote => return Some(Value::Text(text)),
                c => text.push(c),
            }
        }
    }

    /// Values up to the closing bracket.
    fn values(&mut self, end: char, kind: Option<&str>) -> Option<Vec<Value>> {
        self.rest.next();
        self.depth = self.depth.checked_sub(1)?;
        let mut values = Vec::new();
        while !self.takes(end) {
            if !values.is_empty() && !self.takes(',') {
                return None;
            }
            if !values.is_empty() && self.takes(end) {
                break; // A tuple of one ends with a comma.
            }
            values.push(self.value(kind)?);
        }
        self.depth += 1;
        Some(values)
    }

    fn tuple(&mut self) -> Option<Value> {
        let fields = self.values(')', None)?;
        (!fields.is_empty()).then_some(Value::Struct(fields))
    }

    fn array(&mut self, kind: Option<&str>) -> Option<Value> {
        let of = match kind {
            Some(kind) => Some(kind.strip_prefix('a')?),
            None => None,
        };
        let values = self.values(']', of)?;
        // The type of an empty array is not known, unless it is given.
        let first = values.first().map(Value::signature);
        let of = of.map(str::to_owned).or(first)?;
        values.iter().all(|value| value.signature() == of).then_some(Value::Array(of, values))
    }
}

/// A number of this type.
fn number(word: &str, code: u8) -> Option<Value> {
    let (is_negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let magnitude = match digits.strip_prefix("0x") {
        Some(digits) => i128::from(u64::from_str_radix(digits, 16).ok()?),
        None => i128::from(digits.parse::<u64>().ok()?),
    };
    let number = if is_negative { -magnitude } else { magnitude };
    let fits = match code {
        b'y' => u8::try_from(number).is_ok(),
        b'n' => i16::try_from(number).is_ok(),
        b'q' => u16::try_from(number).is_ok(),
        b'i' => i32::try_from(number).is_ok(),
        b'u' => u32::try_from(number).is_ok(),
        b'x' => i64::try_from(number).is_ok(),
        _ => u64::try_from(number).is_ok(),
    };
    fits.then_some(Value::Number(code, number as u64))
}

#[cfg(test)]
#[path = "tests/annotations.rs"]
mod tests;
