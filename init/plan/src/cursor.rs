//! Reads bytes from front to back.

use core::ffi::CStr;

use crate::Strings;

/// A position in a byte slice.
///
/// If the bytes are too short or wrong, everything read from then on is zero or empty.
/// [`is_right`](Cursor::is_right) tells at the end: one check is cheaper than a Result
/// for each read.
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

    /// The next `length` bytes, or none if fewer are left.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at_checked(length).unwrap_or_else(|| {
            self.is_wrong = true;
            (&[], &[])
        });
        self.rest = tail;
        head
    }

    /// A little-endian number of 4 bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap_or([0; 4]))
    }

    /// A little-endian number of 8 bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap_or([0; 8]))
    }

    /// A length, then that many bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.u32();
        self.take(length as usize)
    }

    /// A length, then a string with its NUL.
    pub fn c_str(&mut self) -> &'a CStr {
        CStr::from_bytes_with_nul(self.bytes()).unwrap_or_else(|_| {
            self.refuse();
            c""
        })
    }

    /// A count, a length, then that many NUL-terminated strings.
    pub fn list(&mut self) -> Strings<'a> {
        let count = self.u32() as usize;
        match Strings::new(self.bytes()) {
            Some(strings) if strings.len() == count => strings,
            _ => {
                self.refuse();
                Strings::default()
            }
        }
    }

    /// Marks what was read as wrong.
    pub fn refuse(&mut self) {
        *self = Cursor { rest: &[], is_wrong: true };
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether nothing was wrong so far.
    pub fn is_right(&self) -> bool {
        !self.is_wrong
    }
}
