//! Virtual machines: QEMU boots a target's own kernel, with the guest as PID 1 of
//! an initramfs. Nothing is installed, and no change is kept.
//!
//! | root | / in the machine | for |
//! |---|---|---|
//! | tmpfs | a tmpfs over the initramfs, so that `pivot_root` works | the system tests |
//! | initramfs | the initramfs itself, where `pivot_root` fails with EINVAL | boards without a disk |
//! | host | the host's / over 9p, read-only, under an overlay in memory | engines, which are many programs |
//! | systemd | a disk with Debian's systemd as PID 1 | engines, on a host like a user's |

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use vial_targets::command::OnPath;
use vial_targets::ship::{self, Bin};
use vial_targets::{Error, Kernel, Target, debian, disk};

use crate::cgroups::{CGROUPS, Cgroups};
use crate::initramfs::{Content, Initramfs};
use crate::modules::Modules;
use crate::selinux;

/// The directory of our binaries in the machine, whatever its root.
pub const BINARIES: &str = "/run/vial-tests";
/// The line on the console after which the program's own output begins.
pub const BEGIN: &str = "vial-guest: begin";
/// The last line of a run begins with this; the exit code follows.
pub const EXIT: &str = "vial-guest: exit ";
/// The parameter on the kernel's command line that selects the root.
pub const ROOT: &str = "vial.root=";
/// How long a machine may be silent. A test that hangs ends earlier.
const SILENCE: Duration = Duration::from_secs(420);
/// How many stalls the kernel may report while the tests print nothing. It reports
/// one after 21 s, and then once a minute.
const STALLS: u32 = 2;
/// The 9p tag of the host's /.
pub const HOST_TAG: &str = "host";
/// The disk with systemd, as the machine names it.
pub const DISK: &str = "/dev/vda";

/// Modules for the system tests.
const MODULES: &[&str] = &["bfq", "fuse", "overlay", "virtio_pci", "virtio_mmio", "virtio_rng"];
/// Modules for a machine that borrows the host's / and runs engines.
const HOST_MODULES: &[&str] =
    &["virtio_pci", "virtio_rng", "9pnet_virtio", "9p", "overlay", "fuse"];
/// Modules for a machine that boots from a disk; systemd loads the rest.
const DISK_MODULES: &[&str] = &["virtio_pci", "virtio_rng", "virtio_blk", "crc32c_generic", "ext4"];
/// Modules for the engines' networks. nf_tables needs crc32c, which no module
/// declares as a dependency.
const NETWORK_MODULES: &[&str] = &[
    "crc32c_generic",
    "veth",
    "bridge",
    "br_netfilter",
    "nf_tables",
    "nft_compat",
    "nft_chain_nat",
    "nft_ct",
    "nft_fib_inet",
    "xt_MASQUERADE",
    "xt_comment",
    "xt_conntrack",
    "xt_addrtype",
    "xt_multiport",
    "xt_mark",
    "xt_nat",
    "xt_tcpudp",
    "ip_tables",
    "iptable_nat",
    "iptable_filter",
    "tun",
    "dummy",
];

/// Kernel parameters for systemd. The console belongs to the tests.
const SYSTEMD_WORDS: &str = " apparmor=1 security=apparmor systemd.show_status=0 \
     systemd.unit=multi-user.target systemd.mask=serial-getty@ttyS0.service \
     systemd.mask=getty@tty1.service systemd.firstboot=off";

/// The / of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A tmpfs over the initramfs.
    Tmpfs,
    /// The initramfs.
    Initramfs,
    /// The host's /, under an overlay in memory.
    Host,
    /// The disk of [`disk::of`], with systemd as PID 1.
    Systemd,
}

impl Root {
    /// The value of [`ROOT`] on the kernel's command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Root::Tmpfs => "tmpfs",
            Root::Initramfs => "initramfs",
            Root::Host => "host",
            Root::Systemd => "systemd",
        }
    }
}

impl Root {
    /// Whether it is a whole system with engines.
    #[must_use]
    pub fn is_whole(self) -> bool {
        matches!(self, Root::Host | Root::Systemd)
    }
}

/// A machine to boot once.
#[derive(Debug)]
pub struct Machine {
    /// Its processor.
    pub target: &'static Target,
    /// Its kernel.
    pub kernel: &'static Kernel,
    /// Its /.
    pub root: Root,
    /// Its cgroups.
    pub cgroups: Cgroups,
    /// Whether SELinux is on, with the policy of [`selinux`].
    pub selinux: bool,
    /// The program to run, and its arguments. A program without a slash is
    /// looked up among our binaries first.
    pub command: Vec<String>,
    /// The environment variables of that program, as NAME=VALUE.
    pub environment: Vec<String>,
    /// More files to put into [`BINARIES`]: name, and the host's file.
    pub files: Vec<(String, PathBuf)>,
    /// When to give up.
    pub time_limit: Duration,
}

