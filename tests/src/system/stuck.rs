//! A create that hangs on a file system that does not answer.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;
use serde_json::Value;

use super::container::{Container, refused, wait_until, words};
use super::edit;
use super::hostile::{cgroup_of, send};
use crate::bundle::base_config;
use crate::context::same;
use crate::leftovers::Leftovers;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "stuck",
    state_of_a_stuck_create_says_where[Root, Fuse],
    state_of_a_stopped_create_says_so[Root, Fuse],
    stuck_create_is_removed_at_once[Root, Fuse],
    create_stuck_at_its_pid_file_is_removed_at_once[Root, Fuse],
    dead_create_is_removed_with_its_processes[Root, Fuse],
    dead_create_is_removed_from_any_cgroup[Root, Fuse],
    unkillable_process_is_reported[Root, Fuse],
);

/// The time limit for what must not wait.
const SOON: Duration = Duration::from_millis(1500);

/// Runs `delete --force`, which must not wait.
fn removed_soon(container: Container<'_>) -> Result<(), String> {
    let began = Instant::now();
    container.remove()?;
    same(&format!("it took less than {SOON:?}"), began.elapsed() < SOON, true)
}

fn nothing_left(context: &Context, before: &Leftovers) -> Result<(), String> {
    wait_until("the end of it all", || {
        crate::processes::reap();
        context.nothing_left_since(before).is_ok()
    })
    .map_err(|why| format!("{why}: {:?}", context.nothing_left_since(before)))
}

/// A FUSE file system whose server does not answer. Dropping it unmounts it, and its
/// waiters continue.
struct Dead {
    path: PathBuf,
    server: File,
}

impl Dead {
    fn new(context: &Context) -> Result<Self, String> {
        let path = context.folder.join(format!("dead-{}", context.id()));
        fs::create_dir(&path).map_err(words)?;
        let server = File::options().read(true).write(true).open("/dev/fuse").map_err(words)?;
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let data = CString::new(data).map_err(words)?;
        mount("vial-dead", &path, "fuse", MountFlags::empty(), data.as_c_str()).map_err(words)?;
        Ok(Self { path, server })
    }
}

/// linux/fuse.h
const LOOKUP: u32 = 1;
const INIT: u32 = 26;

impl Dead {
    /// Reads the next request, which must have this opcode. Returns its unique id.
    fn hear(&mut self, wanted: u32) -> Result<[u8; 8], String> {
        let mut request = [0; 1 << 16];
        let length = self.server.read(&mut request).map_err(words)?;
        same("the length of a request", length >= 40, true)?;
        let [_, opcode, low, high] =
            [0, 4, 8, 12].map(|at| [0, 1, 2, 3].map(|byte| request[at + byte]));
        same("the request", u32::from_ne_bytes(opcode), wanted)?;
        Ok([low, high].concat().try_into().unwrap_or_default())
    }

    /// Answers FUSE_INIT, as a live server does. From then on a waiter cannot be killed
    /// once the server has read its request.
    fn begin(&mut self) -> Result<(), String> {
        let number = self.hear(INIT)?;
        let mut answer = [0; 16 + 64];
        let version = [7_u32, 31].map(u32::to_ne_bytes);
        answer[..4].copy_from_slice(&80_u32.to_ne_bytes());
        answer[8..16].copy_from_slice(&number);
        answer[16..24].copy_from_slice(version.as_flattened());
        self.server.write_all(&answer).map_err(words)
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        let _ = unmount(&self.path, UnmountFlags::DETACH); // If it fails, leftovers show it.
    }
}

/// A container that binds a file of the dead file system, and its create, which hangs.
fn stuck<'a>(context: &'a Context, dead: &Dead) -> Result<(Container<'a>, Child), String> {
    stuck_with(context, dead, |_| {})
}

