//! The points where a process waits for a word of vial's.

/// What a process waits for. The word is one byte. The end of the file says that
/// vial is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Gate {
    /// To start: it is complete but for execve. The word comes now or, by `start`,
    /// later.
    Start = 1,
}

impl Gate {
    /// The gate with this number.
    pub fn from_number(number: u32) -> Option<Gate> {
        match number {
            1 => Some(Gate::Start),
            _ => None,
        }
    }
}
