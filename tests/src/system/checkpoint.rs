//! checkpoint and restore, with criu.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::container::{Container, cgroup_of, has_controller, refused, start, wait_until, words};
use super::terminal::{listen, receive};
use super::{edit, terminal};
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "checkpoint",
    count_goes_on_after_a_restore[Root, Criu],
    container_runs_on_if_asked[Root, Criu],
    checkpointed_container_is_gone[Root, Criu],
    memory_is_dumped_in_steps[Root, Criu],
    pipes_are_connected_again[Root, Criu],
    terminal_is_connected_again[Root, Criu],
    every_verb_works_on_a_restored_container[Root, Criu],
    restored_container_has_its_limits[Root, Criu],
    mounts_are_the_same_after_a_restore[Root, Criu],
    mount_points_are_made_again[Root, Criu],
    user_namespace_is_restored[Root, Criu],
    joined_network_namespace_is_joined_again[Root, Criu],
    paused_container_can_be_checkpointed[Root, Criu],
    tcp_connection_needs_a_flag[Root, Criu, Iptables],
    kernel_parameters_of_the_network_are_set_again[Root, Criu],
    hooks_of_the_host_run_at_a_restore[Root, Criu],
    restore_in_the_foreground_ends_with_the_container[Root, Criu],
    container_of_another_build_can_be_checkpointed[Root, Criu],
    images_of_a_restored_container_can_be_restored[Root, Criu],
    missing_criu_is_told[Root],
    criu_that_ends_is_told[Root],
    container_that_does_not_run_is_refused[Root, Criu],
    missing_images_are_refused[Root, Criu],
    damaged_images_are_refused[Root, Criu],
    missing_rootfs_is_refused[Root, Criu],
    known_id_is_refused[Root, Criu],
    wrong_flags_are_refused[Root, Criu],
    idmapped_mount_is_refused[Root, Criu, MountSetattr],
);

/// Where the container counts, and where that is on the host.
const COUNT: &str = "/tmp/count";

fn number(container: &Container<'_>) -> u64 {
    let text = fs::read_to_string(container.bundle.rootfs.join("tmp/count")).unwrap_or_default();
    text.parse().unwrap_or(0)
}

/// Waits until the container has counted on.
fn counts_on(container: &Container<'_>) -> Result<u64, String> {
    let before = number(container);
    wait_until("the count to go on", || number(container) > before)?;
    Ok(number(container))
}

fn counting<'a>(
    context: &'a Context,
    edit: impl FnOnce(&mut Value),
) -> Result<Container<'a>, String> {
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["count", COUNT]);
        edit(config);
    })?;
    container.vial("start", &[])?.success()?;
    counts_on(&container)?;
    Ok(container)
}

fn images(container: &Container<'_>) -> PathBuf {
    container.bundle.path.join("images")
}

fn checkpoint(container: &Container<'_>, flags: &[&str]) -> Result<Done, String> {
    let images = images(container);
    let images = ["--image-path", &*images.to_string_lossy()];
    let mut command = container.context.command(&["checkpoint"]);
    Ok(container.context.run(command.args(images).args(flags).arg(&container.id))?)
}

fn restore(container: &Container<'_>, flags: &[&str]) -> Result<Done, String> {
    let mut command = container.context.command(&["restore", "--detach", "--image-path"]);
    command.arg(images(container)).arg("--bundle").arg(&container.bundle.path).args(flags);
    Ok(container.context.run(command.arg(&container.id))?)
}

/// What criu wrote to its log, for the words of a failed test.
fn with_log(container: &Container<'_>, done: Done) -> Result<Done, String> {
    let log = |name: &str| {
        let text = fs::read_to_string(images(container).join(name)).unwrap_or_default();
        let said = text.lines().filter(|line| line.contains("Error") || line.contains("Warn"));
        said.collect::<Vec<_>>().join("\n")
    };
    let logs = || format!("{}\n{}", log("dump.log"), log("restore.log"));
    done.success().map_err(|why| format!("{why}\n{}", logs()))
}

