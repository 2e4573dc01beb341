//! A container: where it stands, what isolates it, and what it uses.

use std::fs;
use std::path::Path;

use super::{Report, text};
use crate::container::Container;
use crate::container::dir::last_error;
use crate::container::record::Record;
use crate::container::stats::Files;
use crate::container::status::Status;
use crate::error::Error;
use crate::flags::Global;
use crate::namespace::KINDS;
use crate::planner::capability_name;

const SUBJECT: &str = "container";

/// Limits and usage: the name, the controller, and the files of cgroup2 and of v1.
const USAGE: [(&str, &str, [&str; 2]); 10] = [
    ("memory in bytes", "memory", ["memory.current", "memory.usage_in_bytes"]),
    ("most memory in bytes", "memory", ["memory.peak", "memory.max_usage_in_bytes"]),
    ("limit of memory", "memory", ["memory.max", "memory.limit_in_bytes"]),
    ("memory and swap in bytes", "memory", ["memory.swap.current", "memory.memsw.usage_in_bytes"]),
    ("processes", "pids", ["pids.current", "pids.current"]),
    ("limit of processes", "pids", ["pids.max", "pids.max"]),
    ("quota and period of the CPU in us", "cpu", ["cpu.max", "cpu.cfs_quota_us"]),
    ("CPU time", "cpu", ["cpu.stat", "cpu.stat"]),
    ("CPUs", "cpuset", ["cpuset.cpus.effective", "cpuset.effective_cpus"]),
    ("events of memory", "memory", ["memory.events", "memory.oom_control"]),
];

/// Looks at a container. Takes no lock: a verb that hangs may hold it.
pub fn container(global: &Global, id: &str, report: &mut Report) -> Result<(), Error> {
    let (record, status) = Container::peek(&global.root, id)?;
    report.add(SUBJECT, "id", &record.id);
    match &*record.progress {
        "" => report.add(SUBJECT, "status", &status),
        at => report.add(SUBJECT, "status", &format_args!("{status}, {at}")),
    }
    report.add(SUBJECT, "bundle", &record.bundle.display());
    report.add(SUBJECT, "rootfs", &record.rootfs.display());
    report.add(SUBJECT, "created", &format_args!("{} by user {}", record.created, record.owner));
    if !record.bundle.exists() {
        let advice = "its verbs work without it, but it cannot be created again";
        report.add_wrong(SUBJECT, "bundle", &"is gone", advice);
    }
    if let Some(error) = last_error(&global.root, id) {
        report.add(SUBJECT, "last error of a verb", &error);
    }
    if let Some(oom) = record.out_of_memory() {
        let advice = "raise linux.resources.memory.limit, or `vial update --memory`";
        report.add_wrong(SUBJECT, "memory", &oom, advice);
    }
    if status != Status::Stopped {
        process(&record, report);
        usage(&record, report);
    }
    Ok(())
}

fn process(record: &Record, report: &mut Report) {
    let of = |file: &str| text(&format!("/proc/{}/{file}", record.pid)).unwrap_or_default();
    report.add(SUBJECT, "pid", &record.pid);
    let command = of("cmdline").replace('\0', " ");
    report.add(SUBJECT, "command", &command.trim_end());
    for (kind, file, _) in KINDS {
        let name = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{file}")).ok();
        let (own, host) = (name(&record.pid.to_string()), name("self"));
        let whose = match (&own, own == host) {
            (None, _) => continue,
            (_, true) => "the caller's",
            (_, false) => "its own, or another container's",
        };
        report.add(SUBJECT, &format!("{kind} namespace"), &whose);
    }
    for file in ["uid_map", "gid_map"] {
        let lines = of(file);
        let lines = lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        report.add(SUBJECT, file, &lines.collect::<Vec<_>>().join(", "));
    }
    status(&of("status"), report);
    report.add(SUBJECT, "label", &of("attr/current").trim_end_matches('\0'));
    report.add(SUBJECT, "oom_score_adj", &of("oom_score_adj"));
    for line in of("limits").lines().skip(1) {
        let (name, values) = line.split_at_checked(26).unwrap_or((line, ""));
        let values: Vec<&str> = values.split_whitespace().take(2).collect();
        if values == ["unlimited"; 2] {
            continue;
        }
        report.add(SUBJECT, &name.trim_end().to_lowercase(), &values.join(", at most "));
    }
    for line in of("mountinfo").lines() {
        let mut words = line.split(' ');
        let (Some(point), Some(options)) = (words.nth(4), words.next()) else { continue };
        let mut rest = words.skip_while(|word| *word != "-").skip(1);
        let (kind, source) = (rest.next().unwrap_or_default(), rest.next().unwrap_or_default());
        let value = format!("{kind} {source} on {point} ({options})");
        report.add(SUBJECT, "mount", &value);
    }
}

/// What /proc/PID/status says of its security.
fn status(text: &str, report: &mut Report) {
    for line in text.lines() {
        let Some((name, value)) = line.split_once(":\t") else { continue };
        let value = value.trim();
        match name {
            "Uid" | "Gid" | "Groups" | "Seccomp_filters" => {
                report.add(SUBJECT, name, &value.replace('\t', " "));
            }
            "NoNewPrivs" => report.add(SUBJECT, "no_new_privs", &value),
            "Seccomp" => report.add(
                SUBJECT,
                "seccomp",
                &match value {
                    "2" => "filter",
                    "1" => "strict",
                    _ => "off",
                },
            ),
            name if name.starts_with("Cap") => {
                let bits = u64::from_str_radix(value, 16).unwrap_or_default();
                let names = (0..64).filter(|number| bits >> number & 1 == 1);
                let names: Vec<String> = names.filter_map(capability_name).collect();
                let value = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
                report.add(SUBJECT, name, &value);
            }
            _ => {}
        }
    }
}

fn usage(record: &Record, report: &mut Report) {
    if let Some(cgroup) = record.cgroup() {
        report.add(SUBJECT, "cgroup", &cgroup.path().display());
        if !Path::new(cgroup.path()).exists() {
            report.add_wrong(
                SUBJECT,
                "cgroup",
                &"is gone",
                "somebody has removed it, or moved the process",
            );
        }
    }
    if !record.scope.is_empty() {
        report.add(SUBJECT, "scope of systemd", &record.scope);
    }
    for (name, controller, files) in USAGE {
        let value = Files::of(record, controller).first(&files);
        let value = value.trim_end().replace('\n', ", ");
        if !value.is_empty() {
            report.add(SUBJECT, name, &value);
        }
    }
}
