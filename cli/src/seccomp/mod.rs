//! Compiles `linux.seccomp` of config.json to a classic BPF program for seccomp(2).
//!
//! The meaning of a profile is that of libseccomp, whose words the spec uses, and of
//! what runc adds. Differences are listed below. The program is not libseccomp's:
//! numbers with the same decision form ranges, and a binary search finds the range.
//! A call costs about 9 instructions with the engines' default profile, and the
//! kernel (since 5.11) can still see which numbers are always allowed and skip the
//! program for them.
//!
//! | word | meaning |
//! |---|---|
//! | profile | what the user wrote: `config::seccomp::Seccomp` |
//! | rule | an action for some calls, if its conditions hold |
//! | action | what the filter returns: SECCOMP_RET_*, with the errno |
//! | decision | the result for one number of one architecture: an action, or rules to try in order |
//! | range | neighbouring numbers with the same decision |
//!
//! # What a profile means
//! - The native architecture is always part of it. A call of an architecture that
//!   is not listed kills the thread, which is libseccomp's default.
//! - For one call, a rule without conditions wins over rules with conditions, and an
//!   earlier one over later ones. If one rule's conditions include another's, the
//!   wider rule wins.
//! - A rule with the default action is skipped.
//! - On x86 a rule for a socket or IPC call applies to the direct call and to the
//!   one inside socketcall(2) or ipc(2), whose first argument is the call's number.
//! - Numbers above the greatest one in the profile get ENOSYS if the default action
//!   denies: libc then falls back to an older call, which it would not do after
//!   EPERM. runc puts the same in front of libseccomp's program.
//! - Without `flags` the filter gets SECCOMP_FILTER_FLAG_SPEC_ALLOW, as in runc.
//!
//! # Where it differs on purpose
//! - If the conditions of two rules overlap, none includes the other, and the
//!   actions differ, the first rule wins. In libseccomp the shape of its tree
//!   decides, and it refuses two rules with the same conditions, and a wider rule
//!   after a narrower one.
//! - SCMP_CMP_LE on a 32-bit architecture after another condition means LE, and
//!   rules with NE, LT or LE on one argument are alternatives. libseccomp 2.5
//!   takes the first for GT and loses alternatives when it merges the others.
//! - New calls get ENOSYS on an unlisted native architecture too. On arm and x32 the
//!   private and legacy numbers (0xf0000 to 0xf0006, 512 to 547) do not count as the
//!   greatest: runc counts them, and so never returns ENOSYS for a new call there.
//!   On x86 the direct numbers of socket calls count; runc uses socketcall's for all
//!   of them.
//! - A name that no architecture has, because it is newer than the table or
//!   misspelt, is skipped with a warning if the rule is not stricter than the
//!   default: the call is denied then. If the rule is stricter, it is an error, since
//!   nothing would be denied; runc skips it. A name that only another architecture
//!   has is skipped silently.
//! - SCMP_ACT_NOTIFY may be the default action and the action for write(2), as in crun.
//!   runc refuses both, since its own process must write after it has loaded the filter.
//! - An `errnoRet` for an action without one is an error, as the spec demands.

mod action;
mod arch;
mod args;
mod decision;
mod emit;
mod raw;
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
    /// The SECCOMP_FILTER_FLAG_* flags.
    pub flags: u32,
    /// The program, at most 4096 instructions.
    pub program: Vec<Instruction>,
    /// Whether the program notifies an agent.
    pub notifies: bool,
    /// Warnings about names and flags that were skipped.
    pub warnings: Vec<Error>,
}

impl Filter {
    /// The program as an array of `struct sock_filter`, in this machine's byte order.
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
    /// The calls, each with the index of its rule, in the order of the profile.
    calls: Vec<(Call, u32)>,
    warnings: Vec<Error>,
}

/// An action and the conditions that must all hold for it.
#[derive(Clone, PartialEq, Eq)]
struct Rule {
    action: u32,
    conditions: Vec<Condition>,
}

