//! `cargo measure`: measures vial, other runtimes, and the least that the start of a
//! container needs.
//!
//!     cargo measure              in a virtual machine, and on this host
//!     cargo measure --vm         in the machine alone
//!     cargo measure --native     on this host alone, which needs root
//!     cargo measure --rounds N   N rounds, and five times as many on the host
//!     cargo measure --kernel K   in a machine with that kernel: 5.10, 6.1, 6.12, newest
//!     cargo measure --systemd    in the machine with Debian 13's systemd and runtimes;
//!                                after --kernel K on that kernel
//!     cargo measure --mounts N   with N more mounts
//!     cargo measure --beside D   also another build of vial, which lies in directory D
//!
//! All runtimes get the same bundle and take turns in one run. The time of a run that
//! fails never counts. The other runtimes are those that this host has installed.
#![forbid(unsafe_code)]

mod bundles;
mod here;
mod memory;
mod profile;
mod results;
mod rows;
mod runtime;
mod statistics;
mod table;
mod timing;
mod trace;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use vial_targets::command::OnPath;
use vial_targets::kernel::{self, Kernel};
use vial_targets::ship::{self, Bin};
use vial_targets::{Error, Target, debian};
use vial_tests::ptrace;
use vial_tests::vm::{BINARIES, Machine, Root};

use crate::results::Results;
use crate::runtime::{BEFORE, FLOOR, Runtime, VIAL};

