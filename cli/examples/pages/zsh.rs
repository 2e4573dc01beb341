//! The completion for zsh.

use std::fmt::Write;

use crate::{Command, Values, forms, takes_an_id, value, values, verbs};

pub(crate) fn completion(vial: &Command) -> String {
    let mut text = "#compdef vial\n\n".to_owned();
    text += "_vial_ids() {\n    local -a ids\n    ids=(${(f)\"$(vial list --quiet 2>/dev/null)\"})\n    \
             _describe container ids\n}\n\n_vial_verbs() {\n    local -a verbs\n    verbs=(\n";
    for verb in verbs(vial) {
        let _ = writeln!(text, "        '{}:{}'", verb.name, plain(verb.description)); // To a String.
    }
    text += "    )\n    _describe command verbs\n}\n\n_vial() {\n    local line state\n    _arguments -C \\\n";
    text += &options(vial);
    text += "        '1: :_vial_verbs' '*:: :->arguments'\n    [[ $state == arguments ]] || return\n    \
             case $line[1] in\n";
    for verb in verbs(vial) {
        let ids = if takes_an_id(verb) { "'1:container:_vial_ids' " } else { "" };
        let _ = writeln!(
            text,
            "        {})\n            _arguments \\\n{}        {ids}'*:argument:_files'\n            ;;",
            verb.name,
            options(verb)
        ); // To a String.
    }
    text + "    esac\n}\n\n_vial \"$@\"\n"
}

fn options(command: &Command) -> String {
    let mut text = String::new();
    for flag in command.flags {
        let action = match (value(flag), values(flag)) {
            (None, _) => String::new(),
            (Some(name), Values::File) => format!(":{name}:_files"),
            (Some(name), Values::Words(words)) => format!(":{name}:({})", words.join(" ")),
            (Some(name), Values::Other) => format!(":{}: ", plain(name)),
        };
        for form in forms(flag) {
            let description = plain(flag.description);
            let _ = writeln!(text, "        '*{form}[{description}]{action}' \\"); // To a String.
        }
    }
    text
}

/// Without what _arguments and _describe would read.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('\'', "'\\''").replace([':', '[', ']'], " ")
}
