//! The cgroup of an exec: that of the container's first process, seen through the
//! container's cgroup namespace, on a host that systemd has set up.

use std::fs;
use std::path::PathBuf;

use super::container::cgroup_of;
use super::edit::{self, Container};
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "exec_cgroup",
    exec_starts_in_the_cgroup_and_its_namespace [Root, Cgroup2],
    exec_follows_init_into_a_cgroup_below [Root, Cgroup2],
    exec_follows_init_out_of_a_cgroup_that_is_gone [Root, Cgroup2],
    exec_enters_a_cgroup_below_the_containers_on_request [Root, Cgroup2],
    exec_refuses_a_cgroup_outside_the_containers [Root, Cgroup2],
    exec_runs_on_the_cpus_of_the_container [Root, Cgroup2],
    cpus_of_a_parent_cgroup_apply [Root, Cgroup2],
    exec_works_in_a_joined_cgroup_namespace [Root, Cgroup2],
    exec_works_in_a_joined_cgroup_and_a_new_user_namespace [Root, Cgroup2],
);

const ROOT: &str = "/sys/fs/cgroup";

/// The cgroup of an exec, as the exec sees it.
fn seen(container: &Container<'_>) -> Result<String, String> {
    let text = container.exec(&[], &["cat", "/proc/self/cgroup"])?.success()?.stdout;
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    line.map(str::to_owned).ok_or_else(|| format!("no cgroup v2 in {text}"))
}

fn with_namespace(context: &Context) -> Result<Container<'_>, String> {
    Container::start(context, &["sleep", "60"], |config| edit::show_cgroup(config, &["rw"]))
}

/// Moves a process of the host into a cgroup, which it creates if needed.
fn move_into(pid: u32, cgroup: &PathBuf) -> Result<(), String> {
    fs::create_dir_all(cgroup).map_err(|e| format!("{}: {e}", cgroup.display()))?;
    fs::write(cgroup.join("cgroup.procs"), pid.to_string()).map_err(|e| e.to_string())
}

fn exec_starts_in_the_cgroup_and_its_namespace(context: &Context) -> Outcome {
    let container = with_namespace(context)?;
    same("the cgroup", seen(&container)?.as_str(), "/")?;
    let report = container.exec_report(&[])?;
    let inside = report["namespaces"]["cgroup"].as_str().unwrap_or_default();
    Ok(same("the namespace", inside, container.namespace_inode("cgroup")?.as_str())?)
}

/// As systemd does as the init of a container: a cgroup that enables controllers for
/// its children may have no processes.
fn exec_follows_init_into_a_cgroup_below(context: &Context) -> Outcome {
    let container = with_namespace(context)?;
    let own = cgroup_of(container.pid)?;
    move_into(container.pid, &own.join("init.scope"))?;
    fs::write(own.join("cgroup.subtree_control"), "+pids").map_err(|e| e.to_string())?;
    Ok(same("the cgroup", seen(&container)?.as_str(), "/init.scope")?)
}

fn exec_follows_init_out_of_a_cgroup_that_is_gone(context: &Context) -> Outcome {
    let container = with_namespace(context)?;
    let own = cgroup_of(container.pid)?;
    let other = PathBuf::from(ROOT).join(format!("{}-moved", context.tag));
    move_into(container.pid, &other)?;
    fs::remove_dir(&own).map_err(|e| e.to_string())?;
    let place = format!("/../{}-moved", context.tag);
    let outcome = same("the cgroup", seen(&container)?.ends_with(&place), true);
    drop(container);
    fs::remove_dir(&other).map_err(|e| e.to_string())?;
    Ok(outcome?)
}

fn exec_enters_a_cgroup_below_the_containers_on_request(context: &Context) -> Outcome {
    let container = with_namespace(context)?;
    fs::create_dir(cgroup_of(container.pid)?.join("below")).map_err(|e| e.to_string())?;
    for place in ["below", "/below", "./below/"] {
        let done = container.exec(&["--cgroup", place], &["cat", "/proc/self/cgroup"])?;
        let text = done.success()?.stdout;
        same("the cgroup", text.lines().any(|line| line == "0::/below"), true)?;
    }
    Ok(())
}

