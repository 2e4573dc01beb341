//! The command line, in every form that callers use: `--flag value`,
//! `--flag=value`, `-flag`, and options before what they belong to only.

use std::ffi::OsString;
use std::path::PathBuf;

use argh::FromArgs;

use crate::command;
use crate::error::Error;
use crate::log::Log;

/// vial runs OCI containers: a bundle's config.json decides what happens.
#[derive(FromArgs, Debug)]
pub struct Vial {
    /// directory for the state of containers (default /run/vial, or
    /// $XDG_RUNTIME_DIR/vial when rootless)
    #[argh(option, arg_name = "dir")]
    root: Option<PathBuf>,
    /// file to which errors are written too
    #[argh(option, arg_name = "file")]
    log: Option<PathBuf>,
    /// format of that file: text or json
    #[argh(option, arg_name = "format", default = "String::from(\"text\")")]
    log_format: String,
    /// accepted; errors say all there is without it
    #[argh(switch)]
    #[allow(dead_code, reason = "callers send it; there is no second level of detail")]
    debug: bool,
    /// refused: vial writes cgroups itself
    #[argh(switch)]
    systemd_cgroup: bool,
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one value, made once")]
enum Verb {
    Create(command::create::Create),
    Delete(command::delete::Delete),
    Exec(command::exec::Exec),
    Features(command::features::Features),
    Kill(command::kill::Kill),
    List(command::list::List),
    Pause(command::pause::Pause),
    Plan(command::plan::Plan),
    Ps(command::ps::Ps),
    Resume(command::pause::Resume),
    Run(command::run::Run),
    Spec(command::spec::Spec),
    Start(command::start::Start),
    State(command::state::State),
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// A verb, to be run.
    Run(Box<Vial>),
    /// A text, to be printed: help, or the version.
    Print(String),
}

/// What every verb gets.
#[derive(Debug)]
pub struct Global {
    /// The directory for the state of containers.
    pub root: PathBuf,
    /// Where warnings are said.
    pub log: Log,
}

/// Reads the command line.
pub fn parse(arguments: Vec<OsString>) -> Result<Parsed, (Log, Error)> {
    let words = text(arguments).map_err(|error| (Log::default(), error))?;
    if matches!(words.first().map(String::as_str), Some("--version" | "-v")) {
        return Ok(Parsed::Print(version()));
    }
    let words = normalise(words);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match Vial::from_args(&["vial"], &words) {
        Ok(vial) => {
            vial.check().map_err(|error| (vial.log(), error))?;
            vial.log().make().map_err(|error| (Log::default(), error))?;
            Ok(Parsed::Run(Box::new(vial)))
        }
        Err(exit) if exit.status.is_ok() => Ok(Parsed::Print(exit.output)),
        Err(exit) => {
            let lines = exit.output.lines().map(str::trim).filter(|line| !line.is_empty());
            let said = lower_first(&lines.collect::<Vec<_>>().join(" "));
            let verb = words.iter().find(|word| command::NAMES.contains(word));
            let help = verb.map_or("vial --help".to_owned(), |verb| format!("vial {verb} --help"));
            Err((log_of(&words), Error::new(said).hint(format_args!("try `{help}`"))))
        }
    }
}

/// Where errors are said, of a command line that is wrong elsewhere.
fn log_of(words: &[&str]) -> Log {
    let value = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    Log::new(value("--log").map(PathBuf::from), value("--log-format") == Some("json"))
}

fn text(arguments: Vec<OsString>) -> Result<Vec<String>, Error> {
    let mut words = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let word = argument.into_string();
        words.push(word.map_err(|raw| Error::new(format_args!("argument {raw:?} is not UTF-8")))?);
    }
    Ok(words)
}

impl Vial {
    fn check(&self) -> Result<(), Error> {
        if self.systemd_cgroup {
            return Err(Error::new(
                "--systemd-cgroup is not supported: vial writes cgroups itself",
            )
            .hint("have the engine use its cgroupfs driver"));
        }
        if !matches!(self.log_format.as_str(), "text" | "json") {
            return Err(Error::new(format_args!("unknown log format \"{}\"", self.log_format))
                .hint("use text or json"));
        }
        Ok(())
    }

    /// Where errors are said.
    pub fn log(&self) -> Log {
        Log::new(self.log.clone(), self.log_format == "json")
    }

    /// Runs the verb; its result is the exit status.
    pub fn run(self) -> Result<u8, Error> {
        let log = self.log();
        let global = Global { root: self.root.map_or_else(default_root, Ok)?, log };
        let code = match self.verb {
            Verb::Create(verb) => verb.run(&global),
            Verb::Delete(verb) => verb.run(&global),
            Verb::Exec(verb) => verb.run(&global),
            Verb::Features(verb) => verb.run(),
            Verb::Kill(verb) => verb.run(&global),
            Verb::List(verb) => verb.run(&global),
            Verb::Pause(verb) => verb.run(&global),
            Verb::Plan(verb) => verb.run(&global),
            Verb::Ps(verb) => verb.run(&global),
            Verb::Resume(verb) => verb.run(&global),
            Verb::Run(verb) => verb.run(&global),
            Verb::Spec(verb) => verb.run(),
            Verb::Start(verb) => verb.run(&global),
            Verb::State(verb) => verb.run(&global),
        }?;
        global.log.succeed();
        Ok(code)
    }
}

/// The text of --version, which engines take apart.
pub fn version() -> String {
    let (version, build) = (env!("CARGO_PKG_VERSION"), vial_plan::FINGERPRINT);
    format!("vial version {version}\ncommit: {build:016x}\nspec: {SPEC}\n")
}

/// The newest version of the runtime-spec that vial knows.
pub const SPEC: &str = "1.3.0";

fn default_root() -> Result<PathBuf, Error> {
    let host_root = rustix::process::geteuid().is_root();
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) if !host_root || crate::host::in_user_namespace() => {
            Ok(PathBuf::from(dir).join("vial"))
        }
        _ if host_root => Ok(PathBuf::from("/run/vial")),
        _ => {
            Err(Error::new("no directory for the state of containers: XDG_RUNTIME_DIR is not set")
                .hint("set it, or say --root DIR"))
        }
    }
}

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
fn normalise(words: Vec<String>) -> Vec<String> {
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
            || (name == "f" && matches!(verb.as_deref(), Some("list" | "ps")));
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

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
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

    #[test]
    fn what_follows_an_id_is_not_ours() {
        check("exec -d --env A=b id ls -l --x=y", "exec -d --env A=b -- id ls -l --x=y");
        check("exec --user=1:2 id -- ls", "exec --user 1:2 -- id -- ls");
        check("kill id -9", "kill -- id -9");
        check("ps id -ef", "ps -- id -ef");
    }
}
