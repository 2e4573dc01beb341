//! Where the containers of a case run: a rootfs that each run gets new, sources for bind
//! mounts, and a process whose namespaces a container can join.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount,
};
use serde_json::Value;
use vial_targets::Error;
use vial_targets::command::OnPath;

use crate::{processes, sys};

/// Directories of the rootfs.
const DIRECTORIES: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "tmp",
    "run",
    "etc",
    "usr/bin",
    "var",
    "data",
    "data/sub",
    "mnt",
    "target",
    "work",
    "root",
    "home/user",
    "nodes",
    "full",
];
/// Files of the rootfs, with their text.
const FILES: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"),
    ("etc/group", "root:x:0:\nuser:x:1000:\nmore:x:2000:user\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("data/file", "data\n"),
    ("full/one", "1\n"),
    ("full/two", "2\n"),
];
/// Symbolic links of the rootfs.
const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("var/run", "/run"),
    ("link", "target"),
    ("absolute", "/target"),
    ("upwards", "../../../../target"),
    ("dangling", "/nowhere/yet"),
    ("etc/mtab", "../proc/self/mounts"),
];
/// Device nodes in the rootfs, to try the device filter with.
pub(super) const NODES: &[(&str, FileType, u32, u32)] = &[
    ("nodes/null", FileType::CharacterDevice, 1, 3),
    ("nodes/zero", FileType::CharacterDevice, 1, 5),
    ("nodes/full", FileType::CharacterDevice, 1, 7),
    ("nodes/kmsg", FileType::CharacterDevice, 1, 11),
    ("nodes/ptmx", FileType::CharacterDevice, 5, 2),
    ("nodes/fuse", FileType::CharacterDevice, 10, 229),
    ("nodes/loop", FileType::BlockDevice, 7, 0),
];
/// Stands for the process whose namespaces can be joined, in a config.json.
pub(super) const HELPER: &str = "@helper@";
/// Where hooks note what they see, below the stage's directory.
pub(super) const NOTES: &str = "notes/lines";
/// Stands for the stage's directory, in a config.json.
pub(super) const STAGE: &str = "@stage@";
const PATIENCE: Duration = Duration::from_secs(20);

/// The directories of one run of the differential test.
#[derive(Debug)]
pub(super) struct Stage {
    /// The directory of everything here.
    pub(super) directory: PathBuf,
    probe: PathBuf,
}

impl Stage {
    /// Creates the directory and the sources.
    pub(super) fn new(directory: &Path, probe: &Path) -> Result<Self, Error> {
        let stage = Self { directory: directory.to_owned(), probe: probe.to_owned() };
        // In memory, because each container gets a new rootfs.
        mount("tmpfs", directory, "tmpfs", MountFlags::empty(), c"mode=755")
            .map_err(|errno| Error::new(format!("mount a tmpfs: {errno}")))?;
        let sources = directory.join("sources");
        make_directories(&sources, &["dir/below", "tree/mounted", "tree/plain", "over", "owned"])?;
        let files =
            [("file", "a file\n"), ("dir/inside", "inside\n"), ("script", "#!/probe exit 0\n")];
        make_files(&sources, &files)?;
        make_files(&sources, &[("owned/user", "user\n")])?;
        let owned = sources.join("owned/user");
        chown(&owned, Some(1), Some(2)).on_path("chown", &owned)?;
        make_links(&sources, &[("link", "dir"), ("link-to-file", "file")])?;
        let mounted = sources.join("tree/mounted");
        mount("tmpfs", &mounted, "tmpfs", MountFlags::NODEV, c"mode=755,size=64k")
            .map_err(|errno| Error::new(format!("mount a tmpfs: {errno}")))?;
        mount_change(&mounted, MountPropagationFlags::PRIVATE)
            .map_err(|errno| Error::new(format!("make a mount private: {errno}")))?;
        make_files(&mounted, &[("deep", "deep\n")])?;
        fs::copy(&stage.probe, directory.join("probe")).on_path("copy", &stage.probe)?;
        make_directories(directory, &["notes"])?;
        // Root of a user namespace is nobody in particular here.
        set_mode(&directory.join("notes"), 0o777)?;
        Ok(stage)
    }

    /// The bundle of every case.
    pub(super) fn bundle(&self) -> PathBuf {
        self.directory.join("bundle")
    }

    /// The rootfs of every case.
    pub(super) fn rootfs(&self) -> PathBuf {
        self.bundle().join("rootfs")
    }

