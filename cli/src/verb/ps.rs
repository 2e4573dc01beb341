//! ps: lists the processes of a container by their pids on the host.

use std::fs;

use argh::{ArgsInfo, FromArgs};

use super::state::print;
use crate::container::Container;
use crate::error::Error;
use crate::flags::Global;
use crate::printable::printable;
use crate::spawn;

/// list the processes of a container
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "ps", help_triggers("-h", "--help"))]
#[argh(example = "vial ps web")]
pub struct Ps {
    /// table or json
    #[argh(option, short = 'f', arg_name = "format", default = "String::from(\"table\")")]
    format: String,
    /// the container's id
    #[argh(positional)]
    id: String,
    /// options for ps(1) (default -ef)
    #[argh(positional, greedy)]
    options: Vec<String>,
}

impl Ps {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let container = Container::look(&global.root, &self.id)?.whole(&self.id)?;
        let pids = container.pids()?;
        match self.format.as_str() {
            "json" => print(&serde_json::to_string(&pids).map_err(Error::new)?)?,
            "table" => table(&pids, &self.options)?,
            other => {
                let error = Error::new(format_args!("unknown format \"{other}\""));
                return Err(error.hint("use table or json"));
            }
        }
        Ok(0)
    }
}

/// Prints the lines of ps(1) for these pids. Without ps on the machine, and
/// without options for it, prints a table of its own.
fn table(pids: &[u32], options: &[String]) -> Result<(), Error> {
    let default = ["-ef".to_owned()];
    let arguments = if options.is_empty() { &default } else { options };
    let output = match spawn::output("ps", arguments) {
        Ok(Some(output)) if output.is_success => output,
        _ if options.is_empty() => return own_table(pids),
        Ok(Some(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format_args!(
                "ps: {}",
                said.lines().next().unwrap_or("failed")
            )));
        }
        Ok(None) => return Err(Error::new("ps is not installed")),
        Err(e) => return Err(Error::io("run ps", &e)),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let Some(column) = header.split_whitespace().position(|title| title == "PID") else {
        return if options.is_empty() {
            own_table(pids)
        } else {
            Err(Error::new("ps prints no PID column with these options").hint("add pid to its -o"))
        };
    };
    print(header)?;
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        if pid.is_some_and(|pid: u32| pids.contains(&pid)) {
            print(&printable(line))?;
        }
    }
    Ok(())
}

fn own_table(pids: &[u32]) -> Result<(), Error> {
    print("    PID CMD")?;
    for pid in pids {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        print(&format!("{pid:7} {}", printable(command.trim_end())))?;
    }
    Ok(())
}
