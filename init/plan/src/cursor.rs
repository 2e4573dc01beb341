//! Bytes that are read from front to back.

use core::ffi::CStr;

use crate::Strings;

/// A place in bytes.
///
/// Where they are too few or wrong, what is read is zero or empty from there on,
/// and [`is_right`](Cursor::is_right) says so once: cheaper than an answer each.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    is_wrong: bool,
}

impl<'a> Cursor<'a> {
    /// Starts at the front of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes, is_wrong: false }
    }

    /// The next `length` bytes; none if there are not as many.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at_checked(length).unwrap_or_else(|| {
            self.is_wrong = true;
            (&[], &[])
        });
        self.rest = tail;
        head
    }

    /// A number of 4 bytes, little-endian.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap_or([0; 4]))
    }

    /// A number of 8 bytes, little-endian.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap_or([0; 8]))
    }

    /// A length, and as many bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.u32();
        self.take(length as usize)
    }

    /// A length, and a text with its NUL.
    pub fn text(&mut self) -> &'a CStr {
        CStr::from_bytes_with_nul(self.bytes()).unwrap_or_else(|_| {
            self.refuse();
            c""
        })
    }

    /// How many texts there are, their length, and they one after the other.
    pub fn strings(&mut self) -> Strings<'a> {
        let count = self.u32() as usize;
        match Strings::new(self.bytes()) {
            Some(strings) if strings.len() == count => strings,
            _ => {
                self.refuse();
                Strings::default()
            }
        }
    }

    /// What was read is not what may stand there.
    pub fn refuse(&mut self) {
        *self = Cursor { rest: &[], is_wrong: true };
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether everything so far was as it must be.
    pub fn is_right(&self) -> bool {
        !self.is_wrong
    }
}
