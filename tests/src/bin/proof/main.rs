//! `cargo proof`: shows that vial's claims hold.
//!
//!     cargo proof                  everything on this host and in the usual machines;
//!                                  on other kernels what depends on the kernel
//!     cargo proof --all            everything, in every machine
//!     cargo proof --quick          what needs no machine
//!     cargo proof --distributions  vial as distributions build it
//!     cargo proof FILTER           tests by name, in the x86_64 machine
//!     cargo proof FILTER --kernel NAME    on that kernel: 5.10, 6.1, 6.12, newest
//!     cargo proof FILTER --initramfs      in the machine whose root is an initramfs
//!     cargo proof FILTER --systemd        in the machine with Debian's systemd
//!     cargo proof FILTER --host           in the machine with this host's programs
//!     cargo proof FILTER --selinux        with SELinux and a small policy
//!     cargo proof FILTER --cgroups NAME   with other cgroups: undelegated, v1, hybrid
//!
//!     cargo proof differential            compares containers under vial with containers
//!                                         under Debian 13's crun and runc: --seed N,
//!                                         --cases N, and --host (those of this host)
//!
//! A filter may be several words, joined by commas. These variables change a run:
//!
//! - VIAL_MUST_WORK=1 makes a skipped test fail.
//! - VIAL_CONSOLE=1 shows the whole console of a machine.
//! - VIAL_KVM=1 uses KVM.
//! - VIAL_RUNTIME=/usr/bin/crun tests another runtime, which the machine must have.
//! - VIAL_AS_BUILT=1 uses the binaries in target/ship without building them.
#![forbid(unsafe_code)]

mod beside;
mod checks;
mod distributions;
mod systems;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use vial_targets::{ALL, Error, Kernel, Target, USUAL, disk, distribution, kernel, ship};
use vial_tests::cgroups::Cgroups;
use vial_tests::runner::{self, Topic, Totals};
use vial_tests::vm::Root;
use vial_tests::{engine, system};

use crate::beside::{BESIDE, Beside, Claims};
use crate::systems::{Differential, Place};

/// The topics that depend on the kernel. On kernels other than the usual one,
/// `cargo proof` runs only these.
const OF_THE_KERNEL: &str = "run::,rootfs::,binds::,bind_links,id_maps,escapes::,namespaces::,exec_cgroup,cgroup::,\
     userns::,seccomp::,keyring,masks";
/// The topics that depend on the processor's architecture.
const OF_THE_PROCESSOR: &str =
    "harness,run::,lifecycle,exec::,terminal,rootfs::,namespaces::,seccomp::";
/// The topics that depend on the kind of /.
const OF_THE_ROOT: &str = "run::,lifecycle,rootfs,bind";
/// The topics that depend on how systemd sets up a host.
const OF_SYSTEMD: &str = "labels,exec_cgroup,net_devices,units,systemd_,checkpoint::";
/// The topics that depend on SELinux.
const OF_SELINUX: &str = "selinux::,run::,labels,keyring";
/// The topics that depend on cgroup v1.
const OF_V1: &str =
    "cgroup_v1::,lifecycle::delete,lifecycle::kill,cgroup::unlisted,update::,events::,oom::";
/// The engine tests that `cargo proof` runs: of podman and CRI only a selection.
const OF_ENGINES: &str = "user::,containerd::,cri::output,cri::removed_pod_leaves_nothing,\
     cri-resources::update_changes_the_limits_of,cri-security::pod_has,buildah::,podman-run::";