/// Checkpoints and restores a container, with these flags of each.
fn move_on(container: &Container<'_>, of_dump: &[&str], of_restore: &[&str]) -> Result<(), String> {
    with_log(container, checkpoint(container, of_dump)?)?;
    with_log(container, restore(container, of_restore)?)?;
    Ok(())
}

fn count_goes_on_after_a_restore(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = counting(context, |_| {})?;
    let pid_file = context.directory.join("pid");
    with_log(&container, checkpoint(&container, &[])?)?;
    let at_dump = number(&container);
    sleep(Duration::from_millis(100));
    same("the number while there is no container", number(&container), at_dump)?;
    with_log(&container, restore(&container, &["--pid-file", &*pid_file.to_string_lossy()])?)?;
    let after = counts_on(&container)?;
    // One that had started anew would be at a smaller number.
    same(&format!("whether {after} continues {at_dump}"), after > at_dump, true)?;
    container.is("running")?;
    let pid = fs::read_to_string(pid_file).map_err(words)?;
    same("the pid file", pid, container.pid()?.to_string())?;
    container.remove()?;
    Ok(super::container::nothing_left(context, &before)?)
}

fn container_runs_on_if_asked(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    let pid = container.pid()?;
    with_log(&container, checkpoint(&container, &["--leave-running"])?)?;
    counts_on(&container)?;
    same("the pid", container.pid()?, pid)?;
    Ok(container.remove()?)
}

fn checkpointed_container_is_gone(context: &Context) -> Outcome {
    let before = context.leftovers();
    let seen = context.directory.join("seen");
    let note = json!({ "path": context.probe, "args": ["probe", "note", seen, "poststop"] });
    let container = counting(context, |config| config["hooks"] = json!({ "poststop": [note] }))?;
    with_log(&container, checkpoint(&container, &[])?)?;
    // As with runc: engines restore under the same id.
    refused(&container.vial("state", &[])?, "does not exist")?;
    let line: Value =
        serde_json::from_str(&fs::read_to_string(seen).map_err(words)?).map_err(words)?;
    same("the hook", &line["name"], &json!("poststop"))?;
    Ok(super::container::nothing_left(context, &before)?)
}

fn memory_is_dumped_in_steps(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    let first = container.bundle.path.join("first");
    let path = first.to_string_lossy().into_owned();
    let mut command = context.command(&["checkpoint", "--pre-dump", "--image-path", &path]);
    let done = context.run(command.arg(&container.id))?;
    if done.stderr.contains("CONFIG_MEM_SOFT_DIRTY") {
        return Err(crate::runner::Failure::Skipped("CONFIG_MEM_SOFT_DIRTY".into()));
    }
    done.success()?;
    counts_on(&container)?;
    move_on(&container, &["--parent-path", "../first"], &[])?;
    // The images of the second are incomplete without the first.
    same("the link", fs::read_link(images(&container).join("parent")).is_ok(), true)?;
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn pipes_are_connected_again(context: &Context) -> Outcome {
    let container = Container::prepared(context, &["copy"])?;
    let err = fs::File::create(context.directory.join("err")).map_err(words)?;
    let mut first = container
        .command("run")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(err)
        .spawn()
        .map_err(words)?;
    wait_until("the container", || container.status().is_ok_and(|status| status == "running"))?;
    with_log(&container, checkpoint(&container, &[])?)?;
    first.wait().map_err(words)?;
    drop((first.stdin.take(), first.stdout.take()));
    let mut command = context.command(&["restore", "--image-path"]);
    command.arg(images(&container)).arg("--bundle").arg(&container.bundle.path);
    // criu wants a file of the same kind and size as before.
    let err = fs::File::create(context.directory.join("err")).map_err(words)?;
    let mut second = command
        .arg(&container.id)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(err)
        .spawn()
        .map_err(words)?;
    let (mut input, mut output) =
        (second.stdin.take().ok_or("stdin")?, second.stdout.take().ok_or("stdout")?);
    input.write_all(b"hello").map_err(words)?;
    drop(input);
    let mut said = String::new();
    output.read_to_string(&mut said).map_err(words)?;
    same("what was copied", &*said, "hello")?;
    same("how it ended", second.wait().map_err(words)?.code(), Some(0))?;
    Ok(())
}

fn terminal_is_connected_again(context: &Context) -> Outcome {
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["tty-echo"]);
        config["process"]["terminal"] = json!(true);
    })?;
    let socket = container.bundle.path.join("console");
    let path = socket.to_string_lossy().into_owned();
    let listener = listen(&socket)?;
    container.create(&["--console-socket", &path])?.success()?;
    let (mut master, _) = receive(&listener)?;
    container.vial("start", &[])?.success()?;
    master.write_all(b"one\n").map_err(words)?;
    terminal::read_until(&master, " one\r\n")?;
    move_on(&container, &[], &["--console-socket", &path])?;
    drop(master);
    let (mut master, _) = receive(&listener)?;
    master.write_all(b"two\n").map_err(words)?;
    terminal::read_until(&master, " two\r\n")?;
    Ok(container.remove()?)
}

