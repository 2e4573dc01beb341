//! The fds of a container: its streams, those of --preserve-fds, and none that the
//! caller left open.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use serde_json::{Map, Value};

use super::container::{Container, refused, words};
use super::edit;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "preserve_fds",
    container_has_the_preserved_fds_and_no_others[Root],
    closed_fd_is_refused[Root],
    absurd_count_is_refused[Root],
    leaked_fds_reach_no_container[Root],
    leaked_fds_reach_no_exec[Root],
    created_container_holds_only_streams_and_sockets[Root],
    exec_preserves_fds_too[Root],
);

/// An open file with this fd number, which a child inherits.
pub(super) fn inherited(context: &Context, number: i32) -> Result<OwnedFd, String> {
    let path = context.directory.join(format!("fd-{number}"));
    fs::write(&path, number.to_string()).map_err(words)?;
    let fd = inherit(File::open(&path).map_err(words)?, number)?;
    same("the number of the fd", fd.as_raw_fd(), number)?;
    Ok(fd)
}

/// The same with this number, or with the next free one.
fn inherit(file: File, number: i32) -> Result<OwnedFd, String> {
    // The file itself may have this number.
    let away = fcntl_dupfd_cloexec(&file, 500).map_err(words)?;
    drop(file);
    let fd = fcntl_dupfd_cloexec(&away, number).map_err(words)?;
    fcntl_setfd(&fd, FdFlags::empty()).map_err(words)?;
    Ok(fd)
}

/// Runs a container that prints its fds.
fn fds_of_run(context: &Context, options: &[&str]) -> Result<Done, String> {
    let bundle = context.probe_bundle(&["fds"])?;
    Ok(context.run_bundle_with(&bundle, options)?)
}

fn fds(done: Done) -> Result<Map<String, Value>, String> {
    serde_json::from_value(done.success()?.json()?).map_err(words)
}

fn check(fds: &Map<String, Value>, context: &Context, preserved: &[i32]) -> Result<(), String> {
    let mut wanted: Vec<String> =
        (0..3).chain(preserved.iter().copied()).map(|n| n.to_string()).collect();
    wanted.sort();
    same("the fds", fds.keys().cloned().collect::<Vec<_>>(), wanted)?;
    for number in preserved {
        // The link shows a path outside the container's root.
        let name = format!("fd-{number}");
        let seen = fds[&number.to_string()].as_str().unwrap_or_default();
        same("whether it refers to its file", seen.ends_with(&name), true)
            .map_err(|why| format!("{why}: {seen} of {}", context.directory.display()))?;
    }
    Ok(())
}

fn container_has_the_preserved_fds_and_no_others(context: &Context) -> Outcome {
    let _open = (3..7).map(|number| inherited(context, number)).collect::<Result<Vec<_>, _>>()?;
    check(&fds(fds_of_run(context, &["--preserve-fds", "2"])?)?, context, &[3, 4])?;
    check(&fds(fds_of_run(context, &["--preserve-fds=4"])?)?, context, &[3, 4, 5, 6])?;
    check(&fds(fds_of_run(context, &["--preserve-fds", "0"])?)?, context, &[])?;
    Ok(check(&fds(fds_of_run(context, &[])?)?, context, &[])?)
}

fn closed_fd_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let _open = [inherited(context, 3)?, inherited(context, 5)?];
    let done = fds_of_run(context, &["--preserve-fds", "3"])?;
    refused(&done, "file descriptor 4 is not open")?;
    Ok(context.nothing_left_since(&before)?)
}

fn absurd_count_is_refused(context: &Context) -> Outcome {
    for count in ["4294967295", "4294967296", "-1", "x", ""] {
        let done = fds_of_run(context, &[&format!("--preserve-fds={count}")])?;
        refused(&done, "preserve-fds").map_err(|why| format!("{count:?}: {why}"))?;
    }
    Ok(())
}

/// Fds that a careless caller leaves open: files, and directories of the host through
/// which a container could escape (CVE-2024-21626).
fn leak(context: &Context) -> Result<Vec<OwnedFd>, String> {
    let directory = context.directory.join("host");
    fs::create_dir(&directory).map_err(words)?;
    fs::write(directory.join("secret"), "").map_err(words)?;
    let mut open = Vec::new();
    for number in 3..200 {
        open.push(match number % 2 {
            0 => inherit(File::open(&directory).map_err(words)?, number)?,
            _ => inherit(File::open(&context.vial).map_err(words)?, number)?,
        });
    }
    Ok(open)
}

fn leaked_fds_reach_no_container(context: &Context) -> Outcome {
    let _open = leak(context)?;
    check(&fds(fds_of_run(context, &[])?)?, context, &[])?;
    // A working directory cannot lead through one of them either.
    for number in 3..30 {
        let bundle = context.bundle(|config| {
            edit::deeds(config, &["ls", "."]);
            config["process"]["cwd"] = format!("/proc/self/fd/{number}").into();
        })?;
        stays_inside(&context.run_bundle(&bundle)?, number)?;
        fs::remove_dir_all(&bundle.path).map_err(words)?; // A machine has little memory.
    }
    Ok(())
}

/// It was refused, or the number was an fd of vial-init itself inside the container.
/// vial-init has few fds, so a higher number refers to none.
fn stays_inside(done: &Done, number: i32) -> Result<(), String> {
    match done.code {
        0 => same("whether the secret is seen", done.stdout.contains("secret"), false),
        _ if number < 20 => refused(done, "cwd"),
        _ => refused(done, "chdir(2): ENOENT"),
    }
}

fn leaked_fds_reach_no_exec(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let open = leak(context)?;
    let mut command = context.command(&["exec", &container.id, "/probe", "fds"]);
    check(&fds(context.run(&mut command)?)?, context, &[])?;
    for number in 3..30 {
        let cwd = format!("--cwd=/proc/self/fd/{number}");
        let done = context.vial(&["exec", &cwd, &container.id, "/probe", "ls", "."])?;
        stays_inside(&done, number)?;
    }
    drop(open);
    Ok(container.remove()?)
}

fn created_container_holds_only_streams_and_sockets(context: &Context) -> Outcome {
    let open = leak(context)?;
    let container = Container::created(context, &["fds"])?;
    drop(open);
    let directory = format!("/proc/{}/fd", container.pid()?);
    for entry in fs::read_dir(&directory).map_err(words)?.flatten() {
        let number: u32 = entry.file_name().to_string_lossy().parse().map_err(words)?;
        let link = fs::read_link(entry.path()).map_err(words)?;
        let link = link.to_string_lossy();
        let fine = number < 3 || link.starts_with("socket:") || link.starts_with("/memfd:");
        same("whether it is a stream, a socket or a memfd", fine, true)
            .map_err(|why| format!("{why}: {number} is {link}"))?;
    }
    container.vial("start", &[])?.success()?;
    container.printed(1)?;
    let seen = serde_json::from_str(&container.output()).map_err(words)?;
    check(&seen, context, &[])?;
    Ok(container.remove()?)
}

fn exec_preserves_fds_too(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let open = (3..6).map(|number| inherited(context, number)).collect::<Result<Vec<_>, _>>()?;
    let mut command = context.command(&["exec", "--preserve-fds", "2"]);
    command.args([&container.id, "/probe", "fds"]);
    check(&fds(context.run(&mut command)?)?, context, &[3, 4])?;
    drop(open);
    let done = context.vial(&["exec", "--preserve-fds=1", &container.id, "/probe", "fds"])?;
    refused(&done, "file descriptor 3 is not open")?;
    Ok(container.remove()?)
}
