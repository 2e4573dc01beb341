//! The gates: where a process waits for a word from vial.

/// What a process waits for. The word is one byte. EOF means that vial is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Gate {
    /// Start: all is done but execve. The word comes at once, or later from `start`.
    Start = 1,
    /// The listener of a seccomp filter: its fd comes along. The word says that vial has
    /// passed it on.
    Listener = 2,
    /// Network devices of the host. The word says that vial has moved them into this
    /// process's namespace.
    NetDevices = 3,
    /// Hooks: the filesystem is made, but not yet the root. vial runs the hooks of the
    /// host's namespaces.
    Hooks = 4,
    /// The scheduling policy, which vial sets.
    Scheduler = 5,
    /// The scope: vial has systemd put this process into the container's cgroup.
    Scope = 6,
}

impl Gate {
    /// The gate with this number.
    pub fn from_number(number: u32) -> Option<Gate> {
        match number {
            1 => Some(Gate::Start),
            2 => Some(Gate::Listener),
            3 => Some(Gate::NetDevices),
            4 => Some(Gate::Hooks),
            5 => Some(Gate::Scheduler),
            6 => Some(Gate::Scope),
            _ => None,
        }
    }
}
