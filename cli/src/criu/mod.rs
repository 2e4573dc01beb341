//! criu(8), which writes the processes of a container to files, and makes them again
//! from these. vial asks for it by criu's RPC: `criu swrk FD` reads requests from a
//! socket, each a message of protobuf, and answers there.
//!
//! ```text
//! vial                           criu
//! VERSION, FEATURE_CHECK  ->
//!                         <-     what it can do
//! DUMP or RESTORE         ->
//!                         <-     NOTIFY: how far it has come
//! NOTIFY: go on           ->
//!                         <-     success, or an error, of which its log tells more
//! ```

pub mod external;
pub mod images;
pub mod program;
pub mod room;
mod wire;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use vial_init::sys::recvmsg::receive;

use self::images::{Images, log};
use self::program::Child;
use self::room::Room;
pub use self::wire::Message;
use self::wire::fields;
use crate::error::Error;
use crate::file::read_kernel;
use crate::launch::watch::Watch;
use crate::namespace::kind;

/// The oldest version, as MAJOR * 10000 + MINOR * 100: the first that can restore under
/// another security profile.
const OLDEST: u64 = 31600;

/// What a request asks for, and what an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Write the processes to files.
    Dump = 1,
    /// Make them from the files.
    Restore = 2,
    /// Write only their memory, and let them run.
    PreDump = 4,
    /// Tell how far it has come.
    Notify = 6,
    /// Tell whether the kernel can do this.
    FeatureCheck = 9,
    /// Tell its version.
    Version = 10,
}

/// How long a message may be.
const LONGEST: usize = 64 << 10;

/// The fields of a request.
mod request {
    pub(super) const KIND: u32 = 1;
    pub(super) const OPTIONS: u32 = 2;
    pub(super) const NOTIFY_SUCCESS: u32 = 3;
    pub(super) const KEEP_OPEN: u32 = 4;
    pub(super) const FEATURES: u32 = 5;
}

/// The fields of a request's options.
#[allow(missing_docs, reason = "they are criu's names, see its images/rpc.proto")]
pub mod option {
    pub const IMAGES_DIR_FD: u32 = 1;
    pub const PID: u32 = 2;
    pub const LEAVE_RUNNING: u32 = 3;
    pub const EXT_UNIX_SK: u32 = 4;
    pub const TCP_ESTABLISHED: u32 = 5;
    pub const EVASIVE_DEVICES: u32 = 6;
    pub const SHELL_JOB: u32 = 7;
    pub const FILE_LOCKS: u32 = 8;
    pub const LOG_LEVEL: u32 = 9;
    pub const LOG_FILE: u32 = 10;
    pub const PS: u32 = 11;
    pub const NOTIFY_SCRIPTS: u32 = 12;
    pub const ROOT: u32 = 13;
    pub const PARENT_IMG: u32 = 14;
    pub const TRACK_MEM: u32 = 15;
    pub const AUTO_DEDUP: u32 = 16;
    pub const WORK_DIR_FD: u32 = 17;
    pub const LINK_REMAP: u32 = 18;
    pub const EXT_MNT: u32 = 23;
    pub const MANAGE_CGROUPS: u32 = 24;
    pub const CG_ROOT: u32 = 25;
    pub const RST_SIBLING: u32 = 26;
    pub const INHERIT_FD: u32 = 27;
    pub const MANAGE_CGROUPS_MODE: u32 = 34;
    pub const EXTERNAL: u32 = 37;
    pub const EMPTY_NS: u32 = 38;
    pub const JOIN_NS: u32 = 39;
    pub const FREEZE_CGROUP: u32 = 44;
    pub const TCP_SKIP_IN_FLIGHT: u32 = 46;
    pub const LAZY_PAGES: u32 = 48;
    pub const ORPHAN_PTS_MASTER: u32 = 50;
    pub const CONFIG_FILE: u32 = 51;
    pub const TCP_CLOSE: u32 = 52;
    pub const LSM_PROFILE: u32 = 53;
    pub const LSM_MOUNT_CONTEXT: u32 = 63;
}

/// What the flags of both verbs say.
#[derive(Debug, Default)]
pub struct Options {
    /// The directory of the images.
    pub images: PathBuf,
    /// The directory of the log, if it is another one.
    pub work: Option<PathBuf>,
    /// The switches, by their fields.
    pub switches: Vec<(u32, bool)>,
    /// The value of --manage-cgroups-mode.
    pub cgroups_mode: Option<String>,
    /// The values of --empty-ns.
    pub empty_namespaces: Vec<String>,
}

/// What --manage-cgroups-mode may be, and criu's numbers for it.
const CGROUPS_MODES: [(&str, u64); 4] = [("ignore", 0), ("soft", 3), ("full", 4), ("strict", 5)];
const DEFAULT_MODE: u64 = 6;

