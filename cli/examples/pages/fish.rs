//! The completion for fish.

use std::fmt::Write;

use crate::{Command, Values, takes_an_id, value, values, verbs};

pub(crate) fn completion(vial: &Command) -> String {
    let mut text = "# fish completion for vial\ncomplete -c vial -f\n".to_owned();
    options(&mut text, vial, "__fish_use_subcommand");
    for verb in verbs(vial) {
        let (name, description) = (verb.name, quoted(verb.description));
        let _ =
            writeln!(text, "complete -c vial -n __fish_use_subcommand -a {name} -d {description}"); // To a String.
        let condition = format!("'__fish_seen_subcommand_from {name}'");
        options(&mut text, verb, &condition);
        if takes_an_id(verb) {
            let ids = "'(vial list --quiet 2>/dev/null)'";
            let _ = writeln!(text, "complete -c vial -n {condition} -a {ids}"); // To a String.
        }
    }
    text
}

fn options(text: &mut String, command: &Command, condition: &str) {
    for flag in command.flags {
        let long = flag.long.trim_start_matches('-');
        let letter = if long == "help" { Some('h') } else { flag.short };
        let short = letter.map_or(String::new(), |letter| format!(" -s {letter}"));
        let argument = match (value(flag), values(flag)) {
            (None, _) => String::new(),
            (Some(_), Values::File) => " -r -F".to_owned(),
            (Some(_), Values::Words(words)) => format!(" -x -a {}", quoted(&words.join(" "))),
            (Some(_), Values::Other) => " -x".to_owned(),
        };
        let description = quoted(flag.description);
        let _ = writeln!(
            text,
            "complete -c vial -n {condition} -l {long}{short}{argument} -d {description}"
        ); // To a String.
    }
}

fn quoted(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    format!("'{}'", words.join(" ").replace('\\', "\\\\").replace('\'', "\\'"))
}
