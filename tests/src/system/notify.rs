//! SCMP_ACT_NOTIFY: an agent on the host answers for system calls of the container.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::container::{self, Container, nothing_left, refused, wait_until, words};
use super::edit;
use super::seccomp::ARCH;
use super::userns::{NOBODY, own, rootless, run_as_nobody};
use crate::agent::{self, Agent, Answer};
use crate::context::same;
use crate::runner::topic;
use crate::sys::Notification;
use crate::{Context, Failure, Outcome};

topic!(
    "notify",
    agent_answers_for_the_call[Root],
    listener_and_state_come_at_create[Root],
    any_call_may_be_notified[Root],
    exec_has_a_listener_of_its_own[Root],
    i386_call_is_notified[Root],
    unprivileged_user_has_an_agent[Root, UserNamespaces],
    socket_may_have_a_long_or_relative_path[Root],
    killable_wait_needs_its_kernel[Root],
    calls_fail_once_the_agent_is_gone[Root],
    agent_that_cannot_be_reached_fails_create[Root],
    agent_that_never_accepts_fails_create[Root],
    agent_that_never_answers_fails_start[Root],
    agent_that_answers_waitid_itself_fails_start[Root],
    agent_that_answers_before_it_reads_fails_start[Root],
    deleted_before_start_leaves_nothing[Root],
    profiles_that_cannot_work_are_refused[Root],
);

/// Notifies the agent at `path` of these calls.
fn notify(config: &mut Value, path: &Path, calls: &[&str]) {
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": [ARCH],
        "listenerPath": path, "listenerMetadata": "a \"secret\"",
        "syscalls": [{ "names": calls, "action": "SCMP_ACT_NOTIFY" }]
    });
}

/// Makes getpriority(2), which only the tests make.
fn deed() -> [String; 4] {
    ["call".into(), libc::SYS_getpriority.to_string(), "0".into(), "0".into()]
}

fn deeds(config: &mut Value) {
    let deed = deed();
    edit::deeds(config, &deed.each_ref().map(String::as_str));
}

/// An agent that lets the kernel make every call.
fn passive(context: &Context) -> Result<(Agent, PathBuf), String> {
    let path = context.directory.join(format!("agent-{}", context.id()));
    Ok((Agent::start(&path, |_| Some(None)).map_err(words)?, path))
}

/// An agent with one answer for getpriority(2); it lets the kernel make other calls.
fn answering(context: &Context, answer: Answer) -> Result<(Agent, PathBuf), String> {
    let path = context.directory.join(format!("agent-{}", context.id()));
    let by_number = move |call: &Notification| {
        Some(if call.number == libc::SYS_getpriority { answer } else { None })
    };
    Ok((Agent::start(&path, by_number).map_err(words)?, path))
}

fn agent_answers_for_the_call(context: &Context) -> Outcome {
    for privileged in [false, true] {
        for (answer, seen) in [(Some(Ok(77)), "77"), (Some(Err(123)), "errno 123"), (None, "20")] {
            let (agent, path) = answering(context, answer)?;
            let bundle = context.bundle(|config| {
                deeds(config);
                notify(config, &path, &["getpriority"]);
                config["process"]["noNewPrivileges"] = json!(!privileged);
                config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
            })?;
            let done = context.run_bundle(&bundle)?;
            let all = format!("{}{}", done.stdout, done.stderr);
            same(&format!("whether {all:?} has {seen}"), all.contains(seen), true)?;
            let calls: Vec<_> =
                agent.look(|seen| seen.calls.iter().map(|call| call.number).collect());
            same("the calls", calls, vec![libc::SYS_getpriority])?;
            same("errors", agent.look(|seen| seen.errors.clone()), Vec::<String>::new())?;
        }
    }
    Ok(())
}

