//! The courier: a child that the seccomp filter does not cover. A filter with
//! SCMP_ACT_NOTIFY may stop any later call of this process until the holder of the
//! filter's listener answers, so this process cannot pass the listener on. The courier
//! shares its fds: it sends the listener to vial, and waits for start in its place. This
//! process makes only one call meanwhile, waitid(2).

use rustix::fd::{AsFd, AsRawFd};
use rustix::io::{Errno, IoSlice, fcntl_dupfd_cloexec};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, set_parent_process_death_signal, waitid,
};
use rustix::thread::{Timespec, nanosleep};
use vial_plan::{Call, Gate, Reply, Step};

use crate::channel::send;
use crate::fault::{During, Fault, Prepared};
use crate::sys::borrowed::borrow;
use crate::sys::clone3::{self, Side, clone3};
use crate::sys::exit::exit;
use crate::{Life, gate};

/// How long the courier sleeps before it looks for the listener again.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000 };

/// Starts the courier. The next fd that this process opens must be the listener.
pub(super) fn start(life: &mut Life, socket: u32) -> Result<(), Fault> {
    let pid = gate::own_pid(life)?;
    let own = getpid();
    let free = fcntl_dupfd_cloexec(&life.channel, 0).during(Call::Fcntl, Step::StartCourier)?;
    let number = free.as_raw_fd();
    drop(free);
    match clone3(clone3::FILES, None).during(Call::Clone3, Step::StartCourier)? {
        Side::Parent { child } => {
            life.child = child;
            Ok(())
        }
        Side::Child { .. } => {
            life.child = 0;
            set_parent_process_death_signal(Some(Signal::KILL))
                .during(Call::Prctl, Step::StartCourier)?;
            pass_on(life, pid, number, own)?;
            gate::await_start(life, socket, pid)?;
            exit(0)
        }
    }
}

/// Sends the listener once it exists, and waits until vial has passed it on.
fn pass_on(life: &mut Life, pid: u32, number: i32, parent: Pid) -> Result<(), Fault> {
    let reply = Reply::At { gate: Gate::Listener, pid }.to_bytes();
    loop {
        // The parent may have died before the kernel knew of the death signal.
        if getppid() != Some(parent) {
            exit(1);
        }
        match send(life.channel.as_fd(), &[IoSlice::new(&reply)], Some(borrow(number))) {
            Err(Errno::BADF) => {} // The filter is not loaded yet.
            result => {
                result.during(Call::Sendmsg, Step::SendListener)?;
                return gate::wait(&life.channel, Step::SendListener);
            }
        }
        let _ = nanosleep(&PAUSE); // EINTR: it looks a little earlier.
    }
}

/// Waits for the end of the courier, which comes with start.
pub(super) fn wait(life: &mut Life) -> Result<(), Fault> {
    let pid = Pid::from_raw(life.child.cast_signed()).prepared()?;
    let status =
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).during(Call::Waitid, Step::AwaitCourier)?;
    match status.map(|status| status.exit_status()) {
        Some(Some(0)) => {
            life.child = 0;
            Ok(())
        }
        Some(Some(_)) => exit(1), // It has reported why.
        // It was killed, or the filter's agent has answered this call without making it.
        _ => Err(Fault::new(Call::Waitid, Step::AwaitCourier, Errno::CHILD)),
    }
}
