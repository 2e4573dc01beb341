//! How the fields of an item lie in bytes: its numbers first, then its texts, its
//! lists and its bytes, each kind in the order in which the item names them. So one
//! reader serves every item, by its [`Shape`].

use core::ffi::CStr;

use crate::Cursor;

/// The most of each kind that an item may have.
const NUMBERS: usize = 8;
const TEXTS: usize = 4;
const LISTS: usize = 2;

/// What an item's fields are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    numbers: u8,
    texts: u8,
    lists: u8,
    bytes: u8,
    /// Which of the numbers are 0 or 1, a bit each.
    bools: u8,
}

impl Shape {
    /// No item has this one.
    pub(crate) const NONE: Shape = Shape { numbers: u8::MAX, ..Shape::EMPTY };
    /// That of an item without fields.
    pub(crate) const EMPTY: Shape = Shape { numbers: 0, texts: 0, lists: 0, bytes: 0, bools: 0 };
    const NUMBER: Shape = Shape { numbers: 1, ..Shape::EMPTY };

    /// This one, and the other's fields behind it.
    pub(crate) const fn and(self, other: Shape) -> Shape {
        let both = Shape {
            numbers: self.numbers + other.numbers,
            texts: self.texts + other.texts,
            lists: self.lists + other.lists,
            bytes: self.bytes + other.bytes,
            bools: self.bools | other.bools << self.numbers,
        };
        // Asked while this is compiled.
        assert!(both.numbers as usize <= NUMBERS && both.texts as usize <= TEXTS);
        assert!(both.lists as usize <= LISTS && both.bytes <= 1);
        both
    }
}

/// The fields of one item, those first that most items have: what lies within 128
/// bytes takes shorter instructions to reach.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Fields<'a> {
    numbers: [u32; NUMBERS],
    texts: [&'a CStr; TEXTS],
    bytes: &'a [u8],
    lists: [Strings<'a>; LISTS],
}

impl<'a> Fields<'a> {
    /// Reads the fields of an item of that shape; None if these bytes hold others.
    pub(crate) fn read(shape: Shape, bytes: &'a [u8]) -> Option<Fields<'a>> {
        if shape == Shape::NONE {
            return None;
        }
        let (mut fields, mut cursor) = (Fields::default(), Cursor::new(bytes));
        let mut bools = shape.bools;
        for number in fields.numbers.iter_mut().take(shape.numbers.into()) {
            *number = cursor.u32();
            if bools & 1 != 0 && *number > 1 {
                cursor.refuse();
            }
            bools >>= 1;
        }
        for text in fields.texts.iter_mut().take(shape.texts.into()) {
            *text = cursor.text();
        }
        for list in fields.lists.iter_mut().take(shape.lists.into()) {
            *list = cursor.strings();
        }
        if shape.bytes != 0 {
            fields.bytes = cursor.bytes();
        }
        (cursor.is_right() && cursor.is_empty()).then_some(fields)
    }
}

/// The fields of an item that were not taken yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker<'f, 'a> {
    fields: &'f Fields<'a>,
    taken: Shape,
}

// Each place is known where it is compiled, so that nothing is left to be done.
impl<'f, 'a> Taker<'f, 'a> {
    /// All of them.
    #[inline(always)]
    pub(crate) fn new(fields: &'f Fields<'a>) -> Self {
        Taker { fields, taken: Shape::EMPTY }
    }
}

/// The next of one kind, of which so many were taken.
#[inline(always)]
fn next<T: Copy + Default>(all: &[T], taken: &mut u8) -> T {
    let found = all.get(usize::from(*taken));
    *taken = taken.wrapping_add(1);
    found.copied().unwrap_or_default()
}

/// The kinds of field, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number of 4 bytes.
    Number,
    /// A text.
    Text,
    /// A list of texts.
    List,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// All of them, in order.
    pub(crate) const ALL: [Kind; 4] = [Kind::Number, Kind::Text, Kind::List, Kind::Bytes];
}

/// Something an item is made of.
pub(crate) trait Field<'a>: Sized {
    /// What it is.
    const SHAPE: Shape;
    /// Takes it from the fields of an item of the right shape.
    fn take(fields: &mut Taker<'_, 'a>) -> Self;
    /// Writes it, in one or more parts, if it is of that kind.
    fn write(&self, kind: Kind, put: &mut dyn FnMut(&[u8]));
}

impl Field<'_> for u32 {
    const SHAPE: Shape = Shape::NUMBER;
    #[inline(always)]
    fn take(fields: &mut Taker<'_, '_>) -> Self {
        next(&fields.fields.numbers, &mut fields.taken.numbers)
    }
    fn write(&self, kind: Kind, put: &mut dyn FnMut(&[u8])) {
        if kind == Kind::Number {
            put(&self.to_le_bytes());
        }
    }
}

/// Two numbers, the lower half first.
impl Field<'_> for u64 {
    const SHAPE: Shape = Shape::NUMBER.and(Shape::NUMBER);
    #[inline(always)]
    fn take(fields: &mut Taker<'_, '_>) -> Self {
        let low = u64::from(u32::take(fields));
        low | u64::from(u32::take(fields)) << 32
    }
    fn write(&self, kind: Kind, put: &mut dyn FnMut(&[u8])) {
        if kind == Kind::Number {
            put(&self.to_le_bytes());
        }
    }
}

impl Field<'_> for bool {
    const SHAPE: Shape = Shape { bools: 1, ..Shape::NUMBER };
    #[inline(always)]
    fn take(fields: &mut Taker<'_, '_>) -> Self {
        u32::take(fields) != 0
    }
    fn write(&self, kind: Kind, put: &mut dyn FnMut(&[u8])) {
        u32::from(*self).write(kind, put);
    }
}

impl<'a> Field<'a> for &'a CStr {
    const SHAPE: Shape = Shape { texts: 1, ..Shape::EMPTY };
    #[inline(always)]
    fn take(fields: &mut Taker<'_, 'a>) -> Self {
        next(&fields.fields.texts, &mut fields.taken.texts)
    }
    fn write(&self, kind: Kind, put: &mut dyn FnMut(&[u8])) {
        if kind == Kind::Text {
            put_with_length(self.to_bytes_with_nul(), put);
        }
    }
}

impl<'a> Field<'a> for Strings<'a> {
    const SHAPE: Shape = Shape { lists: 1, ..Shape::EMPTY };
    #[inline(always)]
    fn take(fields: &mut Taker<'_, 'a>) -> Self {
        next(&fields.fields.lists, &mut fields.taken.lists)
    }
    fn write(&self, kind: Kind, put: &mut dyn FnMut(&[u8])) {
        if kind == Kind::List {
            put(&self.count.to_le_bytes());
            put_with_length(self.bytes, put);
        }
    }
}

impl<'a> Field<'a> for &'a [u8] {
    const SHAPE: Shape = Shape { bytes: 1, ..Shape::EMPTY };
    #[inline(always)]
    fn take(fields: &mut Taker<'_, 'a>) -> Self {
        fields.fields.bytes
    }
    fn write(&self, kind: Kind, put: &mut dyn FnMut(&[u8])) {
        if kind == Kind::Bytes {
            put_with_length(self, put);
        }
    }
}

fn put_with_length(bytes: &[u8], put: &mut dyn FnMut(&[u8])) {
    put(&(bytes.len() as u32).to_le_bytes());
    put(bytes);
}

/// A list of NUL-terminated texts, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
