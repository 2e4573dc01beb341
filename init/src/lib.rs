//! vial-init: the life of a container, from a Plan to execve.
//!
//! ```text
//! stage 0  outside the container                          stage0.rs
//!          setup, the cgroup, then into the namespaces    cgroup.rs, leave.rs
//! stage 1  in the new user namespace, before the rest     stage1.rs
//! stage 2  the container's first process                  stage2.rs
//!          namespaces, rootfs, process                    namespace/, rootfs/, process/
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
pub mod fds;
pub mod gate;
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
use crate::sys::inherited::{Inherited, Stranger, lend};
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
    // EPIPE: nobody is there to read it, and the process ends all the same.
    let _ = channel::answer(&channel, &Reply::Failed(failed));
    exit(1)
}

/// What a process holds in every stage; what one stage alone needs is in that
/// stage's own state. A field that an item prepares is None before it.
#[derive(Debug)]
pub struct Life {
    header: Header,
    body: &'static [u8],
    memory: channel::Memory,
    /// Where others see the present item.
    item: &'static mut [u8],
    /// The Plan came and the Reply goes here.
    channel: OwnedFd,
    /// What vial has lent, and what items hand to each other.
    slots: Slots,
    stage: Stage,
    procfs: Option<Procfs>,
    /// The pid of the next stage, in the process that has started it.
    child: u32,
}

/// How a stage carries out one item: its code, and its fields.
type Act<'a> = &'a mut dyn FnMut(&mut Life, u16, &Fields<'static>) -> Result<(), Fault>;

impl Life {
    /// Each stage, and in the child that it starts the next one.
    fn live(&mut self) -> Result<Infallible, Failed> {
        // Nobody owns a stage's fds when it is over: they are closed with all others.
        let mut outside = ManuallyDrop::new(stage0::Outside::default());
        self.carry_out(&mut |life, code, fields| stage0::act(life, &mut outside, code, fields))?;
        if self.stage == Stage::One {
            self.carry_out(&mut |life, code, fields| stage1::act(life, code, fields))?;
        }
        let mut inside = ManuallyDrop::new(stage2::Inside::default());
        self.carry_out(&mut |life, code, fields| stage2::act(life, &mut inside, code, fields))?;
        Err(failed(Stage::Two, 0, Fault::PLAN))
    }

    /// Carries out the section of this stage. Returns in the process of the next
    /// one; a process whose section ends has done its part, and exits.
    fn carry_out(&mut self, act: Act<'_>) -> Result<(), Failed> {
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
                Ok((code, fields)) => act(self, code, &fields),
                Err(_) => Err(Fault::PLAN),
            };
            if let Err(fault) = done {
                self.abandon();
                return Err(failed(self.stage, index, fault));
            }
            if self.stage != stage {
                return Ok(()); // This process is a new one, which the item has started.
            }
        }
    }

    /// A child that waits to be mapped sees the pipe close, and ends; one that
    /// does not wait must not outlive the failure of its parent.
    fn abandon(&mut self) {
        self.slots.close();
        if let Some(child) = rustix::process::Pid::from_raw(self.child.cast_signed()) {
            // ESRCH: it ended by itself, which is what is wanted.
            let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
        }
    }

    fn procfs(&self) -> Result<&Procfs, Fault> {
        self.procfs.as_ref().prepared()
    }
}

/// Writes a number over digits: /proc/PID/cmdline, and so ps(1), has them as they
/// are when somebody asks, also of a process that is stopped or hangs. It takes no
/// system call.
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
