//! kill and delete --force wait for no other process, and start is atomic.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::container::{Container, nothing_left, refused, send, start, stop, wait_until, words};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "unwaited",
    kill_does_not_wait_for_a_start_that_hangs[Root],
    delete_force_does_not_wait_for_a_start_that_hangs[Root],
    delete_reports_the_holder_of_the_lock[Root],
    delete_force_ends_a_create_that_hangs[Root],
    create_that_dies_leaves_no_process[Root],
    state_does_not_start_the_container[Root],
    start_that_dies_before_its_message_has_not_started[Root],
    start_that_dies_after_its_message_has_started[Root],
);

/// The time limit for what must not wait.
const SOON: Duration = Duration::from_secs(8);

fn soon<T>(what: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let began = Instant::now();
    let result = work()?;
    same(&format!("{what} took less than {SOON:?}"), began.elapsed() < SOON, true)?;
    Ok(result)
}

/// A container whose process is stopped, and a start that waits for it.
fn hanging<'a>(context: &'a Context) -> Result<(Container<'a>, Child), String> {
    let container = Container::created(context, &["sleep", "3600"])?;
    stop(container.pid()?)?;
    let mut command = context.command(&["start", &container.id]);
    let start = command.stderr(Stdio::null()).spawn().map_err(words)?;
    let path = context.state.join(&container.id);
    let locked = || {
        let file = File::open(&path);
        file.is_ok_and(|file| {
            let operation = rustix::fs::FlockOperation::NonBlockingLockShared;
            rustix::fs::flock(&file, operation).is_err()
        })
    };
    wait_until("start to take the lock", locked)?;
    // Give it time to wait for the process.
    sleep(Duration::from_millis(300));
    Ok((container, start))
}

fn kill_does_not_wait_for_a_start_that_hangs(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (container, mut start) = hanging(context)?;
    soon("state", || container.is("created"))?;
    soon("kill", || container.vial("kill", &["0"])?.success())?;
    soon("kill", || container.vial("kill", &["KILL"])?.success())?;
    start.wait().map_err(words)?;
    container.ends()?;
    container.remove()?;
    Ok(context.nothing_left_since(&before)?)
}

fn delete_force_does_not_wait_for_a_start_that_hangs(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (container, mut start) = hanging(context)?;
    soon("delete --force", || container.remove())?;
    start.wait().map_err(words)?;
    Ok(context.nothing_left_since(&before)?)
}

fn delete_reports_the_holder_of_the_lock(context: &Context) -> Outcome {
    let (container, mut start) = hanging(context)?;
    let text = format!("is in use: process {} has held its lock", start.id());
    refused(&container.vial("delete", &[])?, &text)?;
    container.is("created")?;
    container.remove()?;
    start.wait().map_err(words)?;
    Ok(())
}

fn delete_force_ends_a_create_that_hangs(context: &Context) -> Outcome {
    for _ in 0..200 {
        let before = context.leftovers();
        let container = Container::prepared(context, &["sleep", "3600"])?;
        let mut create = start(&mut container.command("create"))?;
        let config = context.state.join(&container.id).join("config.json");
        // Poll without a pause: on real hardware a create takes a few milliseconds.
        while !config.exists() && create.try_wait().is_ok_and(|status| status.is_none()) {}
        let _ = stop(create.id().into()); // ESRCH: it has exited already.
        let hung = container.status().is_ok_and(|status| status == "creating");
        if hung {
            let progress = container.state()?["progress"].to_string();
            let stopped = format!("; process {} is stopped", create.id());
            same("whether the progress says it is stopped", progress.contains(&stopped), true)
                .map_err(|why| format!("{why}: {progress}"))?;
            refused(&container.vial("kill", &["KILL"])?, "is being created")?;
        }
        soon("delete --force", || container.remove())?;
        // Needed only if it was too far to be killed.
        let _ = send(create.id().into(), Signal::CONT);
        create.wait().map_err(words)?;
        nothing_left(context, &before)?;
        if hung {
            return Ok(());
        }
    }
    Err("no create was stopped half-way".into())
}

