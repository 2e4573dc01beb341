//! list, ps, pause, resume, spec, features and plan: what vial shows of containers and
//! of itself.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::container::{Container, refused, run_into, wait_until, words};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "views",
    list_without_containers_is_empty,
    list_shows_every_container[Root],
    broken_state_hides_no_other_container[Root],
    ps_lists_the_hosts_pids[Root],
    ps_of_a_stopped_container_is_empty[Root],
    pause_stops_and_resume_continues[Root],
    pause_and_resume_refuse_the_wrong_status[Root],
    paused_container_can_be_killed_and_deleted[Root],
    spec_keeps_an_existing_file,
    spec_writes_a_config_that_runs[Root],
    spec_rootless_has_a_user_namespace,
    features_have_the_fields_that_engines_read,
    plan_prints_the_stages_in_order,
    plan_leaves_no_trace,
);

fn list(context: &Context, words: &[&str]) -> Result<String, String> {
    let done = context.run(context.command(&["list"]).args(words))?.success()?;
    same("stderr", done.stderr.as_str(), "")?;
    Ok(done.stdout)
}

fn list_without_containers_is_empty(context: &Context) -> Outcome {
    fs::create_dir_all(&context.state).map_err(words)?;
    same("ids", list(context, &["--quiet"])?.as_str(), "")?;
    let json: Value = serde_json::from_str(&list(context, &["-f", "json"])?).map_err(words)?;
    same("json", json.as_array().is_none_or(Vec::is_empty), true)?;
    same("lines of the table", list(context, &[])?.lines().count(), 1)?;
    let done = context.run(context.command(&["list", "--format", "yaml"]).arg("-q"))?;
    Ok(refused(&done, "yaml")?)
}

fn list_shows_every_container(context: &Context) -> Outcome {
    let created = Container::created(context, &["sleep", "3600"])?;
    let running = Container::started(context, &["sleep", "3600"])?;
    let stopped = Container::started(context, &["exit", "0"])?;
    stopped.ends()?;
    let table = list(context, &[])?;
    let header = table.lines().next().unwrap_or_default();
    for title in ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"] {
        same(title, header.split_whitespace().any(|word| word == title), true)?;
    }
    for (container, status) in [(&created, "created"), (&running, "running"), (&stopped, "stopped")]
    {
        let row = table.lines().find(|line| line.starts_with(&*container.id)).unwrap_or_default();
        let row: Vec<&str> = row.split_whitespace().collect();
        same("its status", row.get(2), Some(&status))?;
        same("its pid", row.get(1), Some(&container.pid()?.to_string().as_str()))?;
    }
    let json = list(context, &["--format", "json"])?;
    same("lines of JSON, one as runc prints it", json.lines().count(), 1)?;
    let json: Value = serde_json::from_str(&json).map_err(words)?;
    same("the number of containers in JSON", json.as_array().map(Vec::len), Some(3))?;
    let same_as_state = json.as_array().into_iter().flatten().any(|one| {
        one["id"] == *running.id && one["status"] == "running" && one["pid"].as_u64() > Some(0)
    });
    same("whether it has the running container", same_as_state, true)?;
    same("ids", list(context, &["-q"])?.lines().count(), 3)?;
    created.remove()?;
    running.remove()?;
    Ok(stopped.remove()?)
}

fn broken_state_hides_no_other_container(context: &Context) -> Outcome {
    let good = Container::started(context, &["sleep", "3600"])?;
    let bad = Container::created(context, &["sleep", "3600"])?;
    let file = context.state.join(&bad.id).join("state.json");
    let whole = fs::read_to_string(&file).map_err(words)?;
    fs::create_dir(context.state.join("empty")).map_err(words)?;
    fs::write(context.state.join("stray"), "hello").map_err(words)?;
    std::os::unix::fs::symlink("/etc", context.state.join("link")).map_err(words)?;
    for content in ["", "{", "null", "[]", "\0\0\0\0", &whole[..whole.len() / 2]] {
        fs::write(&file, content).map_err(words)?;
        for format in [&["-q"][..], &["-f", "json"], &[]] {
            let done = context.run(context.command(&["list"]).args(format))?.success()?;
            same("whether the good container is listed", done.stdout.contains(&*good.id), true)?;
        }
        good.is("running")?;
        let done = bad.vial("state", &[])?;
        refused(&done, &bad.id).map_err(|why| format!("{content:?}: {why}"))?;
    }
    fs::write(&file, whole).map_err(words)?;
    same(
        "whether /etc is untouched",
        Path::new("/etc/passwd").exists() || !Path::new("/etc").exists(),
        true,
    )?;
    context.vial(&["delete", "--force", "empty"])?.success()?;
    same("whether the empty state exists", context.state.join("empty").exists(), false)?;
    bad.remove()?;
    Ok(good.remove()?)
}

