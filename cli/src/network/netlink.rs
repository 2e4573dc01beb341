//! rtnetlink(7): as much of it as it takes to move network devices.

use linux_raw_sys::netlink::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

const HEADER: usize = 16;

/// A socket to the kernel, for the network namespace in which it was made.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

/// A message from the kernel, without its header.
pub type Message = Vec<u8>;

impl Netlink {
    /// Makes a socket.
    pub fn new() -> Result<Netlink> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        socket_with(family, kind, SocketFlags::CLOEXEC, None).map(Netlink) // NETLINK_ROUTE is 0.
    }

    /// Asks the kernel to do something. Returns the messages that it sends before it
    /// says that this is done.
    pub fn request(&self, kind: u16, flags: u32, body: &[u8]) -> Result<Vec<Message>> {
        self.ask(kind, NLM_F_REQUEST | NLM_F_ACK | flags, body)
    }

    /// Asks for all objects of a kind.
    pub fn dump(&self, kind: u16, body: &[u8]) -> Result<Vec<Message>> {
        self.ask(kind, NLM_F_REQUEST | NLM_F_DUMP, body)
    }

    fn ask(&self, kind: u16, flags: u32, body: &[u8]) -> Result<Vec<Message>> {
        let length = (HEADER + body.len()) as u32;
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags as u16).to_ne_bytes());
        bytes.extend([0; 8]); // The number and the sender: one request at a time.
        bytes.extend(body);
        send(&self.0, &bytes, SendFlags::empty())?;
        let mut messages = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (length, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = buffer.get(..length).unwrap_or_default();
            while let Some((kind, message, after)) = next(rest) {
                match u32::from(kind) {
                    NLMSG_DONE => return Ok(messages),
                    NLMSG_ERROR => return errno(message).map_or(Ok(messages), Err),
                    _ => messages.push(message.to_vec()),
                }
                rest = after;
            }
        }
    }
}

/// The errno in an answer; none if the request is done.
fn errno(message: &[u8]) -> Option<Errno> {
    let code = message.first_chunk().map_or(-71, |code| i32::from_ne_bytes(*code)); // EPROTO
    (code != 0).then(|| Errno::from_raw_os_error(-code))
}

/// The first message in these bytes: its kind, its body, and what follows it.
fn next(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(padded(length)..).unwrap_or_default()))
}

/// The attributes in these bytes: kind and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(padded(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Adds an attribute to a request.
pub fn add(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = 4 + value.len();
    body.extend((length as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len() + padded(length) - length, 0);
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_and_damage_ends_them() {
        let mut bytes = Vec::new();
        add(&mut bytes, 3, b"eth0\0");
        add(&mut bytes, 4, &7_u32.to_ne_bytes());
        let read: Vec<_> = attributes(&bytes).collect();
        assert_eq!(read, [(3, &b"eth0\0"[..]), (4, &7_u32.to_ne_bytes())]);
        for place in 0..bytes.len() {
            for value in [0, 1, 3, 255] {
                let mut bytes = bytes.clone();
                bytes[place] = value;
                assert!(attributes(&bytes).count() <= 4);
                let _ = next(&bytes);
            }
            assert!(attributes(&bytes[..place]).count() < 2);
        }
    }
}
