//! A process in the foreground: vial passes signals on to it, connects its terminal
//! to the caller's, and ends with its exit status.

pub mod terminal;

use std::cell::RefCell;

use linux_raw_sys::general::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use vial_init::sys::signal::{block_only, signalfd};
use vial_init::sys::stdio::streams;

use self::terminal::Terminal;
use crate::error::Error;
use crate::sd_notify::Proxy;
use crate::signals;
use crate::socket;

/// All signals but those that a fault in vial itself raises.
const PASSED_ON: u64 = !(bit(SIGILL) | bit(SIGTRAP) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGSEGV));

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// What vial needs to wait for a process.
#[derive(Debug)]
pub struct Foreground {
    signals: OwnedFd,
    /// Signals that came before the process existed, to be passed on to it.
    early: RefCell<Vec<Signal>>,
    /// The socket on which stage 2 sends the terminal's master.
    offered: Option<OwnedFd>,
    terminal: Option<Terminal>,
}

impl Foreground {
    /// Blocks signals from now on, to pass them on to the process.
    pub fn prepare() -> Result<Foreground, Error> {
        let failed = |errno| Error::errno("take over signals: signalfd4(2)", errno);
        block_only(PASSED_ON).map_err(failed)?;
        let signals = signalfd(PASSED_ON).map_err(failed)?;
        Ok(Foreground { signals, early: RefCell::default(), offered: None, terminal: None })
    }

    /// Makes a console socket. The terminal's master arrives at its other end.
    pub fn offer_terminal(&mut self) -> Result<OwnedFd, Error> {
        let (ours, theirs) = socket::pair()
            .map_err(|errno| Error::errno("make a socket pair: socketpair(2)", errno))?;
        self.offered = Some(ours);
        Ok(theirs)
    }

    /// Receives the terminal's master. Call this before the process can write.
    pub fn take_terminal(&mut self) -> Result<(), Error> {
        self.terminal = self.offered.take().as_ref().map(Terminal::receive).transpose()?;
        Ok(())
    }

    /// An error if a signal came that ends vial. Others are kept for the process.
    pub fn check(&self) -> Result<(), Error> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Ok(1..) = poll(&mut [PollFd::new(&self.signals, PollFlags::IN)], Some(&at_once)) {
            match self.next_signal() {
                Some(signal @ (Signal::HUP | Signal::INT | Signal::QUIT | Signal::TERM)) => {
                    return Err(Error::ended_by(signals::name(signal), signal.as_raw()));
                }
                Some(signal) => self.early.borrow_mut().push(signal),
                None => {}
            }
        }
        Ok(())
    }

    /// Waits for a child to end, and serves its notify socket. Returns its exit status, or
    /// 128 plus the signal.
    pub fn wait(mut self, pid: Option<Pid>, proxy: Option<&Proxy>) -> Result<u8, Error> {
        let failed = |errno| Error::errno("wait for the process", errno);
        let mut terminal = self.terminal.take();
        // No SIGCHLD was read yet, so the child may have ended already.
        let mut may_have_ended = terminal.is_some();
        for signal in self.early.take() {
            may_have_ended |= signal == Signal::CHILD;
            pass_on(signal, pid, terminal.as_ref());
        }
        loop {
            if may_have_ended
                && let Some((_, status)) = waitpid(pid, WaitOptions::NOHANG).map_err(failed)?
            {
                let code = match status.terminating_signal() {
                    Some(signal) => 128 + signal,
                    None => status.exit_status().unwrap_or(1),
                };
                if let Some(proxy) = proxy {
                    proxy.finish();
                }
                return Ok(code as u8);
            }
            // Without a terminal and a proxy there are only signals: block on the next one.
            let (signal, input, output, feed) = match (&terminal, proxy) {
                (None, None) => (true, false, false, false),
                _ => self.poll(terminal.as_ref(), proxy).map_err(failed)?,
            };
            if let Some(proxy) = proxy {
                proxy.serve();
            }
            if signal && let Some(signal) = self.next_signal() {
                may_have_ended |= signal == Signal::CHILD;
                pass_on(signal, pid, terminal.as_ref());
            }
            if let Some(terminal) = &mut terminal {
                if input {
                    terminal.input();
                }
                if feed {
                    terminal.feed();
                }
                if output {
                    terminal.output();
                }
            }
        }
    }

    /// Waits by poll(2) for a signal, input, output, room for input, or a message.
    fn poll(
        &self,
        terminal: Option<&Terminal>,
        proxy: Option<&Proxy>,
    ) -> rustix::io::Result<(bool, bool, bool, bool)> {
        let [stdin, ..] = streams();
        let (wants_input, master) = terminal.map_or((false, None), Terminal::wants);
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if wants_input {
            fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
        }
        if let Some((master, feed)) = master {
            let flags = if feed { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            fds.push(PollFd::from_borrowed_fd(master, flags));
        }
        // Last, as only those before it are told apart.
        fds.extend(proxy.map(|proxy| PollFd::from_borrowed_fd(proxy.fd(), PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let mut events = fds.iter().map(PollFd::revents);
        let signal = events.next().is_some_and(|events| !events.is_empty());
        let input = wants_input && events.next().is_some_and(|events| !events.is_empty());
        let master = master.and_then(|_| events.next()).unwrap_or(PollFlags::empty());
        let output = master.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        Ok((signal, input, output, master.contains(PollFlags::OUT)))
    }

    fn next_signal(&self) -> Option<Signal> {
        let mut info = [0; 128];
        let Ok(128) = read(&self.signals, &mut info) else {
            return None; // EINTR: the next poll finds it again.
        };
        let [n0, n1, n2, n3, ..] = info;
        signals::from_number(i32::from_ne_bytes([n0, n1, n2, n3]))
    }
}

fn pass_on(signal: Signal, pid: Option<Pid>, terminal: Option<&Terminal>) {
    match (signal, pid) {
        (Signal::CHILD, _) | (_, None) => {}
        (Signal::WINCH, _) => {
            if let Some(terminal) = terminal {
                terminal.resize();
            }
        }
        (signal, Some(pid)) => {
            let _ = kill_process(pid, signal); // ESRCH: it has ended; the next wait sees that.
        }
    }
}
