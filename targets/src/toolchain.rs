//! Finds a toolchain for a target: rustup's std if it is installed, else Debian's Rust,
//! which builds std from source for any target.
//!
//! Both link with lld itself, so that no C compiler for another architecture is needed.
//! This file adds what a C compiler would: the start files and libc.a of musl.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Error, OnPath};
use crate::{Target, debian};

/// Debian's packages with a Rust that can build its own std.
const DEBIAN_RUST: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// A compiler, a linker and a musl for one target.
#[derive(Debug)]
pub struct Toolchain {
    /// Its name in messages.
    pub name: &'static str,
    cargo: PathBuf,
    rustc: PathBuf,
    lld: PathBuf,
    /// The directory of crt1.o, crti.o, crtn.o and libc.a.
    musl: PathBuf,
    /// A directory with libunwind.a. std links it, but with panic=abort nothing calls it.
    unwind: PathBuf,
    builds_std: bool,
}

impl Toolchain {
    /// The toolchain for that target.
    ///
    /// # Errors
    /// There is neither. The error names the packages that would help.
    pub fn find(target: &Target) -> Result<Self, Error> {
        let forced = std::env::var_os("VIAL_TOOLCHAIN");
        match Self::rustup(target) {
            Some(toolchain) if forced.is_none_or(|name| name != "debian") => Ok(toolchain),
            _ => Self::debian(target).map_err(|error| {
                let triple = target.triple;
                error.during(format!(
                    "no Rust for {triple} (rustup target add {triple}, or Debian's)"
                ))
            }),
        }
    }

    /// The Rust on PATH, if its std for the target is installed.
    fn rustup(target: &Target) -> Option<Self> {
        let musl = std_directory(target.triple)?.join("self-contained");
        Some(Self {
            name: "rustup's std",
            cargo: "cargo".into(),
            rustc: "rustc".into(),
            lld: lld()?,
            unwind: musl.clone(),
            musl,
            builds_std: false,
        })
    }

    /// Debian's Rust and musl, which are installed or fetched if they are missing.
    fn debian(target: &Target) -> Result<Self, Error> {
        debian::install(DEBIAN_RUST)?;
        if lld().is_none() {
            debian::install(&["lld"])?;
        }
        let lld = lld().ok_or_else(|| Error::new("there is neither rust-lld nor ld.lld"))?;
        let musl = debian::unpacked(target.musl_suite, "musl-dev", target.debian)?;
        let musl = musl.join("usr/lib").join(target.musl);
        Ok(Self {
            name: "Debian's Rust, std from source",
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
            lld,
            musl,
            unwind: empty_unwind()?,
            builds_std: true,
        })
    }

    /// A `cargo rustc --profile ship` for the target. The caller adds the binary; the
    /// output goes below `directory`.
    #[must_use]
    pub fn cargo(&self, target: &Target, directory: &Path) -> Command {
        let mut cargo = Command::new(&self.cargo);
        clean_environment(&mut cargo);
        cargo.args(["rustc", "--profile", "ship", "--target", target.triple]);
        cargo.env("RUSTC", &self.rustc);
        cargo.env("CARGO_TARGET_DIR", directory);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags(target));
        if self.builds_std {
            // Debian's Rust is a release, which needs this for -Z options.
            cargo.env("RUSTC_BOOTSTRAP", "1");
            cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
        }
        cargo
    }

    /// One set of flags for all binaries of a target, so that what they share, mostly
    /// std, is built once.
    fn flags(&self, target: &Target) -> OsString {
        let mut flags = vec![
            join("-Clinker=", &self.lld),
            "-Clinker-flavor=ld.lld".into(),
            "-Clink-self-contained=no".into(),
            format!("-Ctarget-feature=+crt-static{}", target.features).into(),
            "-Crelocation-model=static".into(),
            "-Crelro-level=off".into(),
            // Merges functions with equal code. Nothing here compares the addresses of
            // functions, and Rust does not guarantee that they differ.
            "-Clink-arg=--icf=all".into(),
            "-Cforce-unwind-tables=no".into(),
            // If a profile overrides one package, cargo does not pass `strip`.
            "-Cstrip=symbols".into(),
            join("-Lnative=", &self.musl),
            join("-Lnative=", &self.unwind),
        ];
        if self.builds_std {
            flags.extend(["-Zunstable-options".into(), "-Cpanic=immediate-abort".into()]);
        }
        flags.join(std::ffi::OsStr::new("\x1f"))
    }

    /// The start files for a program that uses libc. Their order completes `_init`.
    #[must_use]
    pub fn libc_start(&self) -> Vec<OsString> {
        ["crt1.o", "crti.o", "crtn.o"]
            .iter()
            .map(|file| join("-Clink-arg=", &self.musl.join(file)))
            .collect()
    }
}

/// The directory with std for a target, if the Rust on PATH has it.
pub(crate) fn std_directory(triple: &str) -> Option<PathBuf> {
    let directory = printed("rustc", &["--print", "target-libdir", "--target", triple])?;
    let names = fs::read_dir(&directory)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.into_iter().any(|name| name.starts_with("libstd-")).then_some(directory)
}

/// Removes cargo's variables. `cargo ship` runs under cargo, which sets them for this
/// program and this compiler; a build for another target must not see them.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_cargos =
            text.starts_with("CARGO") && text != "CARGO_HOME" && text != "CARGO_NET_OFFLINE";
        if is_cargos || text.starts_with("RUSTFLAGS") || text == "LD_LIBRARY_PATH" {
            command.env_remove(&name);
        }
    }
}

/// Finds lld. Prefers the one of the Rust on PATH, which is never too old for its
/// output, to the system's.
fn lld() -> Option<PathBuf> {
    let own = || {
        let sysroot = printed("rustc", &["--print", "sysroot"])?;
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let path = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
        path.is_file().then_some(path)
    };
    let system = PathBuf::from("/usr/bin/ld.lld");
    own().or_else(|| system.is_file().then_some(system))
}

/// A directory with an empty libunwind.a: an empty ar archive has eight bytes.
fn empty_unwind() -> Result<PathBuf, Error> {
    let directory = debian::cache()?.join("unwind");
    let path = directory.join("libunwind.a");
    if !path.is_file() {
        fs::create_dir_all(&directory).on_path("create", &directory)?;
        fs::write(&path, "!<arch>\n").on_path("write", &path)?;
    }
    Ok(directory)
}

/// The path that a program prints. None if the program fails.
fn printed(program: &str, arguments: &[&str]) -> Option<PathBuf> {
    let text = command::output(Command::new(program).args(arguments)).ok()?;
    Some(PathBuf::from(text.trim()))
}

fn join(option: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(option);
    joined.push(path);
    joined
}
