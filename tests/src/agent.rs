//! A seccomp agent: receives the listeners of filters, and answers for the calls with
//! SCMP_ACT_NOTIFY (seccomp_unotify(2)).

use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;

use crate::sys::{self, Notification};

/// What an agent answers: a value, an errno, or None to let the kernel make the call.
pub type Answer = Option<Result<i64, i32>>;

/// What an agent has seen so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// What came with each listener.
    pub states: Vec<Value>,
    /// The calls that it has answered.
    pub calls: Vec<Notification>,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// A running agent. Dropping it ends it.
#[derive(Debug)]
pub struct Agent {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts an agent that listens at this path and gives these answers. None from
    /// `answer`: it never answers.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(
        path: &Path,
        answer: impl Fn(&Notification) -> Option<Answer> + Send + 'static,
    ) -> std::io::Result<Agent> {
        let socket = UnixListener::bind(path)?;
        let (seen, stop) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (theirs, until) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || serve(&socket, &theirs, &until, &answer));
        Ok(Agent { seen, stop, thread: Some(thread) })
    }

    /// Looks at what it has seen.
    pub fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It has panicked; the test sees what is missing.
        }
    }
}

/// Serves one request at a time, like an agent that is as simple as possible.
fn serve(
    socket: &UnixListener,
    seen: &Mutex<Seen>,
    stop: &AtomicBool,
    answer: &dyn Fn(&Notification) -> Option<Answer>,
) {
    let mut listeners: Vec<OwnedFd> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut fds = vec![PollFd::new(socket, PollFlags::IN)];
        fds.extend(listeners.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let _ = poll(&mut fds, Some(&pause)); // EINTR: nothing is ready.
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        let mut note = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (fd, ready) in listeners.iter().zip(ready.iter().skip(1)) {
            if !ready.contains(PollFlags::IN) {
                continue;
            }
            let Ok(call) = sys::next_notification(fd) else { continue }; // The caller was killed.
            note.calls.push(call);
            if let Some(answer) = answer(&call) {
                let _ = sys::answer_notification(fd, call.id, answer); // The same.
            }
        }
        listeners = listeners
            .into_iter()
            .zip(ready.iter().skip(1))
            .filter(|(_, ready)| !ready.intersects(PollFlags::HUP | PollFlags::ERR))
            .map(|(fd, _)| fd)
            .collect();
        if ready.first().is_some_and(|ready| ready.contains(PollFlags::IN)) {
            match socket.accept().map_err(|e| e.to_string()).and_then(|(from, _)| receive(&from)) {
                Ok((state, listener)) => {
                    note.states.push(state);
                    listeners.push(listener);
                }
                Err(error) => note.errors.push(error),
            }
        }
    }
}

/// Receives one message, and one fd with its first part.
fn receive(mut from: &UnixStream) -> Result<(Value, OwnedFd), String> {
    let (mut text, fd) = receive_part(from)?;
    let state = match serde_json::from_slice(&text) {
        // crun leaves the connection open.
        Ok(state) => state,
        Err(_) => {
            from.read_to_end(&mut text).map_err(|e| format!("after the first part: {e}"))?;
            serde_json::from_slice(&text).map_err(|e| e.to_string())?
        }
    };
    Ok((state, fd))
}

/// Receives the first part of a message, and its fd.
fn receive_part(from: &UnixStream) -> Result<(Vec<u8>, OwnedFd), String> {
    from.set_read_timeout(Some(Duration::from_secs(5))).map_err(|e| e.to_string())?;
    let mut text = vec![0; 65536];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let message = recvmsg(from, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        .map_err(|errno| format!("recvmsg: {errno}"))?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    text.truncate(message.bytes);
    match <[OwnedFd; 1]>::try_from(fds) {
        Ok([fd]) => Ok((text, fd)),
        Err(fds) => Err(format!("{} fds came", fds.len())),
    }
}

/// Answers one call with 0 once the listener is here, and reads the rest of the message
/// only when the process has ended.
///
/// # Errors
/// The socket cannot be made.
pub fn answer_early(path: &Path) -> std::io::Result<JoinHandle<Result<(), String>>> {
    let socket = UnixListener::bind(path)?;
    Ok(std::thread::spawn(move || {
        let (mut from, _) = socket.accept().map_err(|e| e.to_string())?;
        let (_, listener) = receive_part(&from)?;
        let call = sys::next_notification(&listener).map_err(|e| e.to_string())?;
        sys::answer_notification(&listener, call.id, Some(Ok(0))).map_err(|e| e.to_string())?;
        let patience = Timespec { tv_sec: 5, tv_nsec: 0 };
        poll(&mut [PollFd::new(&listener, PollFlags::empty())], Some(&patience))
            .map_err(|e| e.to_string())?;
        from.read_to_end(&mut Vec::new()).map_err(|e| e.to_string())?;
        Ok(())
    }))
}
