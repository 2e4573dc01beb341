//! Deeds of the probe as a hook.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::mount_bind;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

use crate::deeds::text;
use crate::report;

/// Appends a line of JSON to a file: the name, what came over stdin, and the report.
/// The other words are a command, whose output becomes part of the line.
pub(crate) fn note(file: &str, name: &str, command: &[&str]) -> io::Result<()> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let said = match command {
        [] => Value::Null,
        [program, arguments @ ..] => {
            let done = Command::new(program).args(arguments).output()?;
            String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned().into()
        }
    };
    let status = text("/proc/self/status").unwrap_or_default();
    let is_mask = |line: &&str| line.starts_with("SigBlk") || line.starts_with("SigIgn");
    let signals = status.lines().filter(is_mask);
    let line = json!({
        "name": name,
        "input": input,
        "said": said,
        "signals": signals.collect::<Vec<_>>(),
        "report": report::everything(),
    });
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// Enters the mount namespace of the container whose state comes over stdin, binds
/// `source` on `target`, and makes a device node like /dev/zero at `device`. Both paths
/// are below the rootfs.
pub(crate) fn add_to_container(source: &str, target: &str, device: &str) -> io::Result<()> {
    let state: Value = serde_json::from_reader(io::stdin())?;
    let rootfs = Path::new(state["bundle"].as_str().unwrap_or_default()).join("rootfs");
    let namespace = std::fs::File::open(format!("/proc/{}/ns/mnt", state["pid"]))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))?;
    mount_bind(source, rootfs.join(target))?;
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, rootfs.join(device), FileType::CharacterDevice, mode, makedev(1, 5))?;
    Ok(())
}
