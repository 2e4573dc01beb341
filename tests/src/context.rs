//! What a system test works with: the binaries, a directory of its own, containers,
//! and the reports of the probe inside them.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use vial_targets::Error;
use vial_targets::command::OnPath;

use crate::bundle::Bundle;
use crate::leftovers::Leftovers;

/// How a program ended, and what it printed.
#[derive(Debug, Clone)]
pub struct Done {
    /// The exit code; for a signal, 128 plus its number.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Done {
    /// Returns itself if the program succeeded.
    ///
    /// # Errors
    /// The program failed: its exit code and both outputs.
    pub fn success(self) -> Result<Self, String> {
        if self.code == 0 { Ok(self) } else { Err(format!("exit code {self}")) }
    }

    /// Standard output, parsed as JSON.
    ///
    /// # Errors
    /// It is not JSON: the parser's error and both outputs.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.stdout).map_err(|error| format!("{error}: {self}"))
    }

    /// Returns itself if the program failed.
    ///
    /// # Errors
    /// The program succeeded: both outputs.
    pub fn failure(self) -> Result<Self, String> {
        if self.code == 0 { Err(format!("no failure: exit code {self}")) } else { Ok(self) }
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nstdout: {}\nstderr: {}", self.code, self.stdout.trim(), self.stderr.trim())
    }
}

/// The environment of one test. Dropping it removes its directory.
#[derive(Debug)]
pub struct Context {
    /// The vial to test, or the runtime that `VIAL_RUNTIME` names.
    pub vial: PathBuf,
    /// The probe's file on the host.
    pub probe: PathBuf,
    /// A directory that only this test uses.
    pub directory: PathBuf,
    /// The state directory: every `vial` of this test gets it as `--root`.
    pub state: PathBuf,
    /// A part of every container id and cgroup path of this test, and of no other's.
    pub tag: String,
    /// System calls to hide from vial, and the errno with which they fail.
    pub hidden: Option<(i32, Vec<libc::c_long>)>,
    serial: Cell<u32>,
}