    /// Removes what a container has made in the sources, such as a mount point.
    fn restore_sources(&self, directory: &Path) -> Result<(), Error> {
        const KNOWN: [&str; 13] = [
            "dir",
            "dir/below",
            "dir/inside",
            "file",
            "link",
            "link-to-file",
            "over",
            "owned",
            "owned/user",
            "script",
            "tree",
            "tree/mounted",
            "tree/plain",
        ];
        let top = self.directory.join("sources");
        for entry in fs::read_dir(directory).on_path("list", directory)?.flatten() {
            let path = entry.path();
            let name = path.strip_prefix(&top).unwrap_or(&path).to_string_lossy().into_owned();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            match (KNOWN.contains(&&*name), is_directory) {
                _ if name == "tree/mounted/deep" => {}
                (true, true) => self.restore_sources(&path)?,
                (true, false) => {}
                (false, true) => fs::remove_dir_all(&path).on_path("remove", &path)?,
                (false, false) => fs::remove_file(&path).on_path("remove", &path)?,
            }
        }
        Ok(())
    }

    /// Makes the bundle anew with this config.json. The rootfs belongs to the user who
    /// is root in the container's user namespace.
    pub(super) fn put(&self, config: &Value, helper: Option<&Helper>) -> Result<(), Error> {
        restore_cgroup_options();
        self.restore_sources(&self.directory.join("sources"))?;
        make_files(&self.directory, &[(NOTES, "")])?;
        set_mode(&self.directory.join(NOTES), 0o666)?;
        let bundle = self.bundle();
        match fs::remove_dir_all(&bundle) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).on_path("remove", &bundle);
            }
            _ => {}
        }
        let rootfs = self.rootfs();
        make_directories(&rootfs, DIRECTORIES)?;
        make_directories(&bundle, &["beside"])?;
        make_files(&rootfs, FILES)?;
        make_links(&rootfs, LINKS)?;
        for (name, kind, major, minor) in NODES {
            let (path, mode) = (rootfs.join(name), Mode::from_raw_mode(0o666));
            mknodat(CWD, &path, *kind, mode, makedev(*major, *minor))
                .map_err(|errno| Error::new(format!("make {}: {errno}", path.display())))?;
            set_mode(&path, 0o666)?;
        }
        let probe = rootfs.join("probe");
        fs::hard_link(self.directory.join("probe"), &probe).on_path("link", &probe)?;
        let work = rootfs.join("work");
        chown(&work, Some(1000), Some(1000)).on_path("chown", &work)?;
        set_mode(&rootfs.join("tmp"), 0o1777)?;
        give_to(&rootfs, root_of(config, "uidMappings"), root_of(config, "gidMappings"))?;
        let pid = helper.map_or_else(|| "self".to_owned(), |helper| helper.inner.to_string());
        let text = format!("{config:#}")
            .replace(HELPER, &pid)
            .replace(STAGE, &self.directory.to_string_lossy());
        let place = bundle.join("config.json");
        fs::write(&place, text).on_path("write", &place)
    }

    /// What the hooks have noted, in their order.
    pub(super) fn notes(&self) -> Vec<Value> {
        let all = fs::read_to_string(self.directory.join(NOTES)).unwrap_or_default();
        all.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The files of the rootfs: path, type, mode and owner.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        walk(&self.rootfs(), "", &mut found);
        found
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // If it fails, the directory is not removed below.
        let _ = unmount(&self.directory, UnmountFlags::DETACH);
        crate::context::remove_directory(&self.directory);
    }
}

/// A process in new namespaces.
#[derive(Debug)]
pub(super) struct Helper {
    outer: Child,
    inner: u32,
}

