//! The hooks of config.json: when, where and how they run, and what their failures do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::container::{Container, nothing_left, refused, send, start, wait_until, words};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "hooks",
    hooks_run_in_the_order_of_the_spec[Root],
    hooks_of_run_are_those_of_create_start_and_delete[Root],
    state_comes_over_standard_input[Root],
    hooks_run_in_the_namespaces_of_the_spec[Root],
    hooks_of_the_container_are_its_user[Root],
    hooks_of_the_container_have_its_limits[Root],
    low_limits_do_not_stop_hooks[Root],
    hooks_of_the_container_have_its_filter[Root],
    hooks_get_their_arguments_and_environment[Root],
    hooks_inherit_nothing_else[Root, Shell],
    state_verb_tells_the_status_in_each_hook[Root],
    exec_runs_no_hook[Root],
    plan_shows_every_hook[Root],
    failed_hook_fails_its_verb_and_leaves_nothing[Root],
    failure_of_a_hook_is_told_in_words[Root, Shell],
    hook_is_killed_at_its_timeout[Root],
    failed_poststop_hook_is_a_warning[Root],
    failed_create_runs_the_poststop_hooks[Root],
    poststop_hooks_need_no_bundle[Root],
    poststop_hooks_run_after_a_create_that_died[Root],
    delete_force_ends_a_hook_that_hangs[Root],
    signal_ends_a_run_whose_hook_hangs[Root],
    hook_may_leave_its_input_unread[Root],
    hook_enters_the_namespaces_by_pid[Root],
    hooks_run_with_a_user_namespace[Root, UserNamespaces],
    hooks_run_without_a_mount_namespace[Root],
    hooks_run_without_pidfds_and_close_range[Root, Shell],
);

/// The points in order, and the status that the spec has for each.
const POINTS: [(&str, &str); 6] = [
    ("prestart", "creating"),
    ("createRuntime", "creating"),
    ("createContainer", "creating"),
    ("startContainer", "created"),
    ("poststart", "running"),
    ("poststop", "stopped"),
];
/// Those whose path is the container's.
const INSIDE: &str = "startContainer";

/// Where hooks write their notes: the same file by its path outside and inside.
struct Notes {
    directory: PathBuf,
}

impl Notes {
    fn new(context: &Context) -> Result<Self, String> {
        let directory = context.directory.join(format!("notes-{}", context.id()));
        fs::create_dir(&directory).map_err(words)?;
        let notes = Self { directory };
        fs::write(notes.file(), "").map_err(words)?;
        // For the root of a user namespace.
        super::hooks::allow_all(&notes.file())?;
        Ok(notes)
    }

    fn file(&self) -> PathBuf {
        self.directory.join("all")
    }

    /// Mounts them in the container.
    fn mount(&self, config: &mut Value) {
        edit::bind(config, &self.directory.to_string_lossy(), "/notes", &["bind"]);
    }

    /// A hook that takes a note of this name; the words are a command.
    fn hook(&self, context: &Context, point: &str, name: &str, command: &[&str]) -> Value {
        let inside = point == INSIDE;
        let file = if inside { PathBuf::from("/notes/all") } else { self.file() };
        let program = if inside { PathBuf::from("/probe") } else { context.probe.clone() };
        let mut args = vec!["hook", "note"];
        let file = file.to_string_lossy();
        args.extend([&*file, name]);
        args.extend(command);
        json!({ "path": program, "args": args })
    }

    /// Adds a hook at every point, which takes a note under the point's name.
    fn everywhere(&self, context: &Context, config: &mut Value) {
        self.mount(config);
        for (point, _) in POINTS {
            let hook = self.hook(context, point, point, &[]);
            edit::add(&mut config["hooks"][point], hook);
        }
    }

    /// All notes so far.
    fn all(&self) -> Result<Vec<Value>, String> {
        let text = fs::read_to_string(self.file()).map_err(words)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(words)).collect()
    }

    /// Their names.
    fn names(&self) -> Result<Vec<String>, String> {
        let all = self.all()?.into_iter();
        Ok(all.map(|note| note["name"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// The note of this name.
    fn of(&self, name: &str) -> Result<Value, String> {
        let mut all = self.all()?.into_iter();
        all.find(|note| note["name"] == name).ok_or_else(|| format!("no note of {name}"))
    }
}

fn allow_all(file: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o666)).map_err(words)
}

/// A hook that runs the probe with these deeds.
fn doing(context: &Context, point: &str, deeds: &[&str]) -> Value {
    let path = if point == INSIDE { PathBuf::from("/probe") } else { context.probe.clone() };
    let args: Vec<&str> = ["hook"].into_iter().chain(deeds.iter().copied()).collect();
    json!({ "path": path, "args": args })
}

fn points() -> impl Iterator<Item = &'static str> {
    POINTS.into_iter().map(|(point, _)| point)
}

