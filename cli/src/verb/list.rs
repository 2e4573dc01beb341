//! list: prints all containers, as a table, as JSON, or only their ids.

use std::fs;

use argh::{ArgsInfo, FromArgs};

use super::state::{Report, print};
use crate::container::Container;
use crate::container::dir::ids;
use crate::container::record::Record;
use crate::container::status::Status;
use crate::error::Error;
use crate::flags::Global;
use crate::printable::printable;

/// list the containers
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
#[argh(example = "vial list --format json")]
pub struct List {
    /// table or json
    #[argh(option, short = 'f', arg_name = "format", default = "String::from(\"table\")")]
    format: String,
    /// print only the ids
    #[argh(switch, short = 'q')]
    quiet: bool,
}

impl List {
    /// Runs the verb. A container that cannot be read is named on stderr; the others
    /// are still listed.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        if !matches!(self.format.as_str(), "table" | "json") {
            return Err(Error::new(format_args!("unknown format \"{}\"", self.format))
                .hint("use table or json"));
        }
        let mut containers: Vec<(Record, Status)> = Vec::new();
        for id in ids(global)? {
            match Container::peek(&global.root, &id) {
                Ok(container) => containers.push(container),
                Err(error) => eprintln!("vial: {}", printable(&error.to_string())),
            }
        }
        if self.quiet {
            containers.iter().try_for_each(|(record, _)| print(&record.id))?;
        } else if self.format == "json" {
            let reports = containers.iter().map(|(record, status)| Report::new(record, *status));
            let reports: Vec<_> = reports.collect();
            // One line, and null for an empty list, as runc prints it and engines decode it.
            let reports = (!reports.is_empty()).then_some(reports);
            print(&serde_json::to_string(&reports).map_err(Error::new)?)?;
        } else {
            table(&containers)?;
        }
        Ok(0)
    }
}

fn table(containers: &[(Record, Status)]) -> Result<(), Error> {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    for (record, status) in containers {
        let pid = if *status == Status::Stopped { 0 } else { record.pid };
        let bundle = printable(&record.bundle.to_string_lossy());
        let (id, created) = (record.id.clone(), record.created.clone());
        let owner = user(&passwd, record.owner);
        rows.push([id, pid.to_string(), status.to_string(), bundle, created, owner]);
    }
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text += &format!("{cell:width$}   ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    print(text.trim_end())
}

/// The user's name, or `#1000` if this passwd(5) has none.
fn user(passwd: &str, uid: u32) -> String {
    let wanted = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(wanted.as_str())).then_some(name)
    });
    name.map_or_else(|| format!("#{uid}"), str::to_owned)
}
