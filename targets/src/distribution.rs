//! Builds vial as distributions do, with the Rust of this host: the variables and
//! commands are those of each one's Cargo recipes. The README has what a recipe for
//! vial adds, and the commands here have it, too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Error, OnPath};
use crate::ship::{output_directory, workspace};
use crate::toolchain::{clean_environment, std_directory};

/// How a distribution builds. In the strings, `{source}` is the workspace, `{work}` the
/// build's own directory, `{linker}` the distribution's compiler, `{triple}` the target,
/// and `{TRIPLE}` the target as environment variables spell it.
#[derive(Debug)]
pub struct Distribution {
    /// Its name.
    pub name: &'static str,
    /// The C library of the target, as in the triple.
    libc: &'static str,
    /// What its compiler adds to every link.
    linker: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    /// The arguments of each call of `cargo`.
    commands: &'static [&'static [&'static str]],
    /// Where it looks for executables. It installs all of them.
    output: &'static str,
}

/// All distributions.
pub const ALL: &[&Distribution] = &[&YOCTO, &BUILDROOT, &OPENWRT];

/// Other ways in which they may build.
pub const MORE: &[&Distribution] = &[&BUILDROOT_RELEASE, &MUSL];

/// meta/classes-recipe/cargo.bbclass and cargo_common.bbclass, which writes what
/// `--config` says here to a file.
const YOCTO: Distribution = Distribution {
    name: "Yocto",
    libc: "gnu",
    linker: &["-Wl,-O1", "-Wl,--hash-style=gnu", "-Wl,--as-needed", "-Wl,-z,relro,-z,now"],
    variables: &[
        ("RUST_BACKTRACE", "1"),
        ("RUSTFLAGS", "-L {work}/lib --remap-path-prefix={source}=/usr/src/debug/vial"),
    ],
    commands: &[&[
        "--config=target.{triple}.linker='{linker}'",
        "--config=build.target-dir='{work}'",
        "build",
        "--frozen",
        "--target={triple}",
        "--profile=ship",
        "--manifest-path={source}/Cargo.toml",
    ]],
    output: "{work}/{triple}/ship",
};

/// package/pkg-cargo.mk, with the variables of a configuration that optimizes for
/// speed.
const BUILDROOT: Distribution = Distribution {
    name: "Buildroot",
    libc: "gnu",
    linker: &["-Wl,-z,now", "-Wl,-z,relro"],
    variables: PKG_CARGO_ENV,
    commands: &[&["build", "--offline", "--locked", "--profile=ship"]],
    output: "{work}/{triple}/ship",
};

/// The same, for a recipe that uses pkg-cargo's own build command.
const BUILDROOT_RELEASE: Distribution = Distribution {
    name: "Buildroot by pkg-cargo's own command",
    commands: &[&["build", "--offline", "--release", "--manifest-path=Cargo.toml", "--locked"]],
    output: "{work}/{triple}/release",
    ..BUILDROOT
};

/// With rustup's musl: linked with its start files, by a compiler for gnu.
const MUSL: Distribution = Distribution { name: "Buildroot with musl", libc: "musl", ..BUILDROOT };

const PKG_CARGO_ENV: &[(&str, &str)] = &[
    ("CARGO_TARGET_DIR", "{work}"),
    ("__CARGO_TEST_CHANNEL_OVERRIDE_DO_NOT_USE_THIS", "nightly"),
    ("CARGO_UNSTABLE_HOST_CONFIG", "true"),
    ("CARGO_UNSTABLE_TARGET_APPLIES_TO_HOST", "true"),
    ("CARGO_TARGET_APPLIES_TO_HOST", "false"),
    ("CARGO_BUILD_TARGET", "{triple}"),
    ("CARGO_HOST_RUSTFLAGS", "-C link-args=-L{work}/lib"),
    ("CARGO_TARGET_{TRIPLE}_LINKER", "{linker}"),
    ("CARGO_PROFILE_DEV_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_DEV_LTO", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_SPLIT_DEBUGINFO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "false"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false"),
];

/// lang/rust/rust-values.mk and the packages feed's rust-package.mk. Its libc is musl,
/// but hosts have no compiler for that.
const OPENWRT: Distribution = Distribution {
    name: "OpenWrt",
    libc: "gnu",
    linker: &[],
    variables: &[
        ("CARGO_TARGET_DIR", "{work}"),
        ("CARGO_BUILD_TARGET", "{triple}"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
        ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
        ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
        ("CARGO_PROFILE_RELEASE_LTO", "true"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z"),
        ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
        ("CARGO_PROFILE_RELEASE_PANIC", "unwind"),
        ("CARGO_PROFILE_RELEASE_RPATH", "false"),
        ("CARGO_TARGET_{TRIPLE}_LINKER", "{linker}"),
        ("RUSTFLAGS", "-Ctarget-feature=-crt-static -Clink-arg=-fuse-ld=bfd"),
    ],
    // Its packages call Build/Compile/Cargo once for each program.
    commands: &[
        &[
            "install",
            "--profile=ship",
            "--root={work}/root",
            "--path={source}/cli",
            "--locked",
            "--offline",
        ],
        &[
            "install",
            "--profile=ship",
            "--root={work}/root",
            "--path={source}/init",
            "--locked",
            "--offline",
        ],
    ],
    output: "{work}/root/bin",
};

impl Distribution {
    /// Whether Rust's std for the target is installed here.
    #[must_use]
    pub fn is_here(&self) -> bool {
        std_directory(&self.triple()).is_some()
    }

    /// Builds vial, and returns the files that the distribution would install.
    ///
    /// # Errors
    /// A command failed. The error shows its output.
    pub fn build(&self) -> Result<Vec<PathBuf>, Error> {
        let work = work();
        fs::create_dir_all(&work).on_path("create", &work)?;
        self.write_linker()?;
        let output = PathBuf::from(self.text(self.output));
        // Delete what an earlier build left: it would prove nothing.
        for path in executables(&output)? {
            fs::remove_file(&path).on_path("remove", &path)?;
        }
        for arguments in self.commands {
            let mut cargo = Command::new("cargo");
            clean_environment(&mut cargo);
            cargo.args(arguments.iter().map(|argument| self.text(argument)));
            cargo.envs(
                self.variables.iter().map(|(name, value)| (self.text(name), self.text(value))),
            );
            command::output(cargo.current_dir(workspace()))?;
        }
        executables(&output)
    }

    /// Writes its compiler: a script that calls this host's with its options.
    fn write_linker(&self) -> Result<(), Error> {
        let path = PathBuf::from(self.text("{linker}"));
        let script = format!("#!/bin/sh\nexec gcc {} \"$@\"\n", self.linker.join(" "));
        fs::write(&path, script).on_path("write", &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).on_path("chmod", &path)
    }

    fn triple(&self) -> String {
        format!("{}-unknown-linux-{}", std::env::consts::ARCH, self.libc)
    }

    fn text(&self, text: &str) -> String {
        let (work, triple) = (work(), self.triple());
        let name = self.name.split(' ').next().unwrap_or_default().to_lowercase();
        let linker = work.join(name + "-gcc");
        text.replace("{source}", &workspace().to_string_lossy())
            .replace("{linker}", &linker.to_string_lossy())
            .replace("{work}", &work.to_string_lossy())
            .replace("{TRIPLE}", &triple.to_uppercase().replace('-', "_"))
            .replace("{triple}", &triple)
    }
}

/// One directory for all builds, so that what is equal in them is built once.
fn work() -> PathBuf {
    output_directory().join("distributions")
}

/// Finds executables as cargo.bbclass does: regular files with an execute bit.
fn executables(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.on_path("read", directory)?;
        let status = entry.metadata().on_path("read", &entry.path())?;
        if status.is_file() && status.permissions().mode() & 0o111 != 0 {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}
