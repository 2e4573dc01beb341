//! The messages of D-Bus (D-Bus Specification, "Message Format"): calls are written,
//! and replies and signals are read.

use crate::plan::scope::{Property, Value};

/// The longest message that is read. systemd's are some hundred bytes long.
const LONGEST: usize = 1 << 20;
/// The part of the header with a fixed size, which ends with the length of the fields.
pub(super) const FIXED: usize = 16;

/// The kinds of messages.
const CALL: u8 = 1;
/// A reply without an error.
pub(super) const RETURN: u8 = 2;
/// A reply with an error.
pub(super) const ERROR: u8 = 3;
/// A message that nobody asked for.
pub(super) const SIGNAL: u8 = 4;

/// The codes of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_TO: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// What is called: an object, the interface, the method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
}

/// The arguments of a call, or another part of a message: values are aligned from its
/// beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    bytes: Vec<u8>,
}

impl Body {
    pub(super) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(super) fn number(&mut self, size: usize, bits: u64) {
        self.align(size);
        self.bytes.extend_from_slice(bits.to_le_bytes().get(..size).unwrap_or_default());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(4, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.bytes.push(signature.len() as u8);
        self.bytes.extend_from_slice(signature.as_bytes());
        self.bytes.push(0);
    }

    /// An array. Its length does not count the padding before the first element.
    pub(super) fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Body)) {
        self.number(4, 0);
        let at = self.bytes.len();
        self.align(alignment);
        let start = self.bytes.len();
        fill(self);
        let length = (self.bytes.len() - start) as u32;
        if let Some(place) = self.bytes.get_mut(at - 4..at) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Number(code, bits) => self.number(alignment(*code), *bits),
            Value::Text(text) => self.text(text),
            Value::Array(of, values) => {
                let alignment = alignment(of.bytes().next().unwrap_or(b'y'));
                self.array(alignment, |body| values.iter().for_each(|value| body.value(value)));
            }
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().for_each(|field| self.value(field));
            }
        }
    }

    /// Properties as systemd takes them, of type `a(sv)`.
    pub(super) fn properties<'a>(&mut self, properties: impl Iterator<Item = &'a Property>) {
        self.array(8, |body| {
            for property in properties {
                body.align(8);
                body.text(&property.name);
                body.signature(&property.value.signature());
                body.value(&property.value);
            }
        });
    }
}

/// The alignment of a type, by the first byte of its signature.
fn alignment(code: u8) -> usize {
    match code {
        b'y' | b'g' | b'v' => 1,
        b'n' | b'q' => 2,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 4,
    }
}

/// A call as it is sent. The serial number is in its reply.
pub(super) fn call(serial: u32, method: Method<'_>, signature: &str, body: &Body) -> Vec<u8> {
    let mut message = Body { bytes: vec![b'l', CALL, 0, 1] };
    message.number(4, body.bytes.len() as u64);
    message.number(4, u64::from(serial));
    message.array(8, |fields| {
        let texts = [
            (PATH, "o", method.path),
            (MEMBER, "s", method.member),
            (INTERFACE, "s", method.interface),
            (DESTINATION, "s", method.destination),
        ];
        for (code, kind, text) in texts {
            fields.align(8);
            fields.bytes.push(code);
            fields.signature(kind);
            fields.text(text);
        }
        if !signature.is_empty() {
            fields.align(8);
            fields.bytes.push(SIGNATURE);
            fields.signature("g");
            fields.signature(signature);
        }
    });
    message.align(8);
    message.bytes.extend_from_slice(&body.bytes);
    message.bytes
}

/// A message that was received.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) kind: u8,
    /// The serial number of the call that this replies to.
    pub(super) reply_to: u32,
    /// The name of a signal.
    pub(super) member: String,
    /// The name of an error.
    pub(super) error: String,
    signature: String,
    body: Vec<u8>,
}

/// The length of the message that begins with these bytes. None: no message does.
pub(super) fn length(fixed: &[u8; FIXED]) -> Option<usize> {
    let number = |at: usize| {
        let bytes = fixed.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (body, fields) = (number(4)?, number(12)?);
    if fixed[0] != b'l' || fixed[3] != 1 || body > LONGEST || fields > LONGEST {
        return None;
    }
    Some(FIXED + fields.next_multiple_of(8) + body)
}

impl Message {
    /// Reads a message of this length. None: it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Message> {
        let mut reader = Reader { bytes, at: 12 };
        let end = FIXED + reader.number()? as usize;
        let mut message = Message { kind: *bytes.get(1)?, ..Message::default() };
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            let kind = reader.signature()?;
            match (code, kind) {
                (REPLY_TO, "u") => message.reply_to = reader.number()?,
                (MEMBER, "s") => message.member = reader.text()?.to_owned(),
                (ERROR_NAME, "s") => message.error = reader.text()?.to_owned(),
                (SIGNATURE, "g") => message.signature = reader.signature()?.to_owned(),
                (_, "s" | "o") => _ = reader.text()?,
                (_, "u") => _ = reader.number()?,
                (_, "g") => _ = reader.signature()?,
                _ => return None,
            }
        }
        message.body = bytes.get(end.next_multiple_of(8)..)?.to_vec();
        Some(message)
    }

    /// The texts in its body, up to the first value that is neither text nor a number of
    /// 32 bits. A variant counts as its value.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut texts = Vec::new();
        for code in self.signature.bytes() {
            let code = match code {
                b'v' => reader.signature().and_then(|kind| kind.bytes().next()),
                code => Some(code),
            };
            match code {
                Some(b's' | b'o') => match reader.text() {
                    Some(text) => texts.push(text),
                    None => break,
                },
                Some(b'u') => _ = reader.number(),
                _ => break,
            }
        }
        texts
    }
}

/// Reads what another process has written.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()? as usize;
        self.ended(length)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        self.ended(length)
    }

    fn ended(&mut self, length: usize) -> Option<&'a str> {
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        (self.byte()? == 0).then_some(text)
    }
}

#[cfg(test)]
#[path = "tests/message.rs"]
mod tests;
