//! A second process of this program, which runs some of the machines.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use vial_targets::command::OnPath;
use vial_targets::{Error, ship};
use vial_tests::runner::Totals;

/// The argument with which this program starts itself. The directory of the claims
/// follows.
pub(crate) const BESIDE: &str = "--beside";

/// The second process.
pub(crate) struct Beside {
    child: Child,
    said: PathBuf,
}

impl Beside {
    pub(crate) fn start(claims: &Claims) -> Result<Self, Error> {
        let said = ship::output_directory().join("beside.log");
        let file = File::create(&said).on_path("create", &said)?;
        let exe = Path::new("/proc/self/exe");
        let mut command = Command::new(exe);
        command.arg(BESIDE).arg(&claims.0).stdin(Stdio::null()).stdout(file);
        Ok(Self { child: command.spawn().on_path("start", exe)?, said })
    }

    /// Waits for it, and prints what it printed.
    pub(crate) fn end(mut self) -> Result<Totals, Error> {
        self.child.wait().on_path("wait for", &self.said)?;
        let said = fs::read_to_string(&self.said).on_path("read", &self.said)?;
        let (lines, last) = said.trim_end().rsplit_once('\n').unwrap_or_default();
        println!("{lines}");
        Totals::read(last).ok_or_else(|| Error::new(format!("it ended without totals: {last}")))
    }
}

/// The file that says that the builds for all targets are done.
const BUILT: &str = "built";

/// Which machines the two processes have taken: a directory with a file for each.
pub(crate) struct Claims(pub(crate) PathBuf);

impl Claims {
    /// None is taken.
    pub(crate) fn new() -> Result<Self, Error> {
        let directory = ship::output_directory().join("claims");
        let _ = fs::remove_dir_all(&directory); // It exists if there was a run before.
        fs::create_dir_all(&directory).on_path("create", &directory)?;
        Ok(Self(directory))
    }

    /// Tells the other process that the builds for all targets are done.
    pub(crate) fn all_is_built(&self) -> Result<(), Error> {
        let file = self.0.join(BUILT);
        File::create(&file).map(drop).on_path("create", &file)
    }

    /// Waits for that, at most half an hour: without a build, its machine fails.
    pub(crate) fn await_builds(&self) {
        for _ in 0..1800 {
            if self.0.join(BUILT).exists() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Takes a machine, unless the other process has it. With any other error it is taken
    /// too: rather twice than by nobody.
    pub(crate) fn take(&self, number: usize) -> bool {
        let made = File::create_new(self.0.join(number.to_string()));
        !made.is_err_and(|error| error.kind() == ErrorKind::AlreadyExists)
    }
}
