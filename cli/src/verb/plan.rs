//! plan: prints a Plan item by item, of a dry run or of an existing container.

use std::borrow::Cow;
use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};
use serde::Serialize;
use vial_plan::Stage;

use super::state::{print, print_json};
use crate::config::Hooks;
use crate::container::dir::{Dir, check_id};
use crate::creation::{Options, prepare};
use crate::error::Error;
use crate::flags::Global;
use crate::printable::printable;
use crate::words::{self, describe};

/// print in order, in words, every step that would make a container from a bundle;
/// if a container with this id exists, the steps that made it, unless --bundle or
/// --no-pivot asks for a dry run
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "plan", help_triggers("-h", "--help"))]
#[argh(example = "vial plan --bundle /containers/web\nvial plan web")]
pub struct Plan {
    /// the bundle's directory (default .)
    #[argh(option, short = 'b', arg_name = "dir")]
    bundle: Option<PathBuf>,
    /// text or json
    #[argh(option, short = 'f', arg_name = "format", default = "String::from(\"text\")")]
    format: String,
    /// move the root instead of pivoting it, for a ramdisk
    #[argh(switch)]
    no_pivot: bool,
    /// the container's id (default: the bundle's name)
    #[argh(positional)]
    id: Option<String>,
}

#[derive(Serialize)]
struct Act<'a> {
    /// None: vial itself does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<u8>,
    item: &'static str,
    act: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: Cow<'a, str>,
}

/// The hooks that vial runs, and when.
const OF_VIAL: [(&str, &str); 4] = [
    ("prestart", "while stage 2 waits"),
    ("createRuntime", "while stage 2 waits"),
    ("poststart", "after start"),
    ("poststop", "after delete"),
];

impl Plan {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let (plan, hooks) = match self.kept(global)? {
            Some(kept) => kept,
            None => self.dry_run(global)?,
        };
        let of_items = plan.items().map(|(stage, item, field)| Act {
            stage: Some(stage as u8),
            item: item.name(),
            act: describe(&item),
            field: field.into(),
        });
        let acts: Vec<Act<'_>> = of_items.chain(of_vial(&hooks)).collect();
        match self.format.as_str() {
            "json" => {
                global.log.warn(&plan.warnings);
                print_json(&acts)?;
            }
            "text" => {
                text(&acts)?;
                warnings(&plan.warnings)?;
            }
            other => {
                let error = Error::new(format_args!("unknown format \"{other}\""));
                return Err(error.hint("use text or json"));
            }
        }
        Ok(0)
    }

    /// The Plan of the existing container, if there is one with this id and no flag
    /// asks for a dry run.
    fn kept(&self, global: &Global) -> Result<Option<(crate::plan::Plan, Hooks)>, Error> {
        let Some(id) = self.id.as_ref().filter(|_| self.bundle.is_none() && !self.no_pivot) else {
            return Ok(None);
        };
        check_id(id)?;
        let Some(dir) = Dir::open(global.root.join(id))? else { return Ok(None) };
        Ok(Some((dir.plan()?, dir.config()?.hooks)))
    }

    /// The Plan of a bundle.
    fn dry_run(&self, global: &Global) -> Result<(crate::plan::Plan, Hooks), Error> {
        let options = Options {
            bundle: self.bundle.clone(),
            no_pivot: self.no_pivot,
            cgroups: global.cgroups,
            ..Options::default()
        };
        let prepared = prepare(global, self.id.as_deref().unwrap_or("plan"), &options)?;
        Ok((prepared.plan, prepared.config.hooks))
    }
}

fn of_vial(hooks: &Hooks) -> impl Iterator<Item = Act<'_>> {
    hooks.lists().into_iter().flat_map(|(point, hooks)| {
        let when = OF_VIAL.iter().find(|(name, _)| *name == point).map(|(_, when)| *when);
        let hooks = hooks.iter().enumerate().filter(move |_| when.is_some());
        hooks.map(move |(index, hook)| Act {
            stage: None,
            item: "Hook",
            act: format!("{} {}", words::hook(&hook.path), when.unwrap_or_default()),
            field: format!("hooks.{point}[{index}]").into(),
        })
    })
}

fn text(acts: &[Act<'_>]) -> Result<(), Error> {
    for (stage, title) in [
        (Some(Stage::Zero), "stage 0, outside"),
        (Some(Stage::One), "stage 1, between"),
        (Some(Stage::Two), "stage 2, inside"),
        (None, "vial itself"),
    ] {
        let stage = stage.map(|stage| stage as u8);
        let mut of_stage = acts.iter().filter(|act| act.stage == stage).peekable();
        if of_stage.peek().is_none() {
            continue;
        }
        print(title)?;
        for act in of_stage {
            let act = match &*act.field {
                "" => format!("  {}", act.act),
                field => format!("  {}  ({field})", act.act),
            };
            print(&printable(&act))?;
        }
    }
    Ok(())
}

fn warnings(sentences: &[String]) -> Result<(), Error> {
    if !sentences.is_empty() {
        print("warnings")?;
    }
    sentences.iter().try_for_each(|sentence| print(&printable(&format!("  {sentence}"))))
}
