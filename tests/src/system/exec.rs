//! `vial exec`: runs another process in a container.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::container::{Container, reap, refused, wait_until, words};
use super::edit;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "exec",
    arguments_after_the_id_belong_to_the_program[Root],
    exit_code_is_that_of_the_process[Root],
    exit_code_is_255_if_the_program_was_not_started[Root],
    exit_code_of_a_killed_exec_is_128_plus_the_signal[Root],
    streams_and_environment_are_the_containers[Root],
    process_is_in_every_namespace_and_the_cgroup[Root],
    process_file_sets_everything[Root],
    invalid_process_file_is_refused[Root],
    options_override_the_containers_process[Root],
    user_is_uid_or_uid_and_gid[Root],
    user_that_is_not_a_number_is_refused[Root],
    capability_added_is_never_inheritable[Root],
    unknown_capability_is_refused[Root],
    no_new_privs_can_be_requested[Root],
    detached_exec_returns_with_its_pid_file_written[Root],
    signal_mask_is_empty[Root],
    program_that_cannot_be_executed_is_refused[Root],
    exec_without_a_program_is_refused[Root],
    exec_in_a_paused_container_is_refused_unless_requested[Root],
    exec_in_a_stopped_container_is_refused[Root],
    exec_in_a_created_container_works[Root],
    program_in_a_directory_of_path_is_found[Root],
    additional_groups_are_added[Root],
);

/// Runs `exec OPTIONS ID WORDS`.
fn exec(container: &Container<'_>, options: &[&str], program: &[&str]) -> Result<Done, String> {
    let mut command = container.context.command(&["exec"]);
    Ok(container.context.run(command.args(options).arg(&container.id).args(program))?)
}

/// The probe's report from an exec with these options.
fn report(container: &Container<'_>, options: &[&str]) -> Result<Value, String> {
    let done = exec(container, options, &["/probe", "report"])?.success()?;
    done.json()
}

fn sleeping(context: &Context) -> Result<Container<'_>, String> {
    Container::started(context, &["sleep", "3600"])
}

fn arguments_after_the_id_belong_to_the_program(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    for word in ["--root=/x", "-d", "--", "", "a b", "--help", "-no-such", "\u{e9}\"'\\"] {
        let done = exec(&container, &[], &["/probe", "echo", word])?.success()?;
        same("what it printed", done.stdout.as_str(), format!("{word}\n").as_str())?;
    }
    Ok(container.remove()?)
}

fn exit_code_is_that_of_the_process(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = sleeping(context)?;
    for code in ["0", "1", "42", "126", "127", "255"] {
        let done = exec(&container, &[], &["/probe", "exit", code])?;
        same("the exit code", done.code.to_string().as_str(), code)?;
    }
    container.is("running")?;
    container.remove()?;
    Ok(context.nothing_left_since(&before)?)
}

/// As with runc: 1 is what many programs exit with.
fn exit_code_is_255_if_the_program_was_not_started(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    for (options, program) in [(&[][..], "/missing"), (&["--cap", "CAP_X"], "/probe")] {
        let done = exec(&container, options, &[program])?;
        same("the exit code", done.code, 255).map_err(|why| format!("{why}: {done}"))?;
    }
    same("without a container", context.vial(&["exec", "no-such", "/probe"])?.code, 255)?;
    Ok(container.remove()?)
}

fn exit_code_of_a_killed_exec_is_128_plus_the_signal(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    for (signal, code) in [(Signal::TERM, 143), (Signal::KILL, 137)] {
        let file = context.directory.join("pid");
        let mut command = context.command(&["exec", "--pid-file"]);
        command.arg(&file).args([&container.id, "/probe", "sleep", "3600"]);
        let mut run = command.spawn().map_err(words)?;
        wait_until("the pid file", || file.exists())?;
        let pid = fs::read_to_string(&file).map_err(words)?.parse().map_err(words)?;
        // Before it executes the probe it is vial-init, with another name.
        let name = format!("/proc/{pid}/comm");
        wait_until("it to run", || fs::read_to_string(&name).is_ok_and(|n| n == "probe\n"))?;
        kill_process(Pid::from_raw(pid).ok_or("no pid")?, signal).map_err(words)?;
        wait_until("it to end", || run.try_wait().is_ok_and(|status| status.is_some()))?;
        same("the exit code", run.wait().map_err(words)?.code(), Some(code))?;
        fs::remove_file(&file).map_err(words)?;
    }
    Ok(container.remove()?)
}