impl Context {
    /// Uses the binaries in this program's directory, and creates a fresh directory.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn new() -> Result<Self, Error> {
        let exe = std::env::current_exe()
            .map_err(|error| Error::new(format!("find this program: {error}")))?;
        let beside = exe.parent().unwrap_or(Path::new("/"));
        let directory = directory_of(std::process::id());
        // As long as engines make them: their ids have 64 hexadecimal digits, and
        // their state directories exceed the 108 bytes that a socket's path may have.
        let tag = format!("{:08x}{:048x}", std::process::id(), u128::MAX / 3);
        let state =
            directory.join("as/deep/as/engines/put/it/io.containerd.runtime.v2.task/k8s.io");
        fs::create_dir_all(&directory).on_path("create", &directory)?;
        // Orphans of the containers become children of the test, so that
        // leftovers() finds them.
        let me = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(me))
            .map_err(|errno| Error::new(format!("prctl(PR_SET_CHILD_SUBREAPER): {errno}")))?;
        // With another runtime in vial's place, a test shows whether it asks for
        // what the spec says or for what vial happens to do.
        let runtime = std::env::var_os("VIAL_RUNTIME").map(PathBuf::from);
        Ok(Self {
            vial: runtime.unwrap_or_else(|| beside.join("vial")),
            probe: beside.join("probe"),
            directory,
            state,
            tag,
            hidden: None,
            serial: Cell::new(0),
        })
    }

    /// A context within this one that hides system calls from vial: they fail
    /// with `errno`.
    ///
    /// # Errors
    /// Its directory cannot be created.
    pub fn hiding(&self, errno: i32, calls: &[libc::c_long]) -> Result<Self, Error> {
        let first = self.serial.get() + 0x1000;
        self.serial.set(first);
        let directory = self.directory.join(format!("hiding-{first:x}"));
        fs::create_dir_all(&directory).on_path("create", &directory)?;
        Ok(Self {
            vial: self.vial.clone(),
            probe: self.probe.clone(),
            state: directory.join("state"),
            directory,
            tag: self.tag.clone(),
            hidden: Some((errno, calls.to_vec())),
            serial: Cell::new(first),
        })
    }

    /// A unique container id of 64 hexadecimal digits.
    pub fn id(&self) -> String {
        self.serial.set(self.serial.get() + 1);
        format!("{}{:08x}", self.tag, self.serial.get())
    }

    /// A bundle whose config.json is the base one after `edit`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn bundle(&self, edit: impl FnOnce(&mut Value)) -> Result<Bundle, Error> {
        Bundle::new(&self.directory.join(format!("bundle-{}", self.id())), &self.probe, edit)
    }

    /// A bundle whose process is the probe with these arguments.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn probe_bundle(&self, arguments: &[&str]) -> Result<Bundle, Error> {
        self.bundle(|config| config["process"]["args"] = probe_arguments(arguments))
    }

    /// A `vial` command with the state directory and these arguments.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        if let Some((errno, calls)) = &self.hidden {
            return self.command_without(calls, *errno, arguments);
        }
        let mut command = Command::new(&self.vial);
        command.arg("--root").arg(&self.state).args(arguments);
        command
    }

    /// The same command, with these system calls failing with `errno`.
    #[must_use]
    pub fn command_without(
        &self,
        calls: &[libc::c_long],
        errno: i32,
        arguments: &[&str],
    ) -> Command {
        let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
        let mut command = Command::new(&self.probe);
        command.args(["refuse", &errno.to_string(), &calls.join(",")]).arg(&self.vial);
        command.arg("--root").arg(&self.state).args(arguments);
        command
    }

    /// The same command, run by a caller in this role: see probe/callers.rs.
    #[must_use]
    pub fn command_as(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.probe);
        command.args(["be", role]).arg(&self.vial).arg("--root").arg(&self.state).args(arguments);
        command
    }

    /// Runs vial until it exits.
    ///
    /// # Errors
    /// It cannot be started. A failure of vial itself is in [`Done`].
    pub fn vial(&self, arguments: &[&str]) -> Result<Done, Error> {
        self.run(&mut self.command(arguments))
    }

    /// Runs a program until it exits. Its outputs go to files: a container that
    /// lives on would keep a pipe open.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, command: &mut Command) -> Result<Done, Error> {
        self.run_with(command, Stdio::null())
    }

    /// The same with this standard input.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn run_with(&self, command: &mut Command, input: Stdio) -> Result<Done, Error> {
        let program = PathBuf::from(command.get_program());
        let output = |name: &str| self.directory.join(format!("{name}-{}", self.id()));
        let (out, err) = (output("stdout"), output("stderr"));
        let status = command
            .stdin(input)
            .stdout(File::create(&out).on_path("create", &out)?)
            .stderr(File::create(&err).on_path("create", &err)?)
            .status()
            .on_path("start", &program)?;
        let read = |path: &Path| {
            let bytes = fs::read(path).on_path("read", path)?;
            Ok::<_, Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Done {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            stdout: read(&out)?,
            stderr: read(&err)?,
        })
    }

    /// Runs `vial run` with this bundle until it exits.
    ///
    /// # Errors
    /// vial cannot be started.
    pub fn run_bundle(&self, bundle: &Bundle) -> Result<Done, Error> {
        self.run_bundle_with(bundle, &[])
    }

    /// The same with these options of `run`.
    ///
    /// # Errors
    /// vial cannot be started.
    pub fn run_bundle_with(&self, bundle: &Bundle, options: &[&str]) -> Result<Done, Error> {
        let mut command = self.command(&["run"]);
        self.run(command.args(options).arg("--bundle").arg(&bundle.path).arg(self.id()))
    }

    /// The probe's report from a container whose config.json is the base one
    /// after `edit`.
    ///
    /// # Errors
    /// The container fails, or does not print a report.
    pub fn report(&self, edit: impl FnOnce(&mut Value)) -> Result<Value, String> {
        self.run_bundle(&self.bundle(edit)?)?.success()?.json()
    }

    /// Everything that a container could leave behind, at this moment.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        Leftovers::now(&self.tag, &self.state)
    }

    /// Checks that nothing was left behind since `before`.
    ///
    /// # Errors
    /// Lists what was left behind.
    pub fn nothing_left_since(&self, before: &Leftovers) -> Result<(), String> {
        let left = self.leftovers().since(before);
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(", "))) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        remove_directory(&self.directory);
    }
}

/// The directory of the test that runs, or ran, as this process.
#[must_use]
pub fn directory_of(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("vial-test-{pid}"))
}

/// Removes a test's directory. Keeps it if a mount lies below it, since a recursive
/// removal could then delete files of the host.
pub fn remove_directory(directory: &Path) {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    if !String::from_utf8_lossy(&mounts).contains(&*directory.to_string_lossy()) {
        let _ = fs::remove_dir_all(directory); // In /tmp, should it fail.
    }
}

/// `process.args` of the probe with these arguments.
#[must_use]
pub fn probe_arguments(arguments: &[&str]) -> Value {
    std::iter::once("/probe").chain(arguments.iter().copied()).collect()
}

/// Fails unless both values are equal.
///
/// # Errors
/// They differ.
pub fn same<A, B>(what: &str, seen: A, wanted: B) -> Result<(), String>
where
    A: PartialEq<B> + std::fmt::Debug,
    B: std::fmt::Debug,
{
    if seen == wanted { Ok(()) } else { Err(format!("{what} is {seen:?}, not {wanted:?}")) }
}
