//! The wait for a process in the foreground: signals are passed on, the
//! terminal is joined, and the process's end becomes vial's own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use vial_init::sys::signal::{block_only, signalfd};

use crate::error::Error;
use crate::signals;
use crate::terminal::Terminal;

/// Every signal but those that a fault of the program raises.
const PASSED_ON: u64 = !(1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10);

/// A caller that will wait.
#[derive(Debug)]
pub struct Foreground {
    signals: OwnedFd,
    terminal: Option<UnixStream>,
}

impl Foreground {
    /// From now on every signal is kept, to be passed on to the process.
    pub fn prepare() -> Result<Foreground, Error> {
        let failed = |errno| Error::errno("take over signals: signalfd4(2)", errno);
        block_only(PASSED_ON).map_err(failed)?;
        let signals = signalfd(PASSED_ON).map_err(failed)?;
        Ok(Foreground { signals, terminal: None })
    }

    /// A console socket whose other end is read here.
    pub fn offer_terminal(&mut self) -> Result<UnixStream, Error> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|e| Error::io("make a socket pair: socketpair(2)", &e))?;
        self.terminal = Some(ours);
        Ok(theirs)
    }

    /// Waits for the end of a child. Its status, or 128 and the signal.
    pub fn wait(self, pid: Option<Pid>) -> Result<u8, Error> {
        let failed = |errno| Error::errno("wait for the process", errno);
        let mut terminal = self.terminal.as_ref().map(Terminal::receive).transpose()?;
        loop {
            if let Some((_, status)) = waitpid(pid, WaitOptions::NOHANG).map_err(failed)? {
                let code = match status.terminating_signal() {
                    Some(signal) => 128 + signal,
                    None => status.exit_status().unwrap_or(1),
                };
                return Ok(code as u8);
            }
            let (signal, input, output, feed) = self.poll(terminal.as_ref()).map_err(failed)?;
            if signal {
                self.pass_on(pid, terminal.as_ref());
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

    /// Waits for something to do: a signal, input, output, room for input.
    fn poll(&self, terminal: Option<&Terminal>) -> rustix::io::Result<(bool, bool, bool, bool)> {
        let stdin = io::stdin();
        let (wants_input, master) = terminal.map_or((false, None), Terminal::wants);
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if wants_input {
            fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
        }
        if let Some((master, feed)) = master {
            let flags = if feed { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            fds.push(PollFd::from_borrowed_fd(master, flags));
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let mut events = fds.iter().map(PollFd::revents);
        let signal = events.next().is_some_and(|events| !events.is_empty());
        let input = wants_input && events.next().is_some_and(|events| !events.is_empty());
        let master = events.next().unwrap_or(PollFlags::empty());
        let output = master.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        Ok((signal, input, output, master.contains(PollFlags::OUT)))
    }

    fn pass_on(&self, pid: Option<Pid>, terminal: Option<&Terminal>) {
        let mut info = [0; 128];
        let Ok(128) = read(&self.signals, &mut info) else {
            return; // EINTR: it is still there for the next poll.
        };
        let [n0, n1, n2, n3, ..] = info;
        match signals::from_number(i32::from_ne_bytes([n0, n1, n2, n3])) {
            Some(Signal::CHILD) | None => {}
            Some(Signal::WINCH) => {
                if let Some(terminal) = terminal {
                    terminal.resize();
                }
            }
            Some(signal) => {
                if let Some(pid) = pid {
                    let _ = kill_process(pid, signal); // ESRCH: it has ended, as the next wait sees.
                }
            }
        }
    }
}
