//! `podman exec`: a second process in a running container.

use std::fs;

use crate::context::same;
use crate::engine::podman::{Podman, wait_until};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "podman-exec",
    podman_exec_passes_output_and_exit_codes[Podman],
    podman_exec_has_its_own_user_environment_and_workdir[Podman],
    podman_exec_has_a_terminal_of_its_own[Podman],
    detached_exec_keeps_running[Podman],
    podman_exec_joins_the_containers_namespaces[Podman],
    podman_exec_names_a_missing_workdir[Podman],
);

/// Checks a claim in a container that sleeps.
fn in_a_sleeper(
    context: &Context,
    options: &[&str],
    claim: impl FnOnce(&Podman, &str) -> Result<(), String>,
) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(options, "exec sleep 1000")?;
    let shown = claim(&podman, &name);
    podman.remove(&name)?;
    Ok(shown?)
}

fn podman_exec_passes_output_and_exit_codes(context: &Context) -> Outcome {
    in_a_sleeper(context, &[], |podman, name| {
        let done = podman.call(&["exec", name, "sh", "-c", "echo out; echo err >&2; exit 7"])?;
        let seen = (done.code, done.stdout.as_str(), done.stderr.contains("err\n"));
        same("exit code and output", seen, (7, "out\n", true))?;
        for (program, code) in [("nosuch", 127), ("/no/such", 127), ("/bin/not-executable", 126)] {
            let done = podman.call(&["exec", name, program])?;
            same(program, done.code, code).map_err(|why| format!("{why}: {done}"))?;
        }
        let done = podman.shell(&format!("echo typed | $PODMAN exec -i {name} cat"))?.success()?;
        same("stdin", done.stdout.as_str(), "typed\n")
    })
}

fn podman_exec_has_its_own_user_environment_and_workdir(context: &Context) -> Outcome {
    in_a_sleeper(context, &["--env", "A=container", "--env", "B=container"], |podman, name| {
        let options = ["exec", "--user", "user:extra", "--env", "A=exec", "--workdir", "/data"];
        let script = "id -u; id -g; id -G; echo $A $B $HOME; pwd";
        let said = podman.success(&[&options[..], &[name, "sh", "-c", script]].concat())?;
        same("what it sees", said.as_str(), "1000\n2000\n2000\nexec container /tmp\n/data")
    })
}

fn podman_exec_has_a_terminal_of_its_own(context: &Context) -> Outcome {
    in_a_sleeper(context, &["--tty"], |podman, name| {
        let script = format!("$PODMAN exec -it {name} sh -c 'stty size; tty; exit 6'");
        let done = podman.terminal(&script)?;
        // pts/0 belongs to the container's own process.
        let seen = (done.code, done.stdout.as_str());
        same("what it printed", seen, (6, "33 77\n/dev/pts/1\n"))
    })
}

fn detached_exec_keeps_running(context: &Context) -> Outcome {
    in_a_sleeper(context, &[], |podman, name| {
        let script = "sleep 1; echo done > /tmp/note; exec sleep 1000";
        podman.success(&["exec", "--detach", name, "sh", "-c", script])?;
        wait_until("the note", || {
            Ok(podman.call(&["exec", name, "cat", "/tmp/note"])?.stdout == "done\n")
        })?;
        let top = podman.success(&["top", name, "args"])?;
        same("the programs in it", top.lines().filter(|line| line.contains("sleep")).count(), 2)
    })
}

fn podman_exec_joins_the_containers_namespaces(context: &Context) -> Outcome {
    let options = ["--cgroupns=private", "--uidmap=0:100000:5000", "--gidmap=0:100000:5000"];
    in_a_sleeper(context, &options, |podman, name| {
        let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "uts", "user"];
        let script = format!("for n in {}; do readlink /proc/self/ns/$n; done", kinds.join(" "));
        let said = podman.success(&["exec", name, "sh", "-c", &script])?;
        let pid = podman.pid(name)?;
        let inode = |of: &str, kind: &str| {
            let link = fs::read_link(format!("/proc/{of}/ns/{kind}")).unwrap_or_default();
            link.to_string_lossy().into_owned()
        };
        let its: Vec<_> = kinds.iter().map(|kind| inode(&pid, kind)).collect();
        same("the exec's namespaces", said.lines().collect::<Vec<_>>(), its)?;
        // None is the host's.
        let hosts: Vec<_> = kinds.iter().map(|kind| inode("self", kind)).collect();
        let own = said.lines().all(|inode| !hosts.iter().any(|hosts| hosts == inode));
        same("whether none is the host's", own, true)
    })
}

fn podman_exec_names_a_missing_workdir(context: &Context) -> Outcome {
    in_a_sleeper(context, &[], |podman, name| {
        let done = podman.call(&["exec", "--workdir", "/no/such", name, "true"])?;
        same("the exit code", done.code, 127).map_err(|why| format!("{why}: {done}"))?;
        same("whether it is named", done.stderr.contains("/no/such"), true)
            .map_err(|why| format!("{why}: {done}"))
    })
}
