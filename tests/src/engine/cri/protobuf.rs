//! The wire format of protobuf, as far as CRI needs it: numbers, texts and messages
//! within messages.

/// The wire types that CRI uses.
const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;

/// A message to send. A field that is set twice is a list of two.
#[derive(Debug, Clone, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A message without fields.
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3 | VARINT);
        self.varint(value);
        self
    }

    pub(super) fn text(self, field: u32, value: &str) -> Self {
        self.delimited(field, value.as_bytes())
    }

    pub(super) fn texts(self, field: u32, values: &[&str]) -> Self {
        values.iter().fold(self, |message, value| message.text(field, value))
    }

    pub(super) fn message(self, field: u32, value: &Message) -> Self {
        self.delimited(field, &value.0)
    }

    /// An entry of a map from texts to texts.
    pub(super) fn entry(self, field: u32, key: &str, value: &str) -> Self {
        self.message(field, &Message::new().text(1, key).text(2, value))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn delimited(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A field of a message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A message that was received.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(u64, Value)>);

impl Fields {
    /// Parses a message.
    ///
    /// # Errors
    /// It is cut off, or has a wire type that CRI does not use.
    pub(super) fn read(mut bytes: &[u8]) -> Result<Self, String> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let value = match key & 7 {
                VARINT => Value::Number(varint(&mut bytes)?),
                LENGTH_DELIMITED => {
                    let length = varint(&mut bytes)? as usize;
                    let (value, rest) = bytes.split_at_checked(length).ok_or(CUT_OFF)?;
                    bytes = rest;
                    Value::Bytes(value.to_vec())
                }
                other => return Err(format!("protobuf: wire type {other}")),
            };
            fields.push((key >> 3, value));
        }
        Ok(Self(fields))
    }

    /// The number at this path of fields; 0 if there is none, as protobuf has it.
    pub(super) fn number(&self, path: &[u32]) -> Result<u64, String> {
        let (parent, field) = self.parent(path)?;
        Ok(match parent.last(field) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        })
    }

    /// The text at this path of fields; empty if there is none.
    pub(super) fn text(&self, path: &[u32]) -> Result<String, String> {
        let (parent, field) = self.parent(path)?;
        Ok(match parent.last(field) {
            Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        })
    }

    /// The messages of a list.
    pub(super) fn list(&self, field: u32) -> Result<Vec<Fields>, String> {
        let bytes = self.0.iter().filter_map(|(key, value)| match value {
            Value::Bytes(bytes) if *key == u64::from(field) => Some(bytes),
            _ => None,
        });
        bytes.map(|bytes| Fields::read(bytes)).collect()
    }

    /// The message that holds the last field of the path; an empty one if there is none.
    fn parent(&self, path: &[u32]) -> Result<(Fields, u32), String> {
        let (field, above) = path.split_last().ok_or("protobuf: an empty path")?;
        let mut fields = self.clone();
        for step in above {
            fields = fields.list(*step)?.pop().unwrap_or_default();
        }
        Ok((fields, *field))
    }

    fn last(&self, field: u32) -> Option<&Value> {
        self.0.iter().rev().find_map(|(key, value)| (*key == u64::from(field)).then_some(value))
    }
}

const CUT_OFF: &str = "protobuf: the message is cut off";

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(CUT_OFF)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    Err("protobuf: a number of more than 64 bits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let inner = Message::new().text(2, "text").number(16, u64::MAX);
        let outer = Message::new().number(1, 150).message(3, &inner).message(3, &Message::new());
        let read = Fields::read(outer.bytes()).unwrap();
        assert_eq!(read.number(&[1]), Ok(150));
        assert_eq!(read.list(3).map(|list| list.len()), Ok(2));
        assert_eq!(read.list(3).unwrap()[0].text(&[2]).as_deref(), Ok("text"));
        assert_eq!(read.list(3).unwrap()[0].number(&[16]), Ok(u64::MAX));
        assert_eq!(read.text(&[9, 9]).as_deref(), Ok(""));
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        assert_eq!(Message::new().number(1, 150).bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().text(2, "testing").bytes(), b"\x12\x07testing");
        assert!(Fields::read(b"\x12\x07test").is_err());
    }
}
