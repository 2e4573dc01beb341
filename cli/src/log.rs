//! Errors and warnings go to stderr and to the file of --log.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::printable::printable;
use crate::time;

/// What --log and --log-format say.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Whether it holds JSON, one object on each line.
    pub json: bool,
    /// Whether warnings are left out.
    pub only_errors: bool,
    held: RefCell<Vec<String>>,
}

/// The start of a warning's line in JSON.
const WARNING: &str = "{\"level\":\"warning\"";

impl Log {
    /// A log that writes to this file too, if there is one.
    pub fn new(file: Option<PathBuf>, json: bool) -> Log {
        Log { file, json, only_errors: false, held: RefCell::default() }
    }

    /// Creates the file. Called first, so that a verb does nothing if that fails.
    pub fn make(&self) -> Result<(), Error> {
        let Some(path) = &self.file else { return Ok(()) };
        let failed = |e| Error::io(format_args!("--log {}: open(2)", path.display()), &e);
        open(path).map(drop).map_err(failed)
    }

    /// Writes an error. Podman parses the whole JSON file as one object, so an error
    /// replaces the warnings there.
    pub fn error(&self, error: &Error) {
        let mut stderr = io::stderr().lock();
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(stderr, "vial: {}", printable(&error.to_string()));
        if let Some(hint) = error.what_to_do() {
            let _ = writeln!(stderr, "hint: {}", printable(hint)); // As above.
        }
        let Some(path) = &self.file else { return };
        let message = match error.what_to_do() {
            Some(hint) => format!("{error} (hint: {hint})"),
            None => error.to_string(),
        };
        if self.json && holds_warnings_only(path) {
            let _ = fs::write(path, ""); // As above.
        }
        let line = self.line("error", &message);
        if let Err(e) = append(path, &line) {
            let _ = writeln!(stderr, "vial: write {}: {e}", path.display()); // As above.
        }
    }

    /// Writes warnings to the file, or to stderr if that is a terminal: engines parse
    /// stderr otherwise. In JSON they are held until the verb succeeds, since an error
    /// must be alone there.
    pub fn warn(&self, warnings: &[String]) {
        match &self.file {
            _ if self.only_errors => {}
            Some(_) if self.json => self.held.borrow_mut().extend_from_slice(warnings),
            Some(path) => self.write_warnings(path, warnings),
            None if !warnings.is_empty() && io::stderr().is_terminal() => {
                for warning in warnings {
                    let _ = writeln!(io::stderr(), "vial: warning: {}", printable(warning)); // As above.
                }
            }
            None => {}
        }
    }

    /// Tells a person, and the file, what the exit status alone does not.
    pub fn tell(&self, what: &str) {
        let _ = writeln!(io::stderr(), "vial: {}", printable(what)); // As above.
        if let Some(path) = &self.file {
            self.write_warnings(path, &[what.to_owned()]);
        }
    }

    /// Call this when the verb has succeeded: writes the warnings that were held.
    pub fn succeed(&self) {
        if let Some(path) = &self.file {
            self.write_warnings(path, &self.held.take());
        }
    }

    fn write_warnings(&self, path: &Path, warnings: &[String]) {
        if warnings.is_empty() {
            return;
        }
        let lines: String = warnings.iter().map(|warning| self.line("warning", warning)).collect();
        // The verb is done; a full disk must not fail it.
        let _ = append(path, &lines);
    }

    fn line(&self, level: &str, message: &str) -> String {
        line(self.json, level, message)
    }
}

/// A line of the log file.
pub fn line(json: bool, level: &str, message: &str) -> String {
    let message = printable(message);
    let time = time::now_in_seconds();
    match json {
        true => {
            let object = serde_json::json!({"level": level, "msg": message, "time": time});
            format!("{object}\n")
        }
        false => format!("time=\"{time}\" level={level} msg={message:?}\n"),
    }
}

/// Adds lines to the log file.
pub fn append(path: &Path, lines: &str) -> io::Result<()> {
    open(path).and_then(|mut file| file.write_all(lines.as_bytes()))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Whether a JSON file holds only warnings of earlier verbs.
fn holds_warnings_only(path: &Path) -> bool {
    let is_file = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() < 1 << 20);
    let text = if is_file { fs::read_to_string(path) } else { return false };
    text.is_ok_and(|text| !text.is_empty() && text.lines().all(|line| line.starts_with(WARNING)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_in_json_is_known_by_its_beginning() {
        assert!(Log::new(None, true).line("warning", "x").starts_with(WARNING));
        assert!(!Log::new(None, true).line("error", "x").starts_with(WARNING));
    }
}