fn every_verb_works_on_a_restored_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = counting(context, |_| {})?;
    move_on(&container, &[], &[])?;
    let done = container.vial("exec", &["/probe", "echo", "hello"])?.success()?;
    same("what exec printed", &*done.stdout, "hello\n")?;
    same("the pids", container.pids()?, vec![container.pid()?])?;
    container.vial("pause", &[])?.success()?;
    container.is("paused")?;
    container.vial("resume", &[])?.success()?;
    counts_on(&container)?;
    let events = context.vial(&["events", "--stats", &container.id])?.success()?.json()?;
    same("the events", &events["id"], &json!(container.id))?;
    same("the plan", container.vial("plan", &[])?.code, 0)?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    Ok(super::container::nothing_left(context, &before)?)
}

fn restored_container_has_its_limits(context: &Context) -> Outcome {
    if !has_controller("pids") {
        return Err(crate::runner::Failure::Skipped("controller pids".into()));
    }
    let limit = |config: &mut Value| config["linux"]["resources"]["pids"] = json!({ "limit": 33 });
    let container = counting(context, limit)?;
    let place = |container: &Container<'_>| {
        let pid = container.pid()?;
        match super::container::v1_root("pids") {
            Some(_) => super::container::v1_cgroup_of(pid, "pids"),
            None => cgroup_of(pid),
        }
    };
    let first = place(&container)?;
    move_on(&container, &[], &[])?;
    let second = place(&container)?;
    same("the cgroup", &second, &first)?;
    let limit = fs::read_to_string(second.join("pids.max")).map_err(words)?;
    same("its limit", limit.trim(), "33")?;
    // Its devices are filtered, too: exec is where the container is.
    let words = ["call", "133", ":/tmp/zero", "0x21b6", "0x105"];
    let done = container.vial("exec", &[&["/probe"][..], &words].concat())?;
    same("whether a device could be made", done.stdout.contains("EPERM"), true)
        .map_err(|why| format!("{why}: {done}"))?;
    Ok(container.remove()?)
}

/// The mounts of a process without what differs from one mount to the next: the root,
/// the place, the options and the type of each.
fn mounts(pid: u64) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).map_err(words)?;
    let line = |line: &str| {
        let parts: Vec<&str> = line.split(' ').collect();
        let end = parts.iter().position(|part| *part == "-").unwrap_or(0);
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        let (options, kind) = (part(5), part(end + 1));
        format!("{} {} {options} {kind}", part(3), part(4))
    };
    let mut mounts: Vec<String> = text.lines().map(line).collect();
    mounts.sort();
    Ok(mounts)
}