fn ps_lists_the_hosts_pids(context: &Context) -> Outcome {
    let container = Container::started(context, &["fork", "2", "+", "sleep", "3600"])?;
    container.printed(1)?;
    let json = context.vial(&["ps", "--format", "json", &container.id])?.success()?.stdout;
    same("its lines", json.lines().count(), 1)?;
    let pids: Vec<u64> = serde_json::from_str(&json).map_err(|e| format!("{e}: {json}"))?;
    same("the processes", pids.len(), 3)?;
    same("whether it has the first process", pids.contains(&container.pid()?), true)?;
    for pid in &pids {
        let name = fs::read_to_string(format!("/proc/{pid}/cmdline")).map_err(words)?;
        same(
            "whether it is one of the probe's processes",
            name.contains("sleep") || name.contains("fork"),
            true,
        )?;
    }
    let table = container.vial("ps", &[])?.success()?.stdout;
    let header = table.lines().next().unwrap_or_default();
    same("PID", header.split_whitespace().any(|word| word == "PID"), true)?;
    same("the rows", table.lines().count(), 1 + pids.len())?;
    Ok(container.remove()?)
}

fn ps_of_a_stopped_container_is_empty(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    let done = context.vial(&["ps", "--format", "json", &container.id])?.success()?;
    same("the processes", done.stdout.trim(), "[]")?;
    Ok(container.remove()?)
}

fn pause_stops_and_resume_continues(context: &Context) -> Outcome {
    let container = Container::started(context, &["tick", "/tmp/ticks"])?;
    let file = container.bundle.rootfs.join("tmp/ticks");
    let ticks = || fs::metadata(&file).map_or(0, |meta| meta.len());
    wait_until("a tick", || ticks() > 0)?;
    container.vial("pause", &[])?.success()?;
    container.is("paused")?;
    let paused = ticks();
    std::thread::sleep(Duration::from_millis(200));
    same("the ticks while paused", ticks(), paused)?;
    container.vial("resume", &[])?.success()?;
    container.is("running")?;
    wait_until("more ticks", || ticks() > paused)?;
    Ok(container.remove()?)
}

fn pause_and_resume_refuse_the_wrong_status(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    refused(&container.vial("resume", &[])?, "not paused")?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    refused(&container.vial("pause", &[])?, "container not running")?;
    Ok(container.remove()?)
}

fn paused_container_can_be_killed_and_deleted(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::started(context, &["sleep", "3600"])?;
    container.vial("pause", &[])?.success()?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.remove()?;
    let container = Container::started(context, &["fork", "3", "+", "sleep", "3600"])?;
    container.vial("pause", &[])?.success()?;
    refused(&container.vial("delete", &[])?, "that is not stopped: paused")?;
    container.remove()?;
    Ok(context.nothing_left_since(&before)?)
}

fn spec(context: &Context, words: &[&str]) -> Result<Value, String> {
    let directory = context.directory.join(context.id());
    fs::create_dir(&directory).map_err(self::words)?;
    let done = context.run(context.command(&["spec", "--bundle"]).arg(&directory).args(words))?;
    same("stdout", done.success()?.stdout.as_str(), "")?;
    let text = fs::read_to_string(directory.join("config.json")).map_err(self::words)?;
    serde_json::from_str(&text).map_err(self::words)
}

fn spec_keeps_an_existing_file(context: &Context) -> Outcome {
    let directory = context.directory.join("spec");
    fs::create_dir(&directory).map_err(words)?;
    fs::write(directory.join("config.json"), "mine").map_err(words)?;
    let done = context.run(context.command(&["spec", "-b"]).arg(&directory))?;
    refused(&done, "config.json")?;
    let text = fs::read_to_string(directory.join("config.json")).map_err(words)?;
    same("the file", text.as_str(), "mine")?;
    fs::remove_file(directory.join("config.json")).map_err(words)?;
    // Without --bundle, the working directory is the bundle.
    context.run(context.command(&["spec"]).current_dir(&directory))?.success()?;
    Ok(same("whether the file exists", directory.join("config.json").exists(), true)?)
}

