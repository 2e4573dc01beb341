//! What systemd is to a service: a socket for $NOTIFY_SOCKET, and what arrives there.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// The message that ends the listener.
const END: &str = "end of the test";

/// A listener. Dropping it ends it.
#[derive(Debug)]
pub struct NotifyHost {
    seen: Arc<Mutex<Vec<String>>>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl NotifyHost {
    /// Listens at a path. Keeps the fd of a barrier for so long.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn at(path: &Path, patience: Duration) -> std::io::Result<NotifyHost> {
        NotifyHost::listen(SocketAddr::from_pathname(path)?, patience)
    }

    /// Listens at an abstract name.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn abstract_at(name: &str) -> std::io::Result<NotifyHost> {
        NotifyHost::listen(SocketAddr::from_abstract_name(name)?, Duration::ZERO)
    }

    fn listen(address: SocketAddr, patience: Duration) -> std::io::Result<NotifyHost> {
        let socket = UnixDatagram::bind_addr(&address)?;
        let seen = Arc::new(Mutex::default());
        let theirs = Arc::clone(&seen);
        let thread = std::thread::spawn(move || serve(&socket, &theirs, patience));
        Ok(NotifyHost { seen, address, thread: Some(thread) })
    }

    /// The messages so far, each with its number of fds if it has any.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for NotifyHost {
    fn drop(&mut self) {
        let sent = UnixDatagram::unbound()
            .and_then(|socket| socket.send_to_addr(END.as_bytes(), &self.address));
        if let (Ok(_), Some(thread)) = (sent, self.thread.take()) {
            let _ = thread.join(); // It has panicked; the test sees what is missing.
        }
    }
}

fn serve(socket: &UnixDatagram, seen: &Mutex<Vec<String>>, patience: Duration) {
    loop {
        let mut text = vec![0; 8192];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let Ok(message) = recvmsg(socket, &mut parts, &mut ancillary, flags) else { return };
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        text.truncate(message.bytes);
        let mut words = String::from_utf8_lossy(&text).into_owned();
        if words == END {
            return;
        }
        if !fds.is_empty() {
            words.push_str(&format!(" and {} fds", fds.len()));
        }
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(words);
        if !fds.is_empty() {
            sleep(patience);
        }
    }
}
