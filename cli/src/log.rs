//! Where an error or a warning is said: on stderr, and in the file of --log.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::printable::printable;
use crate::time;

/// --log and --log-format
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The file, if one is wanted.
    pub file: Option<PathBuf>,
    /// Whether it holds JSON, one object a line.
    pub json: bool,
    held: RefCell<Vec<String>>,
}

/// How a line of warning in JSON begins.
const WARNING: &str = "{\"level\":\"warning\"";

impl Log {
    /// A log to this file, if one is wanted.
    pub fn new(file: Option<PathBuf>, json: bool) -> Log {
        Log { file, json, held: RefCell::default() }
    }

    /// Makes the file, so that one that cannot be made is told before anything
    /// is done.
    pub fn make(&self) -> Result<(), Error> {
        let Some(path) = &self.file else { return Ok(()) };
        let failed = |e| Error::io(format_args!("--log {}: open(2)", path.display()), &e);
        open(path).map(drop).map_err(failed)
    }

    /// Says an error: the one line that there is. Podman parses the whole JSON
    /// file as one object, so that no warning may stand beside an error there.
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
        if let Err(e) = open(path).and_then(|mut file| file.write_all(line.as_bytes())) {
            let _ = writeln!(stderr, "vial: write {}: {e}", path.display()); // As above.
        }
    }

    /// Says warnings: in the file, or else to the person at the terminal.
    /// Engines parse what else stderr may be. In JSON they wait for the verb's
    /// success, as an error stands alone there.
    pub fn warn(&self, warnings: &[String]) {
        match &self.file {
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

    /// The verb has succeeded.
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
        // What was asked for is done; a full disk does not undo it.
        let _ = open(path).and_then(|mut file| file.write_all(lines.as_bytes()));
    }

    fn line(&self, level: &str, message: &str) -> String {
        let message = printable(message);
        let time = time::now_in_seconds();
        match self.json {
            true => {
                let object = serde_json::json!({"level": level, "msg": message, "time": time});
                format!("{object}\n")
            }
            false => format!("time=\"{time}\" level={level} msg={message:?}\n"),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Whether a JSON file holds nothing but warnings of earlier verbs.
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