/// The default number of rounds in a machine.
const ROUNDS: u32 = 15;
/// The host is faster than the machine, so it does this many times as many rounds.
const ROUNDS_OF_HOST: u32 = 5;
/// The other runtimes, and what the bundles are made of.
const PACKAGES: &[&str] =
    &["busybox-static", "crun", "runc", "golang-github-containers-common", "xz-utils"];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let result = match words[..] {
        ["traced", ..] => {
            Err(Error::new(format!("be traced: {}", ptrace::be_traced(&arguments[1..]))))
        }
        ["here", binaries, rounds, mounts] => here(Path::new(binaries), rounds, mounts),
        _ => match wanted(&words) {
            Some(wanted) => all(wanted),
            None => {
                eprintln!(
                    "usage: cargo measure [--rounds N] [--vm | --native] \
                     [--kernel K | --systemd] [--mounts N] [--beside DIRECTORY]"
                );
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE, // A target was missed; the output says which.
        Err(error) => {
            eprintln!("measure: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Wanted {
    rounds: u32,
    vm: bool,
    native: bool,
    /// The machine's kernel and root.
    kernel: &'static Kernel,
    root: Root,
    /// How many mounts to add.
    mounts: u32,
    /// Another build of vial.
    beside: Option<PathBuf>,
}

fn wanted(words: &[&str]) -> Option<Wanted> {
    let mut wanted = Wanted {
        rounds: ROUNDS,
        vm: true,
        native: true,
        kernel: kernel::USUAL,
        root: Root::Host,
        mounts: 0,
        beside: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--rounds" => wanted.rounds = words.next()?.parse().ok().filter(|n| *n > 0)?,
            "--vm" => wanted.native = false,
            "--native" => wanted.vm = false,
            "--kernel" => {
                wanted.kernel = Kernel::by_name(words.next()?)?;
                wanted.native = false;
            }
            "--systemd" => {
                wanted.root = Root::Systemd;
                if wanted.kernel == kernel::USUAL {
                    wanted.kernel = kernel::OF_DISK;
                }
                wanted.native = false;
            }
            "--mounts" => wanted.mounts = words.next()?.parse().ok()?,
            "--beside" => wanted.beside = Some(words.next()?.into()),
            _ => return None,
        }
    }
    (wanted.vm || wanted.native).then_some(wanted)
}

/// Builds, measures and prints. Returns whether every target is met.
fn all(wanted: Wanted) -> Result<bool, Error> {
    let target = vial_targets::by_name("x86_64").ok_or_else(|| Error::new("no such target"))?;
    debian::install(PACKAGES)?;
    let directory = ship::build(target, &[Bin::ALL, &[Bin::Floor]].concat())?;
    put_beside(&directory, wanted.beside.as_deref())?;
    let mut found = Vec::new();
    if wanted.vm {
        found.push(("in the machine", in_machine(target, &directory, &wanted)?));
    }
    let is_here = vial_targets::native().is_some_and(|native| native.name == target.name);
    if wanted.native && is_here && debian::is_root() {
        let rounds = wanted.rounds.saturating_mul(ROUNDS_OF_HOST);
        found.push(("on the host", on_host(&directory, rounds, wanted.mounts)?));
    } else if wanted.native {
        println!("Not measured on this host: it needs root, and an x86_64 processor.");
    }
    for (title, results) in &mut found {
        weigh(&directory, results)?;
        table::print(title, results);
    }
    Ok(found.iter().fold(true, |met, (title, results)| table::targets(title, results) && met))
}

/// Copies another build of vial beside this one, or removes an earlier copy.
fn put_beside(directory: &Path, other: Option<&Path>) -> Result<(), Error> {
    for (name, there) in runtime::before() {
        let _ = fs::remove_file(directory.join(&there)); // ENOENT: there was none.
        if let Some(from) = other.map(|other| other.join(name)) {
            fs::copy(&from, directory.join(there)).on_path("copy", &from)?;
        }
    }
    Ok(())
}

/// Measures in a machine, whose / has the other runtimes.
fn in_machine(
    target: &'static Target,
    directory: &Path,
    wanted: &Wanted,
) -> Result<Results, Error> {
    let rounds = wanted.rounds;
    let own = std::env::current_exe()
        .map_err(|error| Error::new(format!("find this program: {error}")))?;
    let mut files = vec![("measure".into(), own), (FLOOR.into(), directory.join(FLOOR))];
    if wanted.beside.is_some() {
        files.extend(runtime::before().map(|(_, there)| (there.clone(), directory.join(there))));
    }
    let numbers = [rounds, wanted.mounts].map(|number| number.to_string());
    let words = ["measure", "here", BINARIES].map(str::to_owned).into_iter().chain(numbers);
    let machine = Machine {
        cgroups: vial_tests::cgroups::Cgroups::default(),
        selinux: false,
        target,
        kernel: wanted.kernel,
        root: wanted.root,
        command: words.collect(),
        environment: Vec::new(),
        files,
        time_limit: Duration::from_secs(300 + 40 * u64::from(rounds)),
    };
    let mut results = Results::default();
    match machine.run(&mut |line| results.line(line))? {
        0 => results.whole(),
        code => Err(Error::new(format!("measure in the machine: exit code {code}"))),
    }
}

/// Measures on this host, in a process of its own.
fn on_host(directory: &Path, rounds: u32, mounts: u32) -> Result<Results, Error> {
    let own = PathBuf::from("/proc/self/exe");
    let mut command = Command::new(&own);
    command.arg("here").arg(directory).args([rounds, mounts].map(|number| number.to_string()));
    command.stdout(Stdio::piped());
    let mut child = command.spawn().on_path("start", &own)?;
    let mut results = Results::default();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| results.line(&line));
    }
    let status = child.wait().on_path("wait for", &own)?;
    if status.success() { results.whole() } else { Err(Error::new(format!("measure: {status}"))) }
}

/// Measures in this process, in the machine or on the host.
fn here(binaries: &Path, rounds: &str, mounts: &str) -> Result<bool, Error> {
    let rounds = rounds.parse().map_err(|_| Error::new("invalid number of rounds"))?;
    let mounts = mounts.parse().map_err(|_| Error::new("invalid number of mounts"))?;
    println!("machine {}, {mounts} mounts more", machine());
    here::measure_here(binaries, rounds, mounts)?;
    Ok(true)
}

/// The kernel, the processors, and the cgroup version.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let cpus = read("/proc/cpuinfo");
    let models = cpus.lines().filter_map(|line| line.strip_prefix("model name"));
    let models: Vec<&str> = models.map(|model| model.trim_matches([' ', '\t', ':'])).collect();
    let count = models.len();
    let how = match fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or(false) {
        true => "cgroup v2",
        false => "cgroup v1 controllers beside an empty cgroup v2",
    };
    let model = models.first().copied().unwrap_or("unknown");
    format!("Linux {}, {count} × {model}, {how}", release.trim())
}

/// The sizes of each runtime's files, and of the libraries that they load.
fn weigh(directory: &Path, results: &mut Results) -> Result<(), Error> {
    let bytes = |path: &Path| Ok::<u64, Error>(fs::metadata(path).on_path("read", path)?.len());
    let scratch = std::env::temp_dir().join(format!("vial-weigh-{}", std::process::id()));
    for runtime in Runtime::all(directory, &scratch) {
        let mut files = runtime.files().into_iter();
        let mut size = files.next().map_or(Ok(0), |program| bytes(&program))?;
        match runtime.name {
            VIAL => size += bytes(&directory.join(Bin::Init.name()))?,
            BEFORE => size += bytes(&directory.join(format!("{BEFORE}-{}", Bin::Init.name())))?,
            _ => {}
        }
        results.fact(rows::SIZE, runtime.name, size);
        let libraries = files.try_fold(0, |sum, file| Ok::<u64, Error>(sum + bytes(&file)?))?;
        results.fact(rows::LIBRARIES, runtime.name, libraries);
    }
    let _ = fs::remove_dir_all(&scratch); // ENOENT: there is no other build.
    Ok(())
}
