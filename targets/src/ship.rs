//! Builds the binaries that ship, and refuses those that must not.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Error, OnPath};
use crate::toolchain::Toolchain;
use crate::{Target, elf};

/// A binary of this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bin {
    /// vial, the CLI.
    Cli,
    /// vial-init, the bootstrap.
    Init,
    /// The tests' PID 1 and test runner in a virtual machine.
    Guest,
    /// The program that the tests run in containers.
    Probe,
    /// The least that a container's start needs, as a baseline for measurements.
    Floor,
}

impl Bin {
    /// The two that ship.
    pub const SHIPPED: &[Bin] = &[Bin::Init, Bin::Cli];
    /// The two that ship, and those that tests in a machine need.
    pub const ALL: &[Bin] = &[Bin::Init, Bin::Cli, Bin::Guest, Bin::Probe];

    /// The file's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Bin::Cli => "vial",
            Bin::Init => "vial-init",
            Bin::Guest => "guest",
            Bin::Probe => "probe",
            Bin::Floor => "floor",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Bin::Cli => "vial",
            Bin::Init => "vial-init",
            Bin::Guest | Bin::Probe | Bin::Floor => "vial-tests",
        }
    }

    /// The largest size in bytes that may ship.
    #[must_use]
    pub fn budget(self, target: &Target) -> Option<u64> {
        match self {
            Bin::Cli => Some(target.budget.cli),
            Bin::Init => Some(target.budget.init),
            Bin::Guest | Bin::Probe | Bin::Floor => None,
        }
    }

    /// Extra linker arguments for this binary.
    fn link_arguments(self, toolchain: &Toolchain) -> Vec<OsString> {
        match self {
            Bin::Init => Vec::new(), // Its build script has them.
            Bin::Cli | Bin::Guest | Bin::Probe | Bin::Floor => toolchain.libc_start(),
        }
    }
}

/// Builds the binaries and returns the directory that holds them.
///
/// # Errors
/// A binary does not build, or is not static.
pub fn build(target: &Target, bins: &[Bin]) -> Result<PathBuf, Error> {
    let toolchain = Toolchain::find(target)?;
    let directory = output_directory().join("ship").join(target.name);
    fs::create_dir_all(&directory).on_path("create", &directory)?;
    for &bin in bins {
        let built = compile(target, bin, &toolchain)?;
        check(target, bin, &built)?;
        put(&built, &directory.join(bin.name()))?;
    }
    Ok(directory)
}

/// Writes the manual pages and shell completions, which are the same for every target.
/// Returns their directory, which is as /usr/share.
pub fn pages() -> Result<PathBuf, Error> {
    let share = output_directory().join("ship/share");
    eprintln!("writing manual pages and completions");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["run", "--quiet", "--package", "vial", "--example", "pages", "--"]);
    cargo.arg(&share).current_dir(workspace());
    command::watched(&mut cargo).map_err(|error| error.during("write the manual pages"))?;
    Ok(share)
}

/// Builds one binary and returns where cargo put it.
fn compile(target: &Target, bin: Bin, toolchain: &Toolchain) -> Result<PathBuf, Error> {
    let name = bin.name();
    eprintln!("building {name} for {} ({})", target.name, toolchain.name);
    let work = output_directory().join("ship-build");
    let mut cargo = toolchain.cargo(target, &work);
    cargo.args(["--quiet", "--package", bin.package(), "--bin", name]);
    cargo.arg("--").args(bin.link_arguments(toolchain)).current_dir(workspace());
    command::watched(&mut cargo).map_err(|error| error.during(format!("build {name}")))?;
    Ok(work.join(target.triple).join("ship").join(name))
}

/// Checks that a file runs on the target without any other file.
fn check(target: &Target, bin: Bin, path: &Path) -> Result<(), Error> {
    let file = fs::read(path).on_path("read", path)?;
    elf::check_static(&file, target.elf).map_err(|why| {
        Error::new(format!("{} for {} must not ship: {why}", bin.name(), target.name))
    })
}

/// The size of a built binary.
#[derive(Debug)]
pub struct Weight {
    /// The binary.
    pub bin: Bin,
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// The largest size in bytes that may ship. None for a binary of the tests.
    pub budget: Option<u64>,
}

impl Weight {
    /// Whether it is within the budget.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.budget.is_none_or(|budget| self.bytes <= budget)
    }
}

/// Measures the binaries that [`build`] left in its directory. This is a separate step,
/// because a binary over its budget can still be tested.
///
/// # Errors
/// A binary is missing.
pub fn weigh(target: &Target, bins: &[Bin], directory: &Path) -> Result<Vec<Weight>, Error> {
    let weigh = |&bin: &Bin| {
        let path = directory.join(bin.name());
        let bytes = fs::metadata(&path).on_path("read", &path)?.len();
        Ok(Weight { bin, path, bytes, budget: bin.budget(target) })
    };
    bins.iter().map(weigh).collect()
}

/// Copies to another name first: a process that runs the old file keeps it, and nobody
/// sees an incomplete file.
fn put(built: &Path, place: &Path) -> Result<(), Error> {
    let half = place.with_extension(format!("{}", std::process::id()));
    fs::copy(built, &half).on_path("write", &half)?;
    fs::rename(&half, place).on_path("put in place", place)
}

/// The root of this workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR"));
    targets.parent().unwrap_or(targets)
}

/// Where builds of this workspace go: target/, or CARGO_TARGET_DIR.
#[must_use]
pub fn output_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => workspace().join(directory),
        None => workspace().join("target"),
    }
}
