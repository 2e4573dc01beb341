//! The command line, in every form that callers use. Flags stand before the verb
//! or argument that they belong to.

mod complaint;
mod forms;
mod help;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;

use argh::{ArgsInfo, CommandInfoWithArgs, FromArgs};

use self::table::Table;
use crate::config::SPEC;
use crate::debug;
use crate::error::Error;
use crate::log::Log;
use crate::verb;

/// vial runs OCI containers: a bundle's config.json decides what happens.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(help_triggers("-h", "--help"))]
#[argh(example = "vial run --bundle /containers/sensor sensor\nvial help run")]
pub struct Vial {
    /// directory for the state of containers (default /run/vial, or
    /// $XDG_RUNTIME_DIR/vial when rootless)
    #[argh(option, arg_name = "dir")]
    root: Option<PathBuf>,
    /// file that errors are written to as well
    #[argh(option, arg_name = "file")]
    log: Option<PathBuf>,
    /// format of that file: text or json
    #[argh(option, arg_name = "format", default = "String::from(\"text\")")]
    log_format: String,
    /// accepted: vial sees itself what it may do (true, false or auto)
    #[argh(option, arg_name = "bool", default = "String::from(\"auto\")")]
    rootless: String,
    /// error leaves warnings out; warning (default) and info do not; debug is as --debug
    #[argh(option, arg_name = "level", default = "String::from(\"warning\")")]
    log_level: String,
    /// tell each step with its time, on stderr, or in the file of --log
    #[argh(switch)]
    debug: bool,
    /// have systemd make the cgroups, as --cgroup-manager=systemd does
    #[argh(switch)]
    systemd_cgroup: bool,
    /// cgroupfs, systemd, or disabled to make no cgroups (default cgroupfs)
    #[argh(option, arg_name = "manager", default = "String::from(\"cgroupfs\")")]
    cgroup_manager: String,
    /// print the version
    #[argh(switch, short = 'v')]
    #[allow(dead_code, reason = "printed before anything else is looked at")]
    version: bool,
    #[argh(subcommand)]
    verb: Verb,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one value, made once")]
enum Verb {
    Checkpoint(verb::checkpoint::Checkpoint),
    Create(verb::create::Create),
    Delete(verb::delete::Delete),
    Doctor(verb::doctor::Doctor),
    Events(verb::events::Events),
    Exec(verb::exec::Exec),
    Features(verb::features::Features),
    Kill(verb::kill::Kill),
    List(verb::list::List),
    Pause(verb::pause::Pause),
    Plan(verb::plan::Plan),
    Ps(verb::ps::Ps),
    Restore(verb::restore::Restore),
    Resume(verb::pause::Resume),
    Run(verb::run::Run),
    Spec(verb::spec::Spec),
    Start(verb::start::Start),
    State(verb::state::State),
    Update(verb::update::Update),
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Run this verb; the word that follows it is usually an id.
    Run(Box<Vial>, Option<String>),
    /// Print this text: help, or the version.
    Print(String),
}

/// What makes the cgroups of containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// vial itself.
    #[default]
    Cgroupfs,
    /// systemd.
    Systemd,
    /// Nothing: there are none.
    Disabled,
}

/// What the flags before the verb say.
#[derive(Debug)]
pub struct Global {
    /// The directory for the state of containers.
    pub root: PathBuf,
    /// Whether --root gave it.
    pub root_is_given: bool,
    /// What makes the containers' cgroups.
    pub cgroups: CgroupManager,
    /// Where warnings go.
    pub log: Log,
}

/// All that a command line may hold, as argh describes it: vial's own flags, the verbs
/// and theirs. Manual pages and completions are made from it.
pub fn described() -> CommandInfoWithArgs {
    Vial::get_args_info()
}