fn listener_and_state_come_at_create(context: &Context) -> Outcome {
    let (agent, path) = passive(context)?;
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "60"]);
        notify(config, &path, &["getpriority"]);
        config["annotations"] = json!({ "key": "value" });
    })?;
    let pid = container.pid()?;
    // create has sent it, but the agent may not have read it yet.
    wait_until("the message", || agent.look(|seen| !seen.states.is_empty()))?;
    let state = agent.look(|seen| seen.states.first().cloned()).unwrap_or_default();
    let wanted = json!({
        "ociVersion": state["ociVersion"], "fds": ["seccompFd"], "pid": pid,
        "metadata": "a \"secret\"",
        "state": {
            "ociVersion": "1.0.2", "id": container.id, "status": "creating", "pid": pid,
            "bundle": container.bundle.path, "annotations": { "key": "value" }
        }
    });
    same("the message", &state, &wanted)?;
    same("the version", state["ociVersion"].as_str().is_some_and(|v| v.starts_with("1.")), true)?;
    container.is("created")?;
    container.vial("start", &[])?.success()?;
    container.is("running")?;
    same("its processes", container.pids()?, vec![pid])?;
    same("the messages", agent.look(|seen| (seen.states.len(), seen.errors.clone())), (1, vec![]))?;
    Ok(container.remove()?)
}

fn any_call_may_be_notified(context: &Context) -> Outcome {
    // Those that vial-init makes at the end, or that runtimes have stumbled over.
    let calls = [
        "execve",
        "openat",
        "read",
        "write",
        "close",
        "fcntl",
        "sendmsg",
        "recvmsg",
        "waitid",
        "accept4",
        "prlimit64",
        "capset",
        "dup3",
        "mmap",
        "exit_group",
        "prctl",
    ];
    for privileged in [false, true] {
        let (agent, path) = passive(context)?;
        let container = Container::created_from(context, |config| {
            deeds(config);
            notify(config, &path, &calls);
            config["process"]["noNewPrivileges"] = json!(!privileged);
        })?;
        container.vial("start", &[])?.success()?;
        container.ends()?;
        same("what it printed", container.output().trim(), "20")?;
        let seen = agent.look(|seen| seen.calls.iter().any(|c| c.number == libc::SYS_execve));
        same("whether execve was notified", seen, true)?;
        container.remove()?;
        let (agent, path) = passive(context)?;
        let bundle = context.bundle(|config| {
            deeds(config);
            notify(config, &path, &["read"]);
            config["linux"]["seccomp"]["defaultAction"] = json!("SCMP_ACT_NOTIFY");
            config["linux"]["seccomp"]["flags"] =
                json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]);
        })?;
        same("the output", context.run_bundle(&bundle)?.success()?.stdout.trim(), "20")?;
        let seen = agent.look(|seen| seen.calls.iter().any(|c| c.number == libc::SYS_getpriority));
        same("whether getpriority was notified", seen, true)?;
    }
    Ok(())
}

fn exec_has_a_listener_of_its_own(context: &Context) -> Outcome {
    let (agent, path) = answering(context, Some(Ok(77)))?;
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "60"]);
        notify(config, &path, &["getpriority"]);
    })?;
    container.vial("start", &[])?.success()?;
    let deed = deed();
    let words: Vec<&str> =
        std::iter::once("/probe").chain(deed.iter().map(String::as_str)).collect();
    same("the answer", container.vial("exec", &words)?.success()?.stdout.trim(), "77")?;
    let states = agent.look(|seen| seen.states.clone());
    same("the messages", states.len(), 2)?;
    let (of_exec, pid) = (&states[1], container.pid()?);
    same("the container's pid", of_exec["state"]["pid"].as_u64(), Some(pid))?;
    same("the status", of_exec["state"]["status"].as_str(), Some("running"))?;
    let caller = agent.look(|seen| seen.calls.first().map(|call| u64::from(call.pid)));
    same("the pid", of_exec["pid"].as_u64(), caller)?;
    Ok(container.remove()?)
}

