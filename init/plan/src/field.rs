//! How the fields of an item are laid out in bytes: numbers first, then strings, lists
//! and bytes, each kind in the order in which the item declares them. So one reader
//! serves every item, given its [`Shape`].

use core::ffi::CStr;

use crate::Cursor;

/// The maximum of each kind in one item.
const NUMBERS: usize = 10;
const STRINGS: usize = 4;
const LISTS: usize = 2;

/// How many fields of each kind an item has, packed into a few bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(u16);

impl Shape {
    /// The shape of a number that is no item.
    pub(crate) const NONE: Shape = Shape(u16::MAX);
    /// The shape of an item without fields.
    pub(crate) const EMPTY: Shape = Shape(0);
    const NUMBER: Shape = Shape(1);
    const STRING: Shape = Shape(1 << 4);
    const LIST: Shape = Shape(1 << 7);
    const BYTES: Shape = Shape(1 << 9);
    /// A number that is 0 or 1.
    const BOOL: Shape = Shape(1 << 11 | Shape::NUMBER.0);

    const fn numbers(self) -> usize {
        (self.0 & 15) as usize
    }

    const fn strings(self) -> usize {
        (self.0 >> 4 & 7) as usize
    }

    const fn lists(self) -> usize {
        (self.0 >> 7 & 3) as usize
    }

    const fn bytes(self) -> usize {
        (self.0 >> 9 & 3) as usize
    }

    /// How many of the numbers are 0 or 1. They are the last ones.
    const fn bools(self) -> usize {
        (self.0 >> 11 & 15) as usize
    }

    /// This shape with the other one's fields added.
    pub(crate) const fn and(self, other: Shape) -> Shape {
        let both = Shape(self.0 + other.0);
        // These are checked at compile time.
        assert!(both.numbers() <= NUMBERS && both.strings() <= STRINGS);
        assert!(both.lists() <= LISTS && both.bytes() <= 1);
        assert!(self.bools() == 0 || other.numbers() == other.bools(), "bools are the last");
        both
    }
}

/// The fields of one item. The most frequent kinds come first: a field within 128 bytes
/// takes shorter instructions.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Fields<'a> {
    numbers: [u32; NUMBERS],
    strings: [&'a CStr; STRINGS],
    bytes: &'a [u8],
    lists: [Strings<'a>; LISTS],
}

impl<'a> Fields<'a> {
    /// Reads the fields of an item of this shape. None if the bytes do not match it.
    pub(crate) fn read(shape: Shape, bytes: &'a [u8]) -> Option<Fields<'a>> {
        if shape == Shape::NONE {
            return None;
        }
        let (mut fields, mut cursor) = (Fields::default(), Cursor::new(bytes));
        let other_numbers = shape.numbers().saturating_sub(shape.bools());
        for (at, number) in fields.numbers.iter_mut().take(shape.numbers()).enumerate() {
            *number = cursor.u32();
            if at >= other_numbers && *number > 1 {
                cursor.refuse();
            }
        }
        for string in fields.strings.iter_mut().take(shape.strings()) {
            *string = cursor.c_str();
        }
        for list in fields.lists.iter_mut().take(shape.lists()) {
            *list = cursor.list();
        }
        if shape.bytes() != 0 {
            fields.bytes = cursor.bytes();
        }
        (cursor.is_right() && cursor.is_empty()).then_some(fields)
    }

    /// Writes the fields of an item of this shape, in parts.
    pub(crate) fn write(&self, shape: Shape, put: &mut dyn FnMut(&[u8])) {
        for number in self.numbers.iter().take(shape.numbers()) {
            put(&number.to_le_bytes());
        }
        for string in self.strings.iter().take(shape.strings()) {
            put_with_length(string.to_bytes_with_nul(), put);
        }
        for list in self.lists.iter().take(shape.lists()) {
            put(&list.count.to_le_bytes());
            put_with_length(list.bytes, put);
        }
        if shape.bytes() != 0 {
            put_with_length(self.bytes, put);
        }
    }

    /// How many strings its lists hold.
    pub(crate) fn listed(&self) -> usize {
        self.lists.iter().map(Strings::len).sum()
    }
}

/// How many of each kind were taken or given so far.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    numbers: usize,
    strings: usize,
    lists: usize,
}

/// Takes the fields of an item one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker<'f, 'a> {
    fields: &'f Fields<'a>,
    taken: Count,
}

// Every index is known at compile time, so inlining leaves only loads.
impl<'f, 'a> Taker<'f, 'a> {
    /// All of them.
    #[inline(always)]
    pub(crate) fn new(fields: &'f Fields<'a>) -> Self {
        Taker { fields, taken: Count::default() }
    }
}

