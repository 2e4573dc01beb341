//! vial-init: the life of a container, from a Plan to execve.
//!
//! ```text
//! stage 0  outside   cgroup, joined namespaces, clone3, user mappings   stage0.rs
//! stage 1  between   in the new user namespace, before the rest         stage1.rs
//! stage 2  inside    rootfs, security, wait for start, execve           stage2.rs
//! ```
//!
//! The planner has decided what happens and in which order; each stage carries
//! its section of the Plan out item by item and decides nothing. Most
//! containers need no stage 1: one clone3 makes every namespace, and the Plan's
//! section is empty.
//!
//! **Invariant:** no libc, no heap, no panic that can be reached (see main.rs).
//! **Invariant:** every fd is O_CLOEXEC from birth.
//! **Invariant:** a failure is answered once, as data, and ends the process.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod cgroup;
pub mod channel;
pub mod fault;
pub mod join;
pub mod opener;
pub mod path;
pub mod procfs;
pub mod rootfs;
pub mod security;
pub mod signals;
pub mod stage0;
pub mod stage1;
pub mod stage2;
pub mod start;
pub mod sys;

use core::convert::Infallible;

use rustix::fd::OwnedFd;
use vial_plan::{Failed, Fields, Header, Reply, Stage, Step};

use crate::fault::{Fault, Prepared};
use crate::procfs::Procfs;
use crate::rootfs::Rootfs;
use crate::start::Program;
use crate::sys::exit::exit;
use crate::sys::inherited::{Inherited, Stranger};
use crate::sys::start::Arguments;

/// Where `_start` leads: reads the Plan and lives it.
pub fn main(arguments: Arguments) -> ! {
    // A caller that waits in the foreground blocks signals, to pass them on;
    // the container is not to inherit that. EINVAL is not possible.
    let _ = sys::signal::block_only(0);
    // Started by an fd's path, it would be called by that number in ps(1).
    let _ = rustix::thread::set_name(c"vial-init");
    let inherited = match Inherited::take(arguments) {
        Ok(inherited) => inherited,
        Err(Stranger::Person) => {
            let [_, _, stderr] = sys::stdio::streams();
            let words = b"vial-init is started by vial: try `vial --help`\n";
            let _ = rustix::io::write(stderr, words); // Nobody is left to tell if this fails.
            exit(1)
        }
        Err(Stranger::Vial) => exit(1), // Its end without an answer is what vial will tell.
    };
    let mut channel = inherited.channel;
    let failed = match channel::receive_plan(&mut channel) {
        Ok(plan) => {
            let mut life = Life {
                header: plan.header,
                body: plan.body,
                memory: plan.memory,
                channel,
                start: inherited.start,
                console: inherited.console,
                pidfd: inherited.pidfd,
                stage: Stage::Outside,
                procfs: None,
                offsets: None,
                cgroup_root: None,
                cgroup: None,
                cgroup_is_new: false,
                pipe: None,
                opener: None,
                opener_pid: 0,
                child: 0,
                rootfs: None,
                terminal: None,
                directory_is_due: None,
                program: None,
            };
            let Err(failed) = life.live();
            channel = life.channel;
            failed
        }
        Err(fault) => {
            Failed { stage: Stage::Outside, step: fault.step(), item: 0, errno: errno(fault) }
        }
    };
    // EPIPE: nobody is there to read it, and the process ends all the same.
    let _ = channel::answer(&channel, &Reply::Failed(failed));
    exit(1)
}

/// What the process holds while it carries the Plan out. A field that an item
/// prepares is None before it.
#[derive(Debug)]
pub struct Life {
    header: Header,
    body: &'static [u8],
    memory: channel::Memory,
    /// The Plan came and the Reply goes here.
    channel: OwnedFd,
    start: Option<OwnedFd>,
    console: Option<OwnedFd>,
    pidfd: Option<OwnedFd>,
    stage: Stage,
    procfs: Option<Procfs>,
    /// The own timens_offsets, opened early.
    offsets: Option<OwnedFd>,
    cgroup_root: Option<OwnedFd>,
    cgroup: Option<OwnedFd>,
    /// Whether the last CgroupMkdir, the container's own, made one.
    cgroup_is_new: bool,
    /// To the child that waits to be mapped, or from the parent who maps.
    pipe: Option<OwnedFd>,
    /// To the opener.
    opener: Option<OwnedFd>,
    opener_pid: u32,
    child: u32,
    rootfs: Option<Rootfs>,
    terminal: Option<OwnedFd>,
    /// The working directory that root could not enter, for the user to try.
    directory_is_due: Option<&'static core::ffi::CStr>,
    program: Option<Program>,
}

impl Life {
    fn live(&mut self) -> Result<Infallible, Failed> {
        loop {
            let stage = self.stage;
            let mut items = self.header.items(stage, self.body).prepared().map_err(|f| Failed {
                stage,
                step: f.step(),
                item: 0,
                errno: errno(f),
            })?;
            loop {
                let index = items.index();
                let Some(read) = items.next_fields() else {
                    // A process whose section ends here has done its part.
                    exit(0)
                };
                let done = match read {
                    Ok((code, fields)) => self.act(code, &fields),
                    Err(_) => Err(Fault::PLAN),
                };
                if let Err(fault) = done {
                    let (step, errno) = (fault.step(), errno(fault));
                    self.abandon();
                    return Err(Failed { stage: self.stage, step, item: index, errno });
                }
                if self.stage != stage {
                    break; // This process is a new one, which the item has started.
                }
            }
        }
    }

    fn act(&mut self, code: u16, fields: &Fields<'static>) -> Result<(), Fault> {
        match self.stage {
            Stage::Outside => stage0::act(self, code, fields),
            Stage::Between => stage1::act(self, code, fields),
            Stage::Inside => stage2::act(self, code, fields),
        }
    }

    /// A child that waits to be mapped sees the pipe close, and ends; one that
    /// does not wait must not outlive the failure of its parent.
    fn abandon(&mut self) {
        self.pipe = None;
        if let Some(child) = rustix::process::Pid::from_raw(self.child.cast_signed()) {
            // ESRCH: it ended by itself, which is what is wanted.
            let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
        }
    }

    fn procfs(&self) -> Result<&Procfs, Fault> {
        self.procfs.as_ref().prepared()
    }

    fn rootfs(&self) -> Result<&Rootfs, Fault> {
        self.rootfs.as_ref().prepared()
    }

    fn rootfs_mut(&mut self) -> Result<&mut Rootfs, Fault> {
        self.rootfs.as_mut().prepared()
    }

    /// The rootfs, for what may mount something on the directory of the last node.
    fn furnish(&mut self) -> Result<&mut Rootfs, Fault> {
        let rootfs = self.rootfs_mut()?;
        rootfs.forget_nodes();
        Ok(rootfs)
    }
}

fn errno(fault: Fault) -> u32 {
    fault.errno().raw_os_error().unsigned_abs()
}

/// A step whose failure has no errno of the kernel's.
pub(crate) fn fault(step: Step, errno: rustix::io::Errno) -> Fault {
    Fault::new(step, errno)
}
