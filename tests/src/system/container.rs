//! A container for the tests of the verbs, and checks that many topics share.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use serde_json::Value;

use super::edit;
use crate::Context;
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::leftovers::Leftovers;
use crate::runner::Failure;

/// How long to wait for something to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A container with its bundle.
pub(super) struct Container<'a> {
    pub(super) context: &'a Context,
    pub(super) id: String,
    pub(super) bundle: Bundle,
    pub(super) out: PathBuf,
}

impl<'a> Container<'a> {
    /// A created container whose process is the probe with these deeds.
    pub(super) fn created(context: &'a Context, deeds: &[&str]) -> Result<Self, String> {
        Self::created_from(context, |config| edit::deeds(config, deeds))
    }

    /// A created container with the base config.json after `edit`.
    pub(super) fn created_from(
        context: &'a Context,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Self, String> {
        let container = Self::prepared_from(context, edit)?;
        container.create(&[])?.success()?;
        Ok(container)
    }

    /// A bundle whose process is the probe with these deeds, and an id, without a
    /// container yet.
    pub(super) fn prepared(context: &'a Context, deeds: &[&str]) -> Result<Self, String> {
        Self::prepared_from(context, |config| edit::deeds(config, deeds))
    }

    /// A bundle of the base config.json after `edit`, and an id, without a container
    /// yet.
    pub(super) fn prepared_from(
        context: &'a Context,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Self, String> {
        let bundle = context.bundle(edit)?;
        let id = context.id();
        let out = context.directory.join(format!("out-{id}"));
        Ok(Self { context, id, bundle, out })
    }

    /// Runs `create` with these options. output() returns what the container prints.
    pub(super) fn create(&self, options: &[&str]) -> Result<Done, String> {
        run_into(self.context, self.command("create").args(options), &self.out)
    }

    /// A `vial VERB --bundle BUNDLE ID` command.
    pub(super) fn command(&self, verb: &str) -> Command {
        let mut command = self.context.command(&[verb, "--bundle"]);
        command.arg(&self.bundle.path).arg(&self.id);
        command
    }

    /// A started container whose process is the probe with these deeds.
    pub(super) fn started(context: &'a Context, deeds: &[&str]) -> Result<Self, String> {
        let container = Self::created(context, deeds)?;
        container.vial("start", &[])?.success()?;
        Ok(container)
    }

    /// Runs `vial VERB ID WORDS..`.
    pub(super) fn vial(&self, verb: &str, words: &[&str]) -> Result<Done, String> {
        Ok(self.context.run(self.context.command(&[verb, &self.id]).args(words))?)
    }

    /// The JSON that `state` prints.
    pub(super) fn state(&self) -> Result<Value, String> {
        self.vial("state", &[])?.success()?.json()
    }

