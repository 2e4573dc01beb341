//! The names of the table's rows. Each is a single word, as the lines on a machine's
//! console are split at spaces.

use crate::bundles::Seccomp;

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident: $plain:literal, $profile:literal;)*) => {
        $($(#[$doc])* pub(crate) fn $name(seccomp: Seccomp) -> &'static str {
            match seccomp { Seccomp::None => $plain, Seccomp::Profile => $profile }
        })*
    };
}

rows! {
    /// `run /bin/true`: wall and CPU time.
    run: "run", "run+profile";
    /// create, start, delete: wall and CPU time.
    lifecycle: "lifecycle", "lifecycle+profile";
    /// `exec /bin/true` in a container that sleeps: wall and CPU time.
    exec: "exec", "exec+profile";
    /// System calls of a run before the user's program.
    calls: "calls", "calls+profile";
    /// How many of them are the CLI's.
    calls_of_cli: "cli-calls", "cli-calls+profile";
    /// The CLI's peak RSS in KiB.
    peak: "peak", "peak+profile";
    /// RSS in KiB of the process that waits for start.
    rss: "rss", "rss+profile";
    /// PSS in KiB of the same process.
    pss: "pss", "pss+profile";
}

/// The least memory limit in KiB at which a container runs.
pub(crate) const MEMORY: &str = "memory";
/// The bytes of the runtime's files.
pub(crate) const SIZE: &str = "size";
/// The bytes of the libraries that it loads.
pub(crate) const LIBRARIES: &str = "libraries";
