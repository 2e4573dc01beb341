//! vial-init: the life of a container, from a Plan to execve.
//!
//! ```text
//! stage 0  outside the container                          stage0.rs
//!          setup, the cgroup, then into the namespaces    cgroup.rs, leave.rs
//! stage 1  in the new user namespace, before the others   stage1.rs
//! stage 2  the container's first process                  stage2.rs
//!          namespaces, rootfs, process                    namespace/, rootfs/, process/
//! ```
//!
//! The planner decides what happens and in which order. Each stage carries out its
//! section of the Plan item by item and decides nothing. Most containers need no stage
//! 1: one clone3 makes every namespace, and the section of stage 1 is empty.
//!
//! **Invariant:** no libc, no heap, no reachable panic (see main.rs).
//! **Invariant:** every fd is O_CLOEXEC from birth.
//! **Invariant:** a failure is reported once, as data, and ends the process.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod cgroup;
pub mod channel;
pub mod fault;
pub mod fds;
pub mod gate;
pub mod id_map;
pub mod leave;
pub mod namespace;
pub mod opener;
pub mod path;
pub mod process;
pub mod procfs;
pub mod rootfs;
pub mod signals;
pub mod slots;
pub mod spawn;
pub mod stage0;
pub mod stage1;
pub mod stage2;
pub mod sys;

use core::convert::Infallible;
use core::mem::ManuallyDrop;

use rustix::fd::OwnedFd;
use vial_plan::{Failed, Fields, Header, Reply, Stage};

use crate::fault::{Fault, Prepared};
use crate::procfs::Procfs;
use crate::slots::Slots;
use crate::sys::exit::exit;
use crate::sys::inherited::{Inherited, StartError, lend};
use crate::sys::start::Arguments;

/// Called by `_start`: receives the Plan and carries it out.
pub fn main(arguments: Arguments) -> ! {
    // In the foreground, vial blocks signals in order to forward them. The container
    // must not inherit that mask. EINVAL is not possible.
    let _ = sys::signal::block_only(0);
    // vial starts this program by the path of an fd: without this, ps(1) shows a
    // number.
    let _ = rustix::thread::set_name(c"vial-init");
    let inherited = match Inherited::take(arguments) {
        Ok(inherited) => inherited,
        Err(StartError::NotByVial) => {
            let [_, _, stderr] = sys::stdio::streams();
            let words = b"vial-init is started by vial: try `vial --help`\n";
            let _ = rustix::io::write(stderr, words); // There is nobody to tell if this fails.
            exit(1)
        }
        Err(StartError::BadFd) => exit(1), // vial reports that vial-init ended without a reply.
    };
    let (mut channel, item) = (inherited.channel, inherited.item);
    let failed = match channel::receive_plan(&mut channel) {
        Ok(mut plan) => {
            if lend(&mut plan.slots, inherited.lent).is_err() {
                exit(1); // As above.
            }
            let mut life = Life {
                header: plan.header,
                body: plan.body,
                memory: plan.memory,
                slots: plan.slots,
                item,
                channel,
                stage: Stage::Zero,
                procfs: None,
                child: 0,
            };
            let Err(failed) = life.live();
            channel = life.channel;
            failed
        }
        Err(fault) => failed(Stage::Zero, 0, fault),
    };
    // EPIPE: vial is gone. The process exits either way.
    let _ = channel::reply(&channel, &Reply::Failed(failed));
    exit(1)
}

/// What a process holds in every stage. What only one stage needs is in that stage's
/// module. A field that an item prepares is None until then.
#[derive(Debug)]
pub struct Life {
    header: Header,
    body: &'static [u8],
    memory: channel::Memory,
    /// The digits in argv that show the current item to other processes.
    item: &'static mut [u8],
    /// The socket that brought the Plan and carries the Replies.
    channel: OwnedFd,
    /// Fds that vial lent, and fds that one item passes to another.
    slots: Slots,
    stage: Stage,
    procfs: Option<Procfs>,
    /// The pid of the next stage, in the process that started it.
    child: u32,
}

/// Carries out one item of a stage, given its code and its fields.
type CarryOut<'a> = &'a mut dyn FnMut(&mut Life, u16, &Fields<'static>) -> Result<(), Fault>;

impl Life {
    /// Runs the stages in order. Each stage starts the next one as a new process.
    fn live(&mut self) -> Result<Infallible, Failed> {
        // Do not drop the fds of a stage that has ended: CloseFds closes all fds at
        // once.
        let mut outside = ManuallyDrop::new(stage0::Outside::default());
        self.carry_out_section(&mut |life, code, fields| {
            stage0::carry_out(life, &mut outside, code, fields)
        })?;
        if self.stage == Stage::One {
            self.carry_out_section(&mut |life, code, fields| {
                stage1::carry_out(life, code, fields)
            })?;
        }
        let mut inside = ManuallyDrop::new(stage2::Inside::default());
        self.carry_out_section(&mut |life, code, fields| {
            stage2::carry_out(life, &mut inside, code, fields)
        })?;
        Err(failed(Stage::Two, 0, Fault::PLAN))
    }

    /// Carries out the section of the current stage. Returns only in the process of the
    /// next stage: a process that reaches the end of its section exits.
    fn carry_out_section(&mut self, carry_out: CarryOut<'_>) -> Result<(), Failed> {
        let stage = self.stage;
        let mut items = self
            .header
            .items(stage, self.body)
            .prepared()
            .map_err(|fault| failed(stage, 0, fault))?;
        loop {
            let index = items.index();
            show(self.item, index);
            let Some(read) = items.next_fields() else { exit(0) };
            let done = match read {
                Ok((code, fields)) => carry_out(self, code, &fields),
                Err(_) => Err(Fault::PLAN),
            };
            if let Err(fault) = done {
                self.abandon();
                return Err(failed(self.stage, index, fault));
            }
            if self.stage != stage {
                return Ok(()); // The item started a new process, and this is it.
            }
        }
    }

    /// A child that waits for its mapping sees the pipe close, and exits. A child that
    /// does not wait is killed: it must not outlive the failure of its parent.
    fn abandon(&mut self) {
        self.slots.close();
        if let Some(child) = rustix::process::Pid::from_raw(self.child.cast_signed()) {
            // ESRCH: the child has already ended, which is what is wanted.
            let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
        }
    }

    fn procfs(&self) -> Result<&Procfs, Fault> {
        self.procfs.as_ref().prepared()
    }
}

/// Overwrites the digits with a number. Whoever reads /proc/PID/cmdline, such as ps(1),
/// sees it, even when this process is stopped or hangs. This takes no system call.
fn show(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | (number % 10) as u8;
        number /= 10;
    }
}

fn failed(stage: Stage, item: u32, fault: Fault) -> Failed {
    let errno = fault.errno().raw_os_error().unsigned_abs();
    Failed { stage, call: fault.call(), step: fault.step(), item, errno }
}