fn hooks_run_in_the_order_of_the_spec(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let container = Container::prepared_from(context, |config| {
        let own = ["note", "/notes/all", "program", "+", "sleep", "3600"];
        edit::deeds(config, &own);
        notes.mount(config);
        for point in points() {
            for number in 0..2 {
                let name = format!("{point} {number}");
                edit::add(&mut config["hooks"][point], notes.hook(context, point, &name, &[]));
            }
        }
    })?;
    let mut wanted = Vec::new();
    let mut then = |names: &[&str]| {
        wanted.extend(names.iter().flat_map(|name| [format!("{name} 0"), format!("{name} 1")]));
        same("the hooks so far", notes.names()?, wanted.clone())
    };
    container.create(&[])?.success()?;
    then(&["prestart", "createRuntime", "createContainer"])?;
    container.vial("start", &[])?.success()?;
    wait_until("the program", || notes.of("program").is_ok())?;
    let without_program = |notes: &Notes| {
        let names = notes.names()?;
        let place = |name: &str| names.iter().position(|seen| seen == name);
        same("whether it ran later", place("startContainer 1") < place("program"), true)
    };
    without_program(&notes)?;
    let text = fs::read_to_string(notes.file()).map_err(words)?;
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("\"program\"")).collect();
    fs::write(notes.file(), kept.join("\n") + "\n").map_err(words)?;
    then(&["startContainer", "poststart"])?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    Ok(then(&["poststop"])?)
}

fn hooks_of_run_are_those_of_create_start_and_delete(context: &Context) -> Outcome {
    for options in [&[][..], &["--keep"], &["--detach"]] {
        let notes = Notes::new(context)?;
        let container = Container::prepared_from(context, |config| {
            edit::deeds(config, &["exit", "0"]);
            notes.everywhere(context, config);
        })?;
        context.run(container.command("run").args(options))?.success()?;
        let names: Vec<&str> = points().collect();
        let kept = !options.is_empty();
        let wanted = if kept { &names[..5] } else { &names[..] };
        same("the hooks", notes.names()?, wanted)?;
        if kept {
            container.remove()?;
        }
        same("the hooks", notes.names()?, &names[..])?;
    }
    Ok(())
}

fn state_comes_over_standard_input(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let annotations = json!({ "one": "a \"quoted\" \\ text\n", "two": "\u{1}\u{e9}" });
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        config["annotations"] = annotations.clone();
        notes.everywhere(context, config);
    })?;
    container.create(&[])?.success()?;
    let pid = container.pid()?;
    container.vial("start", &[])?.success()?;
    let (id, bundle) = (container.id.clone(), container.bundle.path.clone());
    container.remove()?;
    for (point, status) in POINTS {
        let input = notes.of(point)?["input"].as_str().unwrap_or_default().to_owned();
        let state: Value = serde_json::from_str(&input).map_err(words)?;
        let pid = match point {
            "createContainer" | "startContainer" => 1,
            "poststop" => 0,
            _ => pid,
        };
        let wanted = json!({ "ociVersion": "1.0.2", "id": id, "status": status, "pid": pid,
            "bundle": bundle, "annotations": annotations });
        same(point, state, wanted)?;
    }
    Ok(())
}

fn hooks_run_in_the_namespaces_of_the_spec(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        edit::show_cgroup(config, &[]);
        notes.everywhere(context, config);
    })?;
    container.create(&[])?.success()?;
    let pid = container.pid()?;
    container.vial("start", &[])?.success()?;
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let of = |pid: &str| {
        kinds.map(|kind| edit::inode(&format!("/proc/{pid}/ns/{kind}")).unwrap_or_default())
    };
    let (host, inside) = (of("self"), of(&pid.to_string()));
    container.remove()?;
    for point in points() {
        let note = notes.of(point)?;
        let seen = kinds
            .map(|kind| note["report"]["namespaces"][kind].as_str().unwrap_or_default().to_owned());
        let wanted = if point.ends_with("Container") { &inside } else { &host };
        same(point, &seen, wanted)?;
    }
    let root_of = |point: &str| {
        let note = notes.of(point)?;
        let points = note["report"]["mounts"].as_array().cloned().unwrap_or_default();
        Ok::<_, String>(points.iter().any(|mount| mount["point"] == "/notes"))
    };
    same("whether /notes is at the root of createContainer", root_of("createContainer")?, false)?;
    same("whether /notes is at the root of startContainer", root_of(INSIDE)?, true)?;
    Ok(())
}

