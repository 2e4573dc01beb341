//! `docker run` with its options.

use std::fs;

use super::{Docker, RUN};
use crate::context::same;
use crate::engine::NO_MKDIR;
use crate::engine::podman::in_terminal;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "docker-run",
    docker_terminal_has_the_callers_size[Docker],
    docker_passes_on_stdin[Docker],
    docker_tells_a_missing_program_from_a_failing_one[Docker],
    docker_read_only_root_has_writable_tmpfs[Docker],
    docker_volumes_are_the_hosts_directories[Docker],
    docker_device_has_the_given_access[Docker],
    docker_capabilities_are_dropped_and_added[Docker],
    docker_security_options_are_applied[Docker],
    docker_user_groups_and_limits_are_the_given_ones[Docker],
    docker_sysctls_are_set_in_its_namespaces[Docker],
    docker_init_is_pid_1[Docker],
    docker_namespaces_are_the_hosts_on_request[Docker],
    docker_build_runs_its_steps[Docker],
);

fn docker_terminal_has_the_callers_size(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    // docker sets the size after the start.
    let script = "until test \"$(stty size)\" = '33 77'; do sleep 0.1; done; tty; exit 5\n";
    fs::write(context.directory.join("script"), script).map_err(|error| error.to_string())?;
    let volume = format!("--volume={}:/data", context.directory.display());
    let run = format!("docker run --rm -it --network=none {volume} box sh /data/script");
    let done = in_terminal(&run, |script| docker.shell(script))?;
    Ok(same("what it printed", (done.code, done.stdout.trim()), (5, "/dev/pts/0"))?)
}

fn docker_passes_on_stdin(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let done = docker.shell("echo typed | docker run --rm -i --network=none box cat")?;
    Ok(same("what it printed", done.success()?.stdout.as_str(), "typed\n")?)
}

fn docker_tells_a_missing_program_from_a_failing_one(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    for (program, code, words) in [
        ("nosuch", 127, "executable file not found in $PATH"),
        ("/no/such", 127, "no such file or directory"),
        ("/bin/not-executable", 126, "permission denied"),
    ] {
        let done = docker.call(&[&RUN[..], &["box", program]].concat())?;
        let seen = (done.code, done.stderr.contains(words));
        same(program, seen, (code, true)).map_err(|why| format!("{why}: {done}"))?;
    }
    Ok(())
}

fn docker_read_only_root_has_writable_tmpfs(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let options = ["--read-only", "--tmpfs", "/run:size=64k,mode=0750", "--tmpfs=/tmp"];
    let script = "touch /x 2>/dev/null || echo refused; touch /tmp/y && echo written; \
                  stat -c %a /run; grep -c ' /run .*size=64k' /proc/mounts";
    let said = docker.says(&options, script)?;
    Ok(same("what it sees", said.as_str(), "refused\nwritten\n750\n1")?)
}

fn docker_volumes_are_the_hosts_directories(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let host = context.directory.join("shared");
    fs::create_dir_all(&host).map_err(|error| error.to_string())?;
    fs::write(host.join("in"), "from the host\n").map_err(|error| error.to_string())?;
    let path = host.display();
    let (rw, ro) = (format!("{path}:/rw"), format!("{path}:/ro:ro"));
    let script = "cat /rw/in; echo from within > /rw/out; touch /ro/x 2>/dev/null || echo refused";
    let said = docker.says(&["-v", &rw, "-v", &ro], script)?;
    same("what it sees", said.as_str(), "from the host\nrefused")?;
    let out = fs::read_to_string(host.join("out")).unwrap_or_default();
    same("what it wrote", out.as_str(), "from within\n")?;
    let volume = context.id();
    let option = format!("--volume={volume}:/data");
    let said = docker.says(&[&option], "cat /data/file; echo kept > /data/kept")?;
    same("the image's content", said.as_str(), "from the image")?;
    same("what was kept", docker.says(&[&option], "cat /data/kept")?.as_str(), "kept")?;
    Ok(docker.success(&["volume", "rm", &volume]).map(drop)?)
}

fn docker_device_has_the_given_access(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let script =
        "(: < /dev/other) && echo reads; (: >> /dev/other) 2>/dev/null && echo writes; echo end";
    for (option, wanted) in [
        ("--device=/dev/fuse:/dev/other", "reads\nwrites\nend"),
        ("--device=/dev/fuse:/dev/other:r", "reads\nend"),
    ] {
        same(option, docker.says(&[option], script)?.as_str(), wanted)?;
    }
    Ok(())
}