/// The engine tests that work without systemd.
const WITHOUT_SYSTEMD: &str = "podman-,rootless::";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut proof = Proof::default();
    match words[..] {
        [] => proof.usual(),
        ["--all"] => {
            proof.everything_on_the_host(true);
            proof.all_machines();
        }
        ["--quick"] => proof.everything_on_the_host(false),
        ["--distributions"] => proof.distributions_alone(),
        [BESIDE, claims] => proof.machines_beside(Path::new(claims)),
        ["differential", ref words @ ..] => match Differential::from_words(words) {
            Some(differential) => proof.differential(differential),
            None => return usage(),
        },
        [filter, ref place @ ..] if !filter.starts_with('-') => match place_of(place) {
            Some(place) => proof.by_name(filter, place),
            None => return usage(),
        },
        _ => return usage(),
    }
    proof.end()
}

/// The machine that the arguments after a filter select.
fn place_of(words: &[&str]) -> Option<Place> {
    let target = vial_targets::by_name("x86_64")?;
    let usual = Place::usual(target, kernel::USUAL, Root::Tmpfs);
    Some(match words {
        [] => usual,
        ["--target", name] => {
            let target = vial_targets::by_name(name)?;
            Place { target, kernel: target.usual_kernel, ..usual }
        }
        ["--kernel", name] => Place { kernel: Kernel::by_name(name)?, ..usual },
        ["--initramfs"] => Place { root: Root::Initramfs, ..usual },
        ["--systemd"] => Place { kernel: kernel::OF_DISK, root: Root::Systemd, ..usual },
        ["--host"] => Place { root: Root::Host, ..usual },
        ["--selinux"] => Place { selinux: true, ..usual },
        ["--cgroups", name, rest @ ..] => {
            Place { cgroups: Cgroups::by_name(name)?, ..place_of(rest)? }
        }
        _ => return None,
    })
}

fn usage() -> ExitCode {
    let kernels: Vec<&str> = kernel::ALL.iter().map(|kernel| kernel.name).collect();
    let targets: Vec<&str> = ALL.iter().map(|target| target.name).collect();
    eprintln!(
        "usage: cargo proof [--all | --quick | --distributions | \
         FILTER [--target {} | --kernel {} | --initramfs | --systemd | --host | --selinux | --cgroups v1|hybrid|undelegated] | \
         differential [--seed N] [--cases N] [--host]]",
        targets.join("|"),
        kernels.join("|")
    );
    ExitCode::from(2)
}

