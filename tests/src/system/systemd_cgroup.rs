//! Containers whose cgroup systemd makes, as that of a scope.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::container::{cgroup_of, wait_until, words};
use super::edit;
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "systemd_cgroup",
    process_is_in_a_scope_with_its_properties [Systemd, Cgroup2],
    limits_survive_a_reload [Systemd, Cgroup2],
    update_survives_a_reload [Systemd, Cgroup2],
    devices_survive_a_reload [Systemd, Cgroup2],
    slice_of_the_path_holds_the_scope [Systemd, Cgroup2],
    scope_is_gone_after_the_container [Systemd, Cgroup2],
    scope_is_gone_after_a_failed_create [Systemd, Cgroup2],
    scope_is_gone_after_a_killed_create [Systemd, Cgroup2],
    systemd_is_reached_by_the_system_bus [Systemd, Cgroup2],
    name_of_a_failed_scope_is_used_again [Systemd, Cgroup2],
    name_of_a_running_scope_is_refused [Systemd, Cgroup2],
    annotations_set_properties [Systemd, Cgroup2],
    verbs_work_in_the_scope [Systemd, Cgroup2],
    scope_has_the_properties_that_runc_sets [Systemd, Cgroup2],
    wrong_paths_and_annotations_are_refused [Systemd, Cgroup2],
    reloads_meanwhile_do_no_harm [Systemd, Cgroup2],
    host_without_systemd_is_told[Root],
    contradicting_flags_are_refused,
);

const SYSTEMD: &str = "--systemd-cgroup";

/// Runs systemctl, which must succeed.
fn systemctl(context: &Context, words: &[&str]) -> Result<String, String> {
    let done = context.run(Command::new("systemctl").args(words))?.success()?;
    Ok(done.stdout.trim().to_owned())
}

fn property(context: &Context, unit: &str, name: &str) -> Result<String, String> {
    systemctl(context, &["show", "--value", "-p", name, "--", unit])
}

/// Whether systemd knows the unit, running or failed.
fn exists(context: &Context, unit: &str) -> Result<bool, String> {
    Ok(property(context, unit, "ActiveState")? != "inactive"
        || property(context, unit, "LoadState")? == "loaded")
}

/// A started container in a scope. Dropping it deletes it.
struct Scoped<'a> {
    context: &'a Context,
    id: String,
    pid: u32,
    scope: String,
}

impl<'a> Scoped<'a> {
    fn start(
        context: &'a Context,
        arguments: &[&str],
        edit: impl FnOnce(&mut Value),
    ) -> Result<Self, String> {
        let bundle = context.bundle(|config| {
            edit::deeds(config, arguments);
            edit(config);
        })?;
        let id = context.id();
        let path = bundle.path.to_string_lossy();
        context.vial(&[SYSTEMD, "create", "--bundle", &path, &id])?.success()?;
        let mut scoped = Self { context, pid: 0, scope: format!("vial-{id}.scope"), id };
        // As buildah does, without the flag.
        context.vial(&["start", &scoped.id])?.success()?;
        let state = context.vial(&["state", &scoped.id])?.success()?.json()?;
        scoped.pid = state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        Ok(scoped)
    }

    fn property(&self, name: &str) -> Result<String, String> {
        property(self.context, &self.scope, name)
    }

    fn vial(&self, verb: &[&str]) -> Result<Done, String> {
        Ok(self.context.vial(&[verb, &[&self.id]].concat())?)
    }

    fn cgroup(&self) -> Result<PathBuf, String> {
        cgroup_of(self.pid)
    }
}

impl Drop for Scoped<'_> {
    fn drop(&mut self) {
        // If this fails, the runner finds the process that is left.
        let _ = self.context.vial(&["delete", "--force", &self.id]);
    }
}

fn limits() -> Value {
    json!({
        "memory": { "limit": 64 << 20, "swap": 64 << 20, "reservation": 32 << 20 },
        "cpu": { "shares": 2048, "quota": 12_345, "period": 50_000, "cpus": "0", "mems": "0" },
        "pids": { "limit": 77 },
        "blockIO": { "weight": 500 },
        "unified": { "memory.high": "50331648", "memory.min": "1048576" },
    })
}

fn limit(config: &mut Value, limits: &Value) {
    if let (Some(all), Some(more)) =
        (config["linux"]["resources"].as_object_mut(), limits.as_object())
    {
        all.extend(more.clone());
    }
}

