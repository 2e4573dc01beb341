//! `linux.seccomp` of config.json as the classic BPF program that seccomp(2)
//! takes.
//!
//! What a profile means is defined by libseccomp, which the spec takes its
//! words from, and by what runc does around it; both are followed here but for
//! the differences listed below. The program is not libseccomp's: system calls
//! that share a decision are ranges of numbers, and the ranges are found by
//! binary search, so that a call costs about 9 instructions with the engines'
//! default profile, and the kernel (5.11 and later) can still see which numbers
//! it always allows and skip the program for them.
//!
//! | word | meaning |
//! |---|---|
//! | profile | what the user wrote: `config::seccomp::Seccomp` |
//! | rule | an action for some calls, if its conditions hold |
//! | action | what the filter returns: SECCOMP_RET_*, with the errno |
//! | decision | what holds for one number of one architecture: an action, or rules to try in turn |
//! | range | neighbouring numbers with the same decision |
//!
//! # What a profile means
//! - The native architecture is always part of it. A call by any other that is
//!   not listed kills the thread, as libseccomp's default for a bad
//!   architecture does.
//! - For one call, a rule without conditions decides over rules with
//!   conditions, and the first one decides over later ones. Of two rules whose
//!   conditions are part of one another the wider decides.
//! - A rule with the default action is skipped.
//! - On x86 a rule for a socket or IPC call holds for the direct call and for
//!   the one in socketcall(2) or ipc(2), where the call's number takes the
//!   place of the first argument.
//! - Numbers above the greatest one that the profile names get ENOSYS if the
//!   default action denies: libc then falls back to an older call, where EPERM
//!   would be the final answer. runc puts this in front of libseccomp's program.
//! - Without `flags` the filter gets SECCOMP_FILTER_FLAG_SPEC_ALLOW, as in runc.
//!
//! # Where it differs on purpose
//! - Rules with conditions that overlap, none part of the other, and with
//!   different actions: the first in the profile decides. In libseccomp it is
//!   the shape of its tree that decides, and it refuses two rules of the same
//!   conditions and a wider rule behind a narrower one.
//! - SCMP_CMP_LE on a 32-bit architecture after another condition means LE, and
//!   rules with NE, LT or LE on one argument are alternatives. libseccomp 2.5
//!   takes the first for GT and loses alternatives when it merges the others.
//! - ENOSYS also stands above the calls of an unlisted native architecture, and
//!   on arm and x32 the private and legacy numbers (0xf0000 to 0xf0006, 512 to
//!   547) do not count as the greatest: runc, which counts them, never answers
//!   ENOSYS to a new call there. On x86 the direct numbers of socket calls
//!   count; runc takes socketcall's for all of them.
//! - A system call that no architecture has, newer than the table or misspelt,
//!   is skipped with a warning where the rule is laxer than the default or as
//!   strict: the call is denied then. Where the rule is stricter it is an error,
//!   as it would deny nothing; runc skips it there too. A call that another
//!   architecture has is skipped without a word.
//! - An `errnoRet` for an action without one is an error, as the spec demands.

mod action;
mod arch;
mod args;
mod decision;
mod emit;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use arch::Arch;
pub use emit::Instruction;

use crate::config::seccomp::Seccomp;
use args::Condition;
use linux_raw_sys::ptrace;
use table::Call;

/// A program for seccomp(2), `SECCOMP_SET_MODE_FILTER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// SECCOMP_FILTER_FLAG_* for the call.
    pub flags: u32,
    /// The program, at most 4096 instructions.
    pub program: Vec<Instruction>,
    /// Names that were skipped.
    pub warnings: Vec<Error>,
}

impl Filter {
    /// The program as an array of `struct sock_filter`, 8 bytes each, in this
    /// machine's byte order: what `sock_fprog.filter` points to.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.program.iter().flat_map(|instruction| instruction.to_bytes()).collect()
    }
}

/// Why a profile, or a name in it, was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where in config.json, such as `linux.seccomp.syscalls[3].names[2]`.
    pub path: String,
    /// What is wrong there: lower case, without a full stop.
    pub message: String,
}

impl Error {
    /// An error at `path`, which is relative to linux.seccomp.
    fn new(path: String, message: String) -> Error {
        let dot = if path.is_empty() { "" } else { "." };
        Error { path: format!("linux.seccomp{dot}{path}"), message }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (config.json {})", self.message, self.path)
    }
}

impl std::error::Error for Error {}

/// A profile with every word resolved.
struct Profile {
    default: u32,
    rules: Vec<Rule>,
    /// Which rule is for which call, in the order of the profile.
    calls: Vec<(Call, u32)>,
    warnings: Vec<Error>,
}

