//! state: prints a container's state as the runtime-spec defines it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use argh::{ArgsInfo, FromArgs};
use serde::Serialize;

use crate::cgroup::oom::OutOfMemory;
use crate::container::Container;
use crate::container::record;
use crate::container::status::Status;
use crate::error::Error;
use crate::flags::Global;

/// print a container's state as JSON
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "state", help_triggers("-h", "--help"))]
#[argh(example = "vial state web")]
pub struct State {
    /// the container's id
    #[argh(positional)]
    id: String,
}

/// The state of the runtime-spec, and the fields that runc adds and engines read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: u32,
    status: String,
    bundle: Cow<'a, str>,
    rootfs: Cow<'a, str>,
    created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    oom: Option<OutOfMemory>,
    #[serde(skip_serializing_if = "str::is_empty")]
    progress: &'a str,
}

impl<'a> Report<'a> {
    /// Makes the report.
    pub fn new(record: &'a record::Record, status: Status) -> Report<'a> {
        Report {
            oci_version: &record.oci_version,
            id: &record.id,
            pid: if status == Status::Stopped { 0 } else { record.pid },
            status: status.to_string(),
            bundle: record.bundle.to_string_lossy(),
            rootfs: record.rootfs.to_string_lossy(),
            created: &record.created,
            annotations: &record.annotations,
            owner: String::new(),
            oom: (status == Status::Stopped).then(|| record.out_of_memory()).flatten(),
            progress: &record.progress,
        }
    }
}

impl State {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let (record, status) = Container::peek(&global.root, &self.id)?;
        print_json(&Report::new(&record, status))?;
        Ok(0)
    }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(Error::new)?;
    print(&text)
}

/// Prints a line. An error if stdout is closed or full.
pub fn print(text: &str) -> Result<(), Error> {
    use std::io::Write;
    // Whole, so that the lines of several programs do not mix.
    std::io::stdout()
        .write_all(format!("{text}\n").as_bytes())
        .map_err(|e| Error::io("write to stdout", &e))
}
