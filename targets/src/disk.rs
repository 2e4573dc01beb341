//! A disk with a Debian system that boots its own systemd. It resembles the machines of
//! users, and has the engines that Debian packages.
//!
//! debootstrap makes the base, the new system's apt adds the rest, and mke2fs(8) writes
//! it all to an ext4 image. The image is made once and kept in the user's cache. It is
//! never written again: QEMU discards what a machine writes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Error, OnPath};
use crate::debian::{self, Archive, KEYRING};
use crate::{Kernel, Target};

/// The packages with the programs that make a disk.
pub const TOOLS: &[&str] = &["debootstrap", "debian-archive-keyring", "e2fsprogs"];
/// A system with logins, and a systemd instance for an ordinary user.
const BASE: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "kmod",
    "procps",
    "iproute2",
    "apparmor",
    "uidmap",
];
/// The engines, other runtimes for them, and the programs that they call.
const ENGINES: &[&str] = &[
    "podman",
    "conmon",
    "crun",
    "runc",
    "containerd",
    "docker.io",
    "docker-cli",
    "buildah",
    "criu",
    "netavark",
    "aardvark-dns",
    "catatonit",
    "passt",
    "slirp4netns",
    "fuse-overlayfs",
    "iptables",
    "busybox-static",
    "golang-github-containers-common",
];
/// Services that tests start themselves, and those that only delay a short boot.
const NOT_AT_BOOT: &[&str] = &[
    "docker.socket",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "netavark-dhcp-proxy.socket",
    "netavark-dhcp-proxy.service",
];
/// The size of the filesystem. The image is sparse.
const SIZE: &str = "4G";
/// The version of the recipe. Increasing it makes the disk again.
const RECIPE: u32 = 1;

/// An ordinary user on the disk, with subordinate ids.
pub const USER: &str = "vialtest";

/// The disk for this kernel's suite. It is made on first use.
///
/// # Errors
/// The user is not root, the host is not Debian, or a tool failed.
pub fn of(kernel: &Kernel, target: &Target) -> Result<PathBuf, Error> {
    let directory = debian::cache()?.join("disks");
    let name = format!("{}-{}-{RECIPE}.ext4", kernel.suite, target.debian);
    let image = directory.join(&name);
    if image.is_file() {
        return Ok(image);
    }
    if !debian::is_root() {
        return Err(Error::new("only root can make the disk of a Debian system"));
    }
    fs::create_dir_all(&directory).on_path("create", &directory)?;
    let _lock = debian::lock(&directory)?;
    // Another process may have made it while this one waited.
    if !image.is_file() {
        let work = directory.join("work");
        let _ = fs::remove_dir_all(&work); // Left by a killed run, if it exists.
        let half = directory.join(format!("{name}.half"));
        make(kernel, target, &work, &half)
            .map_err(|error| error.during(format!("make the disk {name}")))?;
        fs::rename(&half, &image).on_path("put in place", &image)?;
        fs::remove_dir_all(&work).on_path("remove", &work)?;
    }
    Ok(image)
}

fn make(kernel: &Kernel, target: &Target, root: &Path, image: &Path) -> Result<(), Error> {
    let suite = kernel.suite;
    eprintln!("making a disk with Debian {suite}, once, which takes some ten minutes: the base");
    debian::install(TOOLS)?;
    let modules = kernel.unpacked(target, target.full_kernel)?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", "--arch", target.debian, "--keyring", KEYRING]);
    debootstrap.arg(format!("--include={}", BASE.join(",")));
    command::output(debootstrap.arg(suite).arg(root).arg(Archive::of_host()?.main))?;

    eprintln!("making a disk with Debian {suite}: the engines");
    let no_services = root.join("usr/sbin/policy-rc.d");
    fs::write(&no_services, "#!/bin/sh\nexit 101\n").on_path("write", &no_services)?;
    fs::set_permissions(&no_services, fs::Permissions::from_mode(0o755))
        .on_path("make executable", &no_services)?;
    let resolver = root.join("etc/resolv.conf");
    fs::copy("/etc/resolv.conf", &resolver).on_path("write", &resolver)?;
    let install = ["apt-get", "-q", "-y", "-o", "Dpkg::Options::=--force-unsafe-io", "install"];
    inside(root, &[&install[..], &["--no-install-recommends"], ENGINES].concat())?;
    inside(root, &["apt-get", "clean"])?;
    fs::remove_file(&no_services).on_path("remove", &no_services)?;
    for unit in NOT_AT_BOOT {
        inside(root, &["systemctl", "mask", unit])?;
    }
    // These are not masked, because tests start them.
    inside(root, &["systemctl", "disable", "docker.service", "containerd.service"])?;
    inside(root, &["useradd", "--create-home", "--shell", "/bin/sh", USER])?;

    eprintln!("making a disk with Debian {suite}: the kernel's modules, and the image");
    let place = root.join("usr/lib");
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(modules.join("usr/lib/modules")).arg(&place);
    command::output(&mut copy)?;
    for release in fs::read_dir(place.join("modules")).on_path("read", &place)?.flatten() {
        inside(root, &["depmod", &release.file_name().to_string_lossy()])?;
    }
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-F", "-t", "ext4", "-m", "0", "-d"]).arg(root).arg(image).arg(SIZE);
    command::output(&mut mke2fs).map(drop)
}

/// Runs a program of the new system in a chroot.
fn inside(root: &Path, words: &[&str]) -> Result<(), Error> {
    let mut chroot = Command::new("chroot");
    chroot.arg(root).args(words).env_clear();
    chroot.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
    command::output(&mut chroot).map(drop)
}
