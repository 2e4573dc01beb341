//! Errors about the command line: short, with a guess at what was meant.

use super::table::{Command, Table, flag};
use crate::error::Error;

/// The error for an unknown verb.
pub(super) fn unknown_verb(table: &Table, verb: &str) -> Error {
    let error = Error::new(format_args!("unknown verb \"{verb}\""));
    match nearest(verb, table.verbs().map(|verb| verb.name)) {
        Some(name) => error.hint(format_args!("did you mean `{name}`?")),
        None => error.hint(see(table.vial())),
    }
}

/// The error for a flag that this command does not have. `word` is how it was written,
/// `name` is without dashes.
pub(super) fn unknown_flag(table: &Table, command: &Command, word: &str, name: &str) -> Error {
    let error = Error::new(format_args!("unknown option {word}"));
    if let Some(flag) = flag(table.vial(), name) {
        let (long, verb) = (flag.long, command.name);
        error.hint(format_args!("put it before the verb: `vial {long} .. {verb} ..`"))
    } else if let Some(flag) = nearest_flag(command, name) {
        error.hint(format_args!("did you mean {flag}?"))
    } else {
        error.hint(see(command))
    }
}

/// Turns argh's error about an argument or a value into one of ours.
pub(super) fn words(command: &Command, said: &str) -> Error {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines.join(" ");
    let error = if let Some(word) = said.strip_prefix("Unrecognized argument: ") {
        Error::new(format_args!("unexpected argument \"{word}\""))
    } else if let Some(names) = said.strip_prefix("Required positional arguments not provided: ") {
        Error::new(format_args!("missing argument: {names}"))
    } else if let Some((flag, value, why)) = bad_value(&said) {
        Error::new(format_args!("{flag} \"{value}\"{why}"))
    } else {
        Error::new(said)
    };
    error.hint(see(command))
}

/// The parts of `Error parsing option '--flag' with value 'x': why`. Cut at single
/// characters: a search for a string would bring 2 KB of code.
fn bad_value(said: &str) -> Option<(&str, &str, &str)> {
    let mut parts = said.splitn(4, '\'').skip(1);
    let flag = parts.next()?;
    let (value, why) = parts.nth(1)?.rsplit_once('\'')?;
    Some((flag, value, why))
}

/// The hint that says where to read more.
pub(super) fn see(command: &Command) -> String {
    format!("try `{} --help`", super::help::call_of(command))
}

/// The flag that is at most two typing mistakes away from a name without dashes.
pub(super) fn nearest_flag(command: &Command, name: &str) -> Option<&'static str> {
    nearest(&format!("--{name}"), command.flags.iter().map(|flag| flag.long))
}

/// The name that is at most two typing mistakes away from a word.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let known = names.map(|name| (distance(word, name), name));
    let (slips, name) = known.min_by_key(|(slips, _)| *slips)?;
    (slips <= 2 && slips < word.len()).then_some(name)
}

/// How many letters must be added, taken away, changed or swapped with their
/// neighbour to make one word the other (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut least = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from[i - 1] == *b && *a == to[j - 1] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_what_was_meant() {
        for (word, meant) in [
            ("creat", Some("create")),
            ("craete", Some("create")),
            ("strat", Some("start")),
            ("stat", Some("start")),
            ("delte", Some("delete")),
            ("lst", Some("list")),
            ("kil", Some("kill")),
            ("x", None),
            ("", None),
            ("frobnicate", None),
            ("checkpont", Some("checkpoint")),
        ] {
            assert_eq!(
                nearest(word, Table::new().verbs().map(|verb| verb.name)),
                meant,
                "{word:?}"
            );
        }
    }
}
