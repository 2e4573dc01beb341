//! The debug log, of --debug: each step with its time, in the log file, or on stderr if
//! there is none. Nothing is put into words without the flag.

use std::fmt::Arguments;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use crate::log;
use crate::printable::printable;

static LOG: OnceLock<Debug> = OnceLock::new();

struct Debug {
    began: Instant,
    file: Option<PathBuf>,
    json: bool,
}

/// Writes all that follows.
pub fn begin(file: Option<PathBuf>, json: bool) {
    let _ = LOG.set(Debug { began: Instant::now(), file, json }); // It is begun once.
}

/// Whether it is written.
pub fn is_on() -> bool {
    LOG.get().is_some()
}

/// Says what has happened, as in `said(format_args!("killed process {pid}"))`.
pub fn said(what: Arguments<'_>) {
    let Some(debug) = LOG.get() else { return };
    let elapsed = debug.began.elapsed().as_micros();
    let (whole, part) = (elapsed / 1000, elapsed % 1000);
    let text = format!("{whole}.{part:03} ms: {what}");
    // A log that cannot be written must not fail the verb; --log is checked before.
    let _ = match &debug.file {
        Some(file) => log::append(file, &log::line(debug.json, "debug", &text)),
        None => writeln!(stderr(), "vial: debug: {}", printable(&text)),
    };
}