/// The known actions, operators, architectures and flags, for `features`.
pub fn known_names() -> [Vec<&'static str>; 4] {
    [
        action::NAMES.iter().map(|(name, _)| *name).collect(),
        args::OPERATORS.iter().map(|(name, ..)| *name).collect(),
        arch::NAMES.iter().map(|(name, _)| *name).collect(),
        FLAGS.iter().map(|(name, _)| *name).collect(),
    ]
}

/// The flags of seccomp(2) that a profile may ask for.
pub const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", ptrace::SECCOMP_FILTER_FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", ptrace::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", TSYNC),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", WAIT_KILLABLE),
];

const TSYNC: u32 = ptrace::SECCOMP_FILTER_FLAG_TSYNC;
const WAIT_KILLABLE: u32 = ptrace::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/// Compiles a profile for a machine whose kernel is `native`.
pub fn compile(profile: &Seccomp, native: Arch) -> Result<Filter, Error> {
    let mut flags = flags(profile.flags.as_deref())?;
    let archs = arch::listed(&profile.architectures, native)?;
    let mut profile = resolve(profile)?;
    let spaces = decision::spaces(&profile, &archs);
    let program = emit::program(&spaces)?;
    let notifies = program.iter().any(|instruction| instruction.returns(action::NOTIFY));
    if notifies {
        // The kernel refuses TSYNC together with a listener. vial-init has one thread.
        flags = flags & !TSYNC | ptrace::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let wait = Call::named("waitid").and_then(|call| call.number(native));
        if !decision::may_allow(&spaces, native, wait.unwrap_or_default()) {
            let message = "vial-init needs waitid(2) if SCMP_ACT_NOTIFY is used: allow it";
            return Err(Error::new("syscalls".into(), message.into()));
        }
    } else if flags & WAIT_KILLABLE != 0 {
        flags &= !WAIT_KILLABLE;
        let message = "skipped WAIT_KILLABLE_RECV, which is only for SCMP_ACT_NOTIFY";
        profile.warnings.push(Error::new("flags".into(), message.into()));
    }
    Ok(Filter { flags, program, notifies, warnings: profile.warnings })
}

/// Takes a filter that was compiled before, as base64. A profile that comes with it
/// gives only the flags. The error says what is wrong with the text.
pub fn decode(text: &str, profile: Option<&Seccomp>) -> Result<Filter, Error> {
    let mut flags = flags(profile.and_then(|profile| profile.flags.as_deref()))?;
    let program = raw::program(text).map_err(|message| Error { path: BPF_DATA.into(), message })?;
    let notifies = program.iter().any(|instruction| instruction.returns(action::NOTIFY));
    if notifies {
        flags = flags & !TSYNC | ptrace::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    }
    Ok(Filter { flags, program, notifies, warnings: Vec::new() })
}

/// Where the text of [`decode`] stands in config.json.
pub const BPF_DATA: &str = "annotations[\"run.oci.seccomp_bpf_data\"]";

/// The flags for seccomp(2). If `flags` is absent, rather than empty, runc sets
/// SPEC_ALLOW, and so does vial: before Linux 5.16 a filter turns on mitigations that
/// slow down the container.
fn flags(names: Option<&[String]>) -> Result<u32, Error> {
    let Some(names) = names else {
        return Ok(ptrace::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    };
    let mut flags = 0;
    for (i, name) in names.iter().enumerate() {
        let Some((_, flag)) = FLAGS.iter().find(|(known, _)| known == name) else {
            return Err(Error::new(format!("flags[{i}]"), format!("unknown flag {name:?}")));
        };
        flags |= flag;
    }
    Ok(flags)
}

/// Resolves the rules of a profile, including those that are skipped: a mistake in
/// them is an error too, and the calls that they name count as known.
fn resolve(profile: &Seccomp) -> Result<Profile, Error> {
    if profile.listener_metadata.is_some() && profile.listener_path.is_empty() {
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
