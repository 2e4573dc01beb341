//! --pidfd-socket: the caller gets a pidfd of the process.

use std::io::{ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Signal, pidfd_send_signal};

use super::container::{Container, reap, refused, words};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "pidfd",
    create_sends_a_pidfd_of_the_process[Root],
    exec_sends_one_of_its_own[Root],
    socket_that_nobody_reads_is_refused[Root],
);

/// A socket of a caller.
fn listener(context: &Context) -> Result<(UnixListener, PathBuf), String> {
    let path = context.directory.join(format!("p{}", context.id()));
    let listener = UnixListener::bind(&path).map_err(words)?;
    Ok((listener, path))
}

/// What came, and with which fd.
fn received(listener: &UnixListener) -> Result<(String, OwnedFd), String> {
    listener.set_nonblocking(true).map_err(words)?;
    let began = Instant::now();
    let connection = loop {
        match listener.accept() {
            Ok((connection, _)) => break connection,
            Err(e) if e.kind() == ErrorKind::WouldBlock && began.elapsed().as_secs() < 10 => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(e) => return Err(format!("accept: {e}")),
        }
    };
    connection.set_nonblocking(false).map_err(words)?;
    let mut text = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let message =
        recvmsg(&connection, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).map_err(words)?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    let length = message.bytes;
    let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
    let count = fds.len();
    let fd = fds.pop().filter(|_| count == 1).ok_or(format!("{count} fds came"))?;
    Ok((text, fd))
}

fn create_sends_a_pidfd_of_the_process(context: &Context) -> Outcome {
    let (listener, path) = listener(context)?;
    let container = Container::prepared(context, &["sleep", "3600"])?;
    container.create(&["--pidfd-socket", &path.to_string_lossy()])?.success()?;
    let (word, pidfd) = received(&listener)?;
    same("the word", word.as_str(), "standard")?;
    container.vial("start", &[])?.success()?;
    pidfd_send_signal(&pidfd, Signal::KILL).map_err(words)?;
    container.ends()?;
    Ok(container.remove()?)
}

fn exec_sends_one_of_its_own(context: &Context) -> Outcome {
    let (listener, path) = listener(context)?;
    let container = Container::started(context, &["sleep", "3600"])?;
    let socket = path.to_string_lossy().into_owned();
    let pid_file = context.directory.join("pid");
    let file = pid_file.to_string_lossy();
    let options = ["exec", "--detach", "--pid-file", &file, "--pidfd-socket", &socket];
    let command = [&container.id, "/probe", "sleep", "3600"];
    context.vial(&[&options[..], &command].concat())?.success()?;
    let (word, pidfd) = received(&listener)?;
    same("the word", word.as_str(), "setns")?;
    same("the processes", container.pids()?.len(), 2)?;
    pidfd_send_signal(&pidfd, Signal::KILL).map_err(words)?;
    let status = reap(&pid_file)?;
    same("the signal", status.terminating_signal(), Some(9))?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn socket_that_nobody_reads_is_refused(context: &Context) -> Outcome {
    let (listener, path) = listener(context)?;
    drop(listener);
    let before = context.leftovers();
    let container = Container::prepared(context, &["sleep", "3600"])?;
    for path in [&*path.to_string_lossy(), "/no/such/socket"] {
        let done = container.create(&["--pidfd-socket", path])?;
        refused(&done, &format!("connect to the pidfd socket {path}"))?;
    }
    Ok(context.nothing_left_since(&before)?)
}
