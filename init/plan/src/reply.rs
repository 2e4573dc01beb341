//! Messages from vial-init: what was started, where it waits, or what failed.

use crate::{Call, Cursor, Gate, Stage, Step};

/// A failed call, as data. vial holds the Plan, and turns this into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The stage that made the call.
    pub stage: Stage,
    /// The call.
    pub call: Call,
    /// The step that the call was for.
    pub step: Step,
    /// The index of the item, counted over all sections.
    pub item: u32,
    /// The errno of the call as a positive number, or the exit status of a mapping
    /// helper.
    pub errno: u32,
}

/// A message from vial-init.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The next stage was started as a child of vial, which must wait for it.
    Started {
        /// The pid.
        pid: u32,
    },
    /// A process waits at a gate for vial's word.
    At {
        /// The gate.
        gate: Gate,
        /// Its pid in vial's pid namespace.
        pid: u32,
    },
    /// A call failed, and vial-init ends. Nothing of it runs on.
    Failed(Failed),
}

impl Reply {
    /// The size in bytes. Four numbers: kind; stage, call and step; item; pid or errno.
    pub const SIZE: usize = 16;

    /// Encodes the reply.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let numbers = match self {
            Reply::At { gate, pid } => [1, *gate as u32, 0, *pid],
            Reply::Started { pid } => [3, 0, 0, *pid],
            Reply::Failed(f) => {
                let what = u32::from_le_bytes([f.stage as u8, f.call as u8, f.step as u8, 0]);
                [2, what, f.item, f.errno]
            }
        };
        let mut bytes = [0; Self::SIZE];
        for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Decodes a reply. None if it is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Reply> {
        let mut cursor = Cursor::new(bytes);
        let [kind, what, item, value] = [(); 4].map(|()| cursor.u32());
        let [stage, call, step, zero] = what.to_le_bytes();
        if !cursor.is_right() {
            return None;
        }
        match kind {
            1 => Some(Reply::At { gate: Gate::from_number(what)?, pid: value }),
            3 => Some(Reply::Started { pid: value }),
            2 if zero == 0 => Some(Reply::Failed(Failed {
                stage: Stage::from_number(stage)?,
                call: Call::from_number(call)?,
                step: Step::from_number(step)?,
                item,
                errno: value,
            })),
            _ => None,
        }
    }
}