fn mounts_are_the_same_after_a_restore(context: &Context) -> Outcome {
    let host = context.directory.join("host");
    fs::create_dir_all(host.join("below")).map_err(words)?;
    fs::write(host.join("file"), "a").map_err(words)?;
    let path = |name: &str| host.join(name).to_string_lossy().into_owned();
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["count", "/data/tmp/count"]);
        config["root"]["readonly"] = json!(true);
        edit::bind(config, &path(""), "/link/in", &["rbind", "ro", "nosuid", "noexec"]);
        edit::mount(config, "tmpfs", "tmpfs", "/data", &["mode=755", "nodev"]);
        edit::bind(config, &path(""), "/data/tmp", &["bind", "rw"]);
        edit::bind(config, &path("file"), "/etc/hosts", &["bind", "ro"]);
        edit::show_cgroup(config, &["ro"]);
    })?;
    let rootfs = &container.bundle.rootfs;
    fs::create_dir_all(rootfs.join("target")).map_err(words)?;
    symlink("target", rootfs.join("link")).map_err(words)?;
    container.create(&[])?.success()?;
    container.vial("start", &[])?.success()?;
    wait_until("the count", || host.join("count").exists())?;
    let before = mounts(container.pid()?)?;
    move_on(&container, &[], &[])?;
    let after = mounts(container.pid()?)?;
    same("the mounts", &after, &before)?;
    // What they are for.
    for (place, error) in [("/new", "EROFS"), ("/target/in/new", "EROFS"), ("/etc/hosts", "EROFS")]
    {
        let done = container.vial("exec", &["/probe", "create", place, "x"])?;
        same(place, format!("{}{}", done.stdout, done.stderr).contains(error), true)
            .map_err(|why| format!("{why}: {done}"))?;
    }
    for masked in ["/proc/keys", "/proc/timer_list"] {
        if before.iter().any(|line| line.contains(&format!(" {masked} "))) {
            let done = container.vial("exec", &["/probe", "cat", masked])?.success()?;
            same(masked, &*done.stdout, "")?;
        }
    }
    Ok(container.remove()?)
}

fn mount_points_are_made_again(context: &Context) -> Outcome {
    let host = context.directory.join("host");
    fs::create_dir(&host).map_err(words)?;
    fs::write(host.join("file"), "a").map_err(words)?;
    let path = |name: &str| host.join(name).to_string_lossy().into_owned();
    let container = counting(context, |config| {
        edit::bind(config, &path(""), "/a/directory", &["bind"]);
        edit::bind(config, &path("file"), "/a/directory/below", &["bind"]);
        edit::bind(config, &path("file"), "/a/file", &["bind"]);
    })?;
    with_log(&container, checkpoint(&container, &[])?)?;
    // A restore may get a rootfs that was never used.
    fs::remove_dir_all(container.bundle.rootfs.join("a")).map_err(words)?;
    fs::remove_file(host.join("below")).map_err(words)?;
    with_log(&container, restore(&container, &[])?)?;
    let done = container.vial("exec", &["/probe", "cat", "/a/directory/below"])?.success()?;
    same("the file", &*done.stdout, "a")?;
    Ok(container.remove()?)
}

fn user_namespace_is_restored(context: &Context) -> Outcome {
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["count", COUNT]);
        edit::user_namespace(config, 100_000);
    })?;
    let tmp = container.bundle.rootfs.join("tmp");
    std::os::unix::fs::chown(&tmp, Some(100_000), Some(100_000)).map_err(words)?;
    // It may not open a file of the host's root again.
    let mut created = start(&mut container.command("create"))?;
    same("create", created.wait().map_err(words)?.code(), Some(0))?;
    container.vial("start", &[])?.success()?;
    counts_on(&container)?;
    let map = |container: &Container<'_>| {
        fs::read_to_string(format!("/proc/{}/uid_map", container.pid()?)).map_err(words)
    };
    // Devices become binds of the host's.
    let all = |container: &Container<'_>| {
        let mut all = mounts(container.pid()?)?;
        all.retain(|line| line.starts_with("/ ") || !line.contains(" /dev/"));
        Ok::<_, String>((map(container)?, all))
    };
    let before = all(&container)?;
    with_log(&container, checkpoint(&container, &[])?)?;
    let mut command = container.command("restore");
    let mut restored = start(command.arg("--detach").arg("--image-path").arg(images(&container)))?;
    let ended = restored.wait().map_err(words)?;
    let log = || fs::read_to_string(images(&container).join("restore.log")).unwrap_or_default();
    let errors =
        || log().lines().filter(|line| line.contains("Error")).collect::<Vec<_>>().join("\n");
    // Root of a user namespace cannot drop the noexec of the host's devices.
    if errors().contains("Can't bind remount") {
        return Err(crate::runner::Failure::Skipped("/dev without noexec".into()));
    }
    same("restore", ended.code(), Some(0)).map_err(|why| format!("{why}: {}", errors()))?;
    counts_on(&container)?;
    same("the map and the mounts", &all(&container)?, &before)?;
    Ok(container.remove()?)
}

