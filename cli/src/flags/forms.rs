//! The forms of a flag. Engines write `--flag value` and `--flag=value`, Go
//! programs also `-flag`, users of crun `-eNAME=value` and `-td`. Each becomes the
//! long name, with the value as a separate word, for argh. If a flag is given
//! twice, the last one holds.

use super::complaint;
use super::table::{Command, Flag, HELP, Table, ends_at_id, flag, letter_of, repeats, value_of};
use crate::error::Error;

/// A command line in one form.
#[derive(Debug, Default)]
pub(super) struct Line {
    parts: Vec<Part>,
    /// Whether --help is asked for.
    pub(super) asks_help: bool,
    /// What is wrong with the first bad flag.
    pub(super) wrong: Option<Error>,
}

#[derive(Debug)]
enum Part {
    Word(String),
    Switch(&'static str),
    Option(&'static str, String),
}

impl Line {
    /// The words for argh.
    pub(super) fn words(&self) -> Vec<&str> {
        let mut words = Vec::with_capacity(2 * self.parts.len());
        for part in &self.parts {
            match part {
                Part::Word(word) => words.push(word.as_str()),
                Part::Switch(name) => words.push(name),
                Part::Option(name, value) => words.extend([name, value.as_str()]),
            }
        }
        words
    }

    /// The verb, and the word that follows it.
    pub(super) fn verb(&self) -> (Option<&str>, Option<&str>) {
        let mut words = self.parts.iter().filter_map(|part| match part {
            Part::Word(word) => Some(word.as_str()),
            _ => None,
        });
        (words.next(), words.find(|word| *word != "--"))
    }

    /// Whether there is this switch.
    pub(super) fn has(&self, long: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Switch(name) if *name == long))
    }

    /// The value of this flag.
    pub(super) fn value(&self, long: &str) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Option(name, value) if *name == long => Some(value.as_str()),
            _ => None,
        })
    }

    /// Adds a flag with its value. It replaces an earlier one, unless it may repeat.
    fn set(&mut self, flag: &Flag, value: String) {
        if !repeats(flag) {
            self.parts.retain(|part| !matches!(part, Part::Option(name, _) if *name == flag.long));
        }
        self.parts.push(Part::Option(flag.long, value));
    }

    /// Turns a switch on or off.
    fn switch(&mut self, flag: &Flag, on: bool) {
        if flag.long == HELP {
            self.asks_help |= on;
            return;
        }
        self.parts.retain(|part| !matches!(part, Part::Switch(name) if *name == flag.long));
        if on {
            self.parts.push(Part::Switch(flag.long));
        }
    }

    fn push(&mut self, word: String) {
        self.parts.push(Part::Word(word));
    }
}

/// Brings a command line into the one form.
pub(super) fn read(table: &Table, given: Vec<String>) -> Line {
    let mut line = Line::default();
    // None: after an unknown verb, no flag can be checked.
    let mut command = Some(table.vial());
    let mut has_verb = false;
    let mut given = given.into_iter();
    while let Some(word) = given.next() {
        if word == "--" {
            if !has_verb {
                continue; // It ends the flags of vial; the verb has its own.
            }
            line.push(word);
            break;
        }
        if word.starts_with('-') && word.len() > 1 {
            let Some(command) = command else { continue };
            if let Err(error) = read_flag(&mut line, table, command, &word, &mut given) {
                line.wrong.get_or_insert(error);
            }
        } else if !has_verb {
            has_verb = true;
            command = table.verb(&word);
            line.push(word);
        } else if command.is_some_and(ends_at_id) {
            line.push("--".to_owned());
            line.push(word);
            break;
        } else {
            line.push(word);
        }
    }
    line.parts.extend(given.map(Part::Word));
    line
}