fn docker_capabilities_are_dropped_and_added(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let script = "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | uniq | xargs";
    let default = "00000000a80425fb 0000000000000000";
    same("docker's default", docker.says(&[], script)?.as_str(), default)?;
    let options = ["--cap-drop=ALL", "--cap-add=NET_ADMIN"];
    let said = docker.says(&options, script)?;
    Ok(same("one of them", said.as_str(), "0000000000001000 0000000000000000")?)
}

fn docker_security_options_are_applied(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let script = "grep -E '(NoNewPrivs|Seccomp):' /proc/self/status | cut -f2 | xargs; \
                  cat /proc/self/attr/current";
    let said = docker.says(&[], script)?;
    same("by default", said.as_str(), "0 2\ndocker-default (enforce)")?;
    let options = ["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined"];
    let options = options.map(|option| format!("--security-opt={option}"));
    let said = docker.says(&options.each_ref().map(String::as_str), script)?;
    same("as asked for", said.as_str(), "1 0\nunconfined")?;
    let profile = context.directory.join("profile.json");
    fs::write(&profile, NO_MKDIR).map_err(|error| error.to_string())?;
    let option = format!("--security-opt=seccomp={}", profile.display());
    let said = docker.says(&[&option], "probe mkdir /tmp/x; touch /tmp/y && echo touched")?;
    Ok(same("under a profile", said.as_str(), "ETIMEDOUT\ntouched")?)
}

fn docker_user_groups_and_limits_are_the_given_ones(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let options = [
        "--user=user",
        "--group-add=3000",
        "--ulimit=nofile=100:200",
        "--workdir=/data",
        "--env=A=b",
        "--hostname=box",
        "--pids-limit=50",
        "--memory=64m",
        "--cpus=0.5",
    ];
    let script = "id -u; id -g; id -G | tr ' ' '\\n' | sort -n | xargs; ulimit -Sn; ulimit -Hn; pwd; \
                  echo $A; hostname; cd /sys/fs/cgroup; cat pids.max memory.max cpu.max";
    let said = docker.says(&options, script)?;
    let wanted = "1000\n1000\n1000 2000 3000\n100\n200\n/data\nb\nbox\n50\n67108864\n50000 100000";
    Ok(same("what it sees", said.as_str(), wanted)?)
}

fn docker_sysctls_are_set_in_its_namespaces(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let options = ["--sysctl=kernel.msgmax=4444", "--sysctl=net.ipv4.ip_forward=1"];
    let script = "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward";
    Ok(same("what it sees", docker.says(&options, script)?.as_str(), "4444\n1")?)
}

fn docker_init_is_pid_1(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let done = docker
        .call(&[&RUN[..], &["--init", "box", "sh", "-c", "cat /proc/1/comm; exit 6"]].concat())?;
    Ok(same("what it printed", (done.code, done.stdout.as_str()), (6, "docker-init\n"))?)
}

fn docker_namespaces_are_the_hosts_on_request(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let kinds = ["ipc", "pid", "uts", "cgroup", "mnt", "net"];
    let script = kinds.map(|kind| format!("readlink /proc/self/ns/{kind}")).join("; ");
    let hosts = docker.shell(&script)?.success()?.stdout;
    let shared = |said: &str| -> Vec<bool> {
        said.lines().zip(hosts.lines()).map(|(one, other)| one == other).collect()
    };
    same("by default", shared(&docker.says(&[], &script)?), vec![false; 6])?;
    let options = ["--ipc=host", "--pid=host", "--uts=host", "--cgroupns=host"];
    let said = docker.says(&options, &script)?;
    Ok(same("as asked for", shared(&said), vec![true, true, true, true, false, false])?)
}

fn docker_build_runs_its_steps(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let file =
        "FROM box\nRUN echo built > /built && id -u >> /built\nUSER user\nRUN id -u > /tmp/who\n";
    fs::write(context.directory.join("Dockerfile"), file).map_err(|error| error.to_string())?;
    let image = format!("built-{}", context.id());
    let directory = context.directory.display();
    let build = format!("DOCKER_BUILDKIT=0 docker build --network none -t {image} {directory}");
    docker.shell(&build)?.success()?;
    let said = docker.success(&[&RUN[..], &[&image, "cat", "/built", "/tmp/who"]].concat());
    docker.success(&["rmi", "--force", &image])?;
    Ok(same("what it holds", said?.as_str(), "built\n0\n1000")?)
}