fn process_is_in_a_scope_with_its_properties(context: &Context) -> Outcome {
    let scoped = Scoped::start(context, &["sleep", "60"], |config| limit(config, &limits()))?;
    let place = format!("/sys/fs/cgroup/system.slice/{}", scoped.scope);
    same("the cgroup", scoped.cgroup()?, PathBuf::from(&place))?;
    for (name, value) in [
        ("ActiveState", "active"),
        ("Slice", "system.slice"),
        ("ControlGroup", place.trim_start_matches("/sys/fs/cgroup")),
        ("Transient", "yes"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("CollectMode", "inactive-or-failed"),
        ("NeedDaemonReload", "no"),
        ("MemoryAccounting", "yes"),
        ("TasksAccounting", "yes"),
        ("MemoryMax", "67108864"),
        ("MemoryLow", "33554432"),
        ("MemoryHigh", "50331648"),
        ("MemoryMin", "1048576"),
        ("MemorySwapMax", "0"),
        ("CPUWeight", "174"),
        ("CPUQuotaPerSecUSec", "250ms"),
        ("CPUQuotaPeriodUSec", "50ms"),
        ("AllowedCPUs", "0"),
        ("AllowedMemoryNodes", "0"),
        ("TasksMax", "77"),
        ("IOWeight", "4500"),
    ] {
        same(name, scoped.property(name)?.as_str(), value)?;
    }
    Ok(())
}

/// The files of the container's cgroup that hold limits.
fn files(scoped: &Scoped<'_>) -> Result<BTreeMap<String, String>, String> {
    let cgroup = scoped.cgroup()?;
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&cgroup).map_err(|e| e.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_limit = ["max", "min", "low", "high", "weight", "idle", "burst", "cpus", "mems"]
            .iter()
            .any(|end| name.ends_with(&format!(".{end}")));
        if is_limit {
            let text = fs::read_to_string(entry.path()).unwrap_or_default(); // io.weight may go.
            found.insert(name, text.trim().to_owned());
        }
    }
    Ok(found)
}

fn limits_survive_a_reload(context: &Context) -> Outcome {
    let without = json!({ "pids": { "limit": -1 }, "memory": { "limit": -1 } });
    let idle = json!({ "cpu": { "idle": 1 }, "unified": { "pids.max": "max" } });
    let exact = json!({ "cpu": { "quota": 33_333, "period": 100_000, "burst": 10_000 } });
    for limits in [limits(), without, idle, exact] {
        let scoped = Scoped::start(context, &["sleep", "60"], |config| limit(config, &limits))?;
        let before = files(&scoped)?;
        same("memory.max is there", before.contains_key("memory.max"), true)?;
        systemctl(context, &["daemon-reload"])?;
        same("needs a reload", scoped.property("NeedDaemonReload")?.as_str(), "no")?;
        same("the files", files(&scoped)?, before).map_err(|why| format!("{limits}: {why}"))?;
    }
    Ok(())
}

fn update_survives_a_reload(context: &Context) -> Outcome {
    let scoped = Scoped::start(context, &["sleep", "60"], |config| limit(config, &limits()))?;
    let change = ["--memory=96M", "--memory-swap=96M", "--pids-limit=44", "--cpu-quota=33333"];
    context.vial(&[&["update"][..], &change, &[&scoped.id]].concat())?.success()?;
    for (name, value) in [
        ("MemoryMax", "100663296"),
        ("MemorySwapMax", "0"),
        ("TasksMax", "44"),
        ("CPUQuotaPerSecUSec", "670ms"),
        ("CPUWeight", "174"),
    ] {
        same(name, scoped.property(name)?.as_str(), value)?;
    }
    let before = files(&scoped)?;
    same("cpu.max", before.get("cpu.max").map(String::as_str), Some("33500 50000"))?;
    same("pids.max", before.get("pids.max").map(String::as_str), Some("44"))?;
    systemctl(context, &["daemon-reload"])?;
    Ok(same("the files", files(&scoped)?, before)?)
}

/// What opening /dev/fuse and /dev/kmsg says in the container. A device that the kernel
/// does not have is opened, too, as far as cgroups go.
fn opened(scoped: &Scoped<'_>) -> Result<[String; 2], String> {
    let open = |path: &str| {
        let words = ["exec", &scoped.id, "/probe", "open-device", path, "w"];
        Ok::<_, String>(scoped.context.vial(&words)?.stdout.trim().to_owned())
    };
    Ok([open("/dev/fuse")?, open("/dev/kmsg")?])
}

