//! The gates: where a process waits for a word, which is one byte. The end of the
//! file says that whoever would give it is gone, and the process ends with them.

use rustix::fd::OwnedFd;
use rustix::io::{Errno, read};
use rustix::net::{SocketFlags, accept_with};
use vial_plan::{Call, Gate, Reply, Step};

use crate::fault::{During, Fault, Prepared};
use crate::sys::{exit, memory};
use crate::{Life, channel};

/// Waits for the word that this process is mapped. Its parent gives it, and has
/// answered for both if it is gone.
pub fn await_mapping(life: &mut Life, pipe: u32) -> Result<(), Fault> {
    let pipe = life.slots.take(pipe).prepared()?;
    wait(&pipe, Step::AwaitMapping)
}

/// Says that the process is complete, and waits: for vial's word on the channel,
/// which says that the container is kept; and, where start comes later, for a
/// connection to its socket, which is then where a failure is answered.
pub fn await_start(life: &mut Life, socket: u32) -> Result<(), Fault> {
    let procfs = life.procfs.take().prepared()?;
    let pid = procfs.own_pid().during(Call::Readlinkat, Step::Answer)?;
    drop(procfs); // Whoever traces this process while it waits finds no way to the host.
    channel::answer(&life.channel, &Reply::At { gate: Gate::Start, pid })?;
    memory::forget_stack(); // What the rootfs took of it is not needed again.
    wait(&life.channel, Step::AwaitStart)?;
    if let Some(listener) = life.slots.take(socket) {
        life.channel = accept(&listener).during(Call::Accept4, Step::AwaitStart)?;
    }
    Ok(())
}

fn wait(fd: &OwnedFd, step: Step) -> Result<(), Fault> {
    match read(fd, &mut [0; 1][..]).during(Call::Read, step)? {
        0 => exit::exit(1),
        _ => Ok(()),
    }
}

/// The connection of start. One that ends without a word is of someone who asks
/// whether this process still waits, or of a start that died.
fn accept(listener: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    loop {
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(connection) if read(&connection, &mut [0; 1][..]) == Ok(1) => return Ok(connection),
            Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(errno) => return Err(errno),
        }
    }
}