fn hooks_of_the_container_are_its_user(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["note", "/notes/all", "program"]);
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1001, "additionalGids": [7] });
        config["process"]["cwd"] = "/tmp".into();
        notes.everywhere(context, config);
    })?;
    context.run_bundle(&bundle)?.success()?;
    let (hook, program) = (notes.of(INSIDE)?, notes.of("program")?);
    for field in ["uid", "gid", "groups", "umask", "capabilities", "no_new_privs", "cwd", "sid"] {
        same(field, &hook["report"][field], &program["report"][field])?;
    }
    // createContainer hooks prepare the container, so they have every privilege.
    let early = notes.of("createContainer")?;
    same("the uid", early["report"]["uid"].as_u64(), Some(0))?;
    same("the umask", early["report"]["umask"].as_str(), Some("0022"))?;
    let rootfs = bundle.rootfs.to_string_lossy();
    same("the directory", early["report"]["cwd"].as_str(), Some(&*rootfs))?;
    let before = notes.of("prestart")?;
    same("the capabilities", &early["report"]["capabilities"], &before["report"]["capabilities"])?;
    for point in ["prestart", "createRuntime", "poststart", "poststop"] {
        let note = notes.of(point)?;
        let bundle = bundle.path.to_string_lossy();
        same("the directory", note["report"]["cwd"].as_str(), Some(&*bundle))?;
    }
    Ok(())
}

fn hooks_of_the_container_have_its_limits(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let limits = json!([
        { "type": "RLIMIT_NOFILE", "soft": 16, "hard": 17 },
        { "type": "RLIMIT_CORE", "soft": 0, "hard": 1_u64 << 40 },
    ]);
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["note", "/notes/all", "program"]);
        config["process"]["rlimits"] = limits;
        notes.everywhere(context, config);
    })?;
    context.run(&mut container.command("run"))?.success()?;
    let of = |name: &str| {
        let report = notes.of(name)?["report"]["rlimits"].clone();
        Ok::<_, String>(json!([report["RLIMIT_NOFILE"], report["RLIMIT_CORE"]]))
    };
    let own = json!({ "soft": 16, "hard": 17 });
    same("the limit of fds", of("program")?[0].clone(), own)?;
    same("those of the hook", of(INSIDE)?, of("program")?)?;
    same("whether another has others", of("createContainer")? == of("program")?, false)?;
    Ok(())
}

fn low_limits_do_not_stop_hooks(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["exit", "3"]);
        // vial-init needs fds and memory, and writes the hook's input into a file.
        config["process"]["rlimits"] = ["NOFILE", "FSIZE", "NPROC"]
            .map(|kind| json!({ "type": format!("RLIMIT_{kind}"), "soft": 3, "hard": 3 }))
            .to_vec()
            .into();
        edit::add(&mut config["hooks"][INSIDE], doing(context, INSIDE, &["exit", "0"]));
    })?;
    let path = bundle.path.to_string_lossy().into_owned();
    let done = context.vial(&["run", "--bundle", &path, &context.id()])?;
    Ok(same(&done.stderr, done.code, 3)?)
}

fn hooks_of_the_container_have_its_filter(context: &Context) -> Outcome {
    for no_new_privileges in [true, false] {
        let notes = Notes::new(context)?;
        let bundle = context.bundle(|config| {
            edit::deeds(config, &["note", "/notes/all", "program"]);
            config["process"]["noNewPrivileges"] = no_new_privileges.into();
            config["process"]["capabilities"] = json!({});
            config["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["acct"], "action": "SCMP_ACT_ERRNO" }],
            });
            notes.everywhere(context, config);
        })?;
        context.run_bundle(&bundle)?.success()?;
        let (hook, program) = (notes.of(INSIDE)?, notes.of("program")?);
        same("the filter", hook["report"]["seccomp"].as_str(), Some("2"))?;
        for field in ["seccomp", "seccomp_filters", "capabilities"] {
            same(field, &hook["report"][field], &program["report"][field])?;
        }
        let early = notes.of("createContainer")?;
        same("the filter before", early["report"]["seccomp"].as_str(), Some("0"))?;
    }
    Ok(())
}

