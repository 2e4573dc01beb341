//! The Plan: a flat byte program that vial makes from a config.json and
//! vial-init carries out, item by item, in the order it is written.
//!
//! ```text
//! Header (64 bytes)    magic, version, fingerprint; length and item count of each section;
//!                      how many pointers and slots there are
//! section of stage 0   item item item ..
//! section of stage 1   item ..
//! section of stage 2   item item ..
//! item                 number u8, subject u8, 0 u16, length u32, then its fields
//! fields               numbers, strings, lists, bytes, in this order
//! number               u32, little-endian; a u64 is two, the lower half first
//! string               length u32, bytes, NUL
//! list                 count u32, length u32, strings with a NUL each
//! bytes                length u32, bytes
//! ```
//!
//! The words: a **Plan** is the whole; an [`Item`] is one action of it; a **slot** is a
//! place for an fd that vial lends to an item, or that one item passes to another; a
//! [`Gate`] is a point where a process waits for a word; a [`Reply`] is a message back,
//! at a gate or about a [`Call`] that failed.
//!
//! **Invariant:** reading never panics, always ends, and never reads outside the bytes
//! it was given, whatever they are. A fuzz target tests it.
//! **Invariant:** nothing limits how many items, mounts, arguments or rules a Plan
//! holds, except that lengths are u32.
//! **Invariant:** strings have their NUL in the Plan, ready for the kernel.
#![no_std]
#![forbid(unsafe_code)]

mod cursor;
mod field;
mod gate;
mod header;
mod item;
mod reply;
mod step;

pub use cursor::Cursor;
pub use field::{Fields, Giver, Strings};
pub use gate::Gate;
pub use header::{FINGERPRINT, Header, Refused, VERSION};
pub use item::{
    CgroupItem, Encode, Item, Items, LeaveItem, Malformed, NamespaceItem, ProcessItem, RootfsItem,
    SetupItem, Stage0, Stage1, Stage2, item_size, write_item,
};
pub use reply::{Failed, Reply};
pub use step::{Call, Step};

/// One of the three processes on the way to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// vial-init as the CLI started it, outside the container.
    Zero = 0,
    /// The process in the new user namespace, before the other namespaces.
    One = 1,
    /// The container's first process, or the process of an exec.
    Two = 2,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 3] = [Stage::Zero, Stage::One, Stage::Two];

    /// The stage with this number.
    pub fn from_number(number: u8) -> Option<Stage> {
        Stage::ALL.get(usize::from(number)).copied()
    }
}

/// The slot number of an optional slot that is not used.
pub const NO_SLOT: u32 = u32::MAX;