fn spec_writes_a_config_that_runs(context: &Context) -> Outcome {
    let before = context.leftovers();
    let mut config = spec(context, &[])?;
    same("ociVersion", config["ociVersion"].as_str().map(|v| v.starts_with("1.")), Some(true))?;
    edit::deeds(&mut config, &["echo", "hello"]);
    config["process"]["terminal"] = json!(false);
    let bundle = context.bundle(|base| *base = config)?;
    let done = context.run_bundle(&bundle)?.success()?;
    same("what it printed", (&*done.stdout, &*done.stderr), ("hello\n", ""))?;
    Ok(context.nothing_left_since(&before)?)
}

fn spec_rootless_has_a_user_namespace(context: &Context) -> Outcome {
    let config = spec(context, &["--rootless"])?;
    let namespaces = config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    let has = |kind: &str| namespaces.iter().any(|namespace| namespace["type"] == kind);
    same("a user namespace", has("user"), true)?;
    let mapping = &config["linux"]["uidMappings"][0];
    let own = u64::from(rustix::process::getuid().as_raw());
    same("the mapped uid", mapping["hostID"].as_u64(), Some(own))?;
    Ok(same("its size", mapping["size"].as_u64(), Some(1))?)
}

fn features_have_the_fields_that_engines_read(context: &Context) -> Outcome {
    // Engines call it without options before the verb.
    let done = context.run(std::process::Command::new(&context.vial).arg("features"))?.success()?;
    same("stderr", done.stderr.as_str(), "")?;
    let features: Value = done.json()?;
    for field in ["ociVersionMin", "ociVersionMax"] {
        same(field, features[field].as_str().map(|v| v.starts_with("1.")), Some(true))?;
    }
    let has = |list: &Value, what: &str| {
        list.as_array().is_some_and(|list| list.iter().any(|one| one == what))
    };
    same("rro", has(&features["mountOptions"], "rro"), true)?;
    let linux = &features["linux"];
    same("user namespaces", has(&linux["namespaces"], "user"), true)?;
    same("cgroup v2", linux["cgroup"]["v2"].as_bool(), Some(true))?;
    same("seccomp", linux["seccomp"]["enabled"].as_bool(), Some(true))?;
    same("a capability", has(&linux["capabilities"], "CAP_SYS_ADMIN"), true)?;
    Ok(same("idmap", linux["mountExtensions"]["idmap"]["enabled"].is_boolean(), true)?)
}

fn plan_prints_the_stages_in_order(context: &Context) -> Outcome {
    let bundle = context.bundle(|_| {})?;
    let mut command = context.command(&["plan", "--bundle"]);
    let text = context.run(command.arg(&bundle.path))?.success()?.stdout;
    let place = |what: &str| text.find(what).ok_or_else(|| format!("no {what}: {text}"));
    let stages = [place("stage 0")?, place("stage 2")?];
    same("whether stage 0 is first", stages[0] < stages[1], true)?;
    same("whether the host name is set in stage 2", place("vial  (hostname)")? > stages[1], true)?;
    same("a mount", text.contains("mount proc on /proc  (mounts[0])"), true)?;
    let out = context.directory.join("plan.json");
    let mut command = context.command(&["plan", "--format", "json", "--bundle"]);
    let json = run_into(context, command.arg(&bundle.path), &out)?.success()?.stdout;
    let acts: Vec<Value> = serde_json::from_str(&json).map_err(words)?;
    let stages: Vec<u64> = acts.iter().filter_map(|act| act["stage"].as_u64()).collect();
    same("the number of stages", stages.len(), acts.len())?;
    same("whether the stages are in order", stages.is_sorted(), true)?;
    let lines = text.lines().filter(|line| line.starts_with(' ')).count();
    Ok(same("the number of lines", lines, acts.len())?)
}

fn plan_leaves_no_trace(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle = context.bundle(|_| {})?;
    context.run(context.command(&["plan", "-b"]).arg(&bundle.path).arg("id"))?.success()?;
    same("whether the state directory exists", context.state.exists(), false)?;
    Ok(context.nothing_left_since(&before)?)
}
