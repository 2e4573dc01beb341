//! plan: a dry run that prints each act in order.

use std::path::PathBuf;

use argh::FromArgs;
use serde::Serialize;
use vial_plan::Stage;

use super::state::{print, print_json};
use crate::args::Global;
use crate::create::{Options, prepare};
use crate::error::Error;
use crate::printable::printable;
use crate::words::describe;

/// print, in order and in words, every act that a bundle would cause
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "plan", help_triggers("-h", "--help"))]
#[argh(example = "vial plan --bundle /containers/web")]
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
    stage: u8,
    item: &'static str,
    act: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
}

impl Plan {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let options =
            Options { bundle: self.bundle, no_pivot: self.no_pivot, ..Options::default() };
        let prepared = prepare(self.id.as_deref().unwrap_or("plan"), &options)?;
        let acts: Vec<Act<'_>> = prepared
            .plan
            .items()
            .map(|(stage, item, field)| Act {
                stage: stage as u8,
                item: item.name(),
                act: describe(&item),
                field,
            })
            .collect();
        match self.format.as_str() {
            "json" => {
                global.log.warn(&prepared.plan.warnings);
                print_json(&acts)?;
            }
            "text" => {
                text(&acts)?;
                warnings(&prepared.plan.warnings)?;
            }
            other => {
                let error = Error::new(format_args!("unknown format \"{other}\""));
                return Err(error.hint("use text or json"));
            }
        }
        Ok(0)
    }
}

fn text(acts: &[Act<'_>]) -> Result<(), Error> {
    for (stage, title) in [
        (Stage::Outside, "stage 0, outside"),
        (Stage::Between, "stage 1, between"),
        (Stage::Inside, "stage 2, inside"),
    ] {
        let mut of_stage = acts.iter().filter(|act| act.stage == stage as u8).peekable();
        if of_stage.peek().is_none() {
            continue;
        }
        print(title)?;
        for act in of_stage {
            let act = match act.field {
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
