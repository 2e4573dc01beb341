//! The part of protobuf's wire format that criu's messages use: numbers (varint), and
//! texts and messages with their length in front.

/// A message that is being written.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a number.
    pub fn number(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3 | NUMBER);
        self.varint(value);
    }

    /// Adds a switch, if it is on. All of criu's are off by default.
    pub fn switch(&mut self, field: u32, on: bool) {
        if on {
            self.number(field, 1);
        }
    }

    /// Adds a text.
    pub fn text(&mut self, field: u32, text: &[u8]) {
        self.varint(u64::from(field) << 3 | TEXT);
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text);
    }

    /// Adds a message of two texts.
    pub fn pair(&mut self, field: u32, [first, second]: [&[u8]; 2]) {
        let mut pair = Message::default();
        pair.text(1, first);
        pair.text(2, second);
        self.text(field, &pair.0);
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The wire types of a field.
const NUMBER: u64 = 0;
const TEXT: u64 = 2;

/// A field that was read: its number, and either its value or its bytes.
pub(super) type Field<'a> = (u64, u64, &'a [u8]);

/// The fields of a message. Ends early if the rest is damaged, or of a type that criu
/// does not use.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        let tag = varint(&mut bytes)?;
        let value = varint(&mut bytes)?;
        let mut text: &[u8] = &[];
        match tag & 7 {
            NUMBER => {}
            TEXT => (text, bytes) = bytes.split_at_checked(usize::try_from(value).ok()?)?,
            _ => return None,
        }
        Some((tag >> 3, value, text))
    })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_bytes_of_protobufs_documentation() {
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, b"testing");
        message.switch(3, false);
        assert_eq!(message.bytes(), b"\x08\x96\x01\x12\x07testing");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut message = Message::default();
        message.number(10, u64::MAX);
        message.switch(300, true);
        message.pair(23, [b"/data", b""]);
        let read: Vec<Field<'_>> = fields(message.bytes()).collect();
        assert_eq!(read[0], (10, u64::MAX, &b""[..]));
        assert_eq!(read[1], (300, 1, &b""[..]));
        assert_eq!((read[2].0, read.len()), (23, 3));
        let pair: Vec<Field<'_>> = fields(read[2].2).collect();
        assert_eq!(pair, [(1, 5, &b"/data"[..]), (2, 0, &b""[..])]);
    }

    #[test]
    fn damaged_bytes_end_a_message() {
        for bytes in [&b"\x08"[..], b"\x12\x07test", b"\x0d\x01\x02\x03\x04", &[0xff; 20]] {
            assert_eq!(fields(bytes).count(), 0, "{bytes:?}");
        }
        assert_eq!(fields(b"\x08\x01\x12\x07test").count(), 1);
    }
}