impl Machine {
    /// A machine that runs tests; `words` are the guest's arguments.
    #[must_use]
    pub fn of_tests(
        target: &'static Target,
        kernel: &'static Kernel,
        root: Root,
        words: [&str; 3],
        environment: Vec<String>,
    ) -> Self {
        let command = ["guest"].into_iter().chain(words).map(str::to_owned).collect();
        let time_limit = Duration::from_secs(2400);
        let (cgroups, files) = (Cgroups::default(), Vec::new());
        let selinux = false;
        Self { target, kernel, root, cgroups, selinux, command, environment, files, time_limit }
    }

    /// Boots the machine, passes each line that the program prints to `line`, and
    /// returns the program's exit code.
    ///
    /// # Errors
    /// The machine cannot be built or booted, or ends without an exit code in
    /// time. The error has the last lines of its console.
    pub fn run(&self, line: &mut dyn FnMut(&str)) -> Result<i32, Error> {
        debian::install(&[self.target.qemu.package])?;
        let package = match self.root {
            Root::Host | Root::Systemd => self.target.full_kernel,
            Root::Tmpfs | Root::Initramfs => self.target.kernel,
        };
        let package = self.kernel.unpacked(self.target, package)?;
        let name = format!("{}-{}-{}", self.target.name, self.root.word(), std::process::id());
        let directory = ship::output_directory().join("machines");
        fs::create_dir_all(&directory).on_path("create", &directory)?;
        let initramfs = directory.join(format!("{name}.cpio"));
        self.initramfs(&package)?.write(&initramfs)?;

        let mut qemu = self.qemu(&kernel(&package)?, &initramfs);
        if self.root == Root::Systemd {
            // There is one disk, whichever kernel boots.
            let disk = disk::of(vial_targets::kernel::OF_DISK, self.target)?;
            let disk = format!("file={},format=raw,if=virtio,snapshot=on", disk.display());
            qemu.args(["-drive", &disk]);
        }
        let answer = Console::start(qemu).and_then(|console| console.follow(self.time_limit, line));
        let _ = fs::remove_file(&initramfs); // No other machine uses it.
        answer.map_err(|error| {
            let (kernel, root) = (self.kernel.name, self.root.word());
            error.during(format!("machine {} ({kernel}, {root})", self.target.name))
        })
    }

    /// Packs our binaries, the modules in the order to load, and the command.
    fn initramfs(&self, package: &Path) -> Result<Initramfs, Error> {
        let built = ship::output_directory().join("ship").join(self.target.name);
        let directory = BINARIES.trim_start_matches('/');
        let command = self.command.join("\n").into_bytes();
        let environment = self.environment.join("\n").into_bytes();
        let mut initramfs = Initramfs::default()
            .with("dev", 0o755, Content::Directory)
            .with("dev/console", 0o600, Content::Device(5, 1))
            .with("dev/null", 0o666, Content::Device(1, 3))
            .with("run", 0o755, Content::Directory)
            .with(directory, 0o755, Content::Directory)
            .with("init", 0o755, Content::Link(format!("{BINARIES}/guest")))
            .with(&format!("{directory}/command"), 0o644, Content::Bytes(command))
            .with(&format!("{directory}/environment"), 0o644, Content::Bytes(environment))
            .with("modules", 0o755, Content::Directory);
        for bin in Bin::ALL {
            let file = Content::File(built.join(bin.name()));
            initramfs = initramfs.with(&format!("{directory}/{}", bin.name()), 0o755, file);
        }
        for (name, file) in &self.files {
            let content = Content::File(file.clone());
            initramfs = initramfs.with(&format!("{directory}/{name}"), 0o755, content);
        }
        if self.selinux {
            let policy = Content::File(selinux::policy(&ship::output_directory())?);
            initramfs = initramfs.with(&format!("{directory}/{}", selinux::POLICY), 0o644, policy);
        }
        let modules = match self.root {
            Root::Host => [HOST_MODULES, NETWORK_MODULES].concat(),
            Root::Systemd => DISK_MODULES.to_vec(),
            Root::Tmpfs | Root::Initramfs => MODULES.to_vec(),
        };
        let modules = Modules::of(package)?.in_order(&modules)?;
        for (index, (name, bytes)) in modules.into_iter().enumerate() {
            let path = format!("modules/{index:03}-{name}");
            initramfs = initramfs.with(&path, 0o644, Content::Bytes(bytes));
        }
        Ok(initramfs)
    }