fn streams_and_environment_are_the_containers(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let done = exec(&container, &[], &["/probe", "echo", "out", "+", "complain", "err"])?;
    same("the streams", (&*done.stdout, &*done.stderr), ("out\n", "err\n"))?;
    let seen = report(&container, &[])?;
    same("TERM", seen["env"]["TERM"].as_str(), Some("xterm"))?;
    same("HOME", seen["env"]["HOME"].is_string(), true)?;
    same("cwd", seen["cwd"].as_str(), Some("/"))?;
    same("the fds", seen["fds"].as_object().map(serde_json::Map::len), Some(3))?;
    same("no_new_privs", seen["no_new_privs"].as_str(), Some("1"))?;
    let limit = &seen["rlimits"]["RLIMIT_NOFILE"]["hard"];
    same("RLIMIT_NOFILE", limit.as_u64(), Some(1024))?;
    Ok(container.remove()?)
}

fn process_is_in_every_namespace_and_the_cgroup(context: &Context) -> Outcome {
    let container = Container::created_from(context, |config| {
        config["process"]["args"] = json!(["/probe", "report", "+", "sleep", "3600"]);
        edit::namespace(config, "cgroup");
    })?;
    container.vial("start", &[])?.success()?;
    wait_until("its report", || serde_json::from_str::<Value>(&container.output()).is_ok())?;
    let first: Value = serde_json::from_str(&container.output()).map_err(words)?;
    let second = report(&container, &[])?;
    for same_in_both in ["namespaces", "mounts", "hostname", "cgroup", "rlimits", "capabilities"] {
        same(same_in_both, &second[same_in_both], &first[same_in_both])?;
    }
    same("its parent's pid", second["ppid"].as_u64(), Some(0))?;
    Ok(container.remove()?)
}

fn write(context: &Context, name: &str, content: &Value) -> Result<String, String> {
    let path = context.directory.join(name);
    fs::write(&path, content.to_string()).map_err(words)?;
    Ok(path.to_string_lossy().into_owned())
}

fn process_file_sets_everything(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let process = json!({
        "args": ["/probe", "report"], "cwd": "/tmp", "env": ["A=b", "PATH=/"],
        "user": { "uid": 12, "gid": 34, "umask": 0o77, "additionalGids": [56] },
        "noNewPrivileges": false, "capabilities": {},
        "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 99, "soft": 98 }],
    });
    let file = write(context, "process.json", &process)?;
    // containerd uses this form. A program on the command line would be ignored.
    let seen = exec(&container, &["--process", &file], &[])?.success()?.json()?;
    same("cwd", seen["cwd"].as_str(), Some("/tmp"))?;
    same("A", seen["env"]["A"].as_str(), Some("b"))?;
    same("TERM", seen["env"].get("TERM"), None)?;
    same("ids", (seen["uid"].as_u64(), seen["gid"].as_u64()), (Some(12), Some(34)))?;
    same("groups", &seen["groups"], &json!([56]))?;
    same("umask", seen["umask"].as_str(), Some("0077"))?;
    same("no_new_privs", seen["no_new_privs"].as_str(), Some("0"))?;
    same("CapEff", seen["capabilities"]["CapEff"].as_str(), Some("0000000000000000"))?;
    same("CapBnd", seen["capabilities"]["CapBnd"].as_str(), Some("0000000000000000"))?;
    same("RLIMIT_NOFILE", seen["rlimits"]["RLIMIT_NOFILE"]["soft"].as_u64(), Some(98))?;
    Ok(container.remove()?)
}

