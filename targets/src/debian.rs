//! Fetches Debian packages: installs those that the host lacks, and unpacks those of
//! any architecture into a cache, without changing the system.
//!
//! A package of another architecture or release of Debian is fetched with a separate
//! apt configuration, which has its own lists, cache, sources and one architecture.
//! Adding it to the system's would make every later update depend on it. The host's own
//! apt tells where Debian's archive is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Error, OnPath};

/// The keys of all Debian releases.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Installs those of the packages that the host lacks.
///
/// # Errors
/// They cannot be installed. The error names exactly those that are missing.
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
    // Continue after a failed update: one broken source is enough to fail it. The next
    // call shows whether the packages are available.
    let _ = command::output(Command::new("apt-get").args(["-q", "update"]));
    let mut install = Command::new("apt-get");
    install.args(["-q", "-y", "install", "--no-install-recommends"]).args(&missing);
    command::output(install.env("DEBIAN_FRONTEND", "noninteractive"))
        .map(drop)
        .map_err(|error| error.during(format!("these Debian packages are missing: {list}")))
}

/// Whether dpkg says that the package is installed.
#[must_use]
pub fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status}", package]);
    command::output(&mut query).is_ok_and(|status| status == "installed")
}

/// The directory with the files of a package of a suite, such as trixie, or of this
/// host's Debian release. It is fetched on first use.
///
/// The meta-package of a kernel (linux-image-cloud-amd64) stands for the packages that
/// it depends on: the directory has their boot/ and lib/modules/.
///
/// # Errors
/// apt-get or dpkg-deb failed, or the cache cannot be written.
pub fn unpacked(suite: Option<&str>, package: &str, architecture: &str) -> Result<PathBuf, Error> {
    let apt = cache()?.join("debian").join(suite.unwrap_or_default()).join(architecture);
    let directory = apt.join("unpacked").join(package);
    if directory.is_dir() {
        return Ok(directory);
    }
    fs::create_dir_all(&apt).on_path("create", &apt)?;
    let _lock = lock(&apt)?;
    // Another process may have fetched it while this one waited.
    if !directory.is_dir() {
        eprintln!("fetching {package} for {architecture} into {}", apt.display());
        Apt::new(apt, suite)
            .and_then(|apt| fetch(&apt, package, &directory))
            .map_err(|error| error.during(format!("fetch {package} for {architecture}")))?;
    }
    Ok(directory)
}

/// Downloads and unpacks a package. The directory appears complete or not at all.
fn fetch(apt: &Apt, package: &str, directory: &Path) -> Result<(), Error> {
    let work = apt.root.join("work");
    let _ = fs::remove_dir_all(&work); // Left by a killed run, if it exists.
    let files = work.join("files");
    fs::create_dir_all(&files).on_path("create", &files)?;
    if apt.download(package, &work).is_err() {
        // There are no lists yet, or they are older than the mirror. Continue after a
        // failed update, as in install().
        let _ = command::output(apt.command("apt-get").args(["-q", "update"]));
        apt.download(package, &work)?;
    }
    let debs = fs::read_dir(&work)
        .on_path("read", &work)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"));
    for deb in debs {
        command::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&files))?;
    }
    let parent = directory.parent().unwrap_or(directory);
    fs::create_dir_all(parent).on_path("create", parent)?;
    fs::rename(&files, directory).on_path("put in place", directory)?;
    fs::remove_dir_all(&work).on_path("remove", &work)
}

/// A separate apt configuration for one architecture, with the host's own sources or
/// those of one suite.
struct Apt {
    root: PathBuf,
    configuration: PathBuf,
}