fn hooks_get_their_arguments_and_environment(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["exit", "0"]);
        config["process"]["env"] = json!(["OF=process", "PATH=/usr/bin"]);
        notes.mount(config);
        for point in points() {
            for (name, env) in
                [("own", json!(["A=1", "A=2", "B="])), ("none", json!([])), ("absent", Value::Null)]
            {
                let name = format!("{point} {name}");
                let mut hook = notes.hook(context, point, &name, &[]);
                hook["env"] = env;
                edit::add(&mut config["hooks"][point], hook);
            }
        }
    })?;
    let mut run = container.command("run");
    context.run(run.env_clear().env("OF", "vial"))?.success()?;
    for point in points() {
        let environ = |name: &str| {
            Ok::<_, String>(notes.of(&format!("{point} {name}"))?["report"]["environ"].clone())
        };
        same(point, environ("own")?, json!(["A=1", "A=2", "B="]))?;
        same(point, environ("none")?, json!([]))?;
        let inherited = match point {
            INSIDE => json!(["OF=process", "PATH=/usr/bin", "HOME=/"]),
            _ => json!(["OF=vial"]),
        };
        same(point, environ("absent")?, inherited)?;
        let args = notes.of(&format!("{point} own"))?["report"]["args"].clone();
        same("the first argument", args[0].as_str(), Some("hook"))?;
        same("the last argument", args[3].as_str(), Some(&*format!("{point} own")))?;
    }
    Ok(())
}

fn hooks_inherit_nothing_else(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let masks = context.directory.join(format!("masks-{}", context.id()));
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["exit", "0"]);
        notes.everywhere(context, config);
        // The probe itself ignores SIGPIPE, which a shell does not.
        let script =
            format!("exec grep -E '^Sig(Blk|Ign)' /proc/self/status >> {}", masks.display());
        for point in points().filter(|point| *point != INSIDE) {
            let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", script] });
            edit::add(&mut config["hooks"][point], hook);
        }
    })?;
    // The caller ignores signals, and passes fds on.
    let vial = context.vial.to_string_lossy().into_owned();
    let mut command = Command::new(&context.probe);
    command.args(["ignore", "1,2,13,17", "exec", "/bin/sh", "-c"]);
    command.args(["exec \"$0\" \"$@\" 3</dev/null 4</dev/null", &vial]);
    command.arg("--root").arg(&context.state).args(["run", "--preserve-fds", "2", "--bundle"]);
    context.run(command.arg(&container.bundle.path).arg(&container.id))?.success()?;
    for point in points() {
        let note = notes.of(point)?;
        let fds = note["report"]["fds"].as_object().cloned().unwrap_or_default();
        let numbers: Vec<&String> = fds.keys().collect();
        same(point, numbers, ["0", "1", "2"])?;
        let wanted = json!(["SigBlk:\t0000000000000000", "SigIgn:\t0000000000001000"]);
        same(&format!("the signals of {point}"), &note["signals"], &wanted)?;
    }
    let masks = fs::read_to_string(&masks).map_err(words)?;
    same("the lines", masks.lines().count(), 10)?;
    let clear = masks.lines().all(|line| line.ends_with("\t0000000000000000"));
    Ok(same(&masks, clear, true)?)
}