fn devices_survive_a_reload(context: &Context) -> Outcome {
    let deny = json!({ "allow": false, "access": "rwm" });
    let fuse = json!({ "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw" });
    // systemd has no rules like these: for any major number, and all but one device.
    let minor = json!({ "allow": true, "type": "c", "minor": 229, "access": "rw" });
    let all = json!({ "allow": true, "access": "rwm" });
    let not_kmsg = json!({ "allow": false, "type": "c", "major": 1, "minor": 11, "access": "rwm" });
    for rules in [json!([deny, fuse]), json!([deny, minor]), json!([all, not_kmsg])] {
        let scoped = Scoped::start(context, &["sleep", "60"], |config| {
            config["linux"]["devices"] = json!([
                { "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229 },
                { "path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11 },
            ]);
            config["linux"]["resources"]["devices"] = rules.clone();
        })?;
        let before = opened(&scoped)?;
        let denied = before.each_ref().map(|said| said == "EPERM");
        same("what is denied", denied, [false, true]).map_err(|why| format!("{rules}: {why}"))?;
        systemctl(context, &["daemon-reload"])?;
        // Any change makes systemd write all properties that it has.
        systemctl(context, &["set-property", "--runtime", &scoped.scope, "TasksMax=50"])?;
        same("both after a reload", opened(&scoped)?, before)?;
        same("other devices", opens_null(&scoped)?, true)?;
    }
    Ok(())
}

fn opens_null(scoped: &Scoped<'_>) -> Result<bool, String> {
    let words = ["exec", &scoped.id, "/probe", "append", "/dev/null", "x"];
    Ok(scoped.context.vial(&words)?.code == 0)
}

fn slice_of_the_path_holds_the_scope(context: &Context) -> Outcome {
    let tag = format!("t{}", std::process::id());
    for (path, slices, scope) in [
        (format!("{tag}.slice:one:x"), format!("{tag}.slice"), "one-x.scope"),
        (
            format!("{tag}-b-c.slice:two:x"),
            format!("{tag}.slice/{tag}-b.slice/{tag}-b-c.slice"),
            "two-x.scope",
        ),
        (":three:x".into(), "system.slice".into(), "three-x.scope"),
        ("-.slice:four:x".into(), String::new(), "four-x.scope"),
        (format!("{tag}.slice::x"), format!("{tag}.slice"), "-x.scope"),
    ] {
        let scoped = Scoped::start(context, &["sleep", "60"], |config| {
            config["linux"]["cgroupsPath"] = path.as_str().into();
        })?;
        let place = PathBuf::from("/sys/fs/cgroup").join(slices).join(scope);
        same(&path, scoped.cgroup()?, place)?;
        drop(scoped);
        same(&format!("{path} is there"), exists(context, scope)?, false)?;
    }
    Ok(())
}

fn scope_is_gone_after_the_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    for force in [true, false] {
        let deeds: &[&str] = if force { &["sleep", "60"] } else { &["exit", "3"] };
        let scoped = Scoped::start(context, deeds, |_| {})?;
        let began = Instant::now();
        if force {
            scoped.vial(&["delete", "--force"])?.success()?;
        } else {
            wait_until("the end", || {
                let state = scoped.vial(&["state"]).and_then(|done| done.json());
                state.is_ok_and(|state| state["status"] == "stopped")
            })?;
            scoped.vial(&["delete"])?.success()?;
        }
        // vial gives up on a systemd that says nothing for 30 s.
        same("systemd answered", began.elapsed() < Duration::from_secs(25), true)?;
        same("the scope is there", exists(context, &scoped.scope)?, false)?;
    }
    // `run` removes it, too.
    let bundle = context.bundle(|config| edit::deeds(config, &["exit", "7"]))?;
    let (path, id) = (bundle.path.to_string_lossy(), context.id());
    same("run", context.vial(&[SYSTEMD, "run", "--bundle", &path, &id])?.code, 7)?;
    same("the scope is there", exists(context, &format!("vial-{id}.scope"))?, false)?;
    Ok(context.nothing_left_since(&before)?)
}

fn create(context: &Context, bundle: &Bundle, id: &str) -> Command {
    let mut command = context.command(&[SYSTEMD, "create", "--bundle"]);
    command.arg(&bundle.path).arg(id).stdin(Stdio::null());
    command
}

fn scope_is_gone_after_a_failed_create(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle = context.bundle(|config| edit::mount(config, "nosuchfs", "x", "/x", &[]))?;
    let id = context.id();
    let done = context.run(&mut create(context, &bundle, &id))?.failure()?;
    same("the error", done.stderr.contains("nosuchfs"), true)
        .map_err(|e| format!("{e}: {done}"))?;
    same("the scope is there", exists(context, &format!("vial-{id}.scope"))?, false)?;
    Ok(context.nothing_left_since(&before)?)
}

/// At some moment after its start.
fn scope_is_gone_after_a_killed_create(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle = context.bundle(|_| {})?;
    for tenths in 0..12 {
        let id = context.id();
        let mut child = create(context, &bundle, &id).spawn().map_err(words)?;
        sleep(Duration::from_millis(tenths * 10));
        child.kill().map_err(words)?;
        child.wait().map_err(words)?;
        context.vial(&["delete", "--force", &id])?.success()?;
        same("the scope is there", exists(context, &format!("vial-{id}.scope"))?, false)
            .map_err(|why| format!("after {tenths}0 ms: {why}"))?;
    }
    Ok(context.nothing_left_since(&before)?)
}

/// Where systemd's own socket refuses connections.
fn systemd_is_reached_by_the_system_bus(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| edit::deeds(config, &["sleep", "60"]))?;
    let (path, id) = (bundle.path.to_string_lossy(), context.id());
    let scope = format!("vial-{id}.scope");
    let call = |words: &[&str]| -> Result<Done, String> {
        let role = "covered:/dev/null:/run/systemd/private";
        Ok(context.run(&mut context.command_as(role, words))?)
    };
    call(&[SYSTEMD, "create", "--bundle", &path, &id])?.success()?;
    same("the scope", property(context, &scope, "ActiveState")?.as_str(), "active")?;
    call(&["delete", "--force", &id])?.success()?;
    Ok(same("the scope is there", exists(context, &scope)?, false)?)
}

