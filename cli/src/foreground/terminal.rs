//! Connects the caller's terminal to a container's: makes the caller's raw, keeps
//! the sizes equal, and copies bytes both ways.

use std::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, IoSliceMut, read, write};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use vial_init::sys::stdio::streams;

use crate::error::Error;

/// The master of a container's terminal, and the caller's terminal, which is restored
/// at the end.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    /// The settings of the caller's terminal before. None: stdin is not a terminal.
    saved: Option<Termios>,
    /// Input that the container's terminal has not taken yet.
    pending: Vec<u8>,
    /// Whether stdin may have more.
    stdin_open: bool,
    /// Whether the container's side may have more.
    master_open: bool,
}

impl Terminal {
    /// Receives the master from stage 2, and sets up both sides.
    pub fn receive(socket: &OwnedFd) -> Result<Terminal, Error> {
        let failed = |errno| Error::errno("take over the terminal", errno);
        let master = receive_fd(socket).map_err(failed)?;
        let flags = fcntl_getfl(&master).map_err(failed)?;
        fcntl_setfl(&master, flags | OFlags::NONBLOCK).map_err(failed)?;
        let [stdin, stdout, _] = streams();
        let mut saved = None;
        if isatty(stdin) {
            let before = tcgetattr(stdin).map_err(failed)?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(stdin, OptionalActions::Now, &raw).map_err(failed)?;
            saved = Some(before);
        }
        // A raw terminal needs lines that end in CR LF. A pipe, a file, or a terminal
        // that adds CR itself needs LF alone: clear ONLCR for those.
        if saved.is_none() || !isatty(stdout) {
            let mut plain = tcgetattr(&master).map_err(failed)?;
            plain.output_modes.remove(OutputModes::ONLCR);
            tcsetattr(&master, OptionalActions::Now, &plain).map_err(failed)?;
        }
        let terminal =
            Terminal { master, saved, pending: Vec::new(), stdin_open: true, master_open: true };
        terminal.resize();
        Ok(terminal)
    }

    /// Gives the container's terminal the size of the caller's.
    pub fn resize(&self) {
        if self.saved.is_some()
            && let [stdin, ..] = streams()
            && let Ok(size) = tcgetwinsize(stdin)
        {
            let _ = tcsetwinsize(&self.master, size); // EIO: the container has closed it.
        }
    }

    /// What poll(2) should wait for: stdin, and the master with or without room.
    pub fn wants(&self) -> (bool, Option<(BorrowedFd<'_>, bool)>) {
        let input = self.stdin_open && self.pending.is_empty();
        let master = self.master_open.then(|| (self.master.as_fd(), !self.pending.is_empty()));
        (input, master)
    }

    /// Reads stdin and passes it on.
    pub fn input(&mut self) {
        let mut buffer = [0; 4096];
        let [stdin, ..] = streams();
        match read(stdin, &mut buffer) {
            Ok(0) | Err(Errno::IO) => self.stdin_open = false,
            Ok(count) => {
                self.pending.extend_from_slice(&buffer[..count]);
                self.feed();
            }
            Err(_) => {} // EINTR, EAGAIN: poll tells when to try again.
        }
    }

    /// Writes pending input to the container's terminal.
    pub fn feed(&mut self) {
        if let Ok(count) = write(&self.master, &self.pending) {
            self.pending.drain(..count);
        }
    }

    /// Copies output to stdout. False: there is no more for now.
    pub fn output(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match read(&self.master, &mut buffer) {
            // EIO: the last process has closed the terminal.
            Ok(0) | Err(Errno::IO) => self.master_open = false,
            Ok(count) => {
                let [_, stdout, _] = streams();
                let mut rest = &buffer[..count];
                while !rest.is_empty() {
                    match write(stdout, rest) {
                        Ok(count) => rest = &rest[count..],
                        Err(Errno::INTR | Errno::AGAIN) => {}
                        Err(_) => return false, // EPIPE: nobody reads stdout any more.
                    }
                }
                return true;
            }
            Err(_) => {} // EAGAIN: there is nothing to read.
        }
        false
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        while self.master_open && self.output() {}
        if let Some(saved) = &self.saved {
            let [stdin, ..] = streams();
            let _ = tcsetattr(stdin, OptionalActions::Now, saved); // EIO: the terminal was hung up.
        }
    }
}

fn receive_fd(socket: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let mut name = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut name)];
    recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message
            && let Some(fd) = fds.into_iter().next()
        {
            return Ok(fd);
        }
    }
    Err(Errno::BADF)
}
