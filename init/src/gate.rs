//! Gates: a process waits here for a word, which is one byte. EOF means that the sender
//! is gone; the process then exits.

use rustix::fd::OwnedFd;
use rustix::io::{DupFlags, Errno, dup3, read};
use rustix::net::{SocketFlags, accept_with};
use vial_plan::{Call, Gate, Reply, Step};

use crate::fault::{During, Fault, Prepared};
use crate::procfs::Procfs;
use crate::sys::{exit, memory};
use crate::{Life, channel};

/// Waits for the word that the user namespace is mapped. The parent sends it. If the
/// parent is gone, it has already reported why.
pub fn await_mapping(life: &mut Life, pipe: u32) -> Result<(), Fault> {
    let pipe = life.slots.take(pipe).prepared()?;
    wait(&pipe, Step::AwaitMapping)
}

/// Reports that this process has come to a gate, and waits while vial does what is due
/// there.
pub fn await_vial(life: &Life, procfs: &Procfs, gate: Gate, step: Step) -> Result<(), Fault> {
    let pid = procfs.own_pid().during(Call::Readlinkat, Step::SendReply)?;
    channel::reply(&life.channel, &Reply::At { gate, pid })?;
    wait(&life.channel, step)
}

/// Reports that everything but execve is done, and waits. vial's word on the channel
/// says that the container is recorded. Where `start` is a later command, this then
/// waits for its connection to the socket; failures are reported over that connection.
/// pid: that of the process that will execute the program.
pub fn await_start(life: &mut Life, socket: u32, pid: u32) -> Result<(), Fault> {
    channel::reply(&life.channel, &Reply::At { gate: Gate::Start, pid })?;
    memory::forget_stack(); // Setting up the rootfs needed more stack than the rest will.
    wait(&life.channel, Step::AwaitStart)?;
    if let Some(listener) = life.slots.take(socket) {
        let connection = accept(&listener).during(Call::Accept4, Step::AwaitStart)?;
        // Under the same number, by which a process that shares the fds knows it, too.
        dup3(&connection, &mut life.channel, DupFlags::CLOEXEC)
            .during(Call::Dup3, Step::AwaitStart)?;
        // Until execve closes it, other verbs see that the program does not run yet.
        life.slots.put(socket, listener)?;
    }
    Ok(())
}

/// The pid of this process as vial counts it. Closes procfs: a tracer finds no way to
/// the host while this process waits.
pub fn own_pid(life: &mut Life) -> Result<u32, Fault> {
    life.procfs.take().prepared()?.own_pid().during(Call::Readlinkat, Step::SendReply)
}

/// Waits for a word.
pub(crate) fn wait(fd: &OwnedFd, step: Step) -> Result<(), Fault> {
    match read(fd, &mut [0; 1][..]).during(Call::Read, step)? {
        0 => exit::exit(1),
        _ => Ok(()),
    }
}

/// Accepts the connection of `start`. A connection that closes without a word came from
/// a process that checks whether this one still waits, or from a `start` that died.
fn accept(listener: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    loop {
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(connection) if read(&connection, &mut [0; 1][..]) == Ok(1) => return Ok(connection),
            Ok(_) | Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(errno) => return Err(errno),
        }
    }
}
