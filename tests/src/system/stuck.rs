//! A create that hangs on a file system that does not answer.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount};
use rustix::process::Signal;
use serde_json::Value;

use super::container::{
    Container, cgroup_of, nothing_left, refused, send, start, wait_until, words,
};
use super::edit;
use super::mounted::Mounted;
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

// linux/fuse.h
const LOOKUP: u32 = 1;
const INIT: u32 = 26;

/// A FUSE file system whose server does not answer. Dropping it unmounts it, and its
/// waiters continue.
struct Dead {
    mount: Mounted,
    server: File,
}

impl Dead {
    fn new(context: &Context) -> Result<Self, String> {
        let path = context.directory.join(format!("dead-{}", context.id()));
        fs::create_dir(&path).map_err(words)?;
        let server = File::options().read(true).write(true).open("/dev/fuse").map_err(words)?;
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let data = CString::new(data).map_err(words)?;
        mount("vial-dead", &path, "fuse", MountFlags::empty(), data.as_c_str()).map_err(words)?;
        Ok(Self { mount: Mounted(path), server })
    }

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

/// A create that hangs on a dead file system, as its container binds a file of it.
struct Stuck<'a> {
    container: Container<'a>,
    create: Child,
    dead: Dead,
    before: Leftovers,
}

impl<'a> Stuck<'a> {
    fn new(context: &'a Context) -> Result<Self, String> {
        Self::on(context, Dead::new(context)?, |_| {})
    }

    /// Here the opener hangs, which is not in the container's cgroup.
    fn in_user_namespace(context: &'a Context) -> Result<Self, String> {
        let dead = Dead::new(context)?;
        Self::on(context, dead, |config| edit::user_namespace(config, 100_000))
    }

    fn on(
        context: &'a Context,
        dead: Dead,
        change: impl FnOnce(&mut Value),
    ) -> Result<Self, String> {
        let before = context.leftovers();
        let source = dead.mount.0.join("file").to_string_lossy().into_owned();
        let container = Container::prepared_from(context, |config| {
            edit::deeds(config, &["sleep", "3600"]);
            edit::bind(config, &source, "/mnt", &["bind"]);
            change(config);
        })?;
        // It names the state directory by another path than later commands do.
        let root = context.state.strip_prefix(&context.directory).map_err(words)?;
        let mut command = Command::new(&context.vial);
        command
            .current_dir(&context.directory)
            .arg("--root")
            .arg(root)
            .args(["create", "--bundle"]);
        let create = start(command.arg(&container.bundle.path).arg(&container.id))?;
        let stuck = Self { container, create, dead, before };
        wait_until("the create to hang", || !stuck.waiting().is_empty())?;
        Ok(stuck)
    }

    /// The processes of the create that wait for the file system.
    fn waiting(&self) -> Vec<u64> {
        let all = crate::processes::descendants(self.create.id());
        all.into_iter().map(|(pid, _)| u64::from(pid)).filter(|pid| waits(*pid)).collect()
    }

    /// The progress that `state` prints.
    fn progress(&self) -> Result<String, String> {
        let state = self.container.state()?;
        same("the status", state["status"].as_str(), Some("creating"))?;
        Ok(state["progress"].as_str().unwrap_or_default().to_owned())
    }

    fn kill_create(&mut self) -> Result<(), String> {
        self.create.kill().and_then(|()| self.create.wait()).map(drop).map_err(words)
    }

    /// See [`removed_soon`].
    fn removed_soon(self) -> Result<(), String> {
        removed_soon(self.container, self.create, &self.before)
    }
}

/// Runs `delete --force`, which must not wait. Nothing may be left behind.
fn removed_soon(
    container: Container<'_>,
    mut create: Child,
    before: &Leftovers,
) -> Result<(), String> {
    let (context, began) = (container.context, Instant::now());
    container.remove()?;
    same(&format!("whether it took less than {SOON:?}"), began.elapsed() < SOON, true)?;
    create.wait().map_err(words)?;
    nothing_left(context, before)
}

/// Whether a process waits for a FUSE file system.
fn waits(pid: u64) -> bool {
    let stack = fs::read_to_string(format!("/proc/{pid}/stack"));
    stack.is_ok_and(|text| text.contains("fuse"))
}

