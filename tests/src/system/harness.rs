//! The harness itself, on which the other tests rely.

use std::fs;
use std::process::Command;

use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "harness",
    probe_reports_what_the_kernel_shows[Root],
    probe_names_the_errno_of_a_failed_call,
    probe_exits_with_the_given_code,
    machine_has_every_controller_in_cgroup_v2[Cgroup2],
    machine_has_a_root_that_pivot_root_accepts[Machine],
    leftovers_show_a_child_that_lives_on,
);

fn probe(context: &Context, arguments: &[&str]) -> Result<crate::context::Done, String> {
    Ok(context.run(Command::new(&context.probe).args(arguments))?)
}

fn probe_reports_what_the_kernel_shows(context: &Context) -> Outcome {
    let report = probe(context, &["report"])?.success()?.json()?;
    same("ppid", report["ppid"].as_u64(), Some(u64::from(std::process::id())))?;
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").map_err(|e| e.to_string())?;
    same("hostname", report["hostname"].as_str(), Some(hostname.trim()))?;
    let namespace = fs::read_link("/proc/self/ns/mnt").map_err(|e| e.to_string())?;
    same("namespaces.mnt", report["namespaces"]["mnt"].as_str(), namespace.to_str())?;
    same("rlimits", report["rlimits"].as_object().map(serde_json::Map::len), Some(16))?;
    Ok(same("whether stdin is a tty", &report["stdin"]["tty"], false)?)
}

fn probe_names_the_errno_of_a_failed_call(context: &Context) -> Outcome {
    let done = probe(context, &["write", "/proc/version", "x"])?.failure()?;
    Ok(same("the errno", done.stdout.trim(), "EACCES").or_else(|_| {
        same("the errno", done.stdout.trim(), "EIO") // Root may open a read-only file.
    })?)
}

fn probe_exits_with_the_given_code(context: &Context) -> Outcome {
    Ok(same("the code", probe(context, &["exit", "42"])?.code, 42)?)
}

fn machine_has_every_controller_in_cgroup_v2(_: &Context) -> Outcome {
    let path = "/sys/fs/cgroup/cgroup.controllers";
    let controllers = fs::read_to_string(path).map_err(|e| e.to_string())?;
    for wanted in ["cpu", "cpuset", "io", "memory", "pids"] {
        if !controllers.split_whitespace().any(|controller| controller == wanted) {
            return Err(format!("{wanted} is not in {path}: {controllers}").into());
        }
    }
    Ok(())
}

fn machine_has_a_root_that_pivot_root_accepts(_: &Context) -> Outcome {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    match root {
        Some(root) if root.contains(" - rootfs ") => {
            Err(format!("/ is the initramfs: {root}").into())
        }
        Some(_) => Ok(()),
        None => Err(format!("/ is no mount: {mounts}").into()),
    }
}

fn leftovers_show_a_child_that_lives_on(context: &Context) -> Outcome {
    let before = context.leftovers();
    context.nothing_left_since(&before)?;
    let sleep = Command::new(&context.probe).args(["sleep", "30"]).spawn();
    let mut child = sleep.map_err(|e| e.to_string())?;
    let left = context.leftovers().since(&before);
    child.kill().map_err(|e| e.to_string())?;
    child.wait().map_err(|e| e.to_string())?;
    same("the number of things left behind", left.len(), 1)?;
    Ok(context.nothing_left_since(&before)?)
}
