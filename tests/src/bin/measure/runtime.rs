//! What is measured: the floor, vial, and the peers that this machine has.

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
    /// How the table names it.
    pub(crate) name: &'static str,
    /// The program.
    pub(crate) program: PathBuf,
    /// Where it keeps its state.
    pub(crate) state: PathBuf,
}

/// The program that is the least there can be.
pub(crate) const FLOOR: &str = "floor";
/// Ours.
pub(crate) const VIAL: &str = "vial";
/// Another build of ours.
pub(crate) const BEFORE: &str = "before";
/// The peer that the targets name.
pub(crate) const CRUN: &str = "crun";
/// Another peer.
pub(crate) const RUNC: &str = "runc";
/// All of them, in the order of the table.
pub(crate) const ALL: [&str; 5] = [FLOOR, VIAL, BEFORE, CRUN, RUNC];

impl Runtime {
    /// Those that are here; ours lie in `binaries`.
    pub(crate) fn all(binaries: &Path, folder: &Path) -> Vec<Runtime> {
        let place = |name| match name {
            FLOOR | VIAL => Some(binaries.join(name)).filter(|path| path.is_file()),
            BEFORE => put_together(binaries, folder),
            _ => on_path(name),
        };
        let runtime = |name| {
            let state = folder.join(format!("state-{name}"));
            Some(Runtime { name, program: place(name)?, state })
        };
        ALL.into_iter().filter_map(runtime).collect()
    }

    /// Whether it reads bundles and keeps containers.
    pub(crate) fn is_floor(&self) -> bool {
        self.name == FLOOR
    }

    /// The program with its state folder, told by the option that all share.
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

    /// A verb of a container.
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

    /// The files that the kernel and the dynamic loader open to start it.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let said = command::output(Command::new("ldd").arg(&self.program)).unwrap_or_default();
        let libraries = said
            .lines()
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
            .map(PathBuf::from);
        std::iter::once(self.program.clone()).chain(libraries).collect()
    }

    /// Where / is a slow filesystem under an overlay in memory, copies the
    /// program and its libraries up into memory, where ours lie too.
    pub(crate) fn copy_up(&self) {
        let also = ["/etc/ld.so.cache".into()];
        for path in self.files().into_iter().chain(also) {
            // Opening for writing copies the whole file; nothing is written.
            // On a filesystem of its own it does nothing, and may be refused.
            let _ = File::options().append(true).open(path);
        }
    }
}

/// The files of another build of ours: their names, and what they are called where
/// they lie beside this one's.
pub(crate) fn before() -> [(&'static str, String); 2] {
    [Bin::Cli, Bin::Init].map(|bin| (bin.name(), format!("{BEFORE}-{}", bin.name())))
}

/// vial finds vial-init under its own name beside itself: in a folder of their own.
fn put_together(binaries: &Path, folder: &Path) -> Option<PathBuf> {
    let own = folder.join(BEFORE);
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
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// What a start of a container failed with, of a program's own words.
pub(crate) fn failed(name: &str, what: &str, said: &str) -> Error {
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no words");
    Error::new(format!("{name}: {what}: {line}"))
}