fn state_verb_tells_the_status_in_each_hook(context: &Context) -> Outcome {
    let (vial, root) = (context.vial.to_string_lossy(), context.state.to_string_lossy());
    for verb in ["create", "run"] {
        let notes = Notes::new(context)?;
        let mut id = String::new();
        let container = Container::prepared_from(context, |config| {
            edit::deeds(config, &["sleep", if verb == "run" { "2" } else { "3600" }]);
            notes.mount(config);
        })?;
        id.push_str(&container.id);
        let command = [&*vial, "--root", &*root, "state", &id];
        let mut config: Value = read(&container.bundle.path.join("config.json"))?;
        for point in points() {
            let hook = match point {
                INSIDE => doing(context, point, &["sleep", "1"]),
                _ => notes.hook(context, point, point, &command),
            };
            edit::add(&mut config["hooks"][point], hook);
        }
        container.bundle.write_config(&config)?;
        let mut child = if verb == "run" {
            start(&mut container.command("run"))?
        } else {
            container.create(&[])?.success()?;
            start(&mut context.command(&["start", &container.id]))?
        };
        // vial is not in the container, so startContainer is seen from outside.
        let of_hook = || {
            let pid = container.pid().unwrap_or(0);
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let first = children.unwrap_or_default();
            let line = fs::read(format!("/proc/{}/cmdline", first.trim())).unwrap_or_default();
            line.starts_with(b"hook\0sleep\0")
        };
        wait_until("the startContainer hook", of_hook)?;
        container.is("created")?;
        same("the exit code", child.wait().map_err(words)?.code(), Some(0))?;
        if verb == "create" {
            container.remove()?;
        }
        for (point, status) in POINTS.into_iter().filter(|(point, _)| *point != INSIDE) {
            let note = notes.of(point)?;
            let said = note["said"].as_str().unwrap_or_default();
            if point == "poststop" {
                same("state", said.contains("does not exist"), true)?;
                continue;
            }
            let state: Value = serde_json::from_str(said).map_err(|e| format!("{e}: {said}"))?;
            same(point, state["status"].as_str(), Some(status))?;
            same("whether it has a pid", state["pid"].as_u64() > Some(1), true)?;
            if point == "prestart" {
                let progress = state["progress"].as_str().unwrap_or_default();
                let words = "wait while vial runs hooks (config.json hooks.prestart)";
                same("the progress", progress.contains(words), true)?;
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Value, String> {
    serde_json::from_str(&fs::read_to_string(path).map_err(words)?).map_err(words)
}

fn exec_runs_no_hook(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        notes.everywhere(context, config);
    })?;
    container.vial("start", &[])?.success()?;
    let before = notes.names()?;
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    same("the hooks", notes.names()?, before)?;
    Ok(container.remove()?)
}

fn plan_shows_every_hook(context: &Context) -> Outcome {
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        for point in points() {
            config["hooks"][point] = json!([doing(context, point, &["exit", "0"])]);
        }
    })?;
    let check = |done: String| {
        for point in points() {
            let line = done.lines().find(|line| line.contains(&format!("(hooks.{point}[0])")));
            let line = line.ok_or_else(|| format!("no line of {point} in {done}"))?;
            same(point, line.trim().starts_with("run the hook "), true)?;
        }
        Ok::<_, String>(())
    };
    let mut dry = context.command(&["plan", "--bundle"]);
    check(context.run(dry.arg(&container.bundle.path))?.success()?.stdout)?;
    container.create(&[])?.success()?;
    check(container.vial("plan", &[])?.success()?.stdout)?;
    Ok(container.remove()?)
}

/// A container whose second hook at a point does these deeds; a poststop hook takes a
/// note.
fn with_second<'a>(
    context: &'a Context,
    notes: &Notes,
    point: &str,
    second: Value,
) -> Result<Container<'a>, String> {
    Container::prepared_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        notes.mount(config);
        let first = notes.hook(context, point, "first", &[]);
        let third = notes.hook(context, point, "third", &[]);
        config["hooks"][point] = json!([first, second, third]);
        if point != "poststop" {
            let last = notes.hook(context, "poststop", "poststop", &[]);
            config["hooks"]["poststop"] = json!([last]);
        }
    })
}

fn failed_hook_fails_its_verb_and_leaves_nothing(context: &Context) -> Outcome {
    for point in points().filter(|point| *point != "poststop") {
        for verb in ["create", "run"] {
            let (before, notes) = (context.leftovers(), Notes::new(context)?);
            let hook = doing(context, point, &["exit", "3"]);
            let container = with_second(context, &notes, point, hook)?;
            let pid_file = context.directory.join("pid");
            let mut command = container.command(verb);
            let mut done = context.run(command.arg("--pid-file").arg(&pid_file))?;
            if verb == "create" && matches!(point, "startContainer" | "poststart") {
                done.success()?;
                done = container.vial("start", &[])?;
            }
            let text = format!("(config.json hooks.{point}[1]): it exited with status 3");
            refused(&done, &text)?;
            nothing_left(context, &before)?;
            same("the hooks", notes.names()?, ["first", "poststop"])?;
            refused(&container.vial("state", &[])?, "does not exist")?;
            container.remove()?;
        }
    }
    Ok(())
}