fn joined_network_namespace_is_joined_again(context: &Context) -> Outcome {
    let other = counting(context, |_| {})?;
    let path = format!("/proc/{}/ns/net", other.pid()?);
    let container = counting(context, |config| edit::join(config, "network", &path))?;
    let inode = |container: &Container<'_>| {
        fs::read_link(format!("/proc/{}/ns/net", container.pid()?)).map_err(words)
    };
    move_on(&container, &[], &[])?;
    counts_on(&container)?;
    same("the namespace", inode(&container)?, inode(&other)?)?;
    container.remove()?;
    Ok(other.remove()?)
}

fn paused_container_can_be_checkpointed(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    container.vial("pause", &[])?.success()?;
    with_log(&container, checkpoint(&container, &["--leave-running"])?)?;
    container.is("paused")?;
    with_log(&container, checkpoint(&container, &[])?)?;
    with_log(&container, restore(&container, &[])?)?;
    if container.status()? == "paused" {
        container.vial("resume", &[])?.success()?;
    }
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn tcp_connection_needs_a_flag(context: &Context) -> Outcome {
    let container = counting(context, |config| edit::deeds(config, &["converse", COUNT]))?;
    let done = checkpoint(&container, &[])?;
    // SO_PASSCRED of such a socket, since Linux 6.16.
    if done.stderr.contains("Can't get 1:16 opt") {
        return Err(crate::runner::Failure::Skipped(
            "criu that knows this kernel's sockets".into(),
        ));
    }
    refused(&done, "tcp-established")?;
    counts_on(&container)?;
    move_on(&container, &["--tcp-established"], &["--tcp-established"])?;
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn kernel_parameters_of_the_network_are_set_again(context: &Context) -> Outcome {
    let parameter = "net.ipv4.ip_forward";
    let container =
        counting(context, |config| config["linux"]["sysctl"] = json!({ parameter: "1" }))?;
    let value = || {
        let words = ["/probe", "cat", "/proc/sys/net/ipv4/ip_forward"];
        Ok::<_, String>(container.vial("exec", &words)?.success()?.stdout)
    };
    same("the parameter before", &*value()?, "1\n")?;
    move_on(&container, &[], &[])?;
    same("the parameter after", &*value()?, "1\n")?;
    Ok(container.remove()?)
}

fn hooks_of_the_host_run_at_a_restore(context: &Context) -> Outcome {
    let seen = context.directory.join("seen");
    let note =
        |name: &str| json!([{ "path": context.probe, "args": ["probe", "note", seen, name] }]);
    let container = counting(context, |config| {
        config["hooks"] = json!({
            "prestart": note("prestart"), "createRuntime": note("createRuntime"),
            "createContainer": note("createContainer"), "poststart": note("poststart"),
        });
    })?;
    with_log(&container, checkpoint(&container, &[])?)?;
    fs::remove_file(&seen).map_err(words)?;
    with_log(&container, restore(&container, &[])?)?;
    let text = fs::read_to_string(&seen).map_err(words)?;
    let lines: Vec<Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(words)?;
    let names: Vec<&str> = lines.iter().filter_map(|line| line["name"].as_str()).collect();
    same("the hooks", names, ["prestart", "createRuntime"])?;
    let input: Value =
        serde_json::from_str(lines[1]["input"].as_str().unwrap_or_default()).map_err(words)?;
    same("its pid", input["pid"].as_u64(), Some(container.pid()?))?;
    container.remove()?;
    // A hook that fails ends the restore.
    let before = context.leftovers();
    let container = counting(context, |_| {})?;
    with_log(&container, checkpoint(&container, &[])?)?;
    let path = container.bundle.path.join("config.json");
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(&path).map_err(words)?).map_err(words)?;
    config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/false-and-missing" }] });
    container.bundle.write_config(&config)?;
    refused(&restore(&container, &[])?, "hooks.createRuntime[0]")?;
    Ok(super::container::nothing_left(context, &before)?)
}

fn restore_in_the_foreground_ends_with_the_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = counting(context, |_| {})?;
    with_log(&container, checkpoint(&container, &[])?)?;
    let mut command = context.command(&["restore", "--image-path"]);
    command.arg(images(&container)).arg("--bundle").arg(&container.bundle.path);
    // criu wants a file of the same kind and size as before.
    let out = fs::File::create(&container.out).map_err(words)?;
    command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(fs::File::create(context.directory.join("err")).map_err(words)?);
    let mut child = command.arg(&container.id).spawn().map_err(words)?;
    wait_until("the container", || container.status().is_ok_and(|status| status == "running"))?;
    counts_on(&container)?;
    container.vial("kill", &["KILL"])?.success()?;
    same("the exit status", child.wait().map_err(words)?.code(), Some(137))?;
    Ok(super::container::nothing_left(context, &before)?)
}

