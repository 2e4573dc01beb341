//! The programs to measure: the floor, vial, and the other runtimes of this machine.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use vial_targets::Error;
use vial_targets::command;
use vial_targets::ship::Bin;

/// A program that starts containers.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Its executable.
    pub(crate) program: PathBuf,
    /// Its state directory.
    pub(crate) state: PathBuf,
}

/// The program that does the least: see floor.rs.
pub(crate) const FLOOR: &str = "floor";
/// The vial of this build.
pub(crate) const VIAL: &str = "vial";
/// The vial of another build.
pub(crate) const BEFORE: &str = "before";
/// The runtime with which the targets compare vial.
pub(crate) const CRUN: &str = "crun";
/// Another runtime.
pub(crate) const RUNC: &str = "runc";
/// All of them, in the order of the table.
pub(crate) const ALL: [&str; 5] = [FLOOR, VIAL, BEFORE, CRUN, RUNC];

impl Runtime {
    /// Those that exist on this machine. The floor and vial lie in `binaries`.
    pub(crate) fn all(binaries: &Path, directory: &Path) -> Vec<Runtime> {
        let place = |name| match name {
            FLOOR | VIAL => Some(binaries.join(name)).filter(|path| path.is_file()),
            BEFORE => put_together(binaries, directory),
            _ => on_path(name),
        };
        let runtime = |name| {
            let state = directory.join(format!("state-{name}"));
            Some(Runtime { name, program: place(name)?, state })
        };
        ALL.into_iter().filter_map(runtime).collect()
    }

    /// Whether it is the floor, which reads no bundle and has no verbs.
    pub(crate) fn is_floor(&self) -> bool {
        self.name == FLOOR
    }

    /// The program with `--root` and its state directory, which all runtimes accept.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if !self.is_floor() {
            command.arg("--root").arg(&self.state);
        }
        command
    }

    /// `run` of a bundle.
    pub(crate) fn run(&self, bundle: &Path, id: &str) -> Command {
        let mut command = self.command();
        command.args([OsStr::new("run"), OsStr::new("--bundle"), bundle.as_os_str()]).arg(id);
        command
    }

    /// `create` of a bundle.
    pub(crate) fn create(&self, bundle: &Path, pid_file: &Path, id: &str) -> Command {
        let mut command = self.command();
        command.args([OsStr::new("create"), OsStr::new("--bundle"), bundle.as_os_str()]);
        command.args([OsStr::new("--pid-file"), pid_file.as_os_str()]).arg(id);
        command
    }

    /// A verb on a container.
    pub(crate) fn verb(&self, words: &[&str], id: &str) -> Command {
        let mut command = self.command();
        command.args(words).arg(id);
        command
    }

    /// The first line of `--version`, without the name.
    pub(crate) fn version(&self) -> String {
        let said = command::output(Command::new(&self.program).arg("--version"));
        let said = said.unwrap_or_default();
        let line = said.lines().next().unwrap_or_default().to_owned();
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    }

    /// The files that the kernel and the dynamic loader open: program and libraries.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let said = command::output(Command::new("ldd").arg(&self.program)).unwrap_or_default();
        let libraries = said
            .lines()
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
            .map(PathBuf::from);
        std::iter::once(self.program.clone()).chain(libraries).collect()
    }

    /// Copies the program and its libraries up into memory, as / is a slow file
    /// system under an overlay in memory. Our own binaries lie in memory too.
    pub(crate) fn copy_up(&self) {
        let also = ["/etc/ld.so.cache".into()];
        for path in self.files().into_iter().chain(also) {
            // Opening for writing makes overlayfs copy the whole file up. Without an
            // overlay it does nothing, and may fail.
            let _ = File::options().append(true).open(path);
        }
    }
}

/// The files of the other build of vial: their names in its own directory, and their
/// names beside this build.
pub(crate) fn before() -> [(&'static str, String); 2] {
    [Bin::Cli, Bin::Init].map(|bin| (bin.name(), format!("{BEFORE}-{}", bin.name())))
}

/// Copies the other build into a directory of its own, as vial looks for vial-init under
/// that name in its own directory.
fn put_together(binaries: &Path, directory: &Path) -> Option<PathBuf> {
    let own = directory.join(BEFORE);
    std::fs::create_dir_all(&own).ok()?;
    for (name, there) in before() {
        let beside = binaries.join(there);
        if beside.is_file() {
            std::fs::copy(beside, own.join(name)).ok()?;
        }
    }
    Some(own.join(VIAL)).filter(|path| path.is_file())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The error of a failed container start; `said` is the program's own output.
pub(crate) fn failed(name: &str, what: &str, said: &str) -> Error {
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no output");
    Error::new(format!("{name}: {what}: {line}"))
}