fn stuck_with<'a>(
    context: &'a Context,
    dead: &Dead,
    change: impl FnOnce(&mut Value),
) -> Result<(Container<'a>, Child), String> {
    let source = dead.path.join("file").to_string_lossy().into_owned();
    let container = Container::planned(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        edit::bind(config, &source, "/mnt", &["bind"]);
        change(config);
    })?;
    // It names the state folder by another path than later commands do.
    let root = context.state.strip_prefix(&context.folder).map_err(words)?;
    let mut command = Command::new(&context.vial);
    command.current_dir(&context.folder).arg("--root").arg(root).args(["create", "--bundle"]);
    command.arg(&container.bundle.path).arg(&container.id);
    let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let create = streams.spawn().map_err(words)?;
    let id = create.id();
    wait_until("the create to be stuck", || !waiting_below(id).is_empty())?;
    Ok((container, create))
}

/// The descendants of a process that wait for the file system.
fn waiting_below(id: u32) -> Vec<u64> {
    let below = crate::processes::descendants(id).into_iter().map(|(pid, _)| u64::from(pid));
    let waits = |pid: &u64| {
        let stack = fs::read_to_string(format!("/proc/{pid}/stack"));
        stack.is_ok_and(|text| text.contains("fuse"))
    };
    below.filter(waits).collect()
}

/// The progress that `state` prints.
fn progress(container: &Container<'_>) -> Result<String, String> {
    let state = container.state()?;
    same("the status", state["status"].as_str(), Some("creating"))?;
    Ok(state["progress"].as_str().unwrap_or_default().to_owned())
}

fn state_of_a_stuck_create_says_where(context: &Context) -> Outcome {
    let dead = Dead::new(context)?;
    let before = context.leftovers();
    let (container, mut create) = stuck(context, &dead)?;
    let waiting = waiting_below(create.id());
    same("the pid", &[container.pid()?][..], &waiting[..])?;
    let bundle = container.state()?["bundle"].as_str().map(PathBuf::from);
    same("the bundle", bundle.as_ref(), Some(&container.bundle.path))?;
    let said = progress(&container)?;
    let (stage, rest) = said.split_once(", item ").unwrap_or_default();
    same("the stage", stage, "stage 2")?;
    let source = dead.path.join("file");
    let mounts = base_config()["mounts"].as_array().map_or(0, Vec::len);
    let act = format!("bind {} on /mnt (config.json mounts[{mounts}])", source.display());
    let (index, said) = rest.split_once(": ").unwrap_or_default();
    // It may also say how the process waits.
    same("the act", said.split("; ").next(), Some(act.as_str()))?;
    // The index refers to the container's plan.
    let plan = container.vial("plan", &["-f", "json"])?.success()?.stdout;
    let plan: Value = serde_json::from_str(&plan).map_err(words)?;
    let index: usize = index.parse().map_err(words)?;
    same("the item's stage", plan[index]["stage"].as_u64(), Some(2))?;
    same("the item's field", plan[index]["field"].as_str(), Some(&*format!("mounts[{mounts}]")))?;
    // ps(1) shows it too.
    let pid = container.pid()?;
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).map_err(words)?;
    same("the arguments", line.contains(&format!("\0{index}\0")), true)?;
    let listed = context.vial(&["list"])?.success()?.stdout;
    same("list", listed.contains("creating"), true)?;
    container.remove()?;
    create.wait().map_err(words)?;
    Ok(nothing_left(context, &before)?)
}

fn state_of_a_stopped_create_says_so(context: &Context) -> Outcome {
    let dead = Dead::new(context)?;
    let before = context.leftovers();
    let (container, mut create) = stuck(context, &dead)?;
    let stopped = |pid: u64| format!("; process {pid} is stopped");
    let vial = u64::from(create.id());
    send(vial, Signal::STOP)?;
    wait_until("it to be stopped", || {
        progress(&container).is_ok_and(|said| said.ends_with(&stopped(vial)))
    })?;
    same("the act", progress(&container)?.contains(": bind "), true)?;
    removed_soon(container)?;
    create.wait().map_err(words)?;
    Ok(nothing_left(context, &before)?)
}

fn stuck_create_is_removed_at_once(context: &Context) -> Outcome {
    let dead = Dead::new(context)?;
    let before = context.leftovers();
    for user_namespace in [false, true] {
        let (container, mut create) = stuck_with(context, &dead, |config| {
            if user_namespace {
                // Then the opener hangs, which is not in the container's cgroup.
                edit::user_namespace(config, 100_000);
            }
        })?;
        removed_soon(container).map_err(|why| format!("{user_namespace}: {why}"))?;
        create.wait().map_err(words)?;
        nothing_left(context, &before).map_err(|why| format!("{user_namespace}: {why}"))?;
    }
    Ok(())
}