fn failure_of_a_hook_is_told_in_words(context: &Context) -> Outcome {
    let plain = context.directory.join("plain");
    fs::write(&plain, "text").map_err(words)?;
    let plain = plain.to_string_lossy().into_owned();
    for point in ["prestart", "createRuntime", "createContainer", "poststart"] {
        let kill = ["exec", "/bin/sh", "-c", "kill -9 $$"];
        for (hook, text) in [
            (doing(context, point, &["exit", "255"]), "it exited with status 255"),
            (doing(context, point, &kill), "it was killed by SIGKILL"),
            (
                json!({ "path": "/no/such/hook" }),
                "run the hook /no/such/hook (config.json hooks.POINT[1]): start it: execve(2): ENOENT (no such file or directory)",
            ),
            (json!({ "path": plain }), "start it: execve(2): EACCES (permission denied)"),
            (json!({ "path": "/etc/hostname/x" }), "ENOTDIR (not a directory)"),
        ] {
            let (before, notes) = (context.leftovers(), Notes::new(context)?);
            let container = with_second(context, &notes, point, hook)?;
            let done = context.run(&mut container.command("run"))?;
            refused(&done, &text.replace("POINT", point))
                .map_err(|why| format!("{point}: {why}"))?;
            nothing_left(context, &before)?;
        }
    }
    Ok(())
}

fn hook_is_killed_at_its_timeout(context: &Context) -> Outcome {
    for point in points() {
        let (before, notes) = (context.leftovers(), Notes::new(context)?);
        // Its own child ends, too.
        let mut hook = doing(context, point, &["fork", "1", "+", "sleep", "3600"]);
        hook["timeout"] = json!(1);
        let container = with_second(context, &notes, point, hook)?;
        let began = Instant::now();
        let text = format!(
            "(config.json hooks.{point}[1]): it ran for longer than its timeout of 1 s, and was killed"
        );
        let (said, wanted) = if point == "poststop" {
            container.create(&[])?.success()?;
            (delete_with_log(&container)?, ["first", "third"])
        } else {
            let done = context.run(&mut container.command("run"))?.failure()?;
            (done.stderr, ["first", "poststop"])
        };
        same(&said, said.contains(&text), true)?;
        same("the hooks", notes.names()?, wanted)?;
        let elapsed = began.elapsed();
        same("whether it took its time", elapsed >= Duration::from_secs(1), true)?;
        same("whether it took longer", elapsed < Duration::from_secs(10), true)?;
        nothing_left(context, &before)?;
    }
    Ok(())
}

/// Deletes a container, and returns what that wrote to the log.
fn delete_with_log(container: &Container<'_>) -> Result<String, String> {
    let context = container.context;
    let log = context.directory.join(format!("log-{}", context.id()));
    let mut delete = Command::new(&context.vial);
    delete.arg("--root").arg(&context.state).arg("--log").arg(&log);
    let done = context.run(delete.args(["delete", "--force", &container.id]))?.success()?;
    same("stderr", done.stderr.as_str(), "")?;
    fs::read_to_string(&log).map_err(words)
}

fn failed_poststop_hook_is_a_warning(context: &Context) -> Outcome {
    let (before, notes) = (context.leftovers(), Notes::new(context)?);
    let hook = doing(context, "poststop", &["exit", "3"]);
    let container = with_second(context, &notes, "poststop", hook)?;
    container.create(&[])?.success()?;
    let text = delete_with_log(&container)?;
    let warning = "(config.json hooks.poststop[1]): it exited with status 3";
    same("the warning", text.contains("level=warning") && text.contains(warning), true)?;
    same("the hooks", notes.names()?, ["first", "third"])?;
    Ok(nothing_left(context, &before)?)
}

fn failed_create_runs_the_poststop_hooks(context: &Context) -> Outcome {
    let (before, notes) = (context.leftovers(), Notes::new(context)?);
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["exit", "0"]);
        notes.everywhere(context, config);
        // The last step of create that can fail.
        config["process"]["args"] = json!(["/no/such/program"]);
    })?;
    refused(&context.run_bundle(&bundle)?, "exec \"/no/such/program\"")?;
    let wanted = ["prestart", "createRuntime", "createContainer", "poststop"];
    same("the hooks", notes.names()?, wanted)?;
    let state: Value = serde_json::from_str(notes.of("poststop")?["input"].as_str().unwrap_or(""))
        .map_err(words)?;
    same("the status", state["status"].as_str(), Some("stopped"))?;
    Ok(context.nothing_left_since(&before)?)
}