fn container_of_another_build_can_be_checkpointed(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    // No build can read this.
    fs::write(context.state.join(&container.id).join("plan"), "?").map_err(words)?;
    move_on(&container, &[], &[])?;
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn images_of_a_restored_container_can_be_restored(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    move_on(&container, &[], &[])?;
    let first = counts_on(&container)?;
    move_on(&container, &[], &[])?;
    let second = counts_on(&container)?;
    same(&format!("whether {second} continues {first}"), second > first, true)?;
    Ok(container.remove()?)
}

/// A checkpoint with another PATH, by which criu is found.
fn with_path(container: &Container<'_>, path: &Path) -> Result<Done, String> {
    let images = images(container);
    let mut command = container.context.command(&["checkpoint", "--image-path"]);
    Ok(container.context.run(command.arg(images).arg(&container.id).env("PATH", path))?)
}

fn missing_criu_is_told(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    let done = with_path(&container, &context.directory)?;
    refused(&done, "criu is missing")?;
    same("the hint", done.stderr.contains("install the package criu"), true)?;
    same("whether there are images", images(&container).exists(), false)?;
    counts_on(&container)?;
    let mut command = container.command("restore");
    let other = context.run(command.args(["--image-path", "/x"]).env("PATH", "/nowhere"))?;
    refused(&other, "criu is missing")?;
    Ok(container.remove()?)
}

fn criu_that_ends_is_told(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    let directory = context.directory.join("bin");
    fs::create_dir(&directory).map_err(words)?;
    fs::copy(&context.probe, directory.join("criu")).map_err(words)?;
    let done = with_path(&container, &directory)?.failure()?;
    same("the error", done.stderr.contains("vial: criu ended without an answer"), true)
        .map_err(|why| format!("{why}: {done}"))?;
    same("whether there are images", images(&container).exists(), false)?;
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn container_that_does_not_run_is_refused(context: &Context) -> Outcome {
    let container = Container::created(context, &["exit", "0"])?;
    refused(&checkpoint(&container, &[])?, "it is created")?;
    container.vial("start", &[])?.success()?;
    container.ends()?;
    refused(&checkpoint(&container, &[])?, "it is stopped")?;
    container.remove()?;
    Ok(refused(&context.vial(&["checkpoint", "nobody"])?, "nobody does not exist")?)
}

fn missing_images_are_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::prepared(context, &["sleep", "9"])?;
    refused(&restore(&container, &[])?, "no directory")?;
    fs::create_dir(images(&container)).map_err(words)?;
    refused(&restore(&container, &[])?, "descriptors.json")?;
    fs::write(images(&container).join("descriptors.json"), "[]").map_err(words)?;
    let done = restore(&container, &[])?;
    refused(&done, "criu could not restore the container")?;
    same("the hint", done.stderr.contains("restore.log"), true)?;
    Ok(super::container::nothing_left(context, &before)?)
}

fn damaged_images_are_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = counting(context, |_| {})?;
    with_log(&container, checkpoint(&container, &[])?)?;
    let mut names: Vec<PathBuf> = fs::read_dir(images(&container))
        .map_err(words)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "img"))
        .collect();
    names.sort();
    for name in ["inventory.img", "core-1.img", "mm-1.img"] {
        let path = images(&container).join(name);
        let bytes = fs::read(&path).map_err(|error| format!("{name}: {error}: {names:?}"))?;
        fs::write(&path, &bytes[..bytes.len() / 2]).map_err(words)?;
        refused(&restore(&container, &[])?, "criu could not restore")
            .map_err(|why| format!("{name}: {why}"))?;
        super::container::nothing_left(context, &before)?;
        fs::write(&path, bytes).map_err(words)?;
    }
    with_log(&container, restore(&container, &[])?)?;
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn missing_rootfs_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = counting(context, |_| {})?;
    with_log(&container, checkpoint(&container, &[])?)?;
    let rootfs = &container.bundle.rootfs;
    let away = rootfs.with_extension("away");
    fs::rename(rootfs, &away).map_err(words)?;
    refused(&restore(&container, &[])?, &rootfs.to_string_lossy())?;
    super::container::nothing_left(context, &before)?;
    fs::rename(&away, rootfs).map_err(words)?;
    with_log(&container, restore(&container, &[])?)?;
    Ok(container.remove()?)
}

