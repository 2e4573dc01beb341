//! The forms of a flag: `--flag value`, `--flag=value`, `-flag` and a switch's
//! `=true` and `=false` are one.

/// Options that take a value, of any verb: in `exec ID ls -l`, the first word
/// that is none of these nor theirs ends the options.
const WITH_VALUE: [&str; 24] = [
    "root",
    "log",
    "log-format",
    "bundle",
    "b",
    "console-socket",
    "pidfd-socket",
    "pid-file",
    "preserve-fds",
    "format",
    "cwd",
    "env",
    "e",
    "user",
    "u",
    "additional-gids",
    "g",
    "process",
    "p",
    "process-label",
    "apparmor",
    "cap",
    "c",
    "cgroup",
];

/// Verbs whose words after the id are not theirs.
const STOP_AT_ID: [&str; 3] = ["exec", "kill", "ps"];

/// `--x=y` becomes `--x y`, `-long` becomes `--long`, a switch's `=true` goes
/// and its `=false` takes the switch along; after the id of an exec, a kill or
/// a ps every word stays as it is.
pub(super) fn normalise(words: Vec<String>) -> Vec<String> {
    let mut result = Vec::with_capacity(words.len() + 2);
    let mut words = words.into_iter();
    let mut verb: Option<String> = None;
    while let Some(word) = words.next() {
        if word == "--" {
            result.push(word);
            break;
        }
        let Some(name) =
            word.strip_prefix("--").or(word.strip_prefix('-')).filter(|n| !n.is_empty())
        else {
            match &verb {
                Some(verb) if STOP_AT_ID.contains(&verb.as_str()) => {
                    result.extend(["--".to_owned(), word]);
                    break;
                }
                Some(_) => {}
                None => verb = Some(word.clone()),
            }
            result.push(word);
            continue;
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let takes_value = WITH_VALUE.contains(&name)
            || (name == "f" && matches!(verb.as_deref(), Some("list" | "plan" | "ps")));
        match value.as_deref() {
            Some("false") if !takes_value => continue,
            _ => result.push(format!("{}{name}", if name.len() == 1 { "-" } else { "--" })),
        }
        if takes_value {
            result.extend(value.or_else(|| words.next()));
        } else {
            result.extend(value.filter(|value| value != "true"));
        }
    }
    result.extend(words);
    result
}

/// Where the verb stands, in words that are normalised.
pub(super) fn verb_at(words: &[&str]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word.strip_prefix("--") {
            Some(name) if WITH_VALUE.contains(&name) => at += 2,
            _ if word.starts_with('-') => at += 1,
            _ => return at,
        }
    }
    words.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        let words = given.split(' ').map(str::to_owned).collect();
        assert_eq!(normalise(words).join(" "), expected);
    }

    #[test]
    fn every_form_of_a_flag_is_one() {
        check("--root=/x create --bundle /b id", "--root /x create --bundle /b id");
        check("-root /x restore -no-subreaper id", "--root /x restore --no-subreaper id");
        check("create -b=/b --no-pivot=true id", "create -b /b --no-pivot id");
        check("create --no-pivot=false id", "create id");
        check("update --resources=- id", "update --resources - id");
        check("list -f json", "list -f json");
        check("delete -f id", "delete -f id");
    }

    /// The flags between brackets in a usage line, and whether each takes a value.
    fn usage(text: &str) -> Vec<(String, bool)> {
        let line = text.lines().next().unwrap();
        let parts =
            line.split('[').filter(|part| part.starts_with('-') && !part.starts_with("--]"));
        let name = |part: &str| part.split([' ', ']']).next().unwrap().to_owned();
        let mut flags: Vec<_> =
            parts.map(|part| (name(part), part.split(']').next().unwrap().contains('<'))).collect();
        for line in text.lines() {
            // As "-b, --bundle": the usage has the short form alone.
            if let Some((short, long)) = line.trim_start().split_once(", --") {
                let takes = flags.iter().find(|(flag, _)| flag == short).map(|(_, takes)| *takes);
                let long = long.split(' ').next().unwrap();
                flags.extend(takes.map(|takes| (format!("--{long}"), takes)));
            }
        }
        flags
    }

    #[test]
    fn options_with_a_value_are_those_of_the_verbs() {
        let helps = crate::verb::NAMES.into_iter().map(Some).chain([None]);
        let mut met = Vec::new();
        for verb in helps {
            for (flag, takes_value) in usage(&super::super::help(verb)) {
                let name = flag.trim_start_matches('-').to_owned();
                if name == "f" {
                    let of_format = matches!(verb, Some("list" | "plan" | "ps"));
                    assert_eq!(takes_value, of_format, "{verb:?} {flag}");
                    continue;
                }
                assert_eq!(WITH_VALUE.contains(&&*name), takes_value, "{verb:?} {flag}");
                met.push(name);
            }
        }
        for name in WITH_VALUE {
            // --pidfd-socket is taken by no verb yet, and skipped with its value.
            assert!(name == "pidfd-socket" || met.iter().any(|met| met == name), "{name}");
        }
    }

    #[test]
    fn the_verb_is_the_first_word_that_is_no_option() {
        for (given, at) in [
            ("--root /x --debug list", 3),
            ("--debug", 1),
            ("--root", 1),
            ("list --root x", 0),
            ("-v list", 1),
        ] {
            let words: Vec<&str> = given.split(' ').collect();
            assert_eq!(verb_at(&words), at, "{given}");
        }
    }

    #[test]
    fn what_follows_an_id_is_not_ours() {
        check("exec -d --env A=b id ls -l --x=y", "exec -d --env A=b -- id ls -l --x=y");
        check("exec --user=1:2 id -- ls", "exec --user 1:2 -- id -- ls");
        check("kill id -9", "kill -- id -9");
        check("ps id -ef", "ps -- id -ef");
    }
}