fn poststop_hooks_need_no_bundle(context: &Context) -> Outcome {
    let (before, notes) = (context.leftovers(), Notes::new(context)?);
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        notes.everywhere(context, config);
    })?;
    let bundle = container.bundle.path.clone();
    fs::remove_dir_all(&bundle).map_err(words)?;
    container.remove()?;
    let note = notes.of("poststop")?;
    let state: Value =
        serde_json::from_str(note["input"].as_str().unwrap_or_default()).map_err(words)?;
    same("the bundle", state["bundle"].as_str().map(Path::new), Some(&*bundle))?;
    same("the directory", note["report"]["cwd"].as_str(), Some("/"))?;
    Ok(nothing_left(context, &before)?)
}

/// A create or start whose hook at this point sleeps.
fn hanging<'a>(
    context: &'a Context,
    notes: &Notes,
    point: &str,
) -> Result<(Container<'a>, std::process::Child), String> {
    let hook = doing(context, point, &["fork", "1", "+", "sleep", "3600"]);
    let container = with_second(context, notes, point, hook)?;
    let child = if matches!(point, "startContainer" | "poststart") {
        container.create(&[])?.success()?;
        start(&mut context.command(&["start", &container.id]))?
    } else {
        start(&mut container.command("create"))?
    };
    let hangs = || {
        let all = crate::processes::descendants(std::process::id());
        let own = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let sleeps = |pid: u32| own(pid).split(|byte| *byte == 0).next() == Some(b"/proc/self/exe");
        all.into_iter().any(|(pid, _)| sleeps(pid))
    };
    wait_until("the hook to hang", hangs)?;
    Ok((container, child))
}

fn poststop_hooks_run_after_a_create_that_died(context: &Context) -> Outcome {
    for point in ["prestart", "createRuntime", "createContainer"] {
        let (before, notes) = (context.leftovers(), Notes::new(context)?);
        let (container, mut create) = hanging(context, &notes, point)?;
        let bundle = container.bundle.path.clone();
        create.kill().and_then(|()| create.wait()).map_err(words)?;
        refused(&container.vial("state", &[])?, "has died")?;
        fs::remove_dir_all(&bundle).map_err(words)?;
        container.remove()?;
        same("the hooks", notes.names()?, ["first", "poststop"])?;
        let note = notes.of("poststop")?;
        let state: Value =
            serde_json::from_str(note["input"].as_str().unwrap_or_default()).map_err(words)?;
        same("the bundle", state["bundle"].as_str().map(Path::new), Some(&*bundle))?;
        crate::processes::end_descendants(std::process::id());
        nothing_left(context, &before)?;
    }
    Ok(())
}

fn delete_force_ends_a_hook_that_hangs(context: &Context) -> Outcome {
    for point in points().filter(|point| *point != "poststop") {
        let (before, notes) = (context.leftovers(), Notes::new(context)?);
        let (container, mut verb) = hanging(context, &notes, point)?;
        let began = Instant::now();
        container.remove()?;
        let soon = began.elapsed() < Duration::from_secs(6);
        same(&format!("whether {point} ended soon"), soon, true)?;
        verb.wait().map_err(words)?;
        nothing_left(context, &before).map_err(|why| format!("{point}: {why}"))?;
        same(point, notes.names()?, ["first", "poststop"])?;
    }
    Ok(())
}

fn signal_ends_a_run_whose_hook_hangs(context: &Context) -> Outcome {
    for point in ["prestart", "createContainer", "startContainer", "poststart"] {
        let (before, notes) = (context.leftovers(), Notes::new(context)?);
        let hook = doing(context, point, &["sleep", "3600"]);
        let container = with_second(context, &notes, point, hook)?;
        let mut run = start(&mut container.command("run"))?;
        wait_until("the first hook", || notes.of("first").is_ok())?;
        send(run.id().into(), Signal::INT)?;
        same(point, run.wait().map_err(words)?.code(), Some(130))?;
        nothing_left(context, &before).map_err(|why| format!("{point}: {why}"))?;
        same("the hooks", notes.names()?, ["first", "poststop"])?;
    }
    Ok(())
}

fn hook_may_leave_its_input_unread(context: &Context) -> Outcome {
    let notes = Notes::new(context)?;
    // Far more than a pipe holds.
    let large = "x".repeat(2 << 20);
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        config["annotations"] = json!({ "large": large });
        for point in points() {
            config["hooks"][point] = json!([doing(context, point, &["exit", "0"])]);
        }
        notes.everywhere(context, config);
    })?;
    container.vial("start", &[])?.success()?;
    container.remove()?;
    same("the hooks", notes.names()?, points().collect::<Vec<_>>())?;
    for point in points() {
        let note = notes.of(point)?;
        let state: Value =
            serde_json::from_str(note["input"].as_str().unwrap_or_default()).map_err(words)?;
        same("the annotation", state["annotations"]["large"].as_str(), Some(&*large))?;
    }
    Ok(())
}

