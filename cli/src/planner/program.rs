//! process.args and process.env: the program, its arguments, its environment.

use std::collections::BTreeSet;

use vial_plan::{ProcessItem, Strings};

use super::process::Subject;
use super::{text, wrong};
use crate::error::Error;
use crate::plan::Plan;

/// PATH if process.env has none: what engines set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The fds of systemd's socket activation that the program gets.
#[derive(Clone, Debug, Default)]
pub struct ListenFds {
    /// How many, from 3 on.
    pub count: u32,
    /// Their names, as in $LISTEN_FDNAMES.
    pub names: Option<String>,
}

/// Adds the program, its arguments and its environment.
pub(super) fn plan(plan: &mut Plan, subject: &Subject<'_>) -> Result<(), Error> {
    let (process, at) = (subject.process, subject.at);
    if process.args.is_empty() {
        return Err(wrong(format_args!("{at}.args"), "empty"));
    }
    let args = strings(process.args.iter().map(String::as_str), &format!("{at}.args"))?;
    let field = format!("{at}.env");
    if let Some(index) = process.env.iter().position(|entry| !entry.contains('=')) {
        let what = format_args!("\"{}\" contains no `=`", process.env[index]);
        return Err(wrong(format_args!("{field}[{index}]"), what));
    }
    let listen = listen_variables(subject.listen_fds);
    let env = last_of_each(process.env.iter().chain(&listen));
    let value = |name: &str| env.iter().find_map(|entry| entry.strip_prefix(name));
    let path = text(value("PATH=").unwrap_or(DEFAULT_PATH), &field)?;
    let home = value("HOME=").is_none_or(str::is_empty);
    // vial-init adds these variables itself.
    let listens = subject.listen_fds.count > 0;
    let given = env
        .into_iter()
        .filter(|entry| *entry != "HOME=" && !(listens && entry.starts_with("LISTEN_PID=")));
    let env = strings(given, &field)?;
    let (args, env) = (list(&args, at)?, list(&env, at)?);
    plan.push(&ProcessItem::Program { args, env, path: &path }, format!("{at}.args[0]"));
    if home {
        plan.push(&ProcessItem::Home { uid: process.user.uid }, field);
    }
    if listens {
        plan.push(&ProcessItem::ListenPid {}, "");
    }
    Ok(())
}

/// The variables of sd_listen_fds(3), without LISTEN_PID, which only vial-init
/// knows.
fn listen_variables(fds: &ListenFds) -> Vec<String> {
    if fds.count == 0 {
        return Vec::new();
    }
    let mut variables = vec![format!("LISTEN_FDS={}", fds.count)];
    variables.extend(fds.names.iter().map(|names| format!("LISTEN_FDNAMES={names}")));
    variables
}

/// One entry for each variable: the last one, in its own place. If there were two,
/// programs would differ in which one they take.
fn last_of_each<'a>(entries: impl DoubleEndedIterator<Item = &'a String>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let name = |entry: &'a str| entry.split('=').next().unwrap_or_default();
    let mut last: Vec<&str> =
        entries.rev().map(String::as_str).filter(|entry| seen.insert(name(entry))).collect();
    last.reverse();
    last
}

/// Joins strings, each followed by a NUL.
pub(super) fn strings<'a>(
    texts: impl Iterator<Item = &'a str>,
    field: &str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for (index, entry) in texts.enumerate() {
        bytes.extend_from_slice(text(entry, &format!("{field}[{index}]"))?.as_bytes_with_nul());
    }
    Ok(bytes)
}

pub(super) fn list<'a>(bytes: &'a [u8], at: &str) -> Result<Strings<'a>, Error> {
    Strings::new(bytes).ok_or_else(|| wrong(at, "too long"))
}
