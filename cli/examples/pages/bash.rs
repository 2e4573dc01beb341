//! The completion for bash.

use std::fmt::Write;

use crate::{Command, Values, forms, takes_an_id, value, values, verbs};

pub(crate) fn completion(vial: &Command) -> String {
    let mut cases = String::new();
    for command in [vial].into_iter().chain(verbs(vial)) {
        let name = if command.commands.is_empty() { command.name } else { "''" };
        let options: Vec<String> = command.flags.iter().flat_map(|flag| forms(flag)).collect();
        let ids = if takes_an_id(command) { " ids=1" } else { "" };
        let _ = writeln!(cases, "        {name}) options='{}'{ids} ;;", options.join(" ")); // To a String.
    }
    let verbs: Vec<&str> = verbs(vial).map(|verb| verb.name).collect();
    format!(
        "# bash completion for vial\n\
         _vial() {{\n    \
         local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb='' id='' i options ids=''\n    \
         COMPREPLY=()\n    \
         for ((i = 1; i < COMP_CWORD; i++)); do\n        \
         case $verb,${{COMP_WORDS[i]}} in\n{}        \
         *,-*) ;;\n        \
         ,*) verb=${{COMP_WORDS[i]}} ;;\n        \
         *) id=1 ;;\n        \
         esac\n    \
         done\n    \
         case $verb,$before in\n{}    \
         esac\n    \
         case $verb in\n{cases}        \
         *) return ;;\n    \
         esac\n    \
         if [[ $word == -* ]]; then\n        \
         COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n    \
         elif [[ -z $verb ]]; then\n        \
         COMPREPLY=($(compgen -W '{} help' -- \"$word\"))\n    \
         elif [[ $ids && -z $id ]]; then\n        \
         COMPREPLY=($(compgen -W \"$(vial list --quiet 2>/dev/null)\" -- \"$word\"))\n    \
         fi\n\
         }}\n\
         complete -F _vial vial\n",
        skips(vial),
        completions(vial),
        verbs.join(" "),
    )
}

/// The options with a value, as patterns of `verb,option`.
fn with_value(vial: &Command) -> Vec<(String, Values)> {
    let mut patterns = Vec::new();
    for command in [vial].into_iter().chain(verbs(vial)) {
        let name = if command.commands.is_empty() { command.name } else { "" };
        for flag in command.flags.iter().filter(|flag| value(flag).is_some()) {
            for form in forms(flag) {
                patterns.push((format!("{name},{form}"), values(flag)));
            }
        }
    }
    patterns
}

/// The value of an option is no word.
fn skips(vial: &Command) -> String {
    let patterns: Vec<String> = with_value(vial).into_iter().map(|(pattern, _)| pattern).collect();
    format!("        {}) ((i++)) ;;\n", patterns.join("|"))
}

fn completions(vial: &Command) -> String {
    let mut text = String::new();
    for (pattern, values) in with_value(vial) {
        let reply = match values {
            Values::File => "COMPREPLY=($(compgen -f -- \"$word\")); ".to_owned(),
            Values::Words(words) => {
                format!("COMPREPLY=($(compgen -W '{}' -- \"$word\")); ", words.join(" "))
            }
            Values::Other => String::new(),
        };
        let _ = writeln!(text, "        {pattern}) {reply}return ;;"); // To a String.
    }
    text
}
