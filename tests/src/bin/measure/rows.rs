//! The names of the table's rows, in one place: they go over a machine's
//! console as single words.

use crate::bundles::Seccomp;

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident: $plain:literal, $profile:literal;)*) => {
        $($(#[$doc])* pub(crate) fn $name(seccomp: Seccomp) -> &'static str {
            match seccomp { Seccomp::None => $plain, Seccomp::Profile => $profile }
        })*
    };
}

rows! {
    /// `run /bin/true`: wall and CPU.
    run: "run", "run+profile";
    /// create, start, delete: wall and CPU.
    lifecycle: "lifecycle", "lifecycle+profile";
    /// System calls of a run up to the user's program.
    calls: "calls", "calls+profile";
    /// Those of the CLI among them.
    calls_of_cli: "cli-calls", "cli-calls+profile";
    /// The CLI's peak RSS in KiB.
    peak: "peak", "peak+profile";
    /// RSS in KiB of the process that waits for start.
    rss: "rss", "rss+profile";
    /// PSS of the same.
    pss: "pss", "pss+profile";
}

/// The least memory limit in KiB at which a container runs.
pub(crate) const MEMORY: &str = "memory";
/// The bytes of the runtime's files.
pub(crate) const SIZE: &str = "size";
/// The bytes of the libraries that it loads.
pub(crate) const LIBRARIES: &str = "libraries";
