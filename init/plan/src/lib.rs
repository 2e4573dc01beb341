//! The Plan: a flat byte program that vial makes from a config.json and
//! vial-init carries out, item by item, in the order it is written.
//!
//! ```text
//! Header (64 bytes)  magic, version, fingerprint, the length of each section
//! section of stage 0   item item item ..
//! section of stage 1   item ..
//! section of stage 2   item item ..
//! item                 number u8, subject u8, 0 u16, length u32, then its fields
//! fields               numbers, texts, lists, bytes, in this order of kinds
//! number               u32, a u64 is two; little-endian
//! text                 u32 length, bytes, NUL
//! list                 u32 count, u32 length, texts with a NUL each
//! bytes                u32 length, bytes
//! ```
//!
//! The words: a **Plan** is the whole; an [`Item`] one act of it; a **slot** a place
//! for an fd, by which vial lends one to an item, or an item hands one to another;
//! a [`Gate`] a point where a process waits for a word; a [`Reply`] a message back,
//! at a gate or of a [`Call`] that failed.
//!
//! **Invariant:** reading never panics, never loops, never reads outside the
//! bytes it was given, whatever they are; there is a fuzz target for it.
//! **Invariant:** there is no limit on how many items, mounts, arguments or
//! rules a Plan holds, other than its length being a u32.
//! **Invariant:** texts lie in the Plan with their NUL, ready for the kernel.
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

/// Which of the three processes that become a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// vial-init as the CLI started it, outside the container.
    Zero = 0,
    /// The process in the new user namespace, before the rest.
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

/// The number of no slot, for an item that can do without one.
pub const NO_SLOT: u32 = u32::MAX;