fn read_flag(
    line: &mut Line,
    table: &Table,
    command: &Command,
    word: &str,
    rest: &mut impl Iterator<Item = String>,
) -> Result<(), Error> {
    let short = word.strip_prefix('-').filter(|text| !text.starts_with('-'));
    let text = short.or(word.strip_prefix("--")).unwrap_or(word);
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let known = flag(command, name).map(|flag| vec![(flag, value)]);
    // Go's programs write long names with one dash too: `-bundel` is mistyped, and not
    // `-b undel`.
    let is_long = name.len() > 4 && complaint::nearest_flag(command, name).is_some();
    let together = || letters(command, short.filter(|_| !is_long)?);
    let written = word.split('=').next().unwrap_or(word);
    let unknown = || complaint::unknown_flag(table, command, written, name);
    let flags = known.or_else(together).ok_or_else(unknown)?;
    for (flag, value) in flags {
        let missing = || {
            let error = Error::new(format_args!("{} requires an argument", flag.long));
            error.hint(complaint::see(command))
        };
        match value {
            _ if value_of(flag).is_some() => {
                let value = value.map(str::to_owned).or_else(|| rest.next()).ok_or_else(missing)?;
                line.set(flag, value);
            }
            // The words of Go's strconv.ParseBool, which runc uses.
            None | Some("true" | "True" | "TRUE" | "t" | "T" | "1") => line.switch(flag, true),
            Some("false" | "False" | "FALSE" | "f" | "F" | "0") => line.switch(flag, false),
            Some(value) => {
                let what = format_args!("{} is true or false, not \"{value}\"", flag.long);
                return Err(Error::new(what).hint(complaint::see(command)));
            }
        }
    }
    Ok(())
}

/// Splits `-td` and `-teNAME=value` into flags. A flag with a value is the last:
/// its value is the rest, or the next word if there is no rest.
fn letters<'a>(command: &'a Command, text: &'a str) -> Option<Vec<(&'a Flag, Option<&'a str>)>> {
    let mut flags = Vec::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        let flag = command.flags.iter().find(|flag| letter_of(flag) == Some(letter))?;
        if value_of(flag).is_some() {
            flags.push((flag, Some(rest.as_str()).filter(|rest| !rest.is_empty())));
            break;
        }
        flags.push((flag, None));
    }
    Some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(given: &str) -> Line {
        read(&Table::new(), given.split(' ').map(str::to_owned).collect())
    }

    fn check(given: &str, expected: &str) {
        let line = line(given);
        assert!(line.wrong.is_none(), "{given}: {line:?}");
        assert_eq!(line.words().join(" "), expected);
    }

    #[test]
    fn every_form_of_a_flag_is_one() {
        check("--root=/x create --bundle /b id", "--root /x create --bundle /b id");
        check("-root /x run -no-subreaper id", "--root /x run --no-subreaper id");
        check("create -b=/b --no-pivot=true id", "create --bundle /b --no-pivot id");
        check("create -b /b --no-pivot=false id", "create --bundle /b id");
        check("list -f json", "list --format json");
        check("delete -f id", "delete --force id");
        check("-v", "--version");
    }

    #[test]
    fn letters_may_stand_together() {
        check("exec -td id sh", "exec --tty --detach -- id sh");
        check("exec -tdeA=b id sh", "exec --tty --detach --env A=b -- id sh");
        check("exec -u1:2 id sh", "exec --user 1:2 -- id sh");
        check("exec -te A=b id sh", "exec --tty --env A=b -- id sh");
    }

    #[test]
    fn the_last_of_a_flag_holds() {
        check("--root /a --root=/b list", "--root /b list");
        check("run -b /a --bundle /b id", "run --bundle /b id");
        check("run --keep --keep id", "run --keep id");
        check("run --keep --keep=false id", "run id");
        // A value may look like a flag.
        check("run -b --pid-file --pid-file x id", "run --bundle --pid-file --pid-file x id");
        check("run --keep=0 --keep id", "run --keep id");
        check("exec -e A=b --env C=d id sh", "exec --env A=b --env C=d -- id sh");
    }

    #[test]
    fn what_follows_an_id_is_not_ours() {
        check("exec -d --env A=b id ls -l --x=y", "exec --detach --env A=b -- id ls -l --x=y");
        check("exec --user=1:2 id -- ls", "exec --user 1:2 -- id -- ls");
        check("kill id -9", "kill -- id -9");
        check("ps id -ef", "ps -- id -ef");
        check("state -- --help", "state -- --help");
        check("--debug -- list -q", "--debug list --quiet");
    }

    #[test]
    fn a_flag_without_its_value_is_named() {
        for (given, wrong) in [
            ("create --bundle", "--bundle requires an argument"),
            ("--root", "--root requires an argument"),
            // One unknown letter makes the word unknown.
            ("exec -tx id sh", "unknown option -tx"),
            ("exec -x id sh", "unknown option -x"),
            ("run -bundel /b id", "unknown option -bundel"),
            ("--nonsense list --more", "unknown option --nonsense"),
            ("run --keep=maybe id", "--keep is true or false, not \"maybe\""),
        ] {
            assert_eq!(line(given).wrong.unwrap().to_string(), wrong);
        }
    }
}