fn invalid_process_file_is_refused(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    refused(&exec(&container, &["--process", "/no/such/file"], &[])?, "/no/such/file")?;
    let wrong = [
        ("type.json", json!({ "cwd": "/", "args": "/probe" }), "args"),
        ("empty.json", json!({ "cwd": "/", "args": [] }), "no program"),
        ("cwd.json", json!({ "cwd": "tmp", "args": ["/probe"] }), "cwd"),
        ("label.json", json!({ "cwd": "/", "args": ["/probe"], "selinuxLabel": "x" }), "selinux"),
    ];
    for (name, process, text) in wrong {
        let file = write(context, name, &process)?;
        refused(&exec(&container, &["--process", &file], &[])?, text)?;
    }
    let file = context.directory.join("truncated.json");
    fs::write(&file, "{\n\"cwd\": ").map_err(words)?;
    refused(&exec(&container, &["--process", &file.to_string_lossy()], &[])?, "line 2")?;
    Ok(container.remove()?)
}

fn options_override_the_containers_process(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let options = ["--cwd", "/tmp", "--env", "A=b", "-e", "TERM=dumb", "--user=12:34"];
    let seen = report(&container, &options)?;
    same("cwd", seen["cwd"].as_str(), Some("/tmp"))?;
    same("A", seen["env"]["A"].as_str(), Some("b"))?;
    same("TERM", seen["env"]["TERM"].as_str(), Some("dumb"))?;
    same("ids", (seen["uid"].as_u64(), seen["gid"].as_u64()), (Some(12), Some(34)))?;
    same("args", &seen["args"], &json!(["/probe", "report"]))?;
    Ok(container.remove()?)
}

fn user_is_uid_or_uid_and_gid(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    for (given, uid, gid) in [("12", 12, 0), ("0:34", 0, 34), ("65534:65534", 65534, 65534)] {
        let seen = report(&container, &["--user", given])?;
        let ids = (seen["uid"].as_u64(), seen["gid"].as_u64());
        same(given, ids, (Some(uid), Some(gid)))?;
    }
    Ok(container.remove()?)
}

/// CVE-2026-30892: a user that could not be parsed was taken for another one.
fn user_that_is_not_a_number_is_refused(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let words = ["root", "nobody", "1x", "1000x", "1.5", "0x0", "0x1", "", " 1", "+1", "-1"];
    let lists = ["1:", ":1", "1:2:3", "4294967296"];
    let parsed = ["4294967295", "0:4294967295"].map(|user| (user, "process.user"));
    let unparsed = words.iter().chain(&lists).map(|user| (*user, "--user"));
    for (user, text) in unparsed.chain(parsed) {
        let done = exec(&container, &[&format!("--user={user}")], &["/probe", "report"])?;
        refused(&done, text).map_err(|why| format!("{user:?}: {why}"))?;
    }
    Ok(container.remove()?)
}

fn capability_added_is_never_inheritable(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let seen = report(&container, &["--cap", "CAP_NET_RAW", "--cap", "CAP_CHOWN"])?;
    let set = |name: &str| {
        let digits = seen["capabilities"][name].as_str().unwrap_or_default();
        u64::from_str_radix(digits, 16).unwrap_or(u64::MAX)
    };
    let wanted = 1 << 13 | 1;
    for name in ["CapEff", "CapPrm", "CapBnd"] {
        same(name, set(name) & wanted, wanted)?;
    }
    same("CapInh and CapAmb", (set("CapInh"), set("CapAmb")), (0, 0))?;
    Ok(container.remove()?)
}

fn unknown_capability_is_refused(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let done = exec(&container, &["--cap", "CAP_NONSENSE"], &["/probe", "report"])?;
    refused(&done, "CAP_NONSENSE")?;
    Ok(container.remove()?)
}

fn no_new_privs_can_be_requested(context: &Context) -> Outcome {
    let container = Container::created_from(context, |config| {
        config["process"]["args"] = json!(["/probe", "sleep", "3600"]);
        config["process"]["noNewPrivileges"] = json!(false);
    })?;
    container.vial("start", &[])?.success()?;
    let without = report(&container, &[])?;
    same("no_new_privs", without["no_new_privs"].as_str(), Some("0"))?;
    let with = report(&container, &["--no-new-privs"])?;
    same("no_new_privs", with["no_new_privs"].as_str(), Some("1"))?;
    Ok(container.remove()?)
}