fn name_of_a_failed_scope_is_used_again(context: &Context) -> Outcome {
    let name = format!("again-{}.scope", std::process::id());
    let unit = ["--scope", "--quiet", "--unit", &name, "--property=RuntimeMaxSec=1", "sleep", "30"];
    let done = context.run(Command::new("systemd-run").args(unit))?;
    same("it was killed", done.code == 0, false)?;
    same("the state", property(context, &name, "ActiveState")?.as_str(), "failed")?;
    let path = format!(":again:{}", std::process::id());
    let scoped = Scoped::start(context, &["sleep", "60"], |config| {
        config["linux"]["cgroupsPath"] = path.as_str().into();
    })?;
    let cgroup = scoped.cgroup()?;
    Ok(same("the cgroup", cgroup.ends_with(&name), true)?)
}

/// Neither in the same slice, where its cgroup is in the way, nor in another.
fn name_of_a_running_scope_is_refused(context: &Context) -> Outcome {
    let name = format!("taken-{}.scope", std::process::id());
    for (slice, words_of_error) in
        [("system.slice", "holds processes already"), ("another.slice", "already")]
    {
        let mut holder = Command::new("systemd-run");
        holder.args(["--scope", "--quiet", "--slice", slice, "--unit", &name, "sleep", "60"]);
        let mut holder = holder.spawn().map_err(words)?;
        let outcome = (|| {
            let active =
                || property(context, &name, "ActiveState").is_ok_and(|state| state == "active");
            wait_until("the scope", active)?;
            let path = format!(":taken:{}", std::process::id());
            let bundle =
                context.bundle(|config| config["linux"]["cgroupsPath"] = path.as_str().into())?;
            let done = context.run(&mut create(context, &bundle, &context.id()))?;
            edit::words_of_refusal(&done, &[words_of_error])?;
            same("it runs on", active(), true).map_err(|why| format!("{slice}: {why}"))
        })();
        holder.kill().map_err(words)?;
        holder.wait().map_err(words)?;
        wait_until("its end", || exists(context, &name) == Ok(false))?;
        outcome?;
    }
    Ok(())
}

