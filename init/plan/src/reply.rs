//! The messages back: what was started, that it is ready, or which step failed.

use crate::{Call, Cursor, Gate, Stage, Step};

/// A call that failed, as data; the CLI, which holds the Plan, finds the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it ran.
    pub stage: Stage,
    /// The call.
    pub call: Call,
    /// What it was for.
    pub step: Step,
    /// Which item of the Plan, counted over all sections.
    pub item: u32,
    /// The errno of the call, as a positive number; the exit status of a mapping
    /// helper.
    pub errno: u32,
}

/// What vial-init answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The next stage was started as a child of vial's: this is its pid, which
    /// vial waits for.
    Started {
        /// The pid.
        pid: u32,
    },
    /// A process waits at a gate of which vial gives the word.
    At {
        /// The gate.
        gate: Gate,
        /// The pid, as the procfs at hand counts, which is vial's.
        pid: u32,
    },
    /// It failed; nothing of it runs any more.
    Failed(Failed),
}

impl Reply {
    /// A reply's length in bytes: kind; stage, call and step; item; pid or errno.
    pub const SIZE: usize = 16;

    /// The reply as bytes.
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

    /// Reads a reply; None if the bytes are none.
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
