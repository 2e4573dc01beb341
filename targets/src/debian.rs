//! Fetches Debian packages: installs what the host lacks, and unpacks those of
//! any architecture into a cache, beside the system and without changing it.
//!
//! A package of another architecture is read through an apt configuration of
//! its own (own lists, own cache, one architecture), because adding an
//! architecture to the system makes every later update depend on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Error, OnPath};

/// Installs those of the packages that the host lacks.
///
/// # Errors
/// Names exactly the packages that are missing where they cannot be installed.
pub fn install(packages: &[&str]) -> Result<(), Error> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !command::exists("apt-get") || !is_root() {
        return Err(Error::new(format!("these Debian packages are missing: {list}")));
    }
    eprintln!("installing {list}");
    // A failed update is no reason to stop: one broken source of many fails
    // it, and whether the packages can be had shows in the next call.
    let _ = command::output(Command::new("apt-get").args(["-q", "update"]));
    let mut install = Command::new("apt-get");
    install.args(["-q", "-y", "install", "--no-install-recommends"]).args(&missing);
    command::output(install.env("DEBIAN_FRONTEND", "noninteractive"))
        .map(drop)
        .map_err(|error| error.during(format!("these Debian packages are missing: {list}")))
}

/// Whether dpkg has the package installed.
#[must_use]
pub fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status}", package]);
    command::output(&mut query).is_ok_and(|status| status == "installed")
}

/// The folder that holds the files of a package, fetched on first use.
///
/// A meta-package of a kernel (linux-image-cloud-amd64) stands for the image
/// it depends on: the folder holds that one's boot/ and lib/modules/.
///
/// # Errors
/// apt-get or dpkg-deb failed, or the cache cannot be written.
pub fn unpacked(package: &str, architecture: &str) -> Result<PathBuf, Error> {
    let apt = cache()?.join("debian").join(architecture);
    let folder = apt.join("unpacked").join(package);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&apt).on_path("create", &apt)?;
    let _lock = lock(&apt)?;
    // Another process may have fetched it while this one waited.
    if !folder.is_dir() {
        eprintln!("fetching {package} for {architecture} into {}", apt.display());
        fetch(&Apt::new(apt)?, package, &folder)
            .map_err(|error| error.during(format!("fetch {package} for {architecture}")))?;
    }
    Ok(folder)
}

/// Downloads and unpacks; the folder appears whole or not at all.
fn fetch(apt: &Apt, package: &str, folder: &Path) -> Result<(), Error> {
    let real = match apt.behind(package)? {
        Some(real) => real,
        None => {
            // Its outcome shows in the next call, as for install().
            let _ = command::output(apt.command("apt-get").args(["-q", "update"]));
            let unknown = || Error::new("no source of this host's apt has the package");
            apt.behind(package)?.ok_or_else(unknown)?
        }
    };
    let work = apt.root.join("work");
    let _ = fs::remove_dir_all(&work); // A leftover of a killed run, or nothing.
    let files = work.join("files");
    fs::create_dir_all(&files).on_path("create", &files)?;

    let mut download = apt.command("apt-get");
    let asked = command::output(download.args(["-q", "download", &real]).current_dir(&work));
    if asked.is_err() {
        // The lists may be older than what the mirror still has.
        let _ = command::output(apt.command("apt-get").args(["-q", "update"]));
        let real = apt.behind(package)?.unwrap_or(real);
        let mut download = apt.command("apt-get");
        command::output(download.args(["-q", "download", &real]).current_dir(&work))?;
    }
    let deb = fs::read_dir(&work)
        .on_path("read", &work)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| Error::new("apt-get download left no .deb"))?;
    command::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&files))?;

    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).on_path("create", parent)?;
    fs::rename(&files, folder).on_path("put in place", folder)?;
    fs::remove_dir_all(&work).on_path("remove", &work)
}

/// An apt configuration of its own for one architecture.
struct Apt {
    root: PathBuf,
    configuration: PathBuf,
}

impl Apt {
    fn new(root: PathBuf) -> Result<Self, Error> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).on_path("create", &folder)?;
        }
        let status = root.join("status");
        fs::write(&status, "").on_path("write", &status)?;
        let configuration = root.join("apt.conf");
        let architecture = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let root_path = root.display();
        let text = format!(
            r##"Dir::State "{root_path}";
Dir::State::lists "{root_path}/lists";
Dir::State::status "{root_path}/status";
Dir::Cache "{root_path}/cache";
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"##
        );
        fs::write(&configuration, text).on_path("write", &configuration)?;
        Ok(Self { root, configuration })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.configuration);
        command
    }

    /// The package itself, or the kernel image behind a kernel's meta-package;
    /// None where apt does not know the package.
    fn behind(&self, package: &str) -> Result<Option<String>, Error> {
        let mut depends = self.command("apt-cache");
        let Ok(printed) = command::output(depends.args(["depends", "--important", package])) else {
            return Ok(None);
        };
        if printed.is_empty() {
            return Ok(None);
        }
        let image = printed
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| package.starts_with("linux-image-") && name.starts_with("linux-image-"));
        Ok(Some(image.unwrap_or(package).to_owned()))
    }
}

/// The user's cache of this project: outside the tree, so that cleaning the
/// tree does not fetch everything again.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` says where it is.
pub fn cache() -> Result<PathBuf, Error> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|folder| folder.join("vial"))
        .ok_or_else(|| Error::new("HOME is not set, so there is no place for the cache"))
}

/// Holds other processes off until the answer is dropped.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = File::create(&path).on_path("create", &path)?;
    file.lock().on_path("lock", &path)?;
    Ok(file)
}

/// Whether this process may install packages: its effective user is root.
#[must_use]
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}