/// An action and the conditions that must all hold for it.
#[derive(Clone, PartialEq, Eq)]
struct Rule {
    action: u32,
    conditions: Vec<Condition>,
}

/// What a profile may name, for `features`: actions, operators, architectures
/// and flags, by the tables that profiles are read with.
pub fn known_names() -> [Vec<&'static str>; 4] {
    [
        action::NAMES.iter().map(|(name, _)| *name).collect(),
        args::OPERATORS.iter().map(|(name, ..)| *name).collect(),
        arch::NAMES.iter().map(|(name, _)| *name).collect(),
        FLAGS.iter().map(|(name, _)| *name).collect(),
    ]
}

/// The flags of seccomp(2) that a profile may ask for.
pub const FLAGS: [(&str, u32); 3] = [
    ("SECCOMP_FILTER_FLAG_LOG", ptrace::SECCOMP_FILTER_FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", ptrace::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", ptrace::SECCOMP_FILTER_FLAG_TSYNC),
];

/// Compiles a profile for a machine whose kernel is `native`.
pub fn compile(profile: &Seccomp, native: Arch) -> Result<Filter, Error> {
    let flags = flags(profile.flags.as_deref())?;
    let archs = arch::listed(&profile.architectures, native)?;
    let profile = resolve(profile)?;
    let spaces = decision::spaces(&profile, &archs);
    let program = emit::program(&spaces)?;
    Ok(Filter { flags, program, warnings: profile.warnings })
}

/// The flags for seccomp(2). Their absence is not the empty list: then runc
/// sets SPEC_ALLOW, since a filter would otherwise slow every process in the
/// container by turning on mitigations that Linux 5.16 no longer ties to it.
fn flags(names: Option<&[String]>) -> Result<u32, Error> {
    let Some(names) = names else {
        return Ok(ptrace::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    };
    let mut flags = 0;
    for (i, name) in names.iter().enumerate() {
        let Some((_, flag)) = FLAGS.iter().find(|(known, _)| known == name) else {
            let message = match name.as_str() {
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => {
                    format!("{name} is for SCMP_ACT_NOTIFY, which is not supported yet")
                }
                _ => format!("unknown flag {name:?}"),
            };
            return Err(Error::new(format!("flags[{i}]"), message));
        };
        flags |= flag;
    }
    Ok(flags)
}

/// Resolves the rules of a profile, the skipped ones too: a mistake in them is
/// a mistake, and the calls that they name are calls that the profile knows.
fn resolve(profile: &Seccomp) -> Result<Profile, Error> {
    if profile.listener_metadata.is_some() && profile.listener_path.is_none() {
        let message = "must not be set without listenerPath".into();
        return Err(Error::new("listenerMetadata".into(), message));
    }
    let default = action::resolve(&profile.default_action, profile.default_errno_ret, &|| {
        ("defaultAction".into(), "defaultErrnoRet".into())
    })?;
    let mut rules = Vec::new();
    let mut calls = Vec::new();
    let mut warnings = Vec::new();
    for (i, syscall) in profile.syscalls.iter().enumerate() {
        let action = action::resolve(&syscall.action, syscall.errno_ret, &|| {
            (format!("syscalls[{i}].action"), format!("syscalls[{i}].errnoRet"))
        })?;
        let alternatives = args::resolve(&syscall.args, |arg, field| {
            format!("syscalls[{i}].args[{arg}].{field}")
        })?;
        if syscall.names.is_empty() {
            let message = "must name at least one system call".into();
            return Err(Error::new(format!("syscalls[{i}].names"), message));
        }
        let first = rules.len();
        rules.extend(alternatives.into_iter().map(|conditions| Rule { action, conditions }));
        let mut skipped = Vec::new();
        for (j, name) in syscall.names.iter().enumerate() {
            match Call::named(name) {
                Some(call) => calls.extend((first..rules.len()).map(|rule| (call, rule as u32))),
                None if action::is_stricter(action, default) => {
                    let message = format!("no architecture of Linux has a system call {name:?}");
                    return Err(Error::new(format!("syscalls[{i}].names[{j}]"), message));
                }
                None => skipped.push(name.as_str()),
            }
        }
        if !skipped.is_empty() {
            let names = skipped.join(", ");
            let message = format!("skipped, as no architecture of Linux has it: {names}");
            warnings.push(Error::new(format!("syscalls[{i}].names"), message));
        }
    }
    Ok(Profile { default, rules, calls, warnings })
}