/// Here vial itself hangs, while it holds the lock.
fn create_stuck_at_its_pid_file_is_removed_at_once(context: &Context) -> Outcome {
    let dead = Dead::new(context)?;
    let before = context.leftovers();
    let container = Container::planned(context, |config| edit::deeds(config, &["sleep", "60"]))?;
    let mut command = context.command(&["create", "--bundle"]);
    command.arg(&container.bundle.path).arg("--pid-file").arg(dead.path.join("pid"));
    let streams = command.arg(&container.id).stdin(Stdio::null()).stdout(Stdio::null());
    let mut create = streams.stderr(Stdio::null()).spawn().map_err(words)?;
    let stack = format!("/proc/{}/stack", create.id());
    wait_until("it to be stuck", || {
        fs::read_to_string(&stack).is_ok_and(|text| text.contains("fuse"))
    })?;
    container.is("created")?;
    removed_soon(container)?;
    create.wait().map_err(words)?;
    Ok(nothing_left(context, &before)?)
}

fn dead_create_is_removed_with_its_processes(context: &Context) -> Outcome {
    let dead = Dead::new(context)?;
    let before = context.leftovers();
    for user_namespace in [false, true] {
        let (container, mut create) = stuck_with(context, &dead, |config| {
            if user_namespace {
                edit::user_namespace(config, 100_000);
            }
        })?;
        create.kill().and_then(|()| create.wait()).map_err(words)?;
        let done = container.vial("state", &[])?;
        refused(
            &done,
            &format!("the create of container {} has died, and left process", container.id),
        )?;
        refused(&done, "stage 2, item ")?;
        refused(&done, "delete --force")?;
        removed_soon(container).map_err(|why| format!("{user_namespace}: {why}"))?;
        nothing_left(context, &before).map_err(|why| format!("{user_namespace}: {why}"))?;
    }
    Ok(())
}

fn unkillable_process_is_reported(context: &Context) -> Outcome {
    let before = context.leftovers();
    for dies in [true, false] {
        let mut dead = Dead::new(context)?;
        dead.begin()?;
        let (container, mut create) = stuck(context, &dead)?;
        dead.hear(LOOKUP)?;
        let pid = container.pid()?;
        if dies {
            create.kill().map_err(words)?;
            create.wait().map_err(words)?;
        }
        let done = context.vial(&["delete", "--force", &container.id])?;
        refused(&done, &format!("process {pid} was killed and has not ended"))?;
        refused(&done, &format!("/proc/{pid}/stack"))?;
        create.wait().map_err(words)?;
        // The process can still be seen, and removed once it has exited.
        let text = format!("left process {pid} at stage 2");
        refused(&container.vial("state", &[])?, &text)?;
        drop(dead);
        removed_soon(container)?;
        nothing_left(context, &before)?;
    }
    Ok(())
}

fn dead_create_is_removed_from_any_cgroup(context: &Context) -> Outcome {
    let dead = Dead::new(context)?;
    let before = context.leftovers();
    // Run create in another cgroup than delete, as vial puts the container's cgroup beside
    // its own.
    let own = cgroup_of(std::process::id().into())?;
    let above = own.join(context.id());
    let inner = above.join("caller");
    fs::create_dir_all(&inner).map_err(words)?;
    let enter = |cgroup: &Path| fs::write(cgroup.join("cgroup.procs"), "0").map_err(words);
    enter(&inner)?;
    let made = stuck(context, &dead);
    enter(&own)?;
    let (container, mut create) = made?;
    create.kill().and_then(|()| create.wait()).map_err(words)?;
    let path = above.join(format!("vial-{}", container.id));
    same("the cgroup is there", path.exists(), true)?;
    container.remove()?;
    same("the cgroup is there", path.exists(), false)?;
    fs::remove_dir(&inner).and_then(|()| fs::remove_dir(&above)).map_err(words)?;
    Ok(nothing_left(context, &before)?)
}
