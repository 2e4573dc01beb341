//! A container that runs detached, because it has a terminal: a runtime sends the master
//! over a console socket.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, WaitOptions, waitpid};
use serde_json::Value;
use vial_targets::Error;
use vial_targets::command::{self, OnPath};

use super::normal;
use super::runtime::{ID, PATIENCE, Runtime, cgroup, wait};
use super::stage::Stage;
use crate::processes;

impl Runtime {
    /// The container's report and the files of its cgroup, if it has started.
    pub(super) fn run_detached(
        &self,
        stage: &Stage,
        config: &Value,
        errors: File,
    ) -> Result<Option<(Value, Value)>, Error> {
        let place = |name: &str| stage.directory.join(name);
        let (socket, pid_file) = (place("console"), place("pid"));
        for file in [&socket, &pid_file] {
            let _ = fs::remove_file(file); // There is none before the first case.
        }
        let listener = UnixListener::bind(&socket).on_path("listen at", &socket)?;
        let mut command = self.command_to_run(stage, config);
        command.args(["--detach", "--console-socket"]).arg(&socket);
        command.arg("--pid-file").arg(&pid_file).arg(ID);
        // Not /dev/null: crun gives what it finds there to the user of the container.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let line = first_line(listener);
        let mut child = command.spawn().on_path("start", &self.program)?;
        let has_started = wait(&mut child)?.success();
        let said = has_started.then(|| line.recv_timeout(PATIENCE).ok()).flatten();
        let cgroup = normal::cgroup_files(&cgroup());
        let Some((text, mut master)) = said else {
            let _ = std::os::unix::net::UnixStream::connect(&socket); // Ends the thread.
            return Ok(None);
        };
        let Ok(mut report) = serde_json::from_str::<Value>(&text) else { return Ok(None) };
        // The end of the probe's input. EIO: it has ended.
        let _ = master.write_all(&[4]);
        report["end"] = end(&pid_file).into();
        drop(master);
        let _ = command::output(self.command(stage).args(["delete", ID])); // Seen by what is left.
        Ok(Some((report, cgroup)))
    }
}

/// How the process ended, in the words of `ExitStatus`.
fn end(pid_file: &Path) -> String {
    let pid = fs::read_to_string(pid_file).unwrap_or_default();
    let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) else {
        return "no pid".to_owned();
    };
    let began = std::time::Instant::now();
    while began.elapsed() < PATIENCE {
        match waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => {
                return status
                    .exit_status()
                    .map_or_else(|| format!("{status:?}"), |code| format!("exit status: {code}"));
            }
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(1)),
            Err(errno) => return format!("{errno}"),
        }
    }
    processes::end_descendants(std::process::id());
    "it does not end".to_owned()
}

/// The first line that a terminal shows, and its master.
fn first_line(listener: UnixListener) -> Receiver<(String, File)> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let Some(master) = master(&listener) else { return };
        let Ok(reader) = master.try_clone() else { return };
        let mut text = String::new();
        let _ = BufReader::new(reader).read_line(&mut text); // EIO: what came is all.
        let _ = sender.send((text, master)); // The receiver may have given up.
    });
    receiver
}

/// The fd that comes over a console socket.
fn master(listener: &UnixListener) -> Option<File> {
    let (from, _) = listener.accept().ok()?;
    let mut name = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut name)];
    recvmsg(&from, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    fds.pop().map(File::from)
}
