//! Runs each system test in a process of its own, so that a test that hangs or
//! crashes does not affect the others.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use vial_targets::Error;
use vial_targets::command::OnPath;

pub use crate::need::Need;
use crate::{Context, context, engine, need, processes, system};

/// The time limit of one test. A machine under TCG is about ten times slower than
/// its host; the slowest test takes 40 s there.
const TIME_LIMIT: Duration = Duration::from_secs(270);

/// Exit codes of a test's process.
const PASSED: u8 = 0;
const FAILED: u8 = 1;
const SKIPPED: u8 = 77;

/// How a test ends if it does not pass.
#[derive(Debug)]
pub enum Failure {
    /// The claim does not hold: what the test saw instead.
    Failed(String),
    /// The kernel lacks this feature, which the test needs.
    Skipped(String),
}

/// The result of a test.
pub type Outcome = Result<(), Failure>;

impl<T: Into<String>> From<T> for Failure {
    fn from(words: T) -> Self {
        Self::Failed(words.into())
    }
}

/// One claim.
#[derive(Debug)]
pub struct Test {
    /// The claim, in words joined by underscores.
    pub name: &'static str,
    /// What it needs of the machine.
    pub needs: &'static [Need],
    /// The test itself.
    pub run: fn(&Context) -> Outcome,
}

/// The claims of one file.
#[derive(Debug)]
pub struct Topic {
    /// The file's name.
    pub name: &'static str,
    /// Its claims, in the order they run.
    pub tests: &'static [Test],
}

/// Lists the tests of a topic: `topic!("kill", a_claim, another_claim [Cgroup2])`.
macro_rules! topic {
    ($topic:literal, $( $test:ident $([$($need:ident),+])? ),+ $(,)?) => {
        /// The claims of this file.
        pub(super) const TOPIC: $crate::runner::Topic = $crate::runner::Topic {
            name: $topic,
            tests: &[ $( $crate::runner::Test {
                name: stringify!($test),
                needs: &[ $( $( $crate::runner::Need::$need ),+ )? ],
                run: $test,
            }, )+ ],
        };
    };
}
pub(crate) use topic;

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tests whose claim holds.
    pub passed: usize,
    /// Tests whose claim does not hold.
    pub failed: usize,
    /// Tests that could not run on this machine.
    pub skipped: usize,
}

impl Totals {
    /// Adds the totals of another run.
    pub fn add(&mut self, other: Totals) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Reads the line that [`Totals`] prints: "N passed, N failed, N skipped".
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut parts = line.trim().split(", ");
        let mut next = |word| parts.next()?.strip_suffix(word)?.parse().ok();
        let totals =
            Self { passed: next(" passed")?, failed: next(" failed")?, skipped: next(" skipped")? };
        parts.next().is_none().then_some(totals)
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The tests whose "topic::name" contains the filter, in the order they run. A
/// filter may be several words, joined by commas; one of them must match.
#[must_use]
pub fn names(topics: &[&Topic], filter: &str) -> Vec<String> {
    let all = topics.iter().flat_map(|topic| topic.tests.iter().map(move |test| (topic, test)));
    all.map(|(topic, test)| format!("{}::{}", topic.name, test.name))
        .filter(|name| filter.split(',').any(|part| name.contains(part)))
        .collect()
}

/// Parses the line that says how a test ended. Returns its name, and a total of
/// one test.
#[must_use]
pub fn ended(line: &str) -> Option<(&str, Totals)> {
    let (name, how) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let one = match how.split(' ').next()? {
        "ok" => Totals { passed: 1, ..Totals::default() },
        "FAILED" => Totals { failed: 1, ..Totals::default() },
        "skipped" => Totals { skipped: 1, ..Totals::default() },
        _ => return None,
    };
    Some((name, one))
}

/// Runs every test whose "topic::name" contains the filter, except for the first
/// `pass_over`. Prints a line for each, then the totals.
///
/// # Errors
/// A test cannot be started at all.
pub fn run(topics: &[&Topic], filter: &str, pass_over: usize) -> Result<Totals, Error> {
    // Processes that a test leaves behind become children of this process, not
    // of init, so that they can be found and killed here.
    let me = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(me))
        .map_err(|errno| Error::new(format!("prctl(PR_SET_CHILD_SUBREAPER): {errno}")))?;
    let mut totals = Totals::default();
    for name in names(topics, filter).into_iter().skip(pass_over) {
        run_apart(&name, &mut totals)?;
    }
    println!("{totals}");
    Ok(totals)
}

