//! Network devices for a container: a pair of veth devices, in a network namespace that
//! stands for the host's.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use serde_json::Value;
use vial_targets::Error;
use vial_targets::command::OnPath;

use crate::sys;

/// The devices, with addresses and without. They end with their namespace.
const DEVICES: &str = "\
link add v0 type veth peer name v1
link set v0 mtu 1400 address 02:00:00:00:00:07
link set v1 address 02:00:00:00:00:08
address add 10.1.2.3/24 brd 10.1.2.255 dev v0
address add 10.7.0.1 peer 10.7.0.2/32 dev v0
address add fd00::1/64 dev v0 nodad
address add 10.1.3.3/24 dev v1
link set v0 up
";

/// Holds the network namespace that this thread had before.
#[derive(Debug)]
pub(super) struct Host(File);

impl Host {
    /// Puts this thread into a new network namespace with the devices, if the document
    /// asks for some.
    pub(super) fn start(config: &Value) -> Result<Option<Self>, Error> {
        if config["linux"]["netDevices"].is_null() {
            return Ok(None);
        }
        let path = "/proc/thread-self/ns/net";
        let host = Host(File::open(path).on_path("open", path.as_ref())?);
        let flags = libc::CLONE_NEWNET as usize;
        sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0])
            .map_err(|error| Error::new(format!("unshare: {error}")))?;
        // From here on, dropping it brings the thread back.
        ip(DEVICES)?;
        Ok(Some(host))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let (fd, kind) = (self.0.as_raw_fd() as usize, libc::CLONE_NEWNET as usize);
        let _ = sys::call(libc::SYS_setns, [fd, kind, 0, 0, 0, 0]); // root may do that.
    }
}

fn ip(lines: &str) -> Result<(), Error> {
    let failed = |what: String| Error::new(format!("ip -batch -: {what}"));
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes()).map_err(|error| failed(error.to_string()))?;
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

/// Whether this machine has ip(8).
pub(super) fn has_ip() -> bool {
    ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"]
        .iter()
        .any(|path| std::fs::exists(path).unwrap_or(false))
}