fn hook_enters_the_namespaces_by_pid(context: &Context) -> Outcome {
    let source = context.directory.join("source");
    fs::write(&source, "of the host\n").map_err(words)?;
    for (point, readonly) in [("prestart", false), ("createRuntime", true)] {
        let bundle = context.bundle(|config| {
            let deeds =
                ["cat", "/mnt", "+", "stat", "/dev/added", "+", "open-device", "/dev/added"];
            let deeds: Vec<&str> = deeds.into_iter().chain(["r"]).collect();
            edit::deeds(config, &deeds);
            config["root"]["readonly"] = readonly.into();
            config["linux"]["resources"]["devices"] =
                json!([{ "allow": false, "access": "rwm" }, { "allow": true, "access": "rwm" }]);
            let hook = doing(
                context,
                point,
                &["add-to-container", &source.to_string_lossy(), "mnt", "dev/added"],
            );
            config["hooks"][point] = json!([hook]);
        })?;
        fs::write(bundle.rootfs.join("mnt"), "covered\n").map_err(words)?;
        let done = context.run_bundle(&bundle)?.success()?;
        let lines: Vec<&str> = done.stdout.lines().collect();
        same("the bind", lines.first(), Some(&"of the host"))?;
        let stat: Value = serde_json::from_str(lines.get(1).unwrap_or(&"")).map_err(words)?;
        same("the device", stat["device"].as_str(), Some("1:5"))?;
        same("what became of it", lines.get(2), Some(&"opened"))?;
        let below = fs::read_to_string(bundle.rootfs.join("mnt")).map_err(words)?;
        same("the file in the rootfs", below.as_str(), "covered\n")?;
    }
    Ok(())
}

fn hooks_run_with_a_user_namespace(context: &Context) -> Outcome {
    let (before, notes) = (context.leftovers(), Notes::new(context)?);
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["exit", "0"]);
        edit::user_namespace(config, 100_000);
        notes.everywhere(context, config);
    })?;
    fs::create_dir(bundle.rootfs.join("notes")).map_err(words)?;
    context.run_bundle(&bundle)?.success()?;
    same("the hooks", notes.names()?, points().collect::<Vec<_>>())?;
    for point in points() {
        let map = notes.of(point)?["report"]["uid_map"].as_str().unwrap_or_default().to_owned();
        let mapped = map.split_whitespace().nth(1) == Some("100000");
        same(point, mapped, point.ends_with("Container"))?;
        same("the uid", notes.of(point)?["report"]["uid"].as_u64(), Some(0))?;
    }
    Ok(context.nothing_left_since(&before)?)
}

fn hooks_run_without_a_mount_namespace(context: &Context) -> Outcome {
    let (before, notes) = (context.leftovers(), Notes::new(context)?);
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["exit", "0"]);
        edit::without_namespace(config, "mount");
        for field in ["maskedPaths", "readonlyPaths"] {
            config["linux"][field] = json!([]);
        }
        notes.everywhere(context, config);
        config["mounts"] = json!([]);
    })?;
    let inside = bundle.rootfs.join("notes");
    fs::create_dir(&inside).map_err(words)?;
    fs::write(inside.join("all"), "").map_err(words)?;
    context.run_bundle(&bundle)?.success()?;
    let wanted: Vec<&str> = points().filter(|point| *point != INSIDE).collect();
    same("the hooks", notes.names()?, wanted)?;
    let note = read(&inside.join("all"))?;
    same("the hook in the container", note["name"].as_str(), Some(INSIDE))?;
    let rootfs = bundle.rootfs.to_string_lossy().into_owned();
    let early = notes.of("createContainer")?;
    same("the directory", early["report"]["cwd"].as_str(), Some(&*rootfs))?;
    Ok(context.nothing_left_since(&before)?)
}

fn hooks_run_without_pidfds_and_close_range(context: &Context) -> Outcome {
    let calls = [libc::SYS_pidfd_open, libc::SYS_close_range];
    let context = &context.hiding(libc::ENOSYS, &calls)?;
    hooks_of_run_are_those_of_create_start_and_delete(context)?;
    hooks_inherit_nothing_else(context)?;
    hook_is_killed_at_its_timeout(context)
}
