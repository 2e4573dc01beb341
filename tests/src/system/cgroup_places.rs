//! A missing controller or file matters only to a limit that needs it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::container::{Container, cgroup_of, words};
use super::edit;
use super::fallbacks::failing;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "cgroup_places",
    controller_that_cannot_be_enabled_matters_only_to_its_limit[Root, Cgroup2],
    parent_cgroup_may_have_no_controller[Root, Cgroup2],
    unlimited_swap_needs_no_file[Root, Cgroup2],
    weight_goes_to_bfq_if_the_kernel_has_it[Root, Cgroup2],
    optional_cgroup_file_may_be_missing[Root, Cgroup2],
    invalid_weight_is_refused[Root, Cgroup2],
    process_is_in_its_cgroup_without_clone3[Root],
    disabled_manager_makes_no_cgroup[Root],
    disabled_manager_refuses_limits_by_name[Root],
    root_of_a_user_namespace_owns_a_cgroup_that_it_can_write [Root, Cgroup2, UserNamespaces],
);

const ROOT: &str = "/sys/fs/cgroup";

/// A cgroup of this test. With a process in it, it cannot enable controllers for its
/// children, like the root of a container's cgroup namespace.
struct Parent {
    path: PathBuf,
    process: Option<Child>,
}

impl Parent {
    fn new(context: &Context, holds_process: bool) -> Result<Self, String> {
        let path = Path::new(ROOT).join(context.id());
        fs::create_dir(&path).map_err(words)?;
        let mut parent = Self { path, process: None };
        if holds_process {
            let mut command = Command::new(&context.probe);
            let child = command.args(["sleep", "120"]).stdin(Stdio::null()).spawn();
            let child = child.map_err(words)?;
            let procs = parent.path.join("cgroup.procs");
            let moved = fs::write(procs, child.id().to_string());
            parent.process = Some(child);
            moved.map_err(words)?;
        }
        Ok(parent)
    }

    /// A linux.cgroupsPath below it.
    fn below(&self) -> Value {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        json!(format!("/{name}/below"))
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill(); // ESRCH: it has exited already.
            let _ = child.wait();
        }
        let _ = fs::remove_dir(&self.path); // If it fails, the check for leftovers reports it.
    }
}

fn controller_that_cannot_be_enabled_matters_only_to_its_limit(context: &Context) -> Outcome {
    let parent = Parent::new(context, true)?;
    let said = edit::said(context, &["cat", "/proc/self/cgroup"], |config| {
        config["linux"]["cgroupsPath"] = parent.below();
    })?;
    let wanted = parent.below();
    let inside = said.ends_with(wanted.as_str().unwrap_or_default());
    same("whether it is in its cgroup", inside, true).map_err(|why| format!("{why}: {said}"))?;
    let sentence = ["enable +io", "limits need +pids", "write(2): EBUSY"];
    Ok(edit::refused(context, &sentence, |config| {
        config["linux"]["cgroupsPath"] = parent.below();
        config["linux"]["resources"]["pids"] = json!({ "limit": 9 });
    })?)
}

fn parent_cgroup_may_have_no_controller(context: &Context) -> Outcome {
    let parent = Parent::new(context, true)?;
    let path = format!("{}/it", parent.below().as_str().unwrap_or_default());
    let said = edit::said(context, &["cat", "/proc/self/cgroup"], |config| {
        config["linux"]["cgroupsPath"] = json!(path);
    });
    let _ = fs::remove_dir(parent.path.join("below")); // As above.
    let said = said?;
    Ok(same("whether it is in its cgroup", said.ends_with(&path), true)
        .map_err(|why| format!("{why}: {said}"))?)
}

fn unlimited_swap_needs_no_file(context: &Context) -> Outcome {
    for (swap, wanted) in [(json!(-1), "max"), (json!(64 << 20), "0")] {
        let report = context.report(|config| {
            edit::show_cgroup(config, &["ro"]);
            config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20, "swap": swap });
        })?;
        let seen = report["cgroup_files"]["memory.swap.max"].as_str();
        // A kernel without swap accounting has no such file.
        same("memory.swap.max", seen.unwrap_or(wanted), wanted)?;
        same("memory.max", report["cgroup_files"]["memory.max"].as_str(), Some("67108864"))?;
    }
    Ok(())
}

fn weight_goes_to_bfq_if_the_kernel_has_it(context: &Context) -> Outcome {
    let report = context.report(|config| {
        edit::show_cgroup(config, &["ro"]);
        config["linux"]["resources"]["blockIO"] = json!({ "weight": 500 });
    })?;
    let files = &report["cgroup_files"];
    match files["io.bfq.weight"].as_str() {
        Some(weight) => Ok(same("io.bfq.weight", weight, "default 500")?),
        None => Ok(same("io.weight", files["io.weight"].as_str(), Some("default 4950"))?),
    }
}

/// One system call of vial-init after another fails with ENOENT. If it is the one that
/// opens an optional file, the container still runs.
fn optional_cgroup_file_may_be_missing(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        edit::show_cgroup(config, &["ro"]);
        let resources = &mut config["linux"]["resources"];
        resources["memory"] = json!({ "limit": 64 << 20, "swap": 64 << 20 });
        resources["blockIO"] = json!({ "weight": 500 });
    })?;
    let (mut without_swap, mut without_bfq) = (false, false);
    for nth in 15_u32..60 {
        let (done, _) = failing(context, &bundle, nth, libc::ENOENT)?;
        if done.code == 0 {
            let report: Value = done.json()?;
            let is = |file: &str, value| report["cgroup_files"][file].as_str() == Some(value);
            without_swap |= is("memory.swap.max", "max");
            without_bfq |= is("io.weight", "default 4950");
        }
        if without_swap && without_bfq {
            return Ok(());
        }
    }
    same("whether a container ran without memory.swap.max", without_swap, true)?;
    Ok(same("whether io.weight replaced io.bfq.weight", without_bfq, true)?)
}

