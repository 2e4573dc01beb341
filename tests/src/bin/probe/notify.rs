//! What a service says to its $NOTIFY_SOCKET (sd_notify(3)).

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::net::{UnixDatagram, UnixStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::IoSlice;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// A socket that is connected to $NOTIFY_SOCKET.
fn connected() -> io::Result<UnixDatagram> {
    let path = std::env::var_os("NOTIFY_SOCKET").ok_or(io::ErrorKind::NotFound)?;
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

/// Sends each text as a message. `\n` in it is a newline, `\xff` that byte, and `*9` a text
/// of 9 bytes.
pub(crate) fn say(texts: &[&str]) -> io::Result<()> {
    let socket = connected()?;
    for text in texts {
        let bytes = match text.strip_prefix('*').and_then(|length| length.parse().ok()) {
            Some(length) => format!("STATUS={}", "x".repeat(length)).into_bytes(),
            None => unescaped(text),
        };
        socket.send(&bytes)?;
    }
    Ok(())
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.replace("\\n", "\n").split("\\xff").enumerate() {
        if index > 0 {
            bytes.push(0xff);
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// Sends a text as a message with an fd, and waits until nobody else has the fd.
pub(crate) fn say_with_fd(text: &str) -> io::Result<()> {
    let socket = connected()?;
    let (ours, theirs) = UnixStream::pair()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [theirs.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let parts = [IoSlice::new(text.as_bytes())];
    sendmsg(&socket, &parts, &mut ancillary, SendFlags::empty())?;
    drop(theirs);
    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
    let count = poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&patience))?;
    println!("{}", if count > 0 { "the fd was closed" } else { "the fd is open" });
    Ok(())
}
