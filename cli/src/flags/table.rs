//! The table of flags. argh makes it from the structs that it parses into, so each
//! flag is defined once.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality};

use super::Vial;

/// A verb, or vial itself: name, description, flags, arguments.
pub(super) type Command = CommandInfoWithArgs;
/// A flag: long and short name, value, description.
pub(super) type Flag = FlagInfo<'static>;

/// Everything that a command line may hold.
pub(super) struct Table(Command);

impl Table {
    pub(super) fn new() -> Table {
        Table(Vial::get_args_info())
    }

    /// vial itself. Its flags stand before the verb.
    pub(super) fn vial(&self) -> &Command {
        &self.0
    }

    /// The verbs.
    pub(super) fn verbs(&self) -> impl Iterator<Item = &Command> {
        self.0.commands.iter().map(|verb| &verb.command)
    }

    /// The verb of this name.
    pub(super) fn verb(&self, name: &str) -> Option<&Command> {
        self.verbs().find(|verb| verb.name == name)
    }
}

/// The flag with this long name, given without dashes, or with this letter.
pub(super) fn flag<'a>(command: &'a Command, name: &str) -> Option<&'a Flag> {
    command.flags.iter().find(|flag| flag.long.get(2..) == Some(name) || is_short(flag, name))
}

fn is_short(flag: &Flag, name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|letter| letter_of(flag) == Some(letter)) && letters.next().is_none()
}

/// The letter of a flag's short form.
pub(super) fn letter_of(flag: &Flag) -> Option<char> {
    // argh adds --help to each table, without a letter.
    if flag.long == HELP { Some('h') } else { flag.short }
}

/// The flag that every command has.
pub(super) const HELP: &str = "--help";

/// The placeholder for a flag's value. None: the flag is a switch.
pub(super) fn value_of(flag: &Flag) -> Option<&'static str> {
    match flag.kind {
        FlagInfoKind::Switch => None,
        FlagInfoKind::Option { arg_name } => Some(arg_name),
    }
}

/// Whether a flag may be given more than once, and adds to a list.
pub(super) fn repeats(flag: &Flag) -> bool {
    flag.optionality == Optionality::Repeating
}

/// Whether flags end at the id: what follows is another program's, or may begin
/// with a dash.
pub(super) fn ends_at_id(verb: &Command) -> bool {
    verb.positionals.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_flag_is_the_same_in_every_verb() {
        let table = Table::new();
        let mut known: BTreeMap<&str, &Flag> = BTreeMap::new();
        for flag in table.verbs().flat_map(|verb| verb.flags) {
            let first = known.entry(flag.long).or_insert(flag);
            // The formats differ.
            if flag.long == "--format" {
                assert_eq!(letter_of(first), letter_of(flag));
            } else {
                assert_eq!(*first, flag);
            }
        }
    }

    #[test]
    fn flags_before_the_verb_are_not_flags_of_verbs() {
        let table = Table::new();
        for flag in table.verbs().flat_map(|verb| verb.flags) {
            let is_before = table.vial().flags.iter().any(|before| before.long == flag.long);
            // runc has --rootless before the verb, and after spec.
            let is_both = flag.long == HELP || flag.long == "--rootless";
            assert_eq!(is_before, is_both, "{}", flag.long);
        }
    }

    #[test]
    fn no_letter_stands_for_two_flags() {
        let table = Table::new();
        for command in table.verbs().chain([table.vial()]) {
            let mut letters: Vec<char> = command.flags.iter().filter_map(letter_of).collect();
            let count = letters.len();
            letters.sort_unstable();
            letters.dedup();
            assert_eq!(letters.len(), count, "{}", command.name);
        }
    }

    #[test]
    fn each_verb_has_a_description_and_an_example() {
        for verb in Table::new().verbs() {
            assert!(!verb.description.is_empty() && !verb.examples.is_empty(), "{}", verb.name);
        }
    }
}
