//! Writes the manual pages and the shell completions, from the same table that the
//! command line is read with:
//!
//!     cargo run --package vial --example pages -- DIRECTORY
//!
//! DIRECTORY is as /usr/share: it gets man, bash-completion, zsh and fish.

mod bash;
mod fish;
mod man;
mod zsh;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality};
use vial::flags::described;

/// A verb, or vial itself.
pub(crate) type Command = CommandInfoWithArgs;

fn main() -> ExitCode {
    let Some(directory) = env::args_os().nth(1) else {
        eprintln!("usage: pages DIRECTORY");
        return ExitCode::FAILURE;
    };
    match write(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pages: {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path) -> io::Result<()> {
    let vial = described();
    let put = |path: &str, text: &str| {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, text)
    };
    put("man/man8/vial.8", &man::of_vial(&vial))?;
    for verb in verbs(&vial) {
        put(&format!("man/man8/vial-{}.8", verb.name), &man::of_verb(verb))?;
    }
    put("bash-completion/completions/vial", &bash::completion(&vial))?;
    put("zsh/site-functions/_vial", &zsh::completion(&vial))?;
    put("fish/vendor_completions.d/vial.fish", &fish::completion(&vial))
}

/// The verbs.
pub(crate) fn verbs(vial: &Command) -> impl Iterator<Item = &Command> {
    vial.commands.iter().map(|verb| &verb.command)
}

/// The forms of a flag, as in `-b` and `--bundle`.
pub(crate) fn forms(flag: &FlagInfo<'_>) -> Vec<String> {
    // argh adds --help without its letter.
    let letter = if flag.long == "--help" { Some('h') } else { flag.short };
    letter.map(|letter| format!("-{letter}")).into_iter().chain([flag.long.to_owned()]).collect()
}

/// The placeholder of its value. None: it is a switch.
pub(crate) fn value<'a>(flag: &FlagInfo<'a>) -> Option<&'a str> {
    match flag.kind {
        FlagInfoKind::Switch => None,
        FlagInfoKind::Option { arg_name } => Some(arg_name),
    }
}

/// What a value may be, to be completed.
pub(crate) enum Values {
    /// A file or directory.
    File,
    /// One of these words.
    Words(Vec<String>),
    /// What cannot be guessed.
    Other,
}

pub(crate) fn values(flag: &FlagInfo<'_>) -> Values {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    match (flag.long, value(flag)) {
        ("--cgroup-manager", _) => Values::Words(words("cgroupfs systemd disabled")),
        ("--log-level", _) => Values::Words(words("error warning info debug")),
        ("--rootless", Some(_)) => Values::Words(words("true false auto")),
        // Its description is as `table or json`.
        (_, Some("format")) => {
            let formats = ["text", "table", "json"].into_iter();
            let offered = formats.filter(|format| flag.description.contains(format));
            Values::Words(offered.map(str::to_owned).collect())
        }
        (_, Some("dir" | "file" | "socket" | "path" | "bundle")) => Values::File,
        _ => Values::Other,
    }
}

/// Whether its first argument is the id of a container that exists.
pub(crate) fn takes_an_id(verb: &Command) -> bool {
    let is_new = matches!(verb.name, "create" | "run" | "restore");
    !is_new && verb.positionals.first().is_some_and(|first| first.name == "id")
}

/// The arguments in a synopsis, as in `<id> [signal]`.
pub(crate) fn arguments(command: &Command) -> String {
    let one = |argument: &argh::PositionalInfo<'_>| match argument.optionality {
        Optionality::Required => format!(" <{}>", argument.name),
        Optionality::Optional => format!(" [{}]", argument.name),
        Optionality::Repeating | Optionality::Greedy => format!(" [{}...]", argument.name),
    };
    command.positionals.iter().map(one).collect()
}
