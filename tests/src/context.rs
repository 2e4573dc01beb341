//! What a system test works with: the binaries, a place of its own, containers
//! and what the probe says from within them.

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

/// What a program did: how it ended and what it printed.
#[derive(Debug, Clone)]
pub struct Done {
    /// The exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Done {
    /// The same one, if it ended in success.
    ///
    /// # Errors
    /// It did not: the code and both outputs, in words.
    pub fn success(self) -> Result<Self, String> {
        if self.code == 0 { Ok(self) } else { Err(format!("exit code {self}")) }
    }

    /// The same one, if it ended in failure.
    ///
    /// # Errors
    /// It did not: both outputs, in words.
    pub fn failure(self) -> Result<Self, String> {
        if self.code == 0 { Err(format!("no failure, but {self}")) } else { Ok(self) }
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nstdout: {}\nstderr: {}", self.code, self.stdout.trim(), self.stderr.trim())
    }
}

/// A test's surroundings; its folder goes when it goes.
#[derive(Debug)]
pub struct Context {
    /// The vial under test, or the runtime that `VIAL_RUNTIME` names.
    pub vial: PathBuf,
    /// The probe, outside any container.
    pub probe: PathBuf,
    /// A folder of this test's own.
    pub folder: PathBuf,
    /// The state folder, which every `vial` here is told with `--root`.
    pub state: PathBuf,
    /// In every id and cgroup of this test, and in no other's.
    pub tag: String,
    /// An errno, and the numbers of the calls that answer it wherever vial runs.
    pub hidden: Option<(i32, Vec<libc::c_long>)>,
    serial: Cell<u32>,
}

impl Context {
    /// The binaries that lie beside this program, and a fresh folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new() -> Result<Self, Error> {
        let exe = std::env::current_exe()
            .map_err(|error| Error::new(format!("find this program: {error}")))?;
        let beside = exe.parent().unwrap_or(Path::new("/"));
        let folder = folder_of(std::process::id());
        // An id as engines make them has 64 hexadecimal digits, and a socket's
        // path at most 108 bytes: theirs are longer than that.
        let tag = format!("{:08x}{:048x}", std::process::id(), u128::MAX / 3);
        let state = folder.join("as/deep/as/engines/put/it/io.containerd.runtime.v2.task/k8s.io");
        fs::create_dir_all(&folder).on_path("create", &folder)?;
        // The test is where orphans of its containers arrive, so that
        // leftovers() sees them.
        let me = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(me))
            .map_err(|errno| Error::new(format!("prctl(PR_SET_CHILD_SUBREAPER): {errno}")))?;
        // Another runtime in vial's place shows whether a test asks for what
        // the spec says or for what vial happens to do.
        let runtime = std::env::var_os("VIAL_RUNTIME").map(PathBuf::from);
        Ok(Self {
            vial: runtime.unwrap_or_else(|| beside.join("vial")),
            probe: beside.join("probe"),
            folder,
            state,
            tag,
            hidden: None,
            serial: Cell::new(0),
        })
    }

    /// The surroundings of a test within this one, where calls are hidden from
    /// vial: they answer the errno.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn hiding(&self, errno: i32, calls: &[libc::c_long]) -> Result<Self, Error> {
        let first = self.serial.get() + 0x1000;
        self.serial.set(first);
        let folder = self.folder.join(format!("hiding-{first:x}"));
        fs::create_dir_all(&folder).on_path("create", &folder)?;
        Ok(Self {
            vial: self.vial.clone(),
            probe: self.probe.clone(),
            state: folder.join("state"),
            folder,
            tag: self.tag.clone(),
            hidden: Some((errno, calls.to_vec())),
            serial: Cell::new(first),
        })
    }

    /// A container id that nobody else uses: 64 hexadecimal digits.
    pub fn id(&self) -> String {
        self.serial.set(self.serial.get() + 1);
        format!("{}{:08x}", self.tag, self.serial.get())
    }

    /// A bundle whose config.json is the base one after `edit`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn bundle(&self, edit: impl FnOnce(&mut Value)) -> Result<Bundle, Error> {
        Bundle::new(&self.folder.join(format!("bundle-{}", self.id())), &self.probe, edit)
    }

    /// A bundle whose process is the probe with these arguments.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn probe_bundle(&self, arguments: &[&str]) -> Result<Bundle, Error> {
        self.bundle(|config| config["process"]["args"] = probe_arguments(arguments))
    }

    /// vial with its state folder and these arguments, not yet started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.hidden {
            None => Command::new(&self.vial),
            Some((errno, calls)) => {
                let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
                let mut command = Command::new(&self.probe);
                command.args(["refuse", &errno.to_string(), &calls.join(",")]).arg(&self.vial);
                command
            }
        };
        command.arg("--root").arg(&self.state).args(arguments);
        command
    }

    /// The same by a caller of this role, see probe/callers.rs.
    #[must_use]
    pub fn command_as(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.probe);
        command.args(["be", role]).arg(&self.vial).arg("--root").arg(&self.state).args(arguments);
        command
    }

    /// Runs vial to its end.
    ///
    /// # Errors
    /// It cannot be started; that it fails is no error here, see [`Done`].
    pub fn vial(&self, arguments: &[&str]) -> Result<Done, Error> {
        self.run(&mut self.command(arguments))
    }

    /// Runs a program to its end. Its outputs are files, since a container
    /// that lives on would keep a pipe open for ever.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, command: &mut Command) -> Result<Done, Error> {
        let program = PathBuf::from(command.get_program());
        let output = |name: &str| self.folder.join(format!("{name}-{}", self.id()));
        let (out, err) = (output("stdout"), output("stderr"));
        let status = command
            .stdin(Stdio::null())
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

    /// `vial run` of a bundle to its end.
    ///
    /// # Errors
    /// vial cannot be started.
    pub fn run_bundle(&self, bundle: &Bundle) -> Result<Done, Error> {
        let mut command = self.command(&["run", "--bundle"]);
        self.run(command.arg(&bundle.path).arg(self.id()))
    }

    /// What the probe sees in a container of the base config.json after `edit`.
    ///
    /// # Errors
    /// The container fails, or what it prints is no report.
    pub fn report(&self, edit: impl FnOnce(&mut Value)) -> Result<Value, String> {
        let done = self.run_bundle(&self.bundle(edit)?)?.success()?;
        serde_json::from_str(&done.stdout).map_err(|error| format!("report: {error}: {done}"))
    }

    /// All that could be left behind, now.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        Leftovers::now(&self.tag, &self.state)
    }

    /// Checks that nothing is here that was not there before.
    ///
    /// # Errors
    /// Lists what is.
    pub fn nothing_left_since(&self, before: &Leftovers) -> Result<(), String> {
        let left = self.leftovers().since(before);
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(", "))) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        remove_folder(&self.folder);
    }
}

/// The folder of the test that runs, or ran, as that process.
#[must_use]
pub fn folder_of(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("vial-test-{pid}"))
}

/// Removes a test's folder, unless a mount below it could lead out of it, into
/// files of the host: then nothing is removed, and a person looks.
pub fn remove_folder(folder: &Path) {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    if !String::from_utf8_lossy(&mounts).contains(&*folder.to_string_lossy()) {
        let _ = fs::remove_dir_all(folder); // In /tmp, should it fail.
    }
}

/// `process.args` of the probe with these arguments.
#[must_use]
pub fn probe_arguments(arguments: &[&str]) -> Value {
    std::iter::once("/probe").chain(arguments.iter().copied()).collect()
}

/// Fails with both sides in words unless they are equal.
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
