//! The text of --help, made from the table of flags.

use argh::Optionality;

use super::table::{Command, Flag, letter_of, repeats, value_of};

/// The longest line.
const WIDTH: usize = 80;

/// The text of --help, of a verb or of vial itself.
pub(super) fn text(command: &Command) -> String {
    let mut text = format!("Usage: {} [options]", call_of(command));
    if !command.commands.is_empty() {
        text.push_str(" <command> [arguments]");
    }
    for argument in command.positionals {
        text.push_str(&match argument.optionality {
            Optionality::Required => format!(" <{}>", argument.name),
            Optionality::Optional => format!(" [{}]", argument.name),
            Optionality::Repeating | Optionality::Greedy => format!(" [{}...]", argument.name),
        });
    }
    text.push_str("\n\n");
    fill(&mut text, 0, command.description);
    let arguments = command.positionals.iter();
    table(&mut text, "Arguments", arguments.map(|of| (of.name.to_owned(), of.description)));
    table(&mut text, "Options", command.flags.iter().map(|flag| (forms(flag), flag.description)));
    let verbs = command.commands.iter().map(|verb| &verb.command);
    table(&mut text, "Commands", verbs.map(|verb| (verb.name.to_owned(), verb.description)));
    text.push_str("\nExamples:\n");
    for line in command.examples.iter().flat_map(|example| example.lines()) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// How a command is called.
pub(super) fn call_of(command: &Command) -> String {
    // Only vial itself has commands.
    if command.commands.is_empty() { format!("vial {}", command.name) } else { "vial".to_owned() }
}

/// A flag's short and long form, as in `-b, --bundle <dir>`.
fn forms(flag: &Flag) -> String {
    let short = letter_of(flag).map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let value = match value_of(flag) {
        Some(value) if repeats(flag) => format!(" <{value}>..."),
        Some(value) => format!(" <{value}>"),
        None => String::new(),
    };
    format!("{short}{}{value}", flag.long)
}

/// Adds a title and two columns: names and descriptions.
fn table(text: &mut String, title: &str, rows: impl Iterator<Item = (String, &'static str)>) {
    let rows: Vec<(String, &str)> = rows.collect();
    let Some(widest) = rows.iter().map(|(name, _)| name.len()).max() else { return };
    text.push_str(&format!("\n{title}:\n"));
    for (name, description) in rows {
        text.push_str(&format!("  {name:widest$}  "));
        fill(text, widest + 4, description);
    }
}

/// Adds words from this column on, in as many lines as needed.
fn fill(text: &mut String, column: usize, words: &str) {
    let mut at = column;
    for word in words.split_whitespace() {
        if at > column && at + 1 + word.len() > WIDTH {
            text.push_str(&format!("\n{:column$}", ""));
            at = column;
        } else if at > column {
            text.push(' ');
            at += 1;
        }
        text.push_str(word);
        at += word.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let table = Table::new();
        for command in table.verbs().chain([table.vial()]) {
            for line in text(command).lines() {
                assert!(line.len() <= WIDTH, "{line}");
            }
        }
    }

    #[test]
    fn help_lists_every_form_of_a_flag() {
        let table = Table::new();
        let help = text(table.verb("exec").unwrap());
        for line in [
            "Usage: vial exec [options] <id> [command...]",
            "  -h, --help ",
            "  -d, --detach ",
            "  -e, --env <name=value>... ",
            "      --cwd <dir> ",
            "  id  ",
        ] {
            assert!(help.lines().any(|of| of.starts_with(line)), "{line}\n{help}");
        }
    }

    #[test]
    fn long_texts_are_continued_in_their_column() {
        let mut text = "12345".to_owned();
        fill(&mut text, 5, &"word ".repeat(20));
        let expected =
            format!("12345{}\n     word word word word word\n", "word ".repeat(15).trim());
        assert_eq!(text, expected);
    }
}
