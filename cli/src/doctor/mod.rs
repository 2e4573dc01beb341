//! What a person asks when something does not work: what this machine lacks and what
//! that costs, and how a container stands.

mod container;
mod machine;

use std::fmt::Display;

use serde::Serialize;

pub use container::container;
pub use machine::machine;

/// One line of the report.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What it is about: vial, kernel, cgroups, user, container.
    pub subject: &'static str,
    /// The name of what was looked at.
    pub name: String,
    /// What was found.
    pub value: String,
    /// What it costs and what to do, if something is wrong or missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The report, line by line.
#[derive(Debug, Default)]
pub struct Report(pub Vec<Row>);

impl Report {
    fn add(&mut self, subject: &'static str, name: &str, value: &dyn Display) {
        let (name, value) = (name.to_owned(), value.to_string());
        self.0.push(Row { subject, name, value, problem: None });
    }

    /// A value, and what is wrong with it.
    fn add_wrong(&mut self, subject: &'static str, name: &str, value: &dyn Display, why: &str) {
        self.add(subject, name, value);
        if let Some(row) = self.0.last_mut() {
            row.problem = Some(why.to_owned());
        }
    }

    /// Whether something is there, and what it costs if not.
    fn add_whether(&mut self, subject: &'static str, name: &str, is_there: bool, cost: &str) {
        match is_there {
            true => self.add(subject, name, &"yes"),
            false => self.add_wrong(subject, name, &"no", cost),
        }
    }
}

/// The text of a small file, without the last newline. None: it is not there.
fn text(path: &str) -> Option<String> {
    let bytes = crate::file::read_kernel(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
