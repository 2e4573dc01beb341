//! The directory of a checkpoint: criu's images, what its restore must know of the
//! standard streams, and its log.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, fstat, major};
use vial_init::sys::stdio::streams;

use super::{Kind, Message, external, option};
use crate::error::Error;
use crate::file::{open, write_whole};

/// As with runc and crun.
const DESCRIPTORS: &str = "descriptors.json";

/// That directory, and another one for criu's log and the like, if it is not the same.
#[derive(Debug)]
pub struct Images {
    path: PathBuf,
    work: Option<PathBuf>,
    /// Those that did not exist.
    made: Vec<PathBuf>,
}

impl Images {
    /// Makes the directories, if they do not exist.
    pub fn make(path: PathBuf, work: Option<PathBuf>) -> Result<Images, Error> {
        let mut images = Images { path, work, made: Vec::new() };
        for path in [Some(&images.path), images.work.as_ref()].into_iter().flatten() {
            let is_there = path.exists();
            make(path)?;
            images.made.extend((!is_there).then(|| path.clone()));
        }
        Ok(images)
    }

    /// The same, but that of the images must exist.
    pub fn of_restore(path: PathBuf, work: Option<PathBuf>) -> Result<Images, Error> {
        match path.is_dir() {
            true => Images::make(path, work),
            false => Err(Error::new(format_args!("--image-path {}: no directory", path.display()))
                .hint("`vial checkpoint` makes it")),
        }
    }

    /// Removes what was made, as long as it is empty.
    pub fn undo(&self) {
        for path in &self.made {
            let _ = fs::remove_dir(path); // Otherwise something is in it that may be useful.
        }
    }

    /// Opens the directories for criu, which knows them by the numbers of fds.
    pub(super) fn open(&self) -> Result<[OwnedFd; 2], Error> {
        let opened = |path: &Path| {
            open(path, OFlags::RDONLY | OFlags::DIRECTORY)
                .map_err(|error| Error::io(format_args!("open {}", path.display()), &error))
        };
        Ok([opened(&self.path)?, opened(self.work.as_ref().unwrap_or(&self.path))?])
    }

    /// Checks the path of an earlier directory, which criu takes from this one.
    pub fn check_parent(&self, parent: &Path) -> Result<(), Error> {
        let wrong = |why: &str| {
            let parent = parent.display();
            Err(Error::new(format_args!("--parent-path {parent}: {why}"))
                .hint("give the directory of an earlier checkpoint, from that of --image-path"))
        };
        match self.path.join(parent).is_dir() {
            _ if parent.is_absolute() => wrong("it must be relative"),
            false => wrong("there is no such directory"),
            true => Ok(()),
        }
    }

    /// Has criu leave out files of the host that are standard streams, and writes down
    /// by which names it knows these, and pipes. pid: of the container's init.
    pub fn leave_out_streams(
        &self,
        options: &mut Message,
        record: &[String],
        pid: u32,
    ) -> Result<(), Error> {
        let mounts = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let mut streams = [const { String::new() }; 3];
        for (number, stream) in streams.iter_mut().enumerate() {
            match record.get(number).filter(|pipe| !pipe.is_empty()) {
                Some(pipe) => stream.clone_from(pipe),
                None => *stream = file_of_host(pid, number, &mounts).unwrap_or_default(),
            }
            if stream.starts_with(FILE) {
                options.text(option::EXTERNAL, stream.as_bytes());
            }
        }
        let bytes = serde_json::to_vec(&streams).map_err(Error::new)?;
        write_whole(&self.path.join(DESCRIPTORS), &bytes)
    }

    /// Has criu put this process's own streams in the place of those.
    pub fn replace_streams(&self, options: &mut Message) -> Result<(), Error> {
        let path = self.path.join(DESCRIPTORS);
        let bytes = crate::config::read(&path).map_err(|error| {
            error.hint("`vial checkpoint` writes this file, as runc and crun do")
        })?;
        let names: Vec<String> =
            crate::config::parse(&bytes).map_err(|error| error.context(path.display()))?;
        for (number, (name, stream)) in names.iter().zip(streams()).enumerate() {
            // Two may be one.
            let is_new = names.iter().position(|other| other == name) == Some(number);
            if is_new && (name.starts_with("pipe:") || name.starts_with(FILE)) {
                external::inherit(options, name, stream)?;
            }
        }
        Ok(())
    }

    /// Adds to an error what criu's log says.
    pub(super) fn explain(&self, kind: Kind, error: Error) -> Error {
        let directory = self.work.as_ref().unwrap_or(&self.path);
        let path = directory.join(log(kind));
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let verb = if kind == Kind::Restore { "restore" } else { "dump" };
        // The first one is the cause: `(00.1) Error (criu/file.c:1): what`. Except that
        // criu does without a higher limit of open files, and without TUN devices.
        let lines =
            text.lines().filter(|line| !line.contains(": rlimit: ") && !line.contains(": tun: "));
        let said = lines.filter_map(|line| line.split_once("Error (")?.1.split_once("): ")).next();
        let error = said.map_or(error, |(_, said)| Error::new(said.trim()));
        let error = error.context(format_args!("criu could not {verb} the container"));
        error.hint(format_args!("see {}", path.display()))
    }
}

/// How criu's names of files begin: `file[MOUNT:INODE]`, in hexadecimal digits.
const FILE: &str = "file[";

/// criu's name of a file that a process has open, if it is none of its own mounts. For
/// terminals criu has other ways.
fn file_of_host(pid: u32, number: usize, mounts: &[u8]) -> Option<String> {
    let file = fs::metadata(format!("/proc/{pid}/fd/{number}")).ok()?;
    let kind = FileType::from_raw_mode(file.mode());
    let is_memory = kind == FileType::CharacterDevice && major(file.rdev()) == MEMORY;
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
    let is_own = mounts
        .split(|byte| *byte == b'\n')
        .any(|line| line.split(|byte| *byte == b' ').next() == Some(mount.as_bytes()));
    let mount: u32 = mount.parse().ok()?;
    let is_meant = (kind == FileType::RegularFile || is_memory) && !is_own;
    is_meant.then(|| format!("{FILE}{mount:x}:{:x}]", file.ino()))
}

/// The major number of /dev/null and its like.
const MEMORY: u32 = 1;

pub(super) fn log(kind: Kind) -> &'static str {
    if kind == Kind::Restore { "restore.log" } else { "dump.log" }
}

fn make(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o711) // Root of a user namespace looks for files there. criu's are closed to it.
        .create(path)
        .map_err(|error| Error::io(format_args!("make {}", path.display()), &error))
}

/// Which standard streams of this process are pipes, as descriptors.json says it. Empty
/// if none is one.
pub fn own_streams() -> Vec<String> {
    let pipe = |stream| match fstat(stream) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo => {
            format!("pipe:[{}]", stat.st_ino)
        }
        _ => String::new(),
    };
    let all = streams().map(pipe);
    if all.iter().all(String::is_empty) { Vec::new() } else { all.into() }
}
