//! Builds the binaries as they ship, and refuses those that must not.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

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
    /// The tests' PID 1 and runner in a virtual machine.
    Guest,
    /// The tests' program inside containers.
    Probe,
    /// The least that the start of a container needs, to measure against.
    Floor,
}

impl Bin {
    /// The two that ship.
    pub const SHIPPED: &[Bin] = &[Bin::Init, Bin::Cli];
    /// The two that ship, and what the tests in a machine need besides.
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

    /// What the linker is told of this binary alone.
    fn link_arguments(self, toolchain: &Toolchain) -> Vec<OsString> {
        match self {
            Bin::Init => Vec::new(), // Its build script says it all.
            Bin::Cli | Bin::Guest | Bin::Probe | Bin::Floor => toolchain.libc_start(),
        }
    }
}

/// Builds the binaries and answers the folder that holds them.
///
/// # Errors
/// One does not build, or is not static.
pub fn build(target: &Target, bins: &[Bin]) -> Result<PathBuf, Error> {
    let toolchain = Toolchain::find(target)?;
    let folder = output_folder().join("ship").join(target.name);
    fs::create_dir_all(&folder).on_path("create", &folder)?;
    for &bin in bins {
        let built = compile(target, bin, &toolchain)?;
        check(target, bin, &built)?;
        put(&built, &folder.join(bin.name()))?;
    }
    Ok(folder)
}

/// Builds one binary and answers where cargo left it.
fn compile(target: &Target, bin: Bin, toolchain: &Toolchain) -> Result<PathBuf, Error> {
    let name = bin.name();
    eprintln!("building {name} for {} ({})", target.name, toolchain.name);
    let work = output_folder().join("ship-build");
    let mut cargo = toolchain.cargo(target, &work);
    cargo.args(["--quiet", "--package", bin.package(), "--bin", name]);
    cargo.arg("--").args(bin.link_arguments(toolchain)).current_dir(workspace());
    command::watched(&mut cargo).map_err(|error| error.during(format!("build {name}")))?;
    Ok(work.join(target.triple).join("ship").join(name))
}

/// Checks that a file runs on that machine, with nothing beside it.
fn check(target: &Target, bin: Bin, path: &Path) -> Result<(), Error> {
    let file = fs::read(path).on_path("read", path)?;
    elf::check_static(&file, target.elf).map_err(|why| {
        Error::new(format!("{} for {} must not ship: {why}", bin.name(), target.name))
    })
}

/// What a built binary weighs.
#[derive(Debug)]
pub struct Weight {
    /// Which one.
    pub bin: Bin,
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// The largest size in bytes that may ship; None for the tests' own.
    pub budget: Option<u64>,
}

impl Weight {
    /// Whether it may ship.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.budget.is_none_or(|budget| self.bytes <= budget)
    }
}

/// Weighs what [`build`] left in its folder. A binary over its budget can still
/// be tested, so this is a step of its own.
///
/// # Errors
/// One of them is not there.
pub fn weigh(target: &Target, bins: &[Bin], folder: &Path) -> Result<Vec<Weight>, Error> {
    let weigh = |&bin: &Bin| {
        let path = folder.join(bin.name());
        let bytes = fs::metadata(&path).on_path("read", &path)?.len();
        Ok(Weight { bin, path, bytes, budget: bin.budget(target) })
    };
    bins.iter().map(weigh).collect()
}

/// Copies under another name first, so that whoever runs the old file keeps it
/// and nobody ever sees half of the new one.
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

/// Where builds of this workspace go: target/, unless cargo is told otherwise.
#[must_use]
pub fn output_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace().join(folder),
        None => workspace().join("target"),
    }
}
