//! A failed call in words: what for, on which path, for which field of config.json,
//! which call, which errno, and what to do about it.

use rustix::io::Errno;
use rustix::process::Signal;
use vial_plan::{Failed, Item, ProcessItem, Stage2, Step};

use super::hint::hint;
use super::mount_log;
use crate::container::status::Process;
use crate::error::{Error, errno_words};
use crate::plan::Plan;
use crate::spawn;
use crate::words::describe;

/// The error for a failure that vial-init reported.
pub fn words(plan: &Plan, failed: &Failed) -> Error {
    let errno = Errno::from_raw_os_error(failed.errno.cast_signed());
    match failed.step {
        Step::OtherBuild => {
            return Error::new("vial-init is of another build than vial")
                .hint("install both binaries of one build, side by side");
        }
        Step::StartInit | Step::ReadPlan | Step::MapPlan | Step::DecodePlan => {
            return Error::new(format_args!("vial-init could not {}", cause(failed, 0)));
        }
        _ => {}
    }
    let Some((item, origin)) = plan.item(failed.item) else {
        return without_plan(failed, &Error::new("the plan has no such item"));
    };
    if let Some(error) = program(plan, &item, origin, failed.step, errno) {
        return error;
    }
    let field = match origin {
        "" => String::new(),
        origin => format!(" (config.json {origin})"),
    };
    let timeout = match item {
        Item::Stage2(Stage2::Process(ProcessItem::Hook { timeout, .. })) => timeout,
        _ => 0,
    };
    let error = Error::new(format_args!("{}{field}: {}", describe(&item), cause(failed, timeout)));
    let hint = hint(&item, failed.step, errno).map(str::to_owned);
    match hint.or_else(|| mount_log::words(&item, errno)) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Whether a hook failed. The container is then destroyed (runtime.md, "Lifecycle").
pub fn is_of_hook(plan: &Plan, failed: &Failed) -> bool {
    let item = plan.item(failed.item).map(|(item, _)| item);
    matches!(item, Some(Item::Stage2(Stage2::Process(ProcessItem::Hook { .. }))))
}

/// The error if the Plan cannot be read, so that the path and field are not known.
pub fn without_plan(failed: &Failed, why: &Error) -> Error {
    Error::new(format_args!("item {} of the plan: {}; {why}", failed.item, cause(failed, 0)))
}

fn cause(failed: &Failed, timeout: u32) -> String {
    spawn::cause(failed.call, failed.step, failed.errno, timeout)
}

/// Why a process ended after its last reply and before execve, if it did. A living
/// program is seen by /proc/PID/exe: an ending process loses its memory before its
/// fds close. After its end its name stays until it is waited for.
pub fn silence(pid: u32) -> Option<Error> {
    match std::fs::read_link(format!("/proc/{pid}/exe")) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        _ => return None,
    }
    let process = Process::read(pid).ok().flatten()?;
    let killed_by = |signal: Signal| process.end & 0x7f == signal.as_raw().unsigned_abs();
    let how = match process.name.as_slice() {
        b"vial-init" if killed_by(Signal::SYS) => "killed by the seccomp filter (SIGSYS)",
        b"vial-init" if killed_by(Signal::KILL) => return None, // Another verb has killed it.
        b"vial-init" => "denied by the seccomp filter, as is write(2), which would say why",
        _ => return None,
    };
    Some(
        Error::new(format_args!(
            "execute the program (config.json linux.seccomp): execve(2): {how}"
        ))
        .hint("the profile must allow execve, by which the program starts"),
    )
}

/// The sentences by which engines tell a missing program from one that may not be
/// executed.
fn program(plan: &Plan, item: &Item<'_>, origin: &str, step: Step, errno: Errno) -> Option<Error> {
    let Item::Stage2(Stage2::Process(ProcessItem::Program { .. } | ProcessItem::Execute {})) = item
    else {
        return None;
    };
    let (Step::FindProgram | Step::Execute) = step else {
        return None;
    };
    let name = plan.items().find_map(|(_, item, _)| match item {
        Item::Stage2(Stage2::Process(ProcessItem::Program { args, .. })) => args.iter().next(),
        _ => None,
    });
    let name = name.unwrap_or_default().to_string_lossy();
    let (why, hint) = match errno {
        Errno::NOENT if step == Step::FindProgram && !name.contains('/') => {
            ("executable file not found in $PATH".to_owned(), None)
        }
        Errno::NOENT if step == Step::Execute => (
            "no such file or directory".to_owned(),
            Some("if it is there, its interpreter or dynamic loader is what is missing"),
        ),
        Errno::NOEXEC => (
            "exec format error".to_owned(),
            Some("it is built for another machine, or a script without `#!`"),
        ),
        errno => match crate::error::errno_name(errno) {
            Some((_, text)) => (text.to_owned(), None),
            None => (errno_words(errno), None),
        },
    };
    let error = Error::new(format_args!("exec \"{name}\" (config.json {origin}): {why}"));
    Some(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}
