//! The messages back: what was started, that it is ready, or which step failed.

use crate::{Cursor, Stage, Step};

/// A step that failed, as data; the CLI, which holds the Plan, finds the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it ran.
    pub stage: Stage,
    /// What it was doing.
    pub step: Step,
    /// Which item of the Plan, counted over all sections.
    pub item: u32,
    /// The errno of the call, as a positive number.
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
    /// The process is complete but for execve, and waits. Its pid as the
    /// procfs at hand counts, which is the CLI's.
    Ready {
        /// The pid.
        pid: u32,
    },
    /// It failed; nothing of it runs any more.
    Failed(Failed),
}

impl Reply {
    /// A reply's length in bytes: kind, stage, step, item, pid or errno.
    pub const SIZE: usize = 20;

    /// The reply as bytes.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let numbers = match self {
            Reply::Ready { pid } => [1, 0, 0, 0, *pid],
            Reply::Started { pid } => [3, 0, 0, 0, *pid],
            Reply::Failed(f) => [2, f.stage as u32, f.step as u32, f.item, f.errno],
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
        let [kind, stage, step, item, value] = [(); 5].map(|()| cursor.u32());
        if !cursor.is_right() {
            return None;
        }
        match kind {
            1 => Some(Reply::Ready { pid: value }),
            3 => Some(Reply::Started { pid: value }),
            2 => Some(Reply::Failed(Failed {
                stage: Stage::from_number(u8::try_from(stage).ok()?)?,
                step: Step::from_code(step)?,
                item,
                errno: value,
            })),
            _ => None,
        }
    }
}
