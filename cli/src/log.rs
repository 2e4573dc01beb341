//! Where an error is said: on stderr, and in the file of --log.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use crate::error::Error;
use crate::time;

/// --log and --log-format
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The file, if one is wanted.
    pub file: Option<PathBuf>,
    /// Whether it holds JSON, one object a line.
    pub json: bool,
}

impl Log {
    /// Says an error: the one line that there is. Engines parse the whole JSON
    /// file as one object, so that nothing else is ever written there.
    pub fn error(&self, error: &Error) {
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(stderr, "vial: {}", printable(&error.to_string()));
        if let Some(hint) = error.what_to_do() {
            let _ = writeln!(stderr, "hint: {}", printable(hint)); // As above.
        }
        let Some(file) = &self.file else { return };
        let line = self.line(error);
        let opened = OpenOptions::new().create(true).append(true).open(file);
        if let Err(e) = opened.and_then(|mut file| file.write_all(line.as_bytes())) {
            let _ = writeln!(stderr, "vial: write {}: {e}", file.display()); // As above.
        }
    }

    fn line(&self, error: &Error) -> String {
        let message = match error.what_to_do() {
            Some(hint) => printable(&format!("{error} (hint: {hint})")),
            None => printable(&error.to_string()),
        };
        let time = time::now_in_seconds();
        match self.json {
            true => {
                let object = serde_json::json!({"level": "error", "msg": message, "time": time});
                format!("{object}\n")
            }
            false => format!("time=\"{time}\" level=error msg={message:?}\n"),
        }
    }
}

/// What config.json holds may stand in an error: none of it is to end the line,
/// or to steer the terminal that shows it.
fn printable(text: &str) -> String {
    let escape = |letter: char| match letter.is_control() {
        true => letter.escape_debug().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_is_one_line() {
        assert_eq!(super::printable("a\nb\u{1b}[2Jc\0 \u{e9}"), "a\\nb\\u{1b}[2Jc\\0 \u{e9}");
    }
}