fn invalid_weight_is_refused(context: &Context) -> Outcome {
    for (weight, device) in [(9, json!([])), (1001, json!([])), (10, json!(5))] {
        let field = if device == json!([]) { "blockIO.weight" } else { "blockIO.weightDevice[0]" };
        let sentence = format!("linux.resources.{field}: a weight of");
        edit::refused(context, &[&sentence, "10 to 1000"], |config| {
            let list = match device.as_u64() {
                Some(weight) => json!([{ "major": 8, "minor": 0, "weight": weight }]),
                None => json!([]),
            };
            config["linux"]["resources"]["blockIO"] =
                json!({ "weight": weight, "weightDevice": list });
        })?;
    }
    Ok(())
}

/// It enters the cgroup before its cgroup namespace is made, so it sees itself at the root.
fn process_is_in_its_cgroup_without_clone3(context: &Context) -> Outcome {
    let context = &context.hiding(libc::ENOSYS, &[libc::SYS_clone3])?;
    let words = ["cat", "/proc/self/cgroup", "+", "sleep", "3600"];
    let container = Container::created_from(context, |config| {
        edit::namespace(config, "cgroup");
        edit::deeds(config, &words);
    })?;
    let place = cgroup_of(container.pid()?)?;
    let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    same("its cgroup", name, format!("vial-{}", container.id))?;
    container.vial("start", &[])?.success()?;
    let of_first = container.printed(1)?;
    let exec = container.vial("exec", &["/probe", "cat", "/proc/self/cgroup"])?.success()?;
    for seen in [of_first, exec.stdout] {
        let own = seen.lines().find(|line| line.starts_with("0::"));
        same("the cgroup seen inside", own, Some("0::/"))?;
    }
    Ok(container.remove()?)
}

const DISABLED: &str = "--cgroup-manager=disabled";

fn disabled_manager_makes_no_cgroup(context: &Context) -> Outcome {
    let own = fs::read_to_string("/proc/self/cgroup").map_err(words)?;
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["cat", "/proc/self/cgroup", "+", "sleep", "3600"]);
    })?;
    let id = context.id();
    let path = bundle.path.to_string_lossy().into_owned();
    let before = context.leftovers();
    context.vial(&[DISABLED, "run", "--detach", "--bundle", &path, &id])?.success()?;
    let state = context.vial(&["state", &id])?.success()?.json()?;
    let of_init = format!("/proc/{}/cgroup", state["pid"].as_u64().unwrap_or_default());
    same("its cgroups", fs::read_to_string(of_init).map_err(words)?, own.clone())?;
    let of_exec = context.vial(&["exec", &id, "/probe", "cat", "/proc/self/cgroup"])?.success()?;
    same("the exec's cgroups", of_exec.stdout, own)?;
    let pids = context.vial(&["ps", "--format", "json", &id])?.success()?.json()?;
    same("ps", pids, json!([state["pid"]]))?;
    let paused = context.vial(&["pause", &id])?;
    edit::words_of_refusal(&paused, &["has no cgroup"])?;
    context.vial(&["delete", "--force", &id])?.success()?;
    Ok(super::container::nothing_left(context, &before)?)
}

fn disabled_manager_refuses_limits_by_name(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        config["linux"]["resources"]["pids"] = json!({ "limit": 9 });
    })?;
    let path = bundle.path.to_string_lossy().into_owned();
    for words in [&[DISABLED][..], &["--cgroup-manager", "disabled"]] {
        let done = context.vial(&[words, &["run", "--bundle", &path, &context.id()]].concat())?;
        edit::words_of_refusal(&done, &["linux.resources.pids.limit: ", DISABLED])?;
    }
    let run = |manager: &str| {
        let flag = format!("--cgroup-manager={manager}");
        context.vial(&[&flag, "run", "--bundle", &path, &context.id()])
    };
    Ok(edit::words_of_refusal(&run("other")?, &["unknown cgroup manager \"other\""])?)
}

fn root_of_a_user_namespace_owns_a_cgroup_that_it_can_write(context: &Context) -> Outcome {
    let owner = |options: &[&str]| {
        let container = Container::created_from(context, |config| {
            edit::user_namespace(config, 100_000);
            edit::show_cgroup(config, options);
            edit::deeds(config, &["mkdir", "/sys/fs/cgroup/below", "+", "echo", "made"]);
        })?;
        let own = cgroup_of(container.pid()?)?;
        let uid = |path: &Path| fs::metadata(path).map(|file| file.uid()).map_err(words);
        let owners = [uid(&own)?, uid(&own.join("cgroup.procs"))?, uid(&own.join("pids.max"))?];
        container.vial("start", &[])?.success()?;
        container.ends()?;
        let said = container.output();
        container.remove()?;
        Ok::<_, String>((owners, said))
    };
    let (owners, said) = owner(&["rw"])?;
    same("the owners", owners, [100_000, 100_000, 0])?;
    same("what it made", said.as_str(), "made\n")?;
    let (owners, said) = owner(&["ro"])?;
    same("the owners", owners, [0, 0, 0])?;
    Ok(same("what it made", said.as_str(), "EROFS\n")?)
}