fn annotations_set_properties(context: &Context) -> Outcome {
    let scoped = Scoped::start(context, &["sleep", "60"], |config| {
        config["annotations"] = json!({
            "org.systemd.property.TimeoutStopUSec": "uint64 123000000",
            "org.systemd.property.RuntimeMaxSec": "500",
            "org.systemd.property.After": "['basic.target', 'slices.target']",
            "org.systemd.property.KillSignal": "10",
            "org.systemd.property.Description": "'a \\'quoted\\' one'",
            "org.systemd.property.SendSIGHUP": "true",
            "org.systemd.property.CollectMode": "'inactive'",
        });
    })?;
    for (name, value) in [
        ("TimeoutStopUSec", "2min 3s"),
        ("RuntimeMaxUSec", "8min 20s"),
        ("KillSignal", "10"),
        ("Description", "a 'quoted' one"),
        ("SendSIGHUP", "yes"),
        ("CollectMode", "inactive"),
    ] {
        same(name, scoped.property(name)?.as_str(), value)?;
    }
    let after = scoped.property("After")?;
    let has = |unit: &str| after.split(' ').any(|one| one == unit);
    Ok(same("After", has("basic.target") && has("slices.target"), true)?)
}

fn verbs_work_in_the_scope(context: &Context) -> Outcome {
    let scoped = Scoped::start(context, &["sleep", "60"], |config| limit(config, &limits()))?;
    let cgroup = scoped.cgroup()?;
    let words = ["exec", &scoped.id, "/probe", "cat", "/proc/self/cgroup"];
    let seen = context.vial(&words)?.success()?.stdout;
    same("the exec's cgroup", seen.trim().ends_with(&scoped.scope), true)
        .map_err(|why| format!("{why}: {seen}"))?;
    let pids = scoped.vial(&["ps", "--format", "json"])?.success()?.stdout;
    same("ps", pids.trim(), format!("[{}]", scoped.pid).as_str())?;
    scoped.vial(&["pause"])?.success()?;
    let frozen = fs::read_to_string(cgroup.join("cgroup.events")).map_err(words_of)?;
    same("frozen", frozen.contains("frozen 1"), true)?;
    systemctl(context, &["daemon-reload"])?;
    let state = scoped.vial(&["state"])?.success()?.json()?;
    same("the status", state["status"].as_str(), Some("paused"))?;
    scoped.vial(&["resume"])?.success()?;
    context.vial(&["kill", "--all", &scoped.id, "KILL"])?.success()?;
    wait_until("the end", || {
        scoped.vial(&["state"]).and_then(|done| done.json()).is_ok_and(|s| s["status"] == "stopped")
    })?;
    scoped.vial(&["delete"])?.success()?;
    Ok(same("the scope is there", exists(context, &scoped.scope)?, false)?)
}

fn words_of(error: std::io::Error) -> String {
    error.to_string()
}

/// What describes a unit whatever made it.
const COMPARED: &str = "Slice,Delegate,DefaultDependencies,Transient,MemoryAccounting,\
    TasksAccounting,IOAccounting,CPUAccounting,MemoryMax,MemoryLow,MemoryHigh,MemoryMin,\
    MemorySwapMax,CPUWeight,CPUQuotaPerSecUSec,CPUQuotaPeriodUSec,AllowedCPUs,\
    AllowedMemoryNodes,TasksMax,KillSignal,TimeoutStopUSec";

