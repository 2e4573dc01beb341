//! Where vial runs: one file per target, and the build that ships for it.
//!
//! A [`Target`] is a machine that vial is built for, tested on and measured on. To add
//! one, write a file of constants like `x86_64.rs`, name it in [`ALL`], and give
//! vial-init an entry file and a system call file for its architecture.
//!
//! - [`ship`] builds the binaries as shipped: musl, static, small, stripped.
//! - [`toolchain`] finds a toolchain: rustup's std if it has the target, else Debian's
//!   Rust, with std built from source.
//! - [`debian`] fetches packages of any architecture into a cache.
//! - [`distribution`] builds them as Yocto, Buildroot and OpenWrt do.
//! - [`disk`] makes the disk of a Debian system with systemd and engines.
//! - [`kernel`] lists the kernels that tests boot.
//!
//! **Invariant:** nothing here changes the system's package architectures. What is
//! fetched is kept in the user's cache, never in the source tree.
#![forbid(unsafe_code)]

mod aarch64;
mod armv7;
pub mod command;
pub mod debian;
pub mod disk;
pub mod distribution;
pub mod elf;
mod i686;
pub mod kernel;
mod riscv64;
pub mod ship;
pub mod toolchain;
mod x86_64;

pub use command::Error;
pub use kernel::Kernel;

/// One KiB, in bytes.
pub const KIB: u64 = 1024;

/// Every target, the most used first.
pub const ALL: &[&Target] =
    &[&x86_64::TARGET, &aarch64::TARGET, &armv7::TARGET, &i686::TARGET, &riscv64::TARGET];

/// Those that `cargo proof` alone builds for and tests. The others are slow to emulate.
pub const USUAL: &[&Target] = &[&x86_64::TARGET, &aarch64::TARGET, &armv7::TARGET, &i686::TARGET];

/// A machine that vial is built for.
#[derive(Debug)]
pub struct Target {
    /// The short name: Rust's word for the architecture.
    pub name: &'static str,
    /// Rust's target triple of both binaries.
    pub triple: &'static str,
    /// Debian's word for the architecture.
    pub debian: &'static str,
    /// The directory below /usr/lib where Debian's musl-dev keeps libc.a.
    pub musl: &'static str,
    /// The Debian suite to take musl-dev from, if this host's may lack the architecture.
    pub musl_suite: Option<&'static str>,
    /// The identity that its ELF files must have.
    pub elf: elf::Identity,
    /// More features for rustc's -Ctarget-feature, each after a comma.
    pub features: &'static str,
    /// The size limits of the shipped binaries.
    pub budget: Budget,
    /// Debian's word for the architecture of the kernel, which may be another one.
    pub kernel_debian: &'static str,
    /// Debian's kernel package for tests: the one that boots fastest.
    pub kernel: &'static str,
    /// Debian's kernel package with 9p, for machines that use the host's / as their
    /// own.
    pub full_kernel: &'static str,
    /// The kernel that tests boot if no other is named.
    pub usual_kernel: &'static Kernel,
    /// The machine to boot that kernel on.
    pub qemu: Qemu,
}

/// The largest sizes in bytes that a target's binaries may have.
#[derive(Debug)]
pub struct Budget {
    /// vial-init.
    pub init: u64,
    /// vial.
    pub cli: u64,
}

/// A machine that QEMU emulates.
#[derive(Debug)]
pub struct Qemu {
    /// The program.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// The value of `-machine`.
    pub machine: &'static str,
    /// The value of `-cpu` when the processor is emulated.
    pub cpu: &'static str,
    /// The kernel's name for the serial console.
    pub console: &'static str,
}

/// The target of the machine that this program runs on.
#[must_use]
pub fn native() -> Option<&'static Target> {
    by_name(match std::env::consts::ARCH {
        "arm" => "armv7",
        "x86" => "i686",
        other => other,
    })
}

/// The target of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Target> {
    ALL.iter().copied().find(|target| target.name == name)
}