fn state_of_a_stuck_create_says_where(context: &Context) -> Outcome {
    let stuck = Stuck::new(context)?;
    let container = &stuck.container;
    let pid = container.pid()?;
    same("the pid", stuck.waiting(), [pid])?;
    let bundle = container.state()?["bundle"].as_str().map(PathBuf::from);
    same("the bundle", bundle.as_ref(), Some(&container.bundle.path))?;
    let said = stuck.progress()?;
    let (stage, rest) = said.split_once(", item ").unwrap_or_default();
    same("the stage", stage, "stage 2")?;
    let source = stuck.dead.mount.0.join("file");
    let mounts = base_config()["mounts"].as_array().map_or(0, Vec::len);
    let act = format!("bind {} on /mnt (config.json mounts[{mounts}])", source.display());
    let (index, said) = rest.split_once(": ").unwrap_or_default();
    // It may also say how the process waits.
    same("the act", said.split("; ").next(), Some(act.as_str()))?;
    // The index refers to the container's plan.
    let plan = container.vial("plan", &["-f", "json"])?.success()?.json()?;
    let item = &plan[index.parse::<usize>().map_err(words)?];
    same("the item's stage", item["stage"].as_u64(), Some(2))?;
    same("the item's field", item["field"].as_str(), Some(&*format!("mounts[{mounts}]")))?;
    // ps(1) shows it too.
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).map_err(words)?;
    let shown = line.split('\0').nth(2).map(|shown| shown.trim_start_matches('0'));
    same("the arguments", shown, Some(index))?;
    let listed = context.vial(&["list"])?.success()?.stdout;
    same("list", listed.contains("creating"), true)?;
    Ok(stuck.removed_soon()?)
}

fn state_of_a_stopped_create_says_so(context: &Context) -> Outcome {
    let stuck = Stuck::new(context)?;
    let vial = u64::from(stuck.create.id());
    send(vial, Signal::STOP)?;
    let stopped = format!("; process {vial} is stopped");
    wait_until("it to be stopped", || stuck.progress().is_ok_and(|said| said.ends_with(&stopped)))?;
    same("the act", stuck.progress()?.contains(": bind "), true)?;
    Ok(stuck.removed_soon()?)
}

fn stuck_create_is_removed_at_once(context: &Context) -> Outcome {
    Stuck::new(context)?.removed_soon()?;
    Ok(Stuck::in_user_namespace(context)?.removed_soon()?)
}

/// Here vial itself hangs, while it holds the lock.
fn create_stuck_at_its_pid_file_is_removed_at_once(context: &Context) -> Outcome {
    let (dead, before) = (Dead::new(context)?, context.leftovers());
    let container = Container::prepared(context, &["sleep", "60"])?;
    let pid_file = dead.mount.0.join("pid");
    let create = start(container.command("create").arg("--pid-file").arg(pid_file))?;
    wait_until("it to hang", || waits(create.id().into()))?;
    container.is("created")?;
    Ok(removed_soon(container, create, &before)?)
}

fn dead_create_is_removed_with_its_processes(context: &Context) -> Outcome {
    let check = |mut stuck: Stuck<'_>| {
        stuck.kill_create()?;
        let id = &stuck.container.id;
        let sentence = format!("the create of container {id} has died, and left process");
        let done = stuck.container.vial("state", &[])?;
        for text in [sentence.as_str(), "stage 2, item ", "delete --force"] {
            refused(&done, text)?;
        }
        stuck.removed_soon()
    };
    check(Stuck::new(context)?)?;
    Ok(check(Stuck::in_user_namespace(context)?)?)
}

fn unkillable_process_is_reported(context: &Context) -> Outcome {
    for dies in [true, false] {
        let before = context.leftovers();
        let mut dead = Dead::new(context)?;
        dead.begin()?;
        let mut stuck = Stuck::on(context, dead, |_| {})?;
        stuck.dead.hear(LOOKUP)?;
        let pid = stuck.container.pid()?;
        if dies {
            stuck.kill_create()?;
        }
        let done = context.vial(&["delete", "--force", &stuck.container.id])?;
        refused(&done, &format!("process {pid} was killed and has not ended"))?;
        refused(&done, &format!("/proc/{pid}/stack"))?;
        stuck.create.wait().map_err(words)?;
        // The process can still be seen, and removed once it has exited.
        let text = format!("left process {pid} at stage 2");
        refused(&stuck.container.vial("state", &[])?, &text)?;
        drop(stuck.dead);
        removed_soon(stuck.container, stuck.create, &before)?;
    }
    Ok(())
}

fn dead_create_is_removed_from_any_cgroup(context: &Context) -> Outcome {
    // Run create in another cgroup than delete, as vial puts the container's cgroup beside
    // its own.
    let own = cgroup_of(std::process::id())?;
    let above = own.join(context.id());
    let inner = above.join("caller");
    fs::create_dir_all(&inner).map_err(words)?;
    let enter = |cgroup: &Path| fs::write(cgroup.join("cgroup.procs"), "0").map_err(words);
    enter(&inner)?;
    let made = Stuck::new(context);
    enter(&own)?;
    let mut stuck = made?;
    stuck.kill_create()?;
    let path = above.join(format!("vial-{}", stuck.container.id));
    same("whether the cgroup exists", path.exists(), true)?;
    stuck.removed_soon()?;
    same("whether the cgroup exists", path.exists(), false)?;
    Ok(fs::remove_dir(&inner).and_then(|()| fs::remove_dir(&above)).map_err(words)?)
}