impl Options {
    /// The options of a request. annotations: those of config.json.
    pub fn message(&self, annotations: &BTreeMap<String, String>) -> Result<Message, Error> {
        let mut message = Message::default();
        let mode = match &self.cgroups_mode {
            None => DEFAULT_MODE,
            Some(given) => {
                let known = CGROUPS_MODES.iter().find(|(name, _)| name == given);
                let wrong = || {
                    Error::new(format_args!("--manage-cgroups-mode {given}: unknown value"))
                        .hint("use soft, full, strict or ignore")
                };
                known.ok_or_else(wrong)?.1
            }
        };
        if let Some(other) = self.empty_namespaces.iter().find(|name| *name != "network") {
            return Err(Error::new(format_args!("--empty-ns {other}: only network can be empty")));
        }
        message.number(option::MANAGE_CGROUPS_MODE, mode);
        for field in [option::MANAGE_CGROUPS, option::NOTIFY_SCRIPTS, option::ORPHAN_PTS_MASTER] {
            message.number(field, 1);
        }
        // The engine, or who else made them, makes network devices again.
        message.number(option::EMPTY_NS, kind::NETWORK.into());
        for (field, on) in &self.switches {
            message.switch(*field, *on);
        }
        // Of what this file says, criu believes more than of a request. As with runc, an
        // annotation names another one, or if it is empty none.
        let file = annotations.get("org.criu.config").map_or("/etc/criu/runc.conf", String::as_str);
        if !file.is_empty() {
            message.text(option::CONFIG_FILE, file.as_bytes());
        }
        Ok(message)
    }
}

/// A restore.
#[derive(Debug)]
pub struct Restore {
    /// criu.
    pub program: CString,
    /// The directory of the images.
    pub images: Images,
    /// The options of the request.
    pub options: Message,
}

impl Restore {
    /// Adds what is known once there is a process, which becomes criu.
    pub fn add_to(&mut self, room: &Room<'_>, pid: u32) -> Result<(), Error> {
        let options = &mut self.options;
        options.text(option::ROOT, room.root().as_os_str().as_bytes());
        // The init becomes a child of vial, not of criu. Of device files that have no
        // name any more, any other name will do.
        for field in [option::RST_SIBLING, option::EVASIVE_DEVICES] {
            options.number(field, 1);
        }
        // Its cgroups take the place of those at the dump: `NUMBER:CONTROLLERS:PATH`.
        let path = format!("/proc/{pid}/cgroup");
        let text = read_kernel(&path).map_err(|e| Error::io(format_args!("read {path}"), &e))?;
        for line in text.split(|byte| *byte == b'\n') {
            let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            for controller in controllers.split(|byte| *byte == b',') {
                options.pair(option::CG_ROOT, [controller, path]);
            }
        }
        Ok(())
    }
}

/// What a kernel may lack, with its field in a feature check.
#[derive(Clone, Copy, Debug)]
pub enum Feature {
    /// The kernel remembers which pages were written to.
    MemoryTracking = 1,
    /// Pages can be brought when they are used.
    LazyPages = 2,
}

/// An answer.
#[derive(Debug, Default)]
pub struct Answer {
    kind: u64,
    success: bool,
    /// The pid of the container's init, in this pid namespace, once it was made.
    pub pid: u32,
    /// How far it has come.
    pub script: String,
    /// The fd that came with it.
    pub fd: Option<OwnedFd>,
    version: u64,
    features: u64,
}

impl Answer {
    fn read(bytes: &[u8], fd: Option<OwnedFd>) -> Answer {
        let mut answer = Answer { fd, ..Answer::default() };
        for (field, value, text) in fields(bytes) {
            match field {
                1 => answer.kind = value,
                2 => answer.success = value != 0,
                4 => answer.pid = number(text, 1) as u32,
                5 => {
                    answer.pid = number(text, 2) as u32;
                    let script = fields(text).find(|(field, ..)| *field == 1);
                    let script = script.map_or(&[][..], |(_, _, text)| text);
                    answer.script = String::from_utf8_lossy(script).into_owned();
                }
                8 => answer.features = number(text, 1) << 1 | number(text, 2) << 2,
                10 => {
                    let [major, minor, patch] = [1, 2, 4].map(|field| number(text, field));
                    answer.version = 10000 * major + 100 * minor + patch;
                }
                _ => {}
            }
        }
        answer
    }
}

/// A number in a message; 0 if it is not there.
fn number(message: &[u8], field: u64) -> u64 {
    fields(message).find(|(found, ..)| *found == field).map_or(0, |(_, value, _)| value)
}

/// What to do when criu tells how far it has come.
pub type Told<'a> = &'a mut dyn FnMut(&Answer) -> Result<(), Error>;