/// The next field of one kind, after `taken` others.
#[inline(always)]
fn next<T: Copy + Default>(all: &[T], taken: &mut usize) -> T {
    let found = all.get(*taken);
    *taken = taken.wrapping_add(1);
    found.copied().unwrap_or_default()
}

/// Collects the fields of an item one by one.
#[derive(Clone, Copy, Debug)]
pub struct Giver<'a> {
    fields: Fields<'a>,
    given: Count,
}

// Called for each field of every item: without inlining, this is a third of the size.
impl<'a> Giver<'a> {
    /// No fields yet.
    pub(crate) fn new() -> Self {
        Giver { fields: Fields::default(), given: Count::default() }
    }

    /// The collected fields.
    pub(crate) fn fields(self) -> Fields<'a> {
        self.fields
    }

    #[inline(never)]
    fn number(&mut self, number: u32) {
        give_next(&mut self.fields.numbers, &mut self.given.numbers, number);
    }

    #[inline(never)]
    fn c_str(&mut self, string: &'a CStr) {
        give_next(&mut self.fields.strings, &mut self.given.strings, string);
    }
}

/// Gives the next field of one kind, after `given` others.
fn give_next<T>(all: &mut [T], given: &mut usize, value: T) {
    if let Some(place) = all.get_mut(*given) {
        *place = value;
    }
    *given = given.wrapping_add(1);
}

/// The type of a field.
pub(crate) trait Field<'a>: Sized {
    /// Its shape.
    const SHAPE: Shape;
    /// Takes it from the fields of an item, which must have the right shape.
    fn take(fields: &mut Taker<'_, 'a>) -> Self;
    /// Gives it to the fields of an item.
    fn give(self, fields: &mut Giver<'a>);
}

impl Field<'_> for u32 {
    const SHAPE: Shape = Shape::NUMBER;
    #[inline(always)]
    fn take(fields: &mut Taker<'_, '_>) -> Self {
        next(&fields.fields.numbers, &mut fields.taken.numbers)
    }
    fn give(self, fields: &mut Giver<'_>) {
        fields.number(self);
    }
}

/// A u64 is two numbers, the lower half first.
impl Field<'_> for u64 {
    const SHAPE: Shape = Shape::NUMBER.and(Shape::NUMBER);
    #[inline(always)]
    fn take(fields: &mut Taker<'_, '_>) -> Self {
        let low = u64::from(u32::take(fields));
        low | u64::from(u32::take(fields)) << 32
    }
    #[inline(never)]
    fn give(self, fields: &mut Giver<'_>) {
        (self as u32).give(fields);
        ((self >> 32) as u32).give(fields);
    }
}

impl Field<'_> for bool {
    const SHAPE: Shape = Shape::BOOL;
    #[inline(always)]
    fn take(fields: &mut Taker<'_, '_>) -> Self {
        u32::take(fields) != 0
    }
    fn give(self, fields: &mut Giver<'_>) {
        u32::from(self).give(fields);
    }
}

impl<'a> Field<'a> for &'a CStr {
    const SHAPE: Shape = Shape::STRING;
    #[inline(always)]
    fn take(fields: &mut Taker<'_, 'a>) -> Self {
        next(&fields.fields.strings, &mut fields.taken.strings)
    }
    fn give(self, fields: &mut Giver<'a>) {
        fields.c_str(self);
    }
}

impl<'a> Field<'a> for Strings<'a> {
    const SHAPE: Shape = Shape::LIST;
    #[inline(always)]
    fn take(fields: &mut Taker<'_, 'a>) -> Self {
        next(&fields.fields.lists, &mut fields.taken.lists)
    }
    fn give(self, fields: &mut Giver<'a>) {
        give_next(&mut fields.fields.lists, &mut fields.given.lists, self);
    }
}

impl<'a> Field<'a> for &'a [u8] {
    const SHAPE: Shape = Shape::BYTES;
    #[inline(always)]
    fn take(fields: &mut Taker<'_, 'a>) -> Self {
        fields.fields.bytes
    }
    fn give(self, fields: &mut Giver<'a>) {
        fields.fields.bytes = self;
    }
}

fn put_with_length(bytes: &[u8], put: &mut dyn FnMut(&[u8])) {
    put(&(bytes.len() as u32).to_le_bytes());
    put(bytes);
}

/// A list of NUL-terminated strings, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strings<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    /// The strings in these bytes. None if the last one has no NUL.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.last().is_some_and(|last| *last != 0) {
            return None;
        }
        let count = bytes.iter().filter(|byte| **byte == 0).count();
        Some(Strings { count: u32::try_from(count).ok()?, bytes })
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let string = CStr::from_bytes_until_nul(rest).ok()?;
            rest = rest.get(string.count_bytes().checked_add(1)?..)?;
            Some(string)
        })
    }
}