fn detached_exec_returns_with_its_pid_file_written(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let file: PathBuf = context.directory.join("pid");
    let path = file.to_string_lossy();
    let options = ["--detach", "--pid-file", &path];
    exec(&container, &options, &["/probe", "sleep", "3600"])?.success()?;
    let text = fs::read_to_string(&file).map_err(words)?;
    let pid: i32 = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    same("the pid file", text.as_str(), pid.to_string().as_str())?;
    let cgroup = |pid: i64| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let first = i64::try_from(container.pid()?).map_err(words)?;
    same("its cgroup", cgroup(pid.into()), cgroup(first))?;
    let listed = context.vial(&["ps", "-f", "json", &container.id])?.success()?.stdout;
    same("whether ps lists it", listed.contains(&*text), true)?;
    kill_process(Pid::from_raw(pid).ok_or("no pid")?, Signal::KILL).map_err(words)?;
    same("its end", reap(&file)?.terminating_signal(), Some(9))?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn signal_mask_is_empty(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let done = exec(&container, &[], &["/probe", "cat", "/proc/self/status"])?.success()?;
    let mask = done.stdout.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    same("SigBlk", mask.map(str::trim), Some("0000000000000000"))?;
    Ok(container.remove()?)
}

fn program_that_cannot_be_executed_is_refused(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    fs::write(container.bundle.rootfs.join("tmp/text"), "hello").map_err(words)?;
    let cases = [
        ("nosuch", "executable file not found in $PATH"),
        ("/no/such", "no such file or directory"),
        ("/tmp/text", "permission denied"),
        ("/tmp/text/x", "not a directory"),
    ];
    for (program, text) in cases {
        let done = exec(&container, &[], &[program])?;
        refused(&done, text).map_err(|why| format!("{program}: {why}"))?;
        // The caller would have to reap another child, which would also keep the
        // container's PID 1.
        let children = fs::read_to_string("/proc/thread-self/children").map_err(words)?;
        same("this test's children", children.split_whitespace().count(), 1)?;
    }
    let done = exec(&container, &[], &["/tmp"])?;
    refused(&done, "is a directory").or_else(|_| refused(&done, "permission denied"))?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn exec_without_a_program_is_refused(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    refused(&exec(&container, &[], &[])?, "")?;
    Ok(container.remove()?)
}

fn exec_in_a_paused_container_is_refused_unless_requested(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    container.vial("pause", &[])?.success()?;
    refused(&exec(&container, &[], &["/probe", "exit", "0"])?, "paused")?;
    let file = context.directory.join("pid");
    let path = file.to_string_lossy();
    let mut command = context.command(&["exec", "--ignore-paused", "--pid-file", &path]);
    let mut run = command.args([&container.id, "/probe", "exit", "5"]).spawn().map_err(words)?;
    std::thread::sleep(std::time::Duration::from_millis(100));
    same("whether it has exited while paused", run.try_wait().map_err(words)?.is_some(), false)?;
    container.vial("resume", &[])?.success()?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(5))?;
    Ok(container.remove()?)
}

fn exec_in_a_stopped_container_is_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    let done = exec(&container, &[], &["/probe", "exit", "0"])?;
    refused(&done, "cannot exec in a stopped container")?;
    Ok(container.remove()?)
}

fn exec_in_a_created_container_works(context: &Context) -> Outcome {
    let container = Container::created(context, &["echo", "first"])?;
    let done = exec(&container, &[], &["/probe", "echo", "second"])?.success()?;
    same("what exec printed", done.stdout.as_str(), "second\n")?;
    container.is("created")?;
    container.vial("start", &[])?.success()?;
    same("what start printed", container.printed(1)?.as_str(), "first\n")?;
    container.ends()?;
    Ok(container.remove()?)
}

fn program_in_a_directory_of_path_is_found(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let done = exec(&container, &["--env", "PATH=/no/such:/:/tmp"], &["probe", "echo", "found"])?;
    same("what it printed", done.stdout.as_str(), "found\n")?;
    Ok(container.remove()?)
}

fn additional_groups_are_added(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let seen = report(&container, &["-g", "56", "--additional-gids", "78"])?;
    same("groups", &seen["groups"], &json!([56, 78]))?;
    Ok(container.remove()?)
}