fn scope_has_the_properties_that_runc_sets(context: &Context) -> Outcome {
    let limits = json!({
        "memory": { "limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20 },
        "cpu": { "quota": 12_345, "period": 50_000, "cpus": "0", "mems": "0" },
        "pids": { "limit": 77 },
        "unified":
            { "memory.high": "50331648", "memory.min": "1048576", "cpu.weight": "50" },
    });
    let edit = |config: &mut Value, name: &str| {
        edit::deeds(config, &["sleep", "60"]);
        limit(config, &limits);
        config["linux"]["cgroupsPath"] = format!("same.slice:{name}:x").into();
        config["annotations"] = json!({
            "org.systemd.property.TimeoutStopUSec": "uint64 7000000",
            "org.systemd.property.KillSignal": "15",
        });
    };
    let show = |scope: &str| systemctl(context, &["show", "-p", COMPARED, scope]);
    let scoped = Scoped::start(context, &[], |config| edit(config, "ours"))?;
    let ours = show("ours-x.scope")?;
    let our_files = files(&scoped)?;
    let mut compared = 0;
    for other in ["runc", "crun"] {
        if Command::new(other).arg("--version").output().is_err() {
            continue;
        }
        let bundle = context.bundle(|config| edit(config, other))?;
        let root = context.directory.join(other);
        let call = |words: &[&str]| {
            let mut command = Command::new(other);
            context.run(command.arg("--root").arg(&root).arg(SYSTEMD).args(words).arg(other))
        };
        let path = bundle.path.to_string_lossy();
        let outcome = (|| {
            call(&["create", "--bundle", &path])?.success()?;
            let theirs = show(&format!("{other}-x.scope"))?;
            // crun takes the sum of memory and swap as the limit of swap, and its older
            // versions do not account I/O.
            let differs = |line: &&str| {
                let name = line.split('=').next().unwrap_or_default();
                other != "crun" || !matches!(name, "MemorySwapMax" | "IOAccounting")
            };
            let lines = |text: &str| -> Vec<String> {
                text.lines().filter(differs).map(str::to_owned).collect()
            };
            same(other, lines(&theirs), lines(&ours))
        })();
        call(&["delete", "--force"])?.success()?;
        outcome?;
        compared += 1;
    }
    same("how many were compared", compared > 0, true)?;
    Ok(same("cpu.max", our_files.get("cpu.max").map(String::as_str), Some("12500 50000"))?)
}

fn wrong_paths_and_annotations_are_refused(context: &Context) -> Outcome {
    let check = |edit: &dyn Fn(&mut Value), words: &[&str]| -> Result<(), String> {
        let before = context.leftovers();
        let bundle = context.bundle(|config| edit(config))?;
        let done = context.run(&mut create(context, &bundle, &context.id()))?;
        edit::words_of_refusal(&done, words)?;
        context.nothing_left_since(&before)
    };
    for (path, words) in [
        ("/a/b", "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups"),
        ("a:b:c", "does not end with .slice"),
        ("a--b.slice:p:n", "nothing beside a dash"),
        ("a.slice:p:", "has no name"),
        ("a.slice:p:n/m", "it has '/'"),
    ] {
        let edit = |config: &mut Value| config["linux"]["cgroupsPath"] = path.into();
        check(&edit, &["config.json linux.cgroupsPath: ", words])?;
    }
    for (name, value, words) in [
        ("KillSignal", "nine", "\"nine\" is not a value such as"),
        ("After", "['a'", "is not a value such as"),
        ("RuntimeMaxSec", "'x'", "is not a number of seconds"),
        ("Kill-Signal", "9", "is not the name of a property of systemd"),
        ("Slice", "'a.slice'", "vial sets Slice itself"),
        // By systemd itself.
        ("NoSuchThing", "true", "NoSuchThing"),
        ("KillSignal", "'x'", "have systemd make vial-"),
    ] {
        let key = format!("org.systemd.property.{name}");
        let edit = |config: &mut Value| config["annotations"] = json!({ key.as_str(): value });
        check(&edit, &[words])?;
    }
    Ok(())
}

fn reloads_meanwhile_do_no_harm(context: &Context) -> Outcome {
    let done = AtomicBool::new(false);
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = Command::new("systemctl").arg("daemon-reload").status(); // Only a load.
            }
        });
        let outcome = (0..4).try_for_each(|_| {
            let scoped = Scoped::start(context, &["sleep", "60"], |_| {})?;
            scoped.vial(&["delete", "--force"])?.success()?;
            same("the scope is there", exists(context, &scoped.scope)?, false)
        });
        done.store(true, Ordering::Relaxed);
        outcome
    });
    Ok(outcome?)
}

fn host_without_systemd_is_told(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle = context.bundle(|_| {})?;
    let path = bundle.path.to_string_lossy();
    let empty = context.directory.join("empty");
    fs::create_dir_all(&empty).map_err(words)?;
    let is_there = fs::exists("/run/systemd").unwrap_or(false);
    let call = |words: &[&str]| -> Result<Done, String> {
        // Where there is one, it is hidden.
        let role = format!("covered:{}:/run/systemd", empty.display());
        let mut command =
            if is_there { context.command_as(&role, words) } else { context.command(words) };
        Ok(context.run(&mut command)?)
    };
    for flag in [SYSTEMD, "--cgroup-manager=systemd"] {
        let done = call(&[flag, "create", "--bundle", &path, &context.id()])?;
        let words =
            ["this machine was not booted with systemd", "hint: leave out --systemd-cgroup"];
        edit::words_of_refusal(&done, &words)?;
        // Engines send it with every verb.
        call(&[flag, "delete", "--force", &context.id()])?.success()?;
        call(&[flag, "features"])?.success()?;
    }
    Ok(context.nothing_left_since(&before)?)
}

fn contradicting_flags_are_refused(context: &Context) -> Outcome {
    let done = context.vial(&[SYSTEMD, "--cgroup-manager=disabled", "list"])?;
    edit::words_of_refusal(&done, &["contradict each other"])?;
    Ok(context.vial(&["--systemd-cgroup=false", "features"])?.success().map(drop)?)
}