    fn qemu(&self, kernel: &Path, initramfs: &Path) -> Command {
        let qemu = &self.target.qemu;
        // A kernel that stalls says where and panics, so that the tests can go on
        // in another machine. A busy host never stalls it for 60 s.
        let words = format!(
            "console={} panic=-1 quiet loglevel=4 softlockup_panic=1 watchdog_thresh=30 \
             {ROOT}{} {CGROUPS}{}{}{}{}",
            qemu.console,
            self.root.word(),
            self.cgroups.word(),
            match self.cgroups {
                Cgroups::V2 | Cgroups::Undelegated => " cgroup_no_v1=all",
                Cgroups::V1 | Cgroups::Hybrid => "",
            },
            if self.root == Root::Systemd { SYSTEMD_WORDS } else { "" },
            if self.selinux { selinux::WORDS } else { "" }
        );
        let mut command = Command::new(qemu.program);
        command.args(["-machine", qemu.machine, "-smp", "2", "-nodefaults", "-no-reboot"]);
        command.args(["-display", "none", "-monitor", "none", "-serial", "stdio"]);
        command.args(["-device", "virtio-rng-pci"]);
        // KVM may exist and still fail halfway through the boot of these kernels,
        // so it is used only on request.
        if std::env::var_os("VIAL_KVM").is_some_and(|value| value == "1") {
            command.args(["-accel", "kvm", "-cpu", "host"]);
        } else {
            command.args(["-accel", "tcg,thread=multi", "-cpu", qemu.cpu]);
        }
        if self.root == Root::Systemd {
            command.args(["-m", "3072"]);
        } else if self.root == Root::Host {
            command.args(["-m", "3072", "-fsdev"]);
            command.arg("local,id=host,path=/,security_model=none,readonly=on,multidevs=remap");
            command.arg("-device").arg(format!("virtio-9p-pci,fsdev=host,mount_tag={HOST_TAG}"));
        } else {
            command.args(["-m", "1024"]);
        }
        command.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs).args(["-append", &words]);
        command
    }
}

/// The kernel of an unpacked package: boot/vmlinuz-RELEASE, or since Linux 7.2
/// usr/lib/modules/RELEASE/vmlinuz. That of riscv64 is named vmlinux.
fn kernel(package: &Path) -> Result<PathBuf, Error> {
    let entries = |directory: &Path| {
        let all = fs::read_dir(directory).into_iter().flatten();
        all.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>()
    };
    let releases = entries(&package.join("usr/lib/modules"));
    let beside_modules = releases.iter().map(|release| release.join("vmlinuz"));
    let is_kernel = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (name.starts_with("vmlinuz") || name.starts_with("vmlinux")) && path.is_file()
    };
    entries(&package.join("boot"))
        .into_iter()
        .chain(beside_modules)
        .find(is_kernel)
        .ok_or_else(|| Error::new(format!("{} has no kernel", package.display())))
}

/// A running machine, and the lines of its serial port.
struct Console {
    qemu: Child,
    lines: Receiver<String>,
}

impl Console {
    fn start(mut command: Command) -> Result<Self, Error> {
        let program = PathBuf::from(command.get_program());
        let (stdin, null) = (Stdio::null(), Path::new("/dev/null"));
        let stderr = File::options().write(true).open(null).on_path("open", null)?;
        let mut qemu = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(if std::env::var_os("VIAL_CONSOLE").is_some() {
                Stdio::inherit()
            } else {
                stderr.into()
            })
            .spawn()
            .on_path("start", &program)?;
        let (sender, lines) = channel();
        let serial = qemu.stdout.take();
        std::thread::spawn(move || {
            let Some(serial) = serial else { return };
            for line in BufReader::new(serial).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                if sender.send(line).is_err() {
                    return; // The receiver is gone: the time limit has passed.
                }
            }
        });
        Ok(Self { qemu, lines })
    }

    /// Passes on the lines between [`BEGIN`] and [`EXIT`].
    fn follow(mut self, limit: Duration, line: &mut dyn FnMut(&str)) -> Result<i32, Error> {
        let show_all = std::env::var_os("VIAL_CONSOLE").is_some();
        let deadline = Instant::now() + limit;
        let (mut ours, mut code, mut last) = (false, None, Vec::new());
        let (mut heard, mut stalls) = (Instant::now(), 0);
        let why = loop {
            let until = deadline.min(heard + SILENCE);
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                // systemd may reset the terminal on the same line.
                Ok(text) if text.trim().ends_with(BEGIN) => ours = true,
                Ok(text) => {
                    match text.starts_with('[') {
                        // The kernel reports a stuck processor once a minute. That
                        // is no progress: such a processor never recovers.
                        true => stalls += u32::from(text.contains("rcu: INFO:")),
                        false => (heard, stalls) = (Instant::now(), 0),
                    }
                    if stalls == STALLS {
                        last.push(text);
                        break "a processor is stuck".to_owned();
                    }
                    if let Some(number) = text.strip_prefix(EXIT) {
                        code = number.trim().parse().ok();
                        ours = false;
                    } else if ours || show_all {
                        line(&text);
                    }
                    last.push(text);
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    break format!("still running after {limit:?}");
                }
                Err(RecvTimeoutError::Timeout) => break format!("silent for {SILENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => break "ended without an exit code".into(),
            }
        };
        // Killing a process that has exited already is harmless.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let shown = last.len().saturating_sub(40);
        code.ok_or_else(|| Error::new(format!("{why}\n{}", last[shown..].join("\n"))))
    }
}