/// What `cargo proof` runs in machines.
enum Usual {
    Machine(Place, &'static str),
    Engines(Place, &'static str),
    Differential(Differential),
}

impl Usual {
    /// Whether it needs a build that `Proof::usual` makes late.
    fn is_of_another_target(&self) -> bool {
        matches!(self, Usual::Machine(place, _) if place.target.name != "x86_64")
    }
}

/// All of it. Two processes work from the two ends, so the longest come first and last.
fn usual() -> Vec<Usual> {
    use Usual::Machine;
    let Some(x86_64) = vial_targets::by_name("x86_64") else { return Vec::new() };
    let usual = Place::usual(x86_64, kernel::USUAL, Root::Tmpfs);
    let systemd = Place::usual(x86_64, kernel::OF_DISK, Root::Systemd);
    let mut list = vec![
        Machine(usual, ""),
        Machine(Place { root: Root::Initramfs, ..usual }, OF_THE_ROOT),
        Machine(Place { kernel: kernel::OLDEST, ..usual }, OF_THE_KERNEL),
        Machine(Place { kernel: kernel::NEWEST, ..usual }, OF_THE_KERNEL),
    ];
    for target in USUAL.iter().copied().filter(|target| target.name != x86_64.name) {
        let place = Place::usual(target, target.usual_kernel, Root::Tmpfs);
        list.push(Machine(place, OF_THE_PROCESSOR));
    }
    list.extend([
        Usual::Differential(Differential { cases: 12, ..Differential::default() }),
        Machine(Place { selinux: true, ..usual }, OF_SELINUX),
        Machine(Place { cgroups: Cgroups::V1, ..usual }, OF_V1),
        Usual::Engines(systemd, OF_ENGINES),
        Machine(systemd, OF_SYSTEMD),
    ]);
    list
}

/// The totals of all chapters so far.
struct Proof {
    began: Instant,
    totals: Totals,
}

impl Default for Proof {
    fn default() -> Self {
        Self { began: Instant::now(), totals: Totals::default() }
    }
}

impl Proof {
    /// What `cargo proof` runs. A machine mostly keeps one processor busy, and so do the
    /// builds, so a second process runs machines while this one builds for the other
    /// targets, and then runs machines, too. Its output is printed at the end.
    fn usual(&mut self) {
        let at_once =
            |target: &&Target| target.name == "x86_64" || target.name == std::env::consts::ARCH;
        let (first, later): (Vec<&Target>, Vec<&Target>) = USUAL.iter().copied().partition(at_once);
        self.first_on_the_host(false, &first);
        let claims = match Claims::new() {
            Ok(claims) => claims,
            Err(error) => return self.chapter("machines", || Err(error)),
        };
        let beside = Beside::start(&claims);
        self.ship_all(&later);
        self.distributions(false);
        match claims.all_is_built() {
            Ok(()) => self.take_turns(&claims, usual().iter().enumerate()),
            Err(error) => self.chapter("machines", || Err(error)),
        }
        self.chapter("machines that ran beside", || beside.and_then(Beside::end));
    }

    fn everything_on_the_host(&mut self, all: bool) {
        self.first_on_the_host(all, if all { ALL } else { USUAL });
        self.distributions(all);
    }

    /// The checks without containers, the builds for these targets, and the tests on this
    /// host.
    fn first_on_the_host(&mut self, all: bool, targets: &[&Target]) {
        self.chapter("packages", || checks::packages(all));
        // This takes minutes, mostly of waiting for the network, so it begins early.
        // If it fails, the chapter that needs the disk tries again and reports it.
        std::thread::spawn(|| {
            vial_targets::by_name("x86_64").map(|target| disk::of(kernel::OF_DISK, target))
        });
        self.chapter("format, lints and documentation", checks::lints);
        self.chapter("unit tests", checks::unit_tests);
        self.chapter("vial-init cannot panic", checks::no_panic);
        self.ship_all(targets);
        let own = ship::output_directory().join("ship").join(std::env::consts::ARCH);
        self.chapter("system tests on this host", || systems::native(&own, ""));
    }

    fn ship_all(&mut self, targets: &[&Target]) {
        for target in targets {
            self.chapter(&format!("ship {}", target.name), || checks::ship(target));
        }
    }

    /// Builds the target's binaries, unless VIAL_AS_BUILT is set.
    fn ship(&mut self, target: &Target) {
        if std::env::var_os("VIAL_AS_BUILT").is_none() {
            self.chapter(&format!("ship {}", target.name), || checks::ship(target));
        }
    }

    /// Builds as distributions do, after building what the tests need.
    fn distributions_alone(&mut self) {
        if let Some(target) = vial_targets::native() {
            self.ship(target);
        }
        self.distributions(true);
    }

    fn distributions(&mut self, all: bool) {
        let more = distribution::MORE.iter().filter(|_| all);
        for distribution in distribution::ALL.iter().chain(more) {
            let name = format!("as {} builds it", distribution.name);
            self.chapter(&name, || distributions::chapter(distribution));
        }
    }

    /// Every machine with every test that it can run.
    fn all_machines(&mut self) {
        let Some(x86_64) = vial_targets::by_name("x86_64") else { return };
        let tmpfs = |target, kernel| Place::usual(target, kernel, Root::Tmpfs);
        for target in ALL {
            self.machine(tmpfs(target, target.usual_kernel), "");
        }
        for kernel in kernel::ALL.iter().copied().filter(|kernel| *kernel != kernel::USUAL) {
            self.machine(tmpfs(x86_64, kernel), "");
        }
        self.machine(Place { root: Root::Initramfs, ..tmpfs(x86_64, kernel::USUAL) }, OF_THE_ROOT);
        for cgroups in [Cgroups::Undelegated, Cgroups::V1, Cgroups::Hybrid] {
            self.machine(Place { cgroups, ..tmpfs(x86_64, kernel::USUAL) }, "");
        }
        self.machine(Place { selinux: true, ..tmpfs(x86_64, kernel::USUAL) }, OF_SELINUX);
        let systemd = Place { root: Root::Systemd, ..tmpfs(x86_64, kernel::OF_DISK) };
        self.machine(systemd, "");
        self.engines(systemd, "");
        self.compare(Differential::default());
        if let Some(target) = vial_targets::native() {
            let host = Place { root: Root::Host, ..tmpfs(target, kernel::USUAL) };
            self.engines(host, WITHOUT_SYSTEMD);
        }
    }

    /// The machines that run in the second process: from the last one on.
    fn machines_beside(&mut self, claims: &Path) {
        self.take_turns(&Claims(claims.to_owned()), usual().iter().enumerate().rev());
    }

    /// Runs the machines that the other process has not taken.
    fn take_turns<'a>(
        &mut self,
        claims: &Claims,
        machines: impl Iterator<Item = (usize, &'a Usual)>,
    ) {
        for (number, usual) in machines {
            if usual.is_of_another_target() {
                claims.await_builds();
            }
            if claims.take(number) {
                match *usual {
                    Usual::Machine(place, filter) => self.machine(place, filter),
                    Usual::Engines(place, filter) => self.engines(place, filter),
                    Usual::Differential(differential) => self.compare(differential),
                }
            }
        }
    }

    /// Runs tests by name in a machine, where they behave the same on every host.
    /// Fails if no test has such a name.
    fn by_name(&mut self, filter: &str, place: Place) {
        let Place { target, root, .. } = place;
        let named = |topics: &[&Topic]| !runner::names(topics, filter).is_empty();
        let (of_vial, of_engines) = (named(system::ALL), named(engine::ALL));
        if !of_vial && !of_engines {
            println!("no system test has {filter} in its name");
            self.totals.failed += 1;
            return;
        }
        self.ship(target);
        if of_vial {
            self.machine(place, filter);
        }
        // Engines need a whole system. Where a filter without a place matches tests of
        // both, it means the system tests.
        let whole = Place::usual(target, kernel::OF_DISK, Root::Systemd);
        match (of_engines, of_vial, root.is_whole()) {
            (true, _, true) => self.engines(place, filter),
            (true, false, false) => self.engines(whole, filter),
            _ => {}
        }
    }

    /// Builds what the differential test needs, and runs it.
    fn differential(&mut self, differential: Differential) {
        let host = differential.root == Root::Host;
        self.chapter("packages", || checks::packages(host));
        if let Some(target) = vial_targets::by_name("x86_64") {
            self.ship(target);
        }
        self.compare(differential);
    }

    fn compare(&mut self, differential: Differential) {
        let name = format!("differential test, {differential}");
        self.chapter(&name, || differential.run());
    }

    fn engines(&mut self, place: Place, filter: &str) {
        self.chapter(&format!("engines in {place}"), || systems::engines(place, filter));
    }

    fn machine(&mut self, place: Place, filter: &str) {
        self.chapter(&format!("system tests in {place}"), || systems::machine(place, filter));
    }

    /// Prints a heading, does the work, and adds its totals.
    fn chapter(&mut self, name: &str, work: impl FnOnce() -> Result<Totals, Error>) {
        let elapsed = self.began.elapsed().as_secs();
        println!("\n== {name} (at {elapsed} s)");
        match work() {
            Ok(totals) => self.totals.add(totals),
            Err(error) => {
                println!("FAILED {error}");
                self.totals.failed += 1;
            }
        }
    }

    fn end(self) -> ExitCode {
        println!("\n== after {} s", self.began.elapsed().as_secs());
        println!("{}", self.totals);
        if self.totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
