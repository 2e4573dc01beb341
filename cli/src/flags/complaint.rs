//! What is said of a command line that is none: short, with what may have been
//! meant.

use super::help;
use crate::error::Error;
use crate::verb::NAMES;

/// How argh begins when there is no verb.
pub(super) const NO_VERB: &str = "One of the following subcommands must be present";

/// The error for a verb that is none.
pub(super) fn unknown_verb(verb: &str) -> Error {
    let error = Error::new(format_args!("unknown verb \"{verb}\""));
    match nearest(verb, NAMES.into_iter()) {
        Some(name) => error.hint(format_args!("did you mean `{name}`?")),
        None => error.hint("try `vial --help`"),
    }
}

/// The error for what argh says of the options, before the verb or of it.
pub(super) fn words(said: &str, verb: Option<&str>) -> Error {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines.join(" ");
    let spaced = verb.map(|verb| format!("{verb} ")).unwrap_or_default();
    let see = format!("try `vial {spaced}--help`");
    if let Some(word) = said.strip_prefix("Unrecognized argument: ") {
        if !word.starts_with('-') {
            return Error::new(format_args!("unexpected argument \"{word}\"")).hint(see);
        }
        let (global, of_verb) = (help(None), help(verb));
        let error = Error::new(format_args!("unknown option {word}"));
        return if flags(&global).any(|flag| flag == word) {
            error.hint(format_args!("it stands before the verb: `vial {word} .. {spaced}..`"))
        } else if let Some(flag) = nearest(word, flags(&of_verb)) {
            error.hint(format_args!("did you mean {flag}?"))
        } else {
            error.hint(see)
        };
    }
    if let Some(names) = said.strip_prefix("Required positional arguments not provided: ") {
        return Error::new(format_args!("missing argument: {names}")).hint(see);
    }
    let mut letters = said.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let sentence: String = first.into_iter().chain(letters).collect();
    Error::new(sentence.trim_end_matches('.')).hint(see)
}

/// The long options that a help text lists.
fn flags(help: &str) -> impl Iterator<Item = &str> {
    let lines = help.lines().filter(|line| line.trim_start().starts_with('-'));
    lines.flat_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
}

/// The name that two slips of a finger at most make of a word.
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
            ("checkpoint", None),
        ] {
            assert_eq!(nearest(word, NAMES.into_iter()), meant, "{word:?}");
        }
    }

    #[test]
    fn the_flags_are_those_of_the_help_text() {
        let of_list = help(Some("list"));
        assert_eq!(flags(&of_list).collect::<Vec<_>>(), ["--format", "--quiet", "--help"]);
    }
}
