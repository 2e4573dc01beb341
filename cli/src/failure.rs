//! A failed Step in words: what, on which path, asked for by which field, by
//! which call, with which errno; and what to do.

use rustix::io::Errno;
use rustix::process::Signal;
use vial_plan::{Failed, Item, Stage, Step};

use crate::error::{Error, errno_words};
use crate::plan::Plan;
use crate::status::Process;
use crate::words::describe;

/// The words for a failure of a Plan that was sent.
pub fn words(plan: &Plan, failed: &Failed) -> Error {
    let errno = Errno::from_raw_os_error(failed.errno.cast_signed());
    match failed.step {
        Step::OtherBuild => {
            return Error::new("vial-init is of another build than vial")
                .hint("install both binaries of one build, side by side");
        }
        Step::StartInit | Step::ReadPlan | Step::MapPlan | Step::DecodePlan => {
            let (what, call) = failed.step.words();
            let what = what.trim();
            return Error::new(format_args!(
                "vial-init could not {what}: {call}: {}",
                errno_words(errno)
            ));
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
    let (what, call) = failed.step.words();
    let act = describe(&item);
    let why = errno_words(errno);
    let error = Error::new(format_args!("{act}{field}: {}: {call}: {why}", what.trim()));
    match hint(&item, failed.stage, failed.step, errno) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The words where the Plan that was sent cannot be read, which would say what
/// failed.
pub fn without_plan(failed: &Failed, why: &Error) -> Error {
    let errno = errno_words(Errno::from_raw_os_error(failed.errno.cast_signed()));
    Error::new(format_args!("vial-init failed at item {}: {errno}; {why}", failed.item))
}

/// Why a process ended between its last word and execve, if it did. Its memory
/// goes before its fds, so that a program that lives is seen by its file; one that
/// has ended keeps its name until somebody has waited for it.
pub fn silence(pid: u32) -> Option<Error> {
    match std::fs::read_link(format!("/proc/{pid}/exe")) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        _ => return None,
    }
    let process = Process::read(pid).ok().flatten()?;
    let killed_by = |signal: Signal| process.end & 0x7f == signal.as_raw().unsigned_abs();
    let how = match process.name.as_slice() {
        b"vial-init" if killed_by(Signal::SYS) => "killed by the seccomp filter (SIGSYS)",
        b"vial-init" if killed_by(Signal::KILL) => return None, // Somebody's wish.
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

/// Engines read these, to tell a missing program from one that may not run.
fn program(plan: &Plan, item: &Item<'_>, origin: &str, step: Step, errno: Errno) -> Option<Error> {
    let (Item::Program { .. } | Item::Execute {}) = item else {
        return None;
    };
    let (Step::FindProgram | Step::Execute) = step else {
        return None;
    };
    let name = plan.items().find_map(|(_, item, _)| match item {
        Item::Program { args, .. } => args.iter().next(),
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

/// What the user can do; None where vial does not know.
fn hint(item: &Item<'_>, stage: Stage, step: Step, errno: Errno) -> Option<&'static str> {
    Some(match (item, step, errno) {
        (Item::Clone { .. }, _, Errno::PERM | Errno::NOSPC | Errno::USERS) => {
            "user namespaces may be forbidden or used up: see /proc/sys/user/max_user_namespaces and /proc/sys/kernel/unprivileged_userns_clone"
        }
        (Item::Clone { .. }, _, Errno::OPNOTSUPP) => {
            "a cgroup above the container's holds processes, so that limits cannot be set: set linux.cgroupsPath to another place"
        }
        (Item::Clone { .. }, _, Errno::INVAL) => {
            "the kernel may lack a kind of namespace: see /proc/self/ns for those it has"
        }
        (Item::Mount { fstype, .. }, Step::Mount, Errno::PERM) if *fstype == c"proc" => {
            "the host hides part of /proc; a user namespace may mount proc only where /proc is bare"
        }
        (Item::Mount { fstype, .. }, Step::Mount, Errno::PERM) if *fstype == c"sysfs" => {
            "a user namespace mounts sysfs only with a network namespace of its own; bind the host's /sys otherwise"
        }
        (Item::Mount { .. }, Step::Mount, Errno::NODEV) => {
            "the kernel does not have this filesystem, or its module is not loaded"
        }
        (_, Step::SymlinkTarget, _) => "/proc, /sys and /dev themselves may not be symbolic links",
        (_, Step::LinkIntoProc, _) => {
            "what lies in /proc is taken for the kernel's word: mount over something else"
        }
        (_, Step::MakeDirectory | Step::MakeFile, Errno::ROFS) => {
            "the rootfs is read-only on the host: make this path in the image"
        }
        (Item::PivotRoot { .. }, Step::PivotRoot, Errno::INVAL) => {
            "the rootfs lies on a root that cannot be pivoted; try --no-pivot"
        }
        (Item::Chroot {}, Step::Chroot, Errno::PERM) => {
            "chroot takes CAP_SYS_CHROOT, which the caller does not have"
        }
        (Item::DeviceNode { .. }, Step::MakeDevice, Errno::PERM) => {
            "a device takes CAP_MKNOD to be made; with {\"type\": \"mount\"} in linux.namespaces the host's is bound"
        }
        (Item::CgroupDevices { .. }, Step::LoadDeviceFilter, _) => {
            "the kernel may lack CONFIG_CGROUP_BPF; a last rule {\"allow\": true, \"access\": \"rwm\"} does without a device filter"
        }
        (Item::CgroupDevices { .. }, Step::FindDeviceFilters | Step::DetachDeviceFilter, _) => {
            "the cgroup has device filters already, of which this user may not dispose: set linux.cgroupsPath to another place"
        }
        (Item::CgroupControllers { .. }, _, Errno::NOENT) => {
            "a controller is not enabled in a cgroup above"
        }
        (Item::CgroupControllers { .. }, _, Errno::BUSY) => {
            "that cgroup holds processes, so that it cannot give controllers to others: set linux.cgroupsPath to another place"
        }
        (Item::CgroupMkdir { .. }, _, Errno::ACCESS | Errno::PERM) => {
            "this cgroup is not delegated to the user"
        }
        (Item::RaiseRlimit { .. }, _, Errno::PERM) => {
            "raising a hard limit takes CAP_SYS_RESOURCE, which the caller does not have"
        }
        (Item::OomScoreAdj { .. }, _, Errno::ACCESS) => {
            "lowering the value takes CAP_SYS_RESOURCE, which the caller does not have"
        }
        (Item::WorkingDirectory { .. }, Step::UnreachableDirectory, _) => {
            "the path leads out of the rootfs"
        }
        (Item::Capabilities { .. }, Step::SetCapabilities, Errno::PERM) => {
            "the caller does not have all of these capabilities itself"
        }
        (Item::Terminal { .. }, Step::OpenPtmx, Errno::NOENT) => {
            "a terminal needs devpts: mount it at /dev/pts"
        }
        (Item::UidMap { .. } | Item::GidMap { .. }, _, Errno::PERM) => {
            "the caller may not map these ids: see /etc/subuid and /etc/subgid"
        }
        (Item::MapHelper { .. }, Step::MapHelper, _) => {
            "the ranges must be the user's in /etc/subuid and /etc/subgid; the helper has said more above"
        }
        (Item::AppArmorProfile { .. }, _, Errno::NOENT) => {
            "the profile is not loaded: `apparmor_parser --replace FILE` loads one"
        }
        (Item::AppArmorProfile { .. }, _, Errno::INVAL) => {
            "AppArmor is off: see /sys/kernel/security/lsm; leave process.apparmorProfile out"
        }
        (Item::SelinuxLabel { .. }, _, Errno::INVAL | Errno::NOENT) => {
            "SELinux is off, or has no such label: see /sys/kernel/security/lsm; leave process.selinuxLabel out"
        }
        (Item::MountAttributes { recursive: true, .. }, _, Errno::NOSYS) => {
            "attributes of mounts below take Linux 5.12: leave out the options that begin with r"
        }
        (Item::Procfs {}, _, _) => "mount -t proc proc /proc",
        (Item::Bind { .. }, Step::SetAttributes | Step::Remount, Errno::PERM) => {
            "a mount's ro, nosuid, nodev or noexec is locked in a user namespace and cannot be taken away"
        }
        (_, _, Errno::NOSPC) if stage == Stage::Outside => "a limit of the host is used up",
        _ => return None,
    })
}