impl Helper {
    /// Starts the probe in new namespaces, and a child of it that is PID 1 in them.
    pub(super) fn start(probe: &Path) -> Result<Self, Error> {
        const NEW: i32 = libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | 0x80 // CLONE_NEWTIME, which libc lacks for some targets.
            | libc::CLONE_NEWCGROUP;
        let mut command = Command::new(probe);
        command.args(["be", &format!("unshared:{NEW}")]).arg(probe).args(["sleep", "1000"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let outer = command.spawn().on_path("start", probe)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let below = processes::descendants(outer.id());
            if let Some((inner, _)) = below.iter().find(|(pid, _)| executes(*pid)) {
                return Ok(Self { outer, inner: *inner });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::new("the helper made no namespaces"))
    }

    /// What one of its namespaces is called.
    pub(super) fn namespace(&self, name: &str) -> Option<String> {
        let link = fs::read_link(format!("/proc/{}/ns/{name}", self.inner)).ok()?;
        Some(link.to_string_lossy().into_owned())
    }
}

/// Whether the process has executed its program, so that it will not fork any more.
fn executes(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).contains("\0sleep\0")
        && !String::from_utf8_lossy(&words).contains("\0be\0")
}

impl Drop for Helper {
    fn drop(&mut self) {
        processes::end_descendants(self.outer.id());
        let _ = self.outer.kill(); // It ends with its child.
        let _ = self.outer.wait();
    }
}

/// Gives the machine's cgroup2 the options that systemd gives it. A mount of cgroup2 by
/// a container of the host's cgroup namespace takes them away from every mount of it.
fn restore_cgroup_options() {
    if crate::runner::in_machine() {
        let data = c"nsdelegate,memory_recursiveprot";
        let _ = mount_remount("/sys/fs/cgroup", MountFlags::empty(), data); // Shows as a difference.
    }
}

/// The user or group outside that is 0 in the user namespace.
fn root_of(config: &Value, mappings: &str) -> u32 {
    let mappings = config["linux"][mappings].as_array();
    let zero = mappings.into_iter().flatten().find(|line| line["containerID"] == 0);
    zero.and_then(|line| u32::try_from(line["hostID"].as_u64()?).ok()).unwrap_or_default()
}

/// Adds these ids to the owner of every file below.
fn give_to(directory: &Path, uid: u32, gid: u32) -> Result<(), Error> {
    use std::os::unix::fs::{MetadataExt, lchown};
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    let meta = fs::symlink_metadata(directory).on_path("stat", directory)?;
    if !directory.ends_with("probe") {
        lchown(directory, Some(meta.uid() + uid), Some(meta.gid() + gid))
            .on_path("chown", directory)?;
        if !meta.is_symlink() {
            set_mode(directory, meta.mode() & 0o7777)?;
        }
    }
    if meta.is_dir() {
        for entry in fs::read_dir(directory).on_path("read", directory)?.flatten() {
            give_to(&entry.path(), uid, gid)?;
        }
    }
    Ok(())
}

fn walk(directory: &Path, below: &str, found: &mut Vec<(String, String)>) {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = format!("{below}/{}", entry.file_name().to_string_lossy());
        let Ok(meta) = entry.metadata() else { continue };
        let mode = meta.mode();
        found.push((path.clone(), format!("{mode:o} {}:{}", meta.uid(), meta.gid())));
        if meta.is_dir() {
            walk(&entry.path(), &path, found);
        }
    }
}

fn make_directories(root: &Path, names: &[&str]) -> Result<(), Error> {
    for name in names {
        let path = root.join(name);
        fs::create_dir_all(&path).on_path("create", &path)?;
    }
    Ok(())
}

fn make_files(root: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    for (name, text) in files {
        let path = root.join(name);
        fs::write(&path, text).on_path("write", &path)?;
    }
    Ok(())
}

fn make_links(root: &Path, links: &[(&str, &str)]) -> Result<(), Error> {
    for (name, to) in links {
        let path = root.join(name);
        symlink(to, &path).on_path("link", &path)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode)).on_path("chmod", path)
}

/// Gives this process a mount namespace of its own, with cgroup2 at /sys/fs/cgroup, so
/// that the runtimes find one hierarchy and change no mount of the host. Returns whether
/// that hierarchy has controllers.
pub(super) fn own_mounts() -> Result<bool, Error> {
    let failed = |what: &str| Error::new(format!("differential: {what}"));
    sys::call(libc::SYS_unshare, [libc::CLONE_NEWNS as usize, 0, 0, 0, 0, 0])
        .map_err(|error| failed(&format!("unshare: {error}")))?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
        .map_err(|errno| failed(&format!("make / a slave: {errno}")))?;
    // As on a host with systemd.
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::SHARED)
        .map_err(|errno| failed(&format!("make / shared: {errno}")))?;
    let controllers = || fs::read_to_string("/sys/fs/cgroup/cgroup.controllers");
    if controllers().is_err() {
        mount("none", "/sys/fs/cgroup", "cgroup2", MountFlags::empty(), c"")
            .map_err(|errno| failed(&format!("mount cgroup2: {errno}")))?;
    }
    Ok(controllers().is_ok_and(|all| all.contains("memory")))
}
