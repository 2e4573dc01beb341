//! The points where a process waits for a word from another.

/// What a process waits for. The word is one byte; the end of the file says that
/// whoever would give it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Gate {
    /// To be mapped into its user namespace, by the process that has started it.
    Mapping = 1,
    /// To start: it is complete but for execve. vial gives the word, now or, by
    /// `start`, later.
    Start = 2,
}

impl Gate {
    /// The gate with this number.
    pub fn from_number(number: u32) -> Option<Gate> {
        match number {
            1 => Some(Gate::Mapping),
            2 => Some(Gate::Start),
            _ => None,
        }
    }
}