    /// The status that `state` prints.
    pub(super) fn status(&self) -> Result<String, String> {
        Ok(self.state()?["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Fails unless the container has this status.
    pub(super) fn is(&self, status: &str) -> Result<(), String> {
        same("the status", self.status()?.as_str(), status)
    }

    /// The pid that `state` prints.
    pub(super) fn pid(&self) -> Result<u64, String> {
        self.state()?["pid"].as_u64().ok_or_else(|| "state has no pid".into())
    }

    /// The host's pids of its processes, from `ps`.
    pub(super) fn pids(&self) -> Result<Vec<u64>, String> {
        let done = self.context.vial(&["ps", "--format", "json", &self.id])?.success()?;
        serde_json::from_value(done.json()?).map_err(words)
    }

    /// What the container has printed so far.
    pub(super) fn output(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// Waits until the container has printed `count` lines. Returns its output.
    pub(super) fn printed(&self, count: usize) -> Result<String, String> {
        wait_until(&format!("{count} lines from the container"), || {
            self.output().lines().count() >= count
        })?;
        Ok(self.output())
    }

    /// Waits until the container is stopped.
    pub(super) fn ends(&self) -> Result<(), String> {
        wait_until("the container to end", || self.status().is_ok_and(|s| s == "stopped"))
    }

    /// Runs `delete --force`, which must succeed and print nothing.
    pub(super) fn remove(self) -> Result<(), String> {
        let done = self.context.vial(&["delete", "--force", &self.id])?;
        same("what delete --force did", (done.code, &*done.stdout, &*done.stderr), (0, "", ""))
    }
}

/// Runs a program until it exits, with its stdout in a file.
pub(super) fn run_into(
    context: &Context,
    command: &mut Command,
    out: &Path,
) -> Result<Done, String> {
    let err = context.directory.join(format!("err-{}", context.id()));
    let status = command
        .stdin(Stdio::null())
        .stdout(File::create(out).map_err(words)?)
        .stderr(File::create(&err).map_err(words)?)
        .status()
        .map_err(words)?;
    Ok(Done {
        code: status.code().unwrap_or(-1),
        stdout: fs::read_to_string(out).map_err(words)?,
        stderr: fs::read_to_string(err).map_err(words)?,
    })
}

/// Starts a program without input or output.
pub(super) fn start(command: &mut Command) -> Result<Child, String> {
    let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    streams.spawn().map_err(words)
}

/// Starts all programs, and then waits for them.
pub(crate) fn at_once(context: &Context, commands: Vec<Command>) -> Result<Vec<Done>, String> {
    let mut children = Vec::new();
    for mut command in commands {
        let err = context.directory.join(format!("err-{}", context.id()));
        let file = File::create(&err).map_err(words)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        children.push((command.spawn().map_err(words)?, err));
    }
    let mut all = Vec::new();
    for (mut child, err) in children {
        let code = child.wait().map_err(words)?.code().unwrap_or(-1);
        let stderr = fs::read_to_string(err).map_err(words)?;
        all.push(Done { code, stdout: String::new(), stderr });
    }
    Ok(all)
}

/// Fails unless vial refused: exit code 1, or 255 of exec, nothing on stdout, one
/// sentence with `text` on stderr, and at most a hint after it.
pub(super) fn refused(done: &Done, text: &str) -> Result<(), String> {
    if !matches!(done.code, 1 | 255) {
        return Err(format!("not the exit code of a refusal: {done}"));
    }
    if !done.stderr.contains(text) {
        return Err(format!("stderr does not contain {text:?}: {done}"));
    }
    if std::env::var_os("VIAL_RUNTIME").is_some() {
        return Ok(()); // Another runtime's errors have another form.
    }
    same("stdout", done.stdout.as_str(), "")?;
    let lines: Vec<&str> = done.stderr.lines().collect();
    let one_sentence = match lines[..] {
        [sentence] => sentence.starts_with("vial: "),
        [sentence, hint] => sentence.starts_with("vial: ") && hint.starts_with("hint: "),
        _ => false,
    };
    if one_sentence {
        Ok(())
    } else {
        Err(format!("stderr is not one sentence and at most a hint: {done}"))
    }
}

/// Waits for the exec that a pid file names. It is a child of this subreaper, and the
/// kernel keeps the container's PID 1 until it is reaped.
pub(super) fn reap(pid_file: &Path) -> Result<WaitStatus, String> {
    let text = fs::read_to_string(pid_file).map_err(words)?;
    let pid = Pid::from_raw(text.parse().map_err(words)?);
    let ended = waitpid(pid, WaitOptions::empty()).map_err(words)?;
    ended.map(|(_, status)| status).ok_or_else(|| "it has not ended".into())
}

/// Waits until `holds` returns true.
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(format!("timed out waiting for {what}"));
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits until nothing is left behind since `before`.
pub(super) fn nothing_left(context: &Context, before: &Leftovers) -> Result<(), String> {
    wait_until("all to be removed", || {
        crate::processes::reap();
        context.nothing_left_since(before).is_ok()
    })
    .map_err(|why| format!("{why}: {:?}", context.nothing_left_since(before)))
}

/// Sends a signal to a process of the host.
pub(super) fn send(pid: u64, signal: Signal) -> Result<(), String> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no pid")?;
    kill_process(pid, signal).map_err(words)
}

/// Stops a process. Returns once it is stopped or has exited: the signal takes effect
/// only when the process runs next, which may be late on a busy machine.
pub(super) fn stop(pid: u64) -> Result<(), String> {
    send(pid, Signal::STOP)?;
    let state = || u32::try_from(pid).ok().and_then(crate::processes::state);
    wait_until("the process to stop", || matches!(state(), None | Some('T' | 'Z')))
}

/// The mount point of the hierarchy by which vial finds a container's processes:
/// cgroup2, or without it the freezer of cgroup v1.
pub(super) fn cgroup_root() -> PathBuf {
    let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let v2 = tops.into_iter().find(|top| top.join("cgroup.procs").exists());
    v2.or_else(|| v1_root("freezer")).unwrap_or_default()
}

/// The directory of a process's cgroup on the host, by proc_pid_cgroup(5).
pub(super) fn cgroup_of(pid: impl Into<u64>) -> Result<PathBuf, String> {
    let pid = pid.into();
    let text = fs::read(format!("/proc/{pid}/cgroup")).map_err(words)?;
    let mut lines = text.split(|byte| *byte == b'\n');
    match lines.find_map(|line| line.strip_prefix(b"0::/")) {
        Some(path)
            if cgroup_root().join("cgroup.procs").exists()
                && v1_root("freezer").as_ref() != Some(&cgroup_root()) =>
        {
            Ok(cgroup_root().join(OsStr::from_bytes(path)))
        }
        _ => v1_cgroup_of(pid, "freezer"),
    }
}

/// The hierarchies of cgroup v1 that are mounted below /sys/fs/cgroup: the directory of
/// each, and its controllers. None where /sys/fs/cgroup is cgroup2.
pub(super) fn v1_hierarchies() -> Vec<(PathBuf, Vec<String>)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let hierarchy = |line: &str| {
        let (front, back) = line.split_once(" - cgroup ")?;
        let point = PathBuf::from(front.split(' ').nth(4)?);
        let options = back.split(' ').nth(1)?.split(',').map(str::to_owned).collect();
        point.starts_with("/sys/fs/cgroup").then_some((point, options))
    };
    mounts.lines().filter_map(hierarchy).collect()
}

/// The mount point of the hierarchy of cgroup v1 with this controller.
pub(super) fn v1_root(controller: &str) -> Option<PathBuf> {
    let has = |(_, options): &(PathBuf, Vec<String>)| options.iter().any(|one| one == controller);
    v1_hierarchies().into_iter().find(has).map(|(point, _)| point)
}

/// Whether a controller counts for the containers of this machine.
pub(super) fn has_controller(controller: &str) -> bool {
    let v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    v1_root(controller).is_some() || v2.split_whitespace().any(|one| one == controller)
}

/// Skips the test where nothing limits memory.
pub(super) fn needs_memory() -> Result<(), Failure> {
    match has_controller("memory") {
        true => Ok(()),
        false => Err(Failure::Skipped("memory controller".into())),
    }
}

/// The directory of a process's cgroup in the hierarchy of this controller of v1.
pub(super) fn v1_cgroup_of(pid: impl Into<u64>, controller: &str) -> Result<PathBuf, String> {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", pid.into())).map_err(words)?;
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let has = parts.next()?.split(',').any(|name| name == controller);
        parts.next().filter(|_| has)
    });
    let path = path.ok_or_else(|| format!("no hierarchy of {controller}: {text}"))?;
    let root = v1_root(controller).ok_or_else(|| format!("{controller} is not mounted"))?;
    Ok(root.join(path.trim_start_matches('/')))
}

/// The text of an error.
pub(super) fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
