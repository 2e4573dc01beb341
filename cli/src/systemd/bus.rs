//! A connection to systemd: by its own socket, or by a bus of D-Bus. On both, D-Bus is
//! spoken.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::message::{self, Body, ERROR, FIXED, Message, Method, RETURN, SIGNAL};
use crate::error::Error;
use crate::file::{read_once, write_all};
use crate::socket;

/// How often `check` is asked while systemd does not answer.
const PERIOD: Duration = Duration::from_millis(100);
/// The longest line of the handshake.
const LONGEST_LINE: usize = 512;

const BUS: Method<'_> = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "",
};

/// Which socket systemd is reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Its path, or `@` and the name of an abstract one.
    pub(super) name: Vec<u8>,
    /// Whether it is a bus, on which others are, too.
    pub(super) is_bus: bool,
}

impl Address {
    fn words(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

/// An error if vial should not wait any longer.
pub(super) type Check<'a> = &'a dyn Fn() -> Result<(), Error>;

/// A connection.
pub(super) struct Bus<'a> {
    socket: OwnedFd,
    words: String,
    serial: u32,
    /// What was received beyond the last message.
    rest: Vec<u8>,
    deadline: Instant,
    check: Check<'a>,
}

impl<'a> Bus<'a> {
    /// Connects to the first of these addresses that answers.
    pub(super) fn connect(
        addresses: &[Address],
        patience: Duration,
        check: Check<'a>,
    ) -> Result<Bus<'a>, Error> {
        let mut failed = Error::new("systemd cannot be reached: no socket of it is known");
        for address in addresses {
            let words = address.words();
            match address.connect(patience) {
                Ok(socket) => {
                    let mut bus = Bus::new(socket, words, patience, check)?;
                    bus.shake_hands()?;
                    if address.is_bus {
                        bus.join()?;
                    }
                    return Ok(bus);
                }
                Err(errno) => {
                    let what = format_args!("connect to systemd at {words}: connect(2)");
                    failed = Error::errno(what, errno);
                }
            }
        }
        Err(failed)
    }

    pub(super) fn new(
        socket: OwnedFd,
        words: String,
        patience: Duration,
        check: Check<'a>,
    ) -> Result<Bus<'a>, Error> {
        set_socket_timeout(&socket, Timeout::Recv, Some(PERIOD))
            .map_err(|errno| Error::errno("talk to systemd: setsockopt(2)", errno))?;
        let deadline = Instant::now() + patience;
        Ok(Bus { socket, words, serial: 0, rest: Vec::new(), deadline, check })
    }

    /// Authenticates (D-Bus Specification, "Authentication Protocol"). The identity is
    /// empty: the other side takes the one that the kernel tells (SO_PEERCRED). A uid
    /// would have to be that of its user namespace, which vial may not know.
    ///
    /// BEGIN is sent with the rest, as sd-bus(3) does: systemd does not see a call that
    /// it reads together with BEGIN, until something else comes.
    pub(super) fn shake_hands(&mut self) -> Result<(), Error> {
        self.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        // Before version 246, systemd says OK at once, and again to DATA.
        let mut is_known = false;
        for _ in 0..2 {
            match self.line()?.as_slice() {
                b"DATA" => {}
                [b'O', b'K', ..] => is_known = true,
                [b'R', b'E', b'J', b'E', b'C', b'T', ..] => {
                    let what = format_args!("systemd at {} refuses this user", self.words);
                    return Err(Error::new(what));
                }
                _ => return Err(self.nonsense()),
            }
        }
        if is_known { Ok(()) } else { Err(self.nonsense()) }
    }

    /// Becomes a member of the bus, and asks for the signal that ends a job.
    fn join(&mut self) -> Result<(), Error> {
        self.ask(Method { member: "Hello", ..BUS }, "", &Body::default())?.value()?;
        let mut rule = Body::default();
        rule.text("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'");
        self.ask(Method { member: "AddMatch", ..BUS }, "s", &rule)?.value()?;
        Ok(())
    }

    /// Calls a method, and returns its reply.
    pub(super) fn ask(
        &mut self,
        method: Method<'_>,
        signature: &str,
        body: &Body,
    ) -> Result<Reply, Error> {
        self.serial += 1;
        let serial = self.serial;
        self.send(&message::call(serial, method, signature, body))?;
        let mut signals = Vec::new();
        loop {
            let message = self.receive()?;
            match message.kind {
                RETURN | ERROR if message.reply_to == serial => {
                    return Ok(Reply { message, signals });
                }
                SIGNAL => signals.push(message),
                _ => {}
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        write_all(&self.socket, bytes).map_err(|errno| match errno {
            Errno::PIPE | Errno::CONNRESET => self.closed(),
            Errno::AGAIN => self.silent(),
            errno => Error::errno(format_args!("send to systemd at {}", self.words), errno),
        })
    }

    /// The next message.
    pub(super) fn receive(&mut self) -> Result<Message, Error> {
        self.fill(FIXED)?;
        let fixed = self.rest.first_chunk().ok_or_else(|| self.nonsense())?;
        let length = message::length(fixed).ok_or_else(|| self.nonsense())?;
        self.fill(length)?;
        let rest = self.rest.split_off(length);
        let bytes = std::mem::replace(&mut self.rest, rest);
        Message::read(&bytes).ok_or_else(|| self.nonsense())
    }

    /// A line of the handshake, without its end.
    fn line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(at) = self.rest.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.rest.split_off(at + 2);
                let mut line = std::mem::replace(&mut self.rest, rest);
                line.truncate(at);
                return Ok(line);
            }
            if self.rest.len() > LONGEST_LINE {
                return Err(self.nonsense());
            }
            self.fill(self.rest.len() + 1)?;
        }
    }

    /// Reads until this many bytes are there.
    fn fill(&mut self, length: usize) -> Result<(), Error> {
        let mut buffer = [0; 4096];
        while self.rest.len() < length {
            match read_once(&self.socket, &mut buffer) {
                Ok(0) | Err(Errno::CONNRESET) => return Err(self.closed()),
                Ok(count) => self.rest.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(Errno::AGAIN) => (self.check)()?,
                Err(errno) => {
                    let what = format_args!("hear from systemd at {}", self.words);
                    return Err(Error::errno(what, errno));
                }
            }
            if Instant::now() > self.deadline {
                return Err(self.silent());
            }
        }
        Ok(())
    }

    fn closed(&self) -> Error {
        Error::new(format_args!("systemd closed the connection at {}", self.words))
    }

    fn silent(&self) -> Error {
        Error::new(format_args!("systemd at {} did not answer in time", self.words))
            .hint("see `systemctl list-jobs` and `journalctl -b _PID=1`")
    }

    fn nonsense(&self) -> Error {
        Error::new(format_args!("what answers at {} does not speak D-Bus", self.words))
    }
}