fn i386_call_is_notified(context: &Context) -> Outcome {
    if cfg!(not(target_arch = "x86_64")) {
        return Err(Failure::Skipped("i386 system calls".into()));
    }
    const I386_GETPRIORITY: libc::c_long = 96;
    let path = context.directory.join("agent");
    let agent = Agent::start(&path, |call| {
        let argument = i64::from(call.arguments[0] as u32);
        Some((call.number == I386_GETPRIORITY).then_some(Ok(argument + 1)))
    });
    let agent = agent.map_err(words)?;
    let done = edit::run(context, &["call-i386", "96", "5"], |config| {
        notify(config, &path, &["getpriority"]);
        config["linux"]["seccomp"]["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    })?;
    same("the answer", done.stdout.trim(), "Some(6)")?;
    Ok(same("the calls", agent.look(|seen| seen.calls.len()), 1)?)
}

fn unprivileged_user_has_an_agent(context: &Context) -> Outcome {
    let (agent, path) = answering(context, Some(Ok(77)))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&path, mode).map_err(words)?;
    let bundle = context.bundle(|config| {
        rootless(config);
        deeds(config);
        notify(config, &path, &["getpriority", "execve"]);
    })?;
    own(&bundle, NOBODY)?;
    same("the answer", run_as_nobody(context, &bundle)?.success()?.stdout.trim(), "77")?;
    Ok(same("the calls", agent.look(|seen| seen.calls.len()), 2)?)
}

fn socket_may_have_a_long_or_relative_path(context: &Context) -> Outcome {
    let directory = context.directory.join("d".repeat(120));
    std::fs::create_dir(&directory).map_err(words)?;
    let held = std::fs::File::open(&directory).map_err(words)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&held);
    let short = PathBuf::from(format!("/proc/self/fd/{fd}/agent"));
    let _agent = Agent::start(&short, |_| Some(Some(Ok(78)))).map_err(words)?;
    let relative = PathBuf::from("..").join(directory.file_name().unwrap_or_default());
    for path in [directory.join("agent"), relative.join("agent")] {
        let bundle = context.bundle(|config| {
            deeds(config);
            notify(config, &path, &["getpriority"]);
        })?;
        same("the answer", context.run_bundle(&bundle)?.success()?.stdout.trim(), "78")?;
    }
    Ok(())
}

fn killable_wait_needs_its_kernel(context: &Context) -> Outcome {
    let (_agent, path) = passive(context)?;
    let flags = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
    let bundle = context.bundle(|config| {
        deeds(config);
        notify(config, &path, &["getpriority"]);
        config["linux"]["seccomp"]["flags"] = flags.clone();
    })?;
    let done = context.run_bundle(&bundle)?;
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (5, 19) {
        refused(&done, "seccomp(2): EINVAL")?;
        refused(&done, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs Linux 5.19")?;
    } else {
        same("the answer", done.success()?.stdout.trim(), "20")?;
    }
    // Without a listener it has no meaning: a warning says so.
    let bundle = context.bundle(|config| {
        deeds(config);
        notify(config, &path, &["getpriority"]);
        config["linux"]["seccomp"]["syscalls"] = json!([]);
        config["linux"]["seccomp"]["flags"] = flags;
    })?;
    Ok(same("the answer", context.run_bundle(&bundle)?.success()?.stdout.trim(), "20")?)
}

fn calls_fail_once_the_agent_is_gone(context: &Context) -> Outcome {
    let (agent, path) = passive(context)?;
    let container = Container::created_from(context, |config| {
        deeds(config);
        notify(config, &path, &["getpriority"]);
    })?;
    drop(agent);
    container.vial("start", &[])?.success()?;
    container.ends()?;
    let seen = container.output();
    same(&format!("whether {seen:?} has ENOSYS"), seen.contains("ENOSYS"), true)?;
    Ok(container.remove()?)
}

/// Creates a container whose agent is at `path`, and fails unless this is refused with
/// `text` and leaves nothing.
fn create_is_refused(context: &Context, path: &Path, text: &str) -> Result<(), String> {
    let before = context.leftovers();
    let container =
        Container::prepared_from(context, |config| notify(config, path, &["getpriority"]))?;
    let done = container.create(&[])?;
    refused(&done, text)?;
    refused(&done, "linux.seccomp.listenerPath")?;
    nothing_left(context, &before)
}

fn agent_that_cannot_be_reached_fails_create(context: &Context) -> Outcome {
    let path = context.directory.join("agent");
    create_is_refused(context, &path, "connect(2): ENOENT")?;
    drop(UnixListener::bind(&path).map_err(words)?);
    create_is_refused(context, &path, "connect(2): ECONNREFUSED")?;
    let container = Container::prepared_from(context, |config| {
        notify(config, &path, &["getpriority"]);
        // It is not asked for.
        config["linux"]["seccomp"]["syscalls"] = json!([]);
    })?;
    container.create(&[])?.success()?;
    Ok(container.remove()?)
}

fn agent_that_never_accepts_fails_create(context: &Context) -> Outcome {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen, socket};
    let path = context.directory.join("agent");
    let address = SocketAddrUnix::new(&path).map_err(words)?;
    let new = || socket(AddressFamily::UNIX, SocketType::STREAM, None).map_err(words);
    let server = new()?;
    bind(&server, &address).map_err(words)?;
    listen(&server, 0).map_err(words)?;
    let first = new()?;
    connect(&first, &address).map_err(words)?;
    let began = Instant::now();
    create_is_refused(context, &path, "connect(2): the agent does not answer")?;
    Ok(same("whether it took long", began.elapsed().as_secs() > 60, false)?)
}

fn agent_that_never_answers_fails_start(context: &Context) -> Outcome {
    let path = context.directory.join("agent");
    let _agent = Agent::start(&path, |_| None).map_err(words)?;
    let before = context.leftovers();
    let container = Container::created_from(context, |config| {
        deeds(config);
        notify(config, &path, &["execve"]);
    })?;
    let done = container.vial("start", &[])?;
    refused(&done, "the seccomp agent has not let it happen")?;
    container.ends()?;
    container.remove()?;
    let bundle = context.bundle(|config| {
        deeds(config);
        notify(config, &path, &["execve"]);
    })?;
    let done = context.run_bundle(&bundle)?;
    refused(&done, "the seccomp agent has not let it happen")?;
    Ok(nothing_left(context, &before)?)
}

fn agent_that_answers_waitid_itself_fails_start(context: &Context) -> Outcome {
    let path = context.directory.join("agent");
    let _agent = Agent::start(&path, |_| Some(Some(Ok(0)))).map_err(words)?;
    let bundle = context.bundle(|config| {
        deeds(config);
        notify(config, &path, &["waitid"]);
    })?;
    let done = context.run_bundle(&bundle)?;
    Ok(refused(&done, "waitid(2): ECHILD")?)
}

fn agent_that_answers_before_it_reads_fails_start(context: &Context) -> Outcome {
    let path = context.directory.join("agent");
    let agent = agent::answer_early(&path).map_err(words)?;
    let bundle = context.bundle(|config| {
        deeds(config);
        notify(config, &path, &["waitid"]);
        // More than a socket holds, so vial is still writing when the process ends.
        config["linux"]["seccomp"]["listenerMetadata"] = json!("x".repeat(1 << 20));
    })?;
    let done = context.run_bundle(&bundle)?;
    refused(&done, "waitid(2): ECHILD")?;
    Ok(same("the agent", agent.join().map_err(|_| "it panicked")?, Ok(()))?)
}

fn deleted_before_start_leaves_nothing(context: &Context) -> Outcome {
    let (_agent, path) = passive(context)?;
    for kind in ["", "pid"] {
        let before = context.leftovers();
        let container = Container::created_from(context, |config| {
            edit::without_namespace(config, kind);
            notify(config, &path, &["getpriority"]);
        })?;
        let pids = container.pids()?;
        same("how many processes it has", pids.len(), 2)?;
        container::send(container.pid()?, rustix::process::Signal::KILL)?;
        let ended = |pid: &u64| {
            let state = u32::try_from(*pid).ok().and_then(crate::processes::state);
            matches!(state, None | Some('Z'))
        };
        wait_until("both to end", || pids.iter().all(ended))?;
        container.remove()?;
        nothing_left(context, &before)?;
    }
    Ok(())
}

fn profiles_that_cannot_work_are_refused(context: &Context) -> Outcome {
    let check = |text: &str, edit: &dyn Fn(&mut Value)| {
        let bundle = context.bundle(|config| {
            notify(config, Path::new("/agent"), &["getpriority"]);
            edit(&mut config["linux"]["seccomp"]);
        })?;
        refused(&context.run_bundle(&bundle)?, text)
    };
    check("linux.seccomp.listenerPath: missing", &|seccomp| {
        seccomp["listenerPath"] = json!("");
        seccomp["listenerMetadata"] = Value::Null;
    })?;
    check("linux.seccomp.listenerMetadata: must not be set without", &|seccomp| {
        seccomp["listenerPath"] = json!("");
    })?;
    check("linux.seccomp.listenerPath: not a path", &|seccomp| {
        seccomp["listenerPath"] = json!("@agent");
    })?;
    let arguments = json!([{ "index": 0, "value": 1, "op": "SCMP_CMP_EQ" }]);
    for arguments in [json!([]), arguments] {
        check("vial-init needs waitid(2)", &|seccomp| {
            let rule =
                json!({ "names": ["waitid"], "action": "SCMP_ACT_ERRNO", "args": arguments });
            edit::add(&mut seccomp["syscalls"], rule);
        })?;
    }
    Ok(())
}