/// Reads the command line.
pub fn parse(arguments: Vec<OsString>) -> Result<Parsed, (Log, Error)> {
    let words = text(arguments).map_err(|error| (Log::default(), error))?;
    let table = Table::new();
    let mut line = forms::read(&table, words);
    if line.has("--version") {
        return Ok(Parsed::Print(version()));
    }
    let wrong = line.wrong.take();
    let log = || {
        let file = line.value("--log").map(PathBuf::from);
        Log::new(file, line.value("--log-format") == Some("json"))
    };
    let (asks_help, verb) = match line.verb() {
        (Some("help"), verb) => (true, verb),
        (verb, _) => (line.asks_help, verb),
    };
    let Some(command) = verb.map_or(Some(table.vial()), |verb| table.verb(verb)) else {
        // The value of an unknown flag may stand in the verb's place: tell the flag.
        let unknown = || complaint::unknown_verb(&table, verb.unwrap_or_default());
        return Err((log(), wrong.unwrap_or_else(unknown)));
    };
    match wrong {
        _ if asks_help => return Ok(Parsed::Print(help::text(command))),
        Some(wrong) => return Err((log(), wrong)),
        None if verb.is_none() => return Ok(Parsed::Print(help::text(command))),
        None => {}
    }
    let vial = Vial::from_args(&["vial"], &line.words())
        .map_err(|exit| (log(), complaint::words(command, &exit.output)))?;
    vial.check().map_err(|error| (vial.log(), error))?;
    vial.log().make().map_err(|error| (Log::default(), error))?;
    if vial.debug || vial.log_level == "debug" {
        debug::begin(vial.log.clone(), vial.log_format == "json");
        let (version, build) = (env!("CARGO_PKG_VERSION"), vial_plan::FINGERPRINT);
        let verb = verb.unwrap_or_default();
        debug::said(format_args!("vial {version}, build {build:016x}: {verb}"));
    }
    let (_, id) = line.verb();
    Ok(Parsed::Run(Box::new(vial), id.map(str::to_owned)))
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
        self.cgroups()?;
        if !matches!(self.rootless.as_str(), "auto" | "true" | "false" | "1" | "0") {
            return Err(Error::new(format_args!("--rootless {}: unknown value", self.rootless))
                .hint("use true, false or auto"));
        }
        if !matches!(self.log_level.as_str(), "error" | "warning" | "info" | "debug") {
            return Err(Error::new(format_args!("unknown log level \"{}\"", self.log_level))
                .hint("use error, warning, info or debug"));
        }
        if !matches!(self.log_format.as_str(), "text" | "json") {
            return Err(Error::new(format_args!("unknown log format \"{}\"", self.log_format))
                .hint("use text or json"));
        }
        Ok(())
    }

    fn cgroups(&self) -> Result<CgroupManager, Error> {
        match self.cgroup_manager.as_str() {
            "disabled" if self.systemd_cgroup => Err(Error::new(
                "--systemd-cgroup and --cgroup-manager=disabled contradict each other",
            )),
            "disabled" => Ok(CgroupManager::Disabled),
            "cgroupfs" if !self.systemd_cgroup => Ok(CgroupManager::Cgroupfs),
            "cgroupfs" | "systemd" => Ok(CgroupManager::Systemd),
            other => Err(Error::new(format_args!("unknown cgroup manager \"{other}\""))
                .hint("use cgroupfs, systemd or disabled")),
        }
    }

    /// Where errors go.
    pub fn log(&self) -> Log {
        let mut log = Log::new(self.log.clone(), self.log_format == "json");
        log.only_errors = self.log_level == "error";
        log
    }

    /// Runs the verb, which is about the container of this id; its result is the exit
    /// status.
    pub fn run(self, id: Option<&str>) -> Result<u8, Error> {
        let (log, cgroups) = (self.log(), self.cgroups()?);
        let root_is_given = self.root.is_some();
        let root = match (self.root.map_or_else(default_root, Ok), &self.verb) {
            // What is missing here is what it is to tell.
            (Err(_), Verb::Doctor(doctor)) if doctor.is_of_machine() => PathBuf::new(),
            (root, _) => root?,
        };
        // It becomes an argument of vial-init, which a vial in another working directory
        // looks for.
        let root = std::path::absolute(&root).unwrap_or(root);
        let global = Global { root, root_is_given, cgroups, log };
        let code = match self.verb {
            Verb::Checkpoint(verb) => verb.run(&global),
            Verb::Create(verb) => verb.run(&global),
            Verb::Delete(verb) => verb.run(&global),
            Verb::Doctor(verb) => verb.run(&global),
            Verb::Events(verb) => verb.run(&global),
            Verb::Exec(verb) => verb.run(&global).map_err(Error::of_exec),
            Verb::Features(verb) => verb.run(),
            Verb::Kill(verb) => verb.run(&global),
            Verb::List(verb) => verb.run(&global),
            Verb::Pause(verb) => verb.run(&global),
            Verb::Plan(verb) => verb.run(&global),
            Verb::Ps(verb) => verb.run(&global),
            Verb::Restore(verb) => verb.run(&global),
            Verb::Resume(verb) => verb.run(&global),
            Verb::Run(verb) => verb.run(&global),
            Verb::Spec(verb) => verb.run(),
            Verb::Start(verb) => verb.run(&global),
            Verb::State(verb) => verb.run(&global),
            Verb::Update(verb) => verb.run(&global),
        };
        if let (Err(error), Some(id)) = (&code, id) {
            verb::keep_error(&global.root, id, error);
        }
        let code = code?;
        global.log.succeed();
        Ok(code)
    }
}

/// The text of --version. Engines parse it.
pub fn version() -> String {
    let (version, build) = (env!("CARGO_PKG_VERSION"), vial_plan::FINGERPRINT);
    format!("vial version {version}\ncommit: {build:016x}\nspec: {SPEC}\n")
}

fn default_root() -> Result<PathBuf, Error> {
    let host_root = rustix::process::geteuid().is_root();
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) if !host_root || crate::host::in_user_namespace() => {
            Ok(PathBuf::from(dir).join("vial"))
        }
        _ if host_root => Ok(PathBuf::from("/run/vial")),
        _ => {
            Err(Error::new("no directory for the state of containers: XDG_RUNTIME_DIR is not set")
                .hint("set it, or use --root DIR"))
        }
    }
}