/// The reply to a call, and the signals that came before it.
#[derive(Debug)]
pub(super) struct Reply {
    message: Message,
    pub(super) signals: Vec<Message>,
}

/// An error that the other side has told.
#[derive(Debug)]
pub(super) struct Told {
    /// Its name, as in `org.freedesktop.systemd1.UnitExists`.
    pub(super) name: String,
    /// What it says, a sentence.
    pub(super) says: String,
}

impl Reply {
    /// The first text in it, or the error.
    pub(super) fn value(self) -> Result<String, Told> {
        let first = self.message.texts().first().map(|text| (*text).to_owned());
        match self.message.kind {
            ERROR => Err(Told { says: first.unwrap_or_default(), name: self.message.error }),
            _ => Ok(first.unwrap_or_default()),
        }
    }
}

impl From<Told> for Error {
    fn from(told: Told) -> Error {
        // systemd ends its sentences with a full stop.
        let says = told.says.trim_end_matches('.');
        Error::new(format_args!("{says} ({})", told.name))
    }
}

impl Address {
    fn connect(&self, patience: Duration) -> rustix::io::Result<OwnedFd> {
        match self.name.as_slice() {
            [b'@', name @ ..] => socket::connect_abstract(name),
            path => socket::connect_within(Path::new(std::ffi::OsStr::from_bytes(path)), patience),
        }
    }

    /// A path that need not exist.
    pub(super) fn path(path: PathBuf, is_bus: bool) -> Address {
        Address { name: path.into_os_string().into_vec(), is_bus }
    }

    /// The addresses of Unix sockets in a list such as
    /// `unix:path=/run/user/1000/bus,guid=0f;unix:abstract=x` (D-Bus Specification,
    /// "Server Addresses").
    pub(super) fn listed(list: &OsString) -> Vec<Address> {
        let of_unix = |one: &[u8]| {
            let pairs = one.strip_prefix(b"unix:")?;
            pairs.split(|byte| *byte == b',').find_map(|pair| {
                let name = match pair.strip_prefix(b"path=") {
                    Some(path) => unescape(path),
                    None => [b"@", &*unescape(pair.strip_prefix(b"abstract=")?)].concat(),
                };
                Some(Address { name, is_bus: true })
            })
        };
        list.as_bytes().split(|byte| *byte == b';').filter_map(of_unix).collect()
    }
}

/// Replaces `%2f` by the byte.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%');
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
#[path = "tests/bus.rs"]
mod tests;