fn exec_refuses_a_cgroup_outside_the_containers(context: &Context) -> Outcome {
    let container = with_namespace(context)?;
    let refused = |place: &str, words: &str| -> Result<(), String> {
        let done: Done = container.exec(&["--cgroup", place], &["exit", "0"])?.failure()?;
        edit::one_sentence(&done)?;
        same(&format!("whether the error has {words}: {done}"), done.stderr.contains(words), true)
    };
    for place in ["..", "/..", "below/../.."] {
        refused(place, "bad sub cgroup path")?;
    }
    refused("memory:below", "unknown controller memory")?;
    Ok(refused("missing", "ENOENT")?)
}

/// Before Linux 6.4, clone3(2) into a cgroup kept the CPUs of the parent process.
fn exec_runs_on_the_cpus_of_the_container(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |config| {
        config["linux"]["resources"]["cpu"] = serde_json::json!({ "cpus": "0" });
    })?;
    let report = container.exec_report(&[])?;
    Ok(same("the affinity", report["affinity"].as_str(), Some("0"))?)
}

/// As in a pod, whose containers set no CPUs of their own.
fn cpus_of_a_parent_cgroup_apply(context: &Context) -> Outcome {
    let pod = PathBuf::from(ROOT).join(format!("{}-pod", context.tag));
    fs::create_dir(&pod).map_err(|e| e.to_string())?;
    let outcome = (|| {
        fs::write(PathBuf::from(ROOT).join("cgroup.subtree_control"), "+cpuset")
            .and_then(|()| fs::write(pod.join("cpuset.cpus"), "0"))
            .map_err(|e| e.to_string())?;
        let path = format!("/{}-pod/of-the-pod", context.tag);
        let container = Container::start(context, &["sleep", "60"], |config| {
            config["linux"]["cgroupsPath"] = path.as_str().into();
        })?;
        let status = format!("/proc/{}/status", container.pid);
        let status = fs::read_to_string(status).map_err(|e| e.to_string())?;
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        same("the container's CPUs", allowed.map(str::trim), Some("0"))?;
        let report = container.exec_report(&[])?;
        same("the exec's CPUs", report["affinity"].as_str(), Some("0"))
    })();
    fs::remove_dir(&pod).map_err(|e| e.to_string())?;
    Ok(outcome?)
}

/// The namespace belongs to another container, and its root is not this cgroup.
fn exec_works_in_a_joined_cgroup_namespace(context: &Context) -> Outcome {
    let other = with_namespace(context)?;
    let container = Container::start(context, &["sleep", "60"], |config| {
        edit::join(config, "cgroup", &other.namespace("cgroup"));
    })?;
    let inode = container.namespace_inode("cgroup")?;
    same("the namespace", inode.as_str(), other.namespace_inode("cgroup")?.as_str())?;
    let own = cgroup_of(container.pid)?;
    same("a cgroup of its own", own == cgroup_of(other.pid)?, false)?;
    let name = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(same("the exec's cgroup", seen(&container)?.ends_with(&name), true)?)
}

fn exec_works_in_a_joined_cgroup_and_a_new_user_namespace(context: &Context) -> Outcome {
    let other = with_namespace(context)?;
    let container = Container::start(context, &["sleep", "60"], |config| {
        edit::join(config, "cgroup", &other.namespace("cgroup"));
        edit::user_namespace(config, 100_000);
    })?;
    let inode = container.namespace_inode("cgroup")?;
    same("the namespace", inode.as_str(), other.namespace_inode("cgroup")?.as_str())?;
    let name = cgroup_of(container.pid)?;
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(same("the exec's cgroup", seen(&container)?.ends_with(&name), true)?)
}