fn known_id_is_refused(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    with_log(&container, checkpoint(&container, &["--leave-running"])?)?;
    refused(&restore(&container, &[])?, "already exists")?;
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn wrong_flags_are_refused(context: &Context) -> Outcome {
    let container = counting(context, |_| {})?;
    for (flags, said) in [
        (&["--manage-cgroups-mode", "hard"][..], "--manage-cgroups-mode hard: unknown value"),
        (&["--empty-ns", "pid"], "--empty-ns pid"),
        (&["--page-server", "here"], "--page-server here"),
        (&["--page-server", "here:x"], "--page-server here:x"),
        (&["--status-fd", "3"], "--status-fd is only for --lazy-pages"),
        (&["--status-fd", "77", "--lazy-pages"], "--status-fd 77"),
        (&["--parent-path", "/tmp"], "--parent-path /tmp: it must be relative"),
        (&["--parent-path", "../nothing"], "there is no such directory"),
    ] {
        let done = checkpoint(&container, flags)?;
        refused(&done, said).map_err(|why| format!("{flags:?}: {why}"))?;
        same("whether there are images", images(&container).exists(), false)
            .map_err(|why| format!("{flags:?}: {why}"))?;
    }
    counts_on(&container)?;
    with_log(&container, checkpoint(&container, &[])?)?;
    for (flags, said) in [
        (&["--no-pivot"][..], "--no-pivot"),
        (&["--manage-cgroups-mode", "hard"], "unknown value"),
        (&["--console-socket", "/x"], "tty"),
        (&["--lsm-profile", "apparmor"], "criu could not restore"),
    ] {
        refused(&restore(&container, flags)?, said).map_err(|why| format!("{flags:?}: {why}"))?;
    }
    with_log(&container, restore(&container, &["-no-subreaper", "--empty-ns=network"])?)?;
    counts_on(&container)?;
    Ok(container.remove()?)
}

fn idmapped_mount_is_refused(context: &Context) -> Outcome {
    let host = context.directory.to_string_lossy().into_owned();
    let container = counting(context, |config| {
        let map = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
        edit::bind(config, &host, "/data", &["bind"]);
        if let Some(mount) = config["mounts"].as_array_mut().and_then(|all| all.last_mut()) {
            mount["uidMappings"] = map.clone();
            mount["gidMappings"] = map;
        }
    })?;
    refused(&checkpoint(&container, &[])?, "criu cannot restore an idmapped mount")?;
    counts_on(&container)?;
    Ok(container.remove()?)
}