fn create_that_dies_leaves_no_process(context: &Context) -> Outcome {
    let began = Instant::now();
    let whole = Container::prepared(context, &["sleep", "3600"])?;
    start(&mut whole.command("create"))?.wait().map_err(words)?;
    let took = began.elapsed();
    whole.remove()?;
    // Most attempts are near its end, where the process waits to hear that its state was
    // written.
    let mut done = 0;
    for attempt in 0..120_u32 {
        let after = took.mul_f64(1.3 * (f64::from(attempt) / 120.0).sqrt());
        let before = context.leftovers();
        let container = Container::prepared(context, &["sleep", "3600"])?;
        let mut create = start(&mut container.command("create"))?;
        sleep(after);
        create.kill().map_err(words)?;
        let is_done = create.wait().map_err(words)?.success();
        let state = context.state.join(&container.id).join("state.json");
        if !fs::exists(&state).map_err(words)? {
            // Without a state, the processes must end without a delete.
            let left = || crate::processes::descendants(std::process::id());
            wait_until("the processes to end", || left().is_empty())
                .map_err(|why| format!("{why}: {:?}", left()))?;
        }
        let bundle = container.bundle.path.clone();
        container.remove().map_err(|why| format!("after {after:?}: {why}"))?;
        nothing_left(context, &before).map_err(|why| format!("{why}, {after:?}"))?;
        fs::remove_dir_all(bundle).map_err(words)?; // A machine has little memory.
        done += u32::from(is_done);
        if done > 20 {
            break;
        }
    }
    Ok(())
}

fn state_does_not_start_the_container(context: &Context) -> Outcome {
    let container = Container::created(context, &["echo", "hello", "+", "sleep", "3600"])?;
    (0..20).try_for_each(|_| container.is("created"))?;
    // Fill the queue of the listening socket.
    stop(container.pid()?)?;
    let directory = File::open(context.state.join(&container.id)).map_err(words)?;
    let socket = format!("/proc/self/fd/{}/exec.sock", directory.as_raw_fd());
    let connect = || {
        let flags = rustix::net::SocketFlags::NONBLOCK;
        let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
        let fd = rustix::net::socket_with(family, kind, flags, None)?;
        rustix::net::connect(&fd, &rustix::net::SocketAddrUnix::new(&socket)?)
    };
    let mut full = Ok(());
    for _ in 0..10_000 {
        full = connect();
        if full.is_err() {
            break;
        }
    }
    same("connecting to a full queue", full, Err(rustix::io::Errno::AGAIN))?;
    container.is("created")?;
    same("what it printed", container.output().as_str(), "")?;
    send(container.pid()?, Signal::CONT)?;
    container.vial("start", &[])?.success()?;
    same("what it printed", container.printed(1)?.as_str(), "hello\n")?;
    container.is("running")?;
    Ok(container.remove()?)
}

/// Connects by way of the directory's fd, as the path is too long for a socket address.
fn connect(container: &Container<'_>) -> Result<UnixStream, String> {
    let directory = File::open(container.context.state.join(&container.id)).map_err(words)?;
    let path = format!("/proc/self/fd/{}/exec.sock", directory.as_raw_fd());
    UnixStream::connect(path).map_err(words)
}

fn start_that_dies_before_its_message_has_not_started(context: &Context) -> Outcome {
    let container = Container::created(context, &["echo", "hello", "+", "sleep", "3600"])?;
    drop(connect(&container)?);
    // A client that connects and then does nothing does not block `state`.
    let stopped = connect(&container)?;
    container.is("created")?;
    drop(stopped);
    container.is("created")?;
    same("what it printed", container.output().as_str(), "")?;
    container.vial("start", &[])?.success()?;
    same("what it printed", container.printed(1)?.as_str(), "hello\n")?;
    Ok(container.remove()?)
}

fn start_that_dies_after_its_message_has_started(context: &Context) -> Outcome {
    let container = Container::created(context, &["echo", "hello", "+", "sleep", "3600"])?;
    connect(&container)?.write_all(b"g").map_err(words)?;
    same("what it printed", container.printed(1)?.as_str(), "hello\n")?;
    let socket = context.state.join(&container.id).join("exec.sock");
    same("whether the socket exists", fs::exists(&socket).map_err(words)?, true)?;
    container.is("running")?;
    refused(&container.vial("start", &[])?, "cannot start an already running container")?;
    refused(&container.vial("delete", &[])?, "that is not stopped: running")?;
    Ok(container.remove()?)
}
