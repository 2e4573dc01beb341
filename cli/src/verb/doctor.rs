//! doctor: what this machine lacks, and how a container stands.

use argh::{ArgsInfo, FromArgs};

use super::state::{print, print_json};
use crate::doctor::{Report, container, machine};
use crate::error::Error;
use crate::flags::Global;
use crate::printable::printable;

/// tell what this machine lacks, or how a container stands
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "doctor", help_triggers("-h", "--help"))]
#[argh(example = "vial doctor\nvial doctor web")]
pub struct Doctor {
    /// text or json
    #[argh(option, short = 'f', arg_name = "format", default = "String::from(\"text\")")]
    format: String,
    /// the container's id
    #[argh(positional)]
    id: Option<String>,
}

impl Doctor {
    /// Whether it looks at the machine, and not at a container.
    pub fn is_of_machine(&self) -> bool {
        self.id.is_none()
    }

    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        if !matches!(self.format.as_str(), "text" | "json") {
            return Err(Error::new(format_args!("unknown format \"{}\"", self.format))
                .hint("use text or json"));
        }
        let mut report = Report::default();
        match &self.id {
            Some(id) => container(global, id, &mut report)?,
            None => machine(global, &mut report),
        }
        match self.format.as_str() {
            "json" => print_json(&report.0)?,
            _ => text(&report)?,
        }
        Ok(0)
    }
}

/// What is wrong is marked, and told once more at the end, where a person looks.
fn text(report: &Report) -> Result<(), Error> {
    let mut subject = "";
    for row in &report.0 {
        if row.subject != subject {
            subject = row.subject;
            print(subject)?;
        }
        let mark = if row.problem.is_some() { '!' } else { ' ' };
        print(&printable(&format!("{mark} {}: {}", row.name, row.value)))?;
    }
    let problems: Vec<_> =
        report.0.iter().filter_map(|row| Some((row, row.problem.as_ref()?))).collect();
    print(match problems.len() {
        0 => "nothing is wrong",
        _ => "what is missing or wrong",
    })?;
    for (row, problem) in problems {
        print(&printable(&format!("! {}: {problem}", row.name)))?;
    }
    Ok(())
}
