//! Help and version in every form, and mistakes on the command line.

use std::process::Command;

use super::container::refused;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "command_line",
    no_arguments_print_the_help,
    version_may_follow_other_options,
    every_form_of_help_works,
    every_help_has_a_valid_example,
    container_named_help_is_a_container,
    mistyped_verb_gets_a_suggestion,
    mistyped_option_gets_a_suggestion,
    global_option_after_the_verb_gets_a_hint,
    missing_and_unexpected_arguments_are_named,
    last_value_of_an_option_wins,
    invalid_value_is_refused,
);

/// Runs vial with these arguments alone.
fn vial(context: &Context, words: &str) -> Result<Done, String> {
    let words = words.split(' ').filter(|word| !word.is_empty());
    Ok(context.run(Command::new(&context.vial).args(words))?)
}

fn begins_with(done: &Done, text: &str) -> Result<(), String> {
    let begins = done.stdout.starts_with(text);
    same("whether it begins so", begins, true).map_err(|why| format!("{text}: {why}: {done}"))
}

fn no_arguments_print_the_help(context: &Context) -> Outcome {
    // The exit code is 0, as with runc.
    for words in ["", "--root /tmp/none", "--debug"] {
        begins_with(&vial(context, words)?.success()?, "Usage: vial [")?;
    }
    Ok(())
}

fn version_may_follow_other_options(context: &Context) -> Outcome {
    for words in [
        "--version",
        "-v",
        "--root /tmp/none --version",
        "--root=/tmp/none -v",
        "-root /tmp/none --debug --version",
        "--log /no/such/directory/log --version",
        "--version list",
    ] {
        begins_with(&vial(context, words)?.success()?, "vial version ")?;
    }
    Ok(())
}

fn every_form_of_help_works(context: &Context) -> Outcome {
    for words in ["--help", "-h", "help", "--root /tmp/none -h", "--debug help"] {
        begins_with(&vial(context, words)?.success()?, "Usage: vial [")?;
    }
    for words in ["exec --help", "exec -h", "help exec", "--help exec", "-h exec", "exec -d -h"] {
        begins_with(&vial(context, words)?.success()?, "Usage: vial exec [")?;
    }
    // After the id it belongs to the program.
    Ok(refused(&vial(context, "--root /tmp/none exec nobody --help")?, "nobody")?)
}

fn every_help_has_a_valid_example(context: &Context) -> Outcome {
    let all = vial(context, "--help")?.success()?.stdout;
    let listed = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    same("whether there are at least 14 verbs", verbs.len() >= 14, true)?;
    for verb in verbs {
        let help = vial(context, &format!("help {verb}"))?.success()?.stdout;
        let mut after = help.lines().skip_while(|line| *line != "Examples:").skip(1);
        let example = after.next().unwrap_or_default().trim();
        let words = example.strip_prefix("vial ").ok_or(format!("{verb}: no example"))?;
        same("the example's verb", words.split(' ').next(), Some(verb))?;
        // vial must understand the example; it may fail for another reason.
        let words = format!("--root {} {words}", context.directory.join("none").display());
        let words = words.replace("/containers", &context.directory.join("none").to_string_lossy());
        let said = vial(context, &words)?.stderr;
        for complaint in ["unknown option", "unexpected argument", "missing argument"] {
            same(example, said.contains(complaint), false)
                .map_err(|why| format!("{why}: {said}"))?;
        }
    }
    Ok(())
}

fn container_named_help_is_a_container(context: &Context) -> Outcome {
    for verb in ["state", "start", "delete", "pause", "ps"] {
        refused(&context.vial(&[verb, "help"])?, "help")?;
    }
    Ok(())
}

fn check(context: &Context, words: &str, sentence: &str, hint: &str) -> Result<(), String> {
    let done = vial(context, words)?;
    refused(&done, sentence)?;
    same(hint, done.stderr.contains(hint), true)
        .map_err(|why| format!("{words}: {why}: {done}"))?;
    let longest = done.stderr.lines().map(str::len).max().unwrap_or_default();
    same("whether it is short", longest < 80, true).map_err(|why| format!("{words}: {why}: {done}"))
}

fn mistyped_verb_gets_a_suggestion(context: &Context) -> Outcome {
    check(context, "creat x", "unknown verb \"creat\"", "did you mean `create`?")?;
    check(context, "--debug sate x", "unknown verb \"sate\"", "did you mean `state`?")?;
    check(context, "help rnu", "unknown verb \"rnu\"", "did you mean `run`?")?;
    Ok(check(context, "summon x", "unknown verb \"summon\"", "try `vial --help`")?)
}

fn mistyped_option_gets_a_suggestion(context: &Context) -> Outcome {
    check(context, "create --bundel /x y", "unknown option --bundel", "did you mean --bundle?")?;
    check(context, "list --formt=json", "unknown option --formt", "did you mean --format?")?;
    check(context, "run -bundel /x y", "unknown option -bundel", "did you mean --bundle?")?;
    check(context, "-log-fromat json list", "unknown option -log-fromat", "--log-format?")?;
    // The word after an unknown option is not the verb.
    check(context, "--roo /x list", "unknown option --roo", "did you mean --root?")?;
    Ok(check(context, "list --nonsense", "unknown option --nonsense", "`vial list --help`")?)
}

fn global_option_after_the_verb_gets_a_hint(context: &Context) -> Outcome {
    let hint = "put it before the verb: `vial --root .. list ..`";
    Ok(check(context, "list --root /x", "unknown option --root", hint)?)
}

fn missing_and_unexpected_arguments_are_named(context: &Context) -> Outcome {
    check(context, "state", "missing argument: id", "try `vial state --help`")?;
    check(context, "exec", "missing argument: id", "try `vial exec --help`")?;
    check(context, "state a b", "unexpected argument \"b\"", "try `vial state --help`")?;
    Ok(check(context, "create --bundle", "--bundle", "try `vial create --help`")?)
}

fn last_value_of_an_option_wins(context: &Context) -> Outcome {
    let bundle = context.bundle(|_| {})?;
    let (bundle, id) = (bundle.path.display(), context.id());
    let root = context.state.display();
    let words = format!("--root /no/such --root={root} run -b /no/such --bundle {bundle} {id}");
    vial(context, &words)?.success()?;
    let words = format!("--root {root} run --detach --detach=false -b{bundle} {id}");
    let done = vial(context, &words)?.success()?;
    // It was not detached, so run waited and the probe printed its report.
    Ok(same("its output", done.stdout.is_empty(), false)?)
}

fn invalid_value_is_refused(context: &Context) -> Outcome {
    let hint = "try `vial run --help`";
    check(context, "run --keep=maybe x", "--keep is true or false, not \"maybe\"", hint)?;
    check(context, "run --bundle", "--bundle requires an argument", hint)?;
    Ok(check(context, "run --preserve-fds many x", "--preserve-fds", hint)?)
}
