//! Boots the systemd of a machine's disk.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use vial_targets::Error;
use vial_targets::command::OnPath;
use vial_tests::vm;

use crate::boot;

/// How long to wait for the kernel to find the disk.
const PATIENCE: Duration = Duration::from_secs(90);
/// The unit that runs the machine's program once the system is up. It has
/// `Delegate`, as the engines' own units do. Only this machine has the unit.
const UNIT: &str = "[Unit]
Description=vial's tests
After=multi-user.target

[Service]
Type=exec
ExecStart=/run/vial-tests/guest job
StandardInput=null
StandardOutput=file:/dev/console
StandardError=inherit
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
TasksMax=infinity
";

/// Mounts the disk, installs the unit, and executes systemd.
pub(super) fn start() -> Result<(), Error> {
    boot::make("/dev")?;
    boot::attach("devtmpfs", "/dev", "devtmpfs", c"mode=755")?;
    let began = Instant::now();
    while !Path::new(vm::DISK).exists() && began.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20));
    }
    boot::make("/new")?;
    boot::attach(vm::DISK, "/new", "ext4", c"")?;
    boot::enter("/new")?;
    let directory = Path::new("/run/systemd/system");
    let wants = directory.join("multi-user.target.wants");
    fs::create_dir_all(&wants).on_path("create", &wants)?;
    let unit = directory.join("vial-tests.service");
    fs::write(&unit, UNIT).on_path("write", &unit)?;
    std::os::unix::fs::symlink(&unit, wants.join("vial-tests.service")).on_path("link", &unit)?;
    let systemd = Path::new("/usr/lib/systemd/systemd");
    let failed = Command::new(systemd).env_clear().exec();
    Err(failed).on_path("start", systemd)
}
