//! Runs other programs, and puts their failures into words.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many of the last output lines of a failed program its error shows.
const SHOWN_LINES: usize = 30;

/// What went wrong, in one sentence, followed by the output of the failed program.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error with these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// The same error, preceded by what was being done.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.0
    }
}

/// Names the path that an I/O error is about; std does not.
pub trait OnPath<T> {
    /// Puts "`act` `path`: " before the error.
    ///
    /// # Errors
    /// The same error, with more words.
    fn on_path(self, act: &str, path: &Path) -> Result<T, Error>;
}

impl<T> OnPath<T> for std::io::Result<T> {
    fn on_path(self, act: &str, path: &Path) -> Result<T, Error> {
        self.map_err(|error| Error(format!("{act} {}: {error}", path.display())))
    }
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// The program did not start, or failed; the error shows its last lines.
pub fn output(command: &mut Command) -> Result<String, Error> {
    let words = words(command);
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error(format!("start {words}: {error}")))?;
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(printed);
    }
    let mut said = printed;
    said.push_str(&String::from_utf8_lossy(&done.stderr));
    Err(Error(format!("{words}: {}\n{}", done.status, last_lines(&said))))
}

/// Runs a program that writes to the user's terminal itself.
///
/// # Errors
/// The program did not start, or failed.
pub fn watched(command: &mut Command) -> Result<(), Error> {
    let words = words(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Error(format!("start {words}: {error}")))?;
    if status.success() { Ok(()) } else { Err(Error(format!("{words}: {status}"))) }
}

/// Whether PATH has a program of this name.
#[must_use]
pub fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The program's name and its first arguments, to identify the call.
fn words(command: &Command) -> String {
    let mut words = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args().take(4) {
        words.push(' ');
        words.push_str(&argument.to_string_lossy());
    }
    words
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