impl Apt {
    fn new(root: PathBuf, suite: Option<&str>) -> Result<Self, Error> {
        for directory in ["lists/partial", "cache/archives/partial"] {
            let directory = root.join(directory);
            fs::create_dir_all(&directory).on_path("create", &directory)?;
        }
        let status = root.join("status");
        fs::write(&status, "").on_path("write", &status)?;
        let configuration = root.join("apt.conf");
        let architecture = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let root_path = root.display();
        let mut text = format!(
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
        if let Some(suite) = suite {
            let sources = root.join("sources.list");
            fs::write(&sources, Archive::of_host()?.sources(suite)).on_path("write", &sources)?;
            // The lists of a suite that is no longer supported have expired.
            let own = format!(
                r#"Dir::Etc::sourcelist "{}";
Dir::Etc::sourceparts "-";
Acquire::Check-Valid-Until "false";
"#,
                sources.display()
            );
            text.push_str(&own);
        }
        fs::write(&configuration, text).on_path("write", &configuration)?;
        Ok(Self { root, configuration })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.configuration);
        command
    }

    /// Downloads a package, and for a kernel all its parts.
    fn download(&self, package: &str, directory: &Path) -> Result<(), Error> {
        let mut download = self.command("apt-get");
        download.args(["-q", "download"]).args(self.parts(package)?).current_dir(directory);
        command::output(&mut download).map(drop)
    }

    /// The package itself. For a kernel's meta-package, the packages with the image and
    /// the modules, which newer releases split in two.
    fn parts(&self, package: &str) -> Result<Vec<String>, Error> {
        const PARTS: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];
        let mut parts = vec![package.to_owned()];
        if !package.starts_with(PARTS[0]) {
            return Ok(parts);
        }
        let mut seen = 0;
        while let Some(part) = parts.get(seen) {
            let mut depends = self.command("apt-cache");
            let printed = command::output(depends.args(["depends", "--important", part]))?;
            let needs = printed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
            let needs = needs.filter(|name| PARTS.iter().any(|part| name.starts_with(part)));
            let new: Vec<_> =
                needs.map(str::to_owned).filter(|name| !parts.contains(name)).collect();
            parts.extend(new);
            seen += 1;
        }
        if parts.len() > 1 {
            parts.remove(0); // The meta-package has no files that are needed.
        }
        Ok(parts)
    }
}

/// The addresses of Debian's archives.
#[derive(Debug)]
pub struct Archive {
    /// The address of the archive.
    pub main: String,
    /// The address of the security updates, if the host uses them.
    pub security: Option<String>,
}

impl Archive {
    /// The archive that this host's own apt uses.
    ///
    /// # Errors
    /// The host is not Debian, or its apt has no source of its own release.
    pub fn of_host() -> Result<Self, Error> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let suite = suite.ok_or_else(|| Error::new("/etc/os-release names no release"))?;
        let mut targets = Command::new("apt-get");
        targets.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Component: main"]);
        let printed = command::output(&mut targets)?;
        let address = |suite: &str| {
            let mut all = printed.lines().filter_map(|line| line.split_once(' '));
            all.find(|(release, _)| *release == suite).map(|(_, address)| address.to_owned())
        };
        let unknown = || Error::new(format!("this host's apt has no source for {suite}"));
        Ok(Self {
            main: address(suite).ok_or_else(unknown)?,
            security: address(&format!("{suite}-security")),
        })
    }

    /// The lines of a sources.list(5) for one suite.
    fn sources(&self, suite: &str) -> String {
        let line = |address: &str, suite: &str| {
            format!("deb [signed-by={KEYRING}] {address} {suite} main\n")
        };
        let mut lines = line(&self.main, suite);
        if let Some(security) = self.security.as_deref().filter(|_| suite != "sid") {
            lines.push_str(&line(security, &format!("{suite}-security")));
        }
        lines
    }
}

/// The user's cache for this project. It is outside the source tree, so that cleaning
/// the tree does not delete it.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set to an absolute path.
pub fn cache() -> Result<PathBuf, Error> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|directory| directory.join("vial"))
        .ok_or_else(|| Error::new("HOME is not set, so there is no place for the cache"))
}

/// Locks out other processes until the returned file is dropped.
pub(crate) fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
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
