//! The first 64 bytes of a Plan: the build that made it, and where its sections are.

use crate::{Cursor, Items, Stage};

/// The version of this layout. The fingerprint tells builds apart.
pub const VERSION: u32 = 1;

/// A hash of init/'s sources, which is the same in both binaries of one build.
pub const FINGERPRINT: u64 = parse_decimal(env!("VIAL_FINGERPRINT"));

const MAGIC: u64 = u64::from_le_bytes(*b"vialplan");

/// The header of a Plan.
///
/// **Invariant:** magic, version and fingerprint never move, so that any vial-init
/// recognizes a Plan of another build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The length in bytes of the sections of stage 0, 1 and 2.
    pub lengths: [u32; 3],
    /// How many items each of the sections holds.
    pub counts: [u32; 3],
    /// How many pointers the largest item needs for its lists.
    pub pointers: u32,
    /// How many slots there are.
    pub slots: u32,
}

/// Why a Plan is refused before its first item is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The bytes are no Plan, or too short.
    NotAPlan,
    /// It is a Plan of another build.
    OtherBuild,
}

impl Header {
    /// The header's length in bytes.
    pub const SIZE: usize = 64;

    /// Encodes the header.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut rest = &mut bytes[..];
        let mut put = |part: &[u8]| {
            if let Some((head, tail)) = core::mem::take(&mut rest).split_at_mut_checked(part.len())
            {
                head.copy_from_slice(part);
                rest = tail;
            }
        };
        put(&MAGIC.to_le_bytes());
        put(&VERSION.to_le_bytes());
        put(&FINGERPRINT.to_le_bytes());
        for number in self.lengths.iter().chain(&self.counts).chain([&self.pointers, &self.slots]) {
            put(&number.to_le_bytes());
        }
        bytes
    }

    /// Decodes a header, which must be of this build.
    pub fn from_bytes(bytes: &[u8]) -> Result<Header, Refused> {
        let mut cursor = Cursor::new(bytes);
        let mut header = Header::default();
        let (magic, version) = (cursor.u64(), cursor.u32());
        let fingerprint = cursor.u64();
        for number in header.lengths.iter_mut().chain(&mut header.counts) {
            *number = cursor.u32();
        }
        header.pointers = cursor.u32();
        header.slots = cursor.u32();
        if magic != MAGIC || !cursor.is_right() {
            return Err(Refused::NotAPlan);
        }
        match (version, fingerprint) == (VERSION, FINGERPRINT) {
            true => Ok(header),
            false => Err(Refused::OtherBuild),
        }
    }

    /// The length in bytes of all sections together. None if it overflows.
    pub fn body(&self) -> Option<usize> {
        let [zero, one, two] = self.lengths;
        let sum = zero.checked_add(one)?.checked_add(two)?;
        usize::try_from(sum).ok()
    }

    /// The items of a stage, in a body that holds all sections.
    pub fn items<'a>(&self, stage: Stage, body: &'a [u8]) -> Option<Items<'a>> {
        let [zero, one, two] = self.lengths.map(|l| l as usize);
        let [first, second, _] = self.counts;
        let (start, length, index) = match stage {
            Stage::Zero => (0, zero, 0),
            Stage::One => (zero, one, first),
            Stage::Two => (zero.checked_add(one)?, two, first.checked_add(second)?),
        };
        let section = body.get(start..start.checked_add(length)?)?;
        Some(Items::new(stage, section, index))
    }
}

const fn parse_decimal(text: &str) -> u64 {
    let mut rest = text.as_bytes();
    let mut number: u64 = 0;
    while let [digit, tail @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add((*digit - b'0') as u64);
        rest = tail;
    }
    number
}
