//! A container for the tests of the verbs, and checks that many topics share.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use serde_json::Value;

use crate::Context;
use crate::bundle::Bundle;
use crate::context::{Done, probe_arguments, same};

/// How long to wait for something to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A container with its bundle.
pub(super) struct Container<'a> {
    pub(super) context: &'a Context,
    pub(super) id: String,
    pub(super) bundle: Bundle,
    out: PathBuf,
}

impl<'a> Container<'a> {
    /// A created container whose process is the probe with these deeds.
    pub(super) fn created(context: &'a Context, deeds: &[&str]) -> Result<Self, String> {
        Self::created_from(context, |config| config["process"]["args"] = probe_arguments(deeds))
    }

    /// A created container with the base config.json after `edit`.
    pub(super) fn created_from(
        context: &'a Context,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Self, String> {
        let container = Self::planned(context, edit)?;
        container.create(&[])?.success()?;
        Ok(container)
    }

    /// A bundle and an id, without a container yet.
    pub(super) fn planned(
        context: &'a Context,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Self, String> {
        let bundle = context.bundle(edit)?;
        let id = context.id();
        let out = context.folder.join(format!("out-{id}"));
        Ok(Self { context, id, bundle, out })
    }

    /// Runs `create` with these options. output() returns what the container prints.
    pub(super) fn create(&self, options: &[&str]) -> Result<Done, String> {
        let mut command = self.context.command(&["create", "--bundle"]);
        command.arg(&self.bundle.path).args(options).arg(&self.id);
        run_into(self.context, &mut command, &self.out)
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
        let done = self.vial("state", &[])?.success()?;
        serde_json::from_str(&done.stdout).map_err(words)
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
        wait_until("the container's end", || self.status().is_ok_and(|s| s == "stopped"))
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
    let err = context.folder.join(format!("err-{}", context.id()));
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

/// Starts all programs, and then waits for them.
pub(crate) fn at_once(context: &Context, commands: Vec<Command>) -> Result<Vec<Done>, String> {
    let mut children = Vec::new();
    for mut command in commands {
        let err = context.folder.join(format!("err-{}", context.id()));
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

/// Fails unless vial refused: exit code 1, nothing on stdout, one sentence with
/// `text` on stderr, and at most a hint after it.
pub(super) fn refused(done: &Done, text: &str) -> Result<(), String> {
    same("the exit code", done.code, 1).map_err(|why| format!("{why}: {done}"))?;
    if !done.stderr.contains(text) {
        return Err(format!("not said: {text}: {done}"));
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
    if one_sentence { Ok(()) } else { Err(format!("not one sentence and a hint: {done}")) }
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
            return Err(format!("waited in vain for {what}"));
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The text of an error.
pub(super) fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
