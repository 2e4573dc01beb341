//! Checks that run no container.

use std::process::Command;

use vial_targets::command;
use vial_targets::ship::{self, Bin};
use vial_targets::{ALL, Error, Target, USUAL, debian, disk};
use vial_tests::runner::Totals;

/// Packages that the proof calls, and those that unit tests compare with: the
/// system libseccomp, the engines' seccomp profile, and readers of completions and
/// manual pages.
const PACKAGES: &[&str] = &[
    "xz-utils",
    "busybox-static",
    "python3-seccomp",
    "golang-github-containers-common",
    "iproute2",
    "zsh",
    "fish",
    "groff-base",
];
/// What the engine tests run in the machine that borrows this host's /. podman's
/// package does not require everything that podman calls: netavark even for a
/// container without a network, iptables for a bridge, catatonit for `--init` and
/// for a pod's own container. uidmap is for users that are not root.
const ENGINES: &[&str] = &[
    "podman",
    "conmon",
    "crun",
    "runc",
    "netavark",
    "aardvark-dns",
    "iptables",
    "catatonit",
    "uidmap",
];

/// Installs missing packages, and fetches the usual kernel for each target.
pub(crate) fn packages(all: bool) -> Result<Totals, Error> {
    let targets = if all { ALL } else { USUAL };
    let qemu = targets.iter().map(|target| target.qemu.package);
    let engines = ENGINES.iter().filter(|_| all);
    let all: Vec<&str> =
        PACKAGES.iter().chain(disk::TOOLS).chain(engines).copied().chain(qemu).collect();
    debian::install(&all)?;
    for target in targets {
        target.usual_kernel.unpacked(target, target.kernel)?;
    }
    Ok(passed())
}

/// rustfmt, clippy and rustdoc, without any warning. vial-init's program is
/// checked separately: see init/Cargo.toml.
pub(crate) fn lints() -> Result<Totals, Error> {
    const FORMAT: &[&str] = &["fmt", "--all", "--check"];
    const DOCUMENTATION: &[&str] = &["doc", "--quiet", "--workspace", "--no-deps"];
    const CLIPPY: &[&str] = &["clippy", "--quiet", "--workspace", "--all-targets"];
    const CLIPPY_OF_INIT: &[&str] = &["clippy", "--quiet", "--package", "vial-init", "--bins"];
    let mut totals = Totals::default();
    for arguments in [FORMAT, CLIPPY, CLIPPY_OF_INIT, DOCUMENTATION] {
        let mut cargo = cargo();
        cargo.args(arguments).env("RUSTDOCFLAGS", "-D warnings");
        if arguments[0] == "clippy" {
            cargo.args(["--", "-D", "warnings"]);
        }
        let name = format!("cargo {}", arguments.join(" "));
        check(&name, command::watched(&mut cargo), &mut totals);
    }
    Ok(totals)
}

/// `cargo test` of the whole workspace; adds up libtest's totals.
pub(crate) fn unit_tests() -> Result<Totals, Error> {
    let mut cargo = cargo();
    cargo.args(["test", "--quiet", "--workspace", "--no-fail-fast"]);
    let done = cargo.output().map_err(|error| Error::new(format!("start cargo test: {error}")))?;
    let said = String::from_utf8_lossy(&done.stdout);
    let mut totals = Totals::default();
    for counts in said.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        totals.passed += count(counts, " passed");
        totals.failed += count(counts, " failed");
        totals.skipped += count(counts, " ignored");
    }
    if !done.status.success() {
        println!("{said}{}", String::from_utf8_lossy(&done.stderr));
        totals.failed = totals.failed.max(1);
    }
    println!("{totals}");
    Ok(totals)
}

/// Checks that vial-init has no panic except in rustix, which asserts what the
/// kernel returns. Reads the locations of panics from a build that keeps them.
pub(crate) fn no_panic() -> Result<Totals, Error> {
    let directory = ship::output_directory().join("panic-places");
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--release", "--package", "vial-init"]);
    cargo.args(["--features", "panic-places"]).env("CARGO_TARGET_DIR", &directory);
    command::watched(&mut cargo)?;
    let path = directory.join("release/vial-init");
    let bytes =
        std::fs::read(&path).map_err(|error| Error::new(format!("read {path:?}: {error}")))?;
    let texts = bytes.split(|byte| !byte.is_ascii_graphic());
    let places: Vec<_> =
        texts.map(String::from_utf8_lossy).filter(|text| text.ends_with(".rs")).collect();
    let theirs = places.iter().all(|place| place.contains("/rustix-"));
    let found = if theirs { Ok(()) } else { Err(Error::new(places.join(", "))) };
    let mut totals = Totals::default();
    // A build without any location has kept none, and proves nothing.
    let kept = if places.is_empty() { Err(Error::new("no place was kept")) } else { found };
    check("vial-init has no panic of its own", kept, &mut totals);
    Ok(totals)
}

/// Builds the shipped binaries and the tests' own for one target, and checks the
/// size budgets.
pub(crate) fn ship(target: &Target) -> Result<Totals, Error> {
    let directory = ship::build(target, Bin::ALL)?;
    let mut totals = Totals::default();
    for weight in ship::weigh(target, Bin::ALL, &directory)? {
        let budget = weight.budget.map_or_else(String::new, |most| format!(" of {most}"));
        let over = Error::new("over budget");
        let fits = if weight.fits() { Ok(()) } else { Err(over) };
        let name = format!("{:<9} {:>9} bytes{budget}", weight.bin.name(), weight.bytes);
        check(&name, fits, &mut totals);
    }
    Ok(totals)
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(ship::workspace());
    cargo
}

pub(crate) fn check(name: &str, result: Result<(), Error>, totals: &mut Totals) {
    match result {
        Ok(()) => {
            println!("{name} ... ok");
            totals.passed += 1;
        }
        Err(error) => {
            println!("{name} ... FAILED ({error})");
            totals.failed += 1;
        }
    }
}

fn passed() -> Totals {
    Totals { passed: 1, ..Totals::default() }
}

/// The number before `word` in "ok. 3 passed; 0 failed; ...".
fn count(counts: &str, word: &str) -> usize {
    let front = counts.split(word).next().unwrap_or_default();
    front.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