/// A criu that waits for requests. As guards, it and the init that it is making are
/// killed when this goes out of scope.
#[derive(Debug)]
pub struct Criu<'a> {
    child: Child,
    channel: OwnedFd,
    watch: &'a Watch<'a>,
    made: Child,
    /// The numbers of the fds of its directories.
    directories: [u32; 2],
}

impl Criu<'_> {
    /// Checks its version, and that it can do this on this kernel.
    pub fn check(&self, features: &[Feature]) -> Result<(), Error> {
        let mut message = Message::default();
        message.number(request::KEEP_OPEN, 1);
        self.send(Kind::Version, message)?;
        let version = self.receive()?.version;
        if version < OLDEST {
            let (major, minor) = (version / 10000, version / 100 % 100);
            return Err(Error::new(format_args!(
                "criu {major}.{minor} is too old: vial needs version 3.16 or later"
            )));
        }
        for feature in features {
            let (mut message, mut asked) = (Message::default(), Message::default());
            asked.number(*feature as u32, 1);
            message.number(request::KEEP_OPEN, 1);
            message.text(request::FEATURES, asked.bytes());
            self.send(Kind::FeatureCheck, message)?;
            if self.receive()?.features & 1 << *feature as u32 == 0 {
                return Err(Error::new(match feature {
                    Feature::MemoryTracking => {
                        "this kernel cannot track changes of memory (CONFIG_MEM_SOFT_DIRTY), so neither --pre-dump nor --parent-path is possible"
                    }
                    Feature::LazyPages => {
                        "this kernel or criu lacks userfaultfd(2), so --lazy-pages is not possible"
                    }
                }));
            }
        }
        Ok(())
    }

    /// Has it dump or restore. Returns the pid of the restored init.
    pub fn carry_out(
        mut self,
        kind: Kind,
        mut options: Message,
        images: &Images,
        told: Told<'_>,
    ) -> Result<u32, Error> {
        let [directory, work] = self.directories;
        options.number(option::IMAGES_DIR_FD, directory.into());
        options.number(option::WORK_DIR_FD, work.into());
        options.number(option::LOG_LEVEL, 4);
        options.text(option::LOG_FILE, log(kind).as_bytes());
        let mut message = Message::default();
        message.text(request::OPTIONS, options.bytes());
        self.send(kind, message)?;
        let mut done = Ok(());
        loop {
            let answer = self.receive().map_err(|error| images.explain(kind, error))?;
            if answer.kind != Kind::Notify as u64 {
                done?;
                if !answer.success {
                    return Err(images.explain(kind, Error::new("its log does not say why")));
                }
                self.made.forget();
                // It ends by itself, but after a PRE_DUMP waits for another request.
                if kind != Kind::PreDump {
                    self.child.wait();
                }
                return Ok(answer.pid);
            }
            if kind == Kind::Restore && answer.pid != 0 {
                self.made.pid = answer.pid;
            }
            if done.is_ok() {
                done = told(&answer);
            }
            let mut message = Message::default();
            message.switch(request::NOTIFY_SUCCESS, done.is_ok());
            self.send(Kind::Notify, message)?;
        }
    }

    fn send(&self, kind: Kind, rest: Message) -> Result<(), Error> {
        let mut message = Message::default();
        message.number(request::KIND, kind as u64);
        let bytes = [message.bytes(), rest.bytes()].concat();
        send(&self.channel, &bytes, SendFlags::NOSIGNAL).map(drop).map_err(|errno| match errno {
            Errno::PIPE | Errno::CONNRESET => Error::new(ENDED),
            errno => Error::errno("send to criu: send(2)", errno),
        })
    }

    fn receive(&self) -> Result<Answer, Error> {
        let mut bytes = vec![0; LONGEST];
        loop {
            match receive(self.channel.as_fd(), &mut bytes) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return Err(Error::new(ENDED)),
                Ok((length, fd)) => return Ok(Answer::read(&bytes[..length], fd)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.watch.interrupted()?,
                Err(errno) => return Err(Error::errno("hear from criu: recvmsg(2)", errno)),
            }
        }
    }
}

/// What vial says, whether it notices this while it sends or while it waits.
const ENDED: &str = "criu ended without an answer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        // What criu 4.1.1 answers to VERSION.
        let bytes = b"\x08\x0a\x10\x01\x52\x06\x08\x04\x10\x01\x20\x01";
        let answer = Answer::read(bytes, None);
        assert_eq!((answer.kind, answer.success, answer.version), (10, true, 40101));
        // A notification with a pid, and a failure.
        let mut notify = Message::default();
        notify.number(1, Kind::Notify as u64);
        let mut inner = Message::default();
        inner.text(1, b"post-restore");
        inner.number(2, 4711);
        notify.text(5, inner.bytes());
        let answer = Answer::read(notify.bytes(), None);
        assert_eq!((&*answer.script, answer.pid), ("post-restore", 4711));
        assert!(!Answer::read(b"\x08\x01\x10\x00\x38\x03", None).success);
    }
}
