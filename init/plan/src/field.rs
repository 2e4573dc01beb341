//! How the fields of an item lie in bytes.

use core::ffi::CStr;

/// A place in bytes that are read from front to back.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the front of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    /// The next `length` bytes, if there are as many.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Something an item is made of.
pub trait Field<'a>: Sized {
    /// Reads it, or None where the bytes are too few or wrong.
    fn read(cursor: &mut Cursor<'a>) -> Option<Self>;
    /// Writes it, in one or more parts.
    fn write(&self, put: &mut dyn FnMut(&[u8]));
}

impl Field<'_> for u32 {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(u32::from_le_bytes(cursor.take(4)?.try_into().ok()?))
    }
    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        put(&self.to_le_bytes());
    }
}

impl Field<'_> for u64 {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(u64::from_le_bytes(cursor.take(8)?.try_into().ok()?))
    }
    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        put(&self.to_le_bytes());
    }
}

impl Field<'_> for bool {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        match u32::read(cursor)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        u32::from(*self).write(put);
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let length = u32::read(cursor)?;
        cursor.take(length as usize)
    }
    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        (self.len() as u32).write(put);
        put(self);
    }
}

impl<'a> Field<'a> for &'a CStr {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        CStr::from_bytes_with_nul(<&[u8]>::read(cursor)?).ok()
    }
    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        self.to_bytes_with_nul().write(put);
    }
}

/// A list of NUL-terminated texts, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strings<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    /// The texts in these bytes, each ended by its NUL; None if the last is not.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.last().is_some_and(|last| *last != 0) {
            return None;
        }
        let count = bytes.iter().filter(|byte| **byte == 0).count();
        Some(Strings { count: u32::try_from(count).ok()?, bytes })
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let text = CStr::from_bytes_until_nul(rest).ok()?;
            rest = rest.get(text.count_bytes().checked_add(1)?..)?;
            Some(text)
        })
    }
}

impl<'a> Field<'a> for Strings<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let count = u32::read(cursor)?;
        let strings = Strings::new(<&[u8]>::read(cursor)?)?;
        (strings.count == count).then_some(strings)
    }
    fn write(&self, put: &mut dyn FnMut(&[u8])) {
        self.count.write(put);
        self.bytes.write(put);
    }
}