/// Runs one test in a process of its own, and prints how it ended.
fn run_apart(name: &str, totals: &mut Totals) -> Result<(), Error> {
    // A file and not a pipe: a process that is left behind would keep the pipe
    // open, and reading it would never end.
    let directory = std::env::temp_dir();
    let said_path = directory.join(format!("vial-tests-said-{}", std::process::id()));
    let said = File::create(&said_path).on_path("create", &said_path)?;
    let exe = PathBuf::from("/proc/self/exe");
    let mut child = Command::new(&exe)
        .args(["test", name])
        .stdin(Stdio::null())
        .stdout(said.try_clone().on_path("duplicate", &said_path)?)
        .stderr(said)
        .spawn()
        .on_path("start", &exe)?;

    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().on_path("wait for", &exe)? {
            break Some(status);
        }
        if began.elapsed() > TIME_LIMIT {
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let left = processes::descendants(std::process::id());
    processes::end_descendants(std::process::id());
    // A test that was killed or crashed could not remove its directory.
    context::remove_directory(&context::directory_of(child.id()));

    let said = String::from_utf8_lossy(&fs::read(&said_path).unwrap_or_default()).into_owned();
    let _ = fs::remove_file(&said_path); // If it fails, it lies in /tmp.
    let outcome = match status {
        None => Err(Failure::Failed(format!("still running after {TIME_LIMIT:?}\n{said}"))),
        Some(status) => match status.code() {
            Some(code) if code == i32::from(PASSED) && left.is_empty() => Ok(()),
            Some(code) if code == i32::from(PASSED) => {
                Err(Failure::Failed(format!("left processes behind: {left:?}\n{said}")))
            }
            Some(code) if code == i32::from(SKIPPED) => Err(Failure::Skipped(said)),
            _ => Err(Failure::Failed(format!("{status}\n{said}"))),
        },
    };
    count(name, outcome, began.elapsed(), totals);
    Ok(())
}

fn count(name: &str, outcome: Outcome, took: Duration, totals: &mut Totals) {
    match outcome {
        Ok(()) => {
            totals.passed += 1;
            println!("test {name} ... ok ({} ms)", took.as_millis());
        }
        Err(Failure::Skipped(feature)) => {
            totals.skipped += 1;
            println!("test {name} ... skipped (no {})", feature.trim());
        }
        Err(Failure::Failed(why)) => {
            totals.failed += 1;
            println!("test {name} ... FAILED");
            why.trim_end().lines().for_each(|line| println!("    {line}"));
        }
    }
}

/// All topics, of the system tests and of the engine tests.
fn all() -> impl Iterator<Item = &'static Topic> {
    system::ALL.iter().chain(engine::ALL).copied()
}

/// Runs the test of this name in this process. The runner starts it for each test.
#[must_use]
pub fn run_here(name: &str) -> ExitCode {
    let found = all().find_map(|topic| {
        let rest = name.strip_prefix(topic.name)?.strip_prefix("::")?;
        topic.tests.iter().find(|test| test.name == rest)
    });
    let outcome = match found {
        None => Err(Failure::Failed(format!("there is no test {name}"))),
        Some(test) => attempt(test),
    };
    match outcome {
        Ok(()) => ExitCode::from(PASSED),
        Err(Failure::Skipped(feature)) => {
            println!("{feature}");
            ExitCode::from(SKIPPED)
        }
        Err(Failure::Failed(why)) => {
            println!("{why}");
            ExitCode::from(FAILED)
        }
    }
}

fn attempt(test: &Test) -> Outcome {
    let lacks = test.needs.iter().find_map(|need| Some((*need, need.missing()?)));
    if let Some((need, feature)) = lacks {
        // What this host may lack, the machines have; and what the other
        // machines lack, the one with a whole system has.
        let excused = match need {
            Need::Cgroup2 | Need::Cgroup2Mount => {
                !in_machine() || Need::CgroupV1.missing().is_none()
            }
            Need::Machine => !in_machine(),
            Need::CgroupV1 | Need::Selinux => true,
            Need::Systemd => !in_machine() || !fs::exists("/run/systemd/system").unwrap_or(false),
            Need::AppArmor => !in_machine() || !fs::exists(need::APPARMOR_PARSER).unwrap_or(false),
            // The kernels of arm have none.
            Need::TimeNamespaces => cfg!(target_arch = "arm"),
            // Only the machines with a whole system have such programs.
            Need::Shell | Need::Iproute => {
                in_machine() && !fs::exists("/run/systemd/system").unwrap_or(false)
            }
            // criu may not work with this host's kernel, either.
            Need::Criu | Need::Iptables => {
                !in_machine() || !fs::exists("/run/systemd/system").unwrap_or(false)
            }
            // Some of the tested kernels are older.
            Need::MountSetattr | Need::IdMaps => true,
            _ => false,
        };
        return Err(if must_work() && !excused {
            Failure::Failed(format!("no {feature}, and VIAL_MUST_WORK is set"))
        } else {
            Failure::Skipped(feature.to_owned())
        });
    }
    let context = Context::new().map_err(Failure::from)?;
    (test.run)(&context)
}

/// Whether this runs in a virtual machine of ours.
#[must_use]
pub fn in_machine() -> bool {
    std::env::var_os("VIAL_MACHINE").is_some()
}

fn must_work() -> bool {
    std::env::var_os("VIAL_MUST_WORK").is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_as_they_are_printed() {
        let totals = Totals { passed: 12, failed: 0, skipped: 3 };
        assert_eq!(Totals::read(&totals.to_string()), Some(totals));
        assert_eq!(Totals::read("test a ... ok"), None);
        assert_eq!(Totals::read("1 passed, 2 failed, 3 skipped, 4"), None);
    }

    #[test]
    fn a_line_tells_how_its_test_ended() {
        let counts = |line| ended(line).map(|(name, t)| (name, t.passed, t.failed, t.skipped));
        assert_eq!(counts("test a::b ... ok (12 ms)"), Some(("a::b", 1, 0, 0)));
        assert_eq!(counts("test a::b ... FAILED"), Some(("a::b", 0, 1, 0)));
        assert_eq!(counts("test a::b ... skipped (no keyrings)"), Some(("a::b", 0, 0, 1)));
        assert_eq!(counts("    test a::b ... ok (12 ms)"), None);
        assert_eq!(counts("test a::b ... "), None);
    }

    #[test]
    fn no_two_tests_have_one_name() {
        let mut names: Vec<_> = all()
            .flat_map(|topic| topic.tests.iter().map(|test| (topic.name, test.name)))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
