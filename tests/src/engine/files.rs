//! Files in the container: volumes, tmpfs, devices, and podman's own files.

use std::fs;

use crate::context::same;
use crate::engine::podman::Podman;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "podman-files",
    read_only_root_has_writable_tmpfs[Podman],
    volumes_are_the_hosts_directories[Podman],
    volume_has_the_given_propagation[Podman],
    named_volume_keeps_what_is_written[Podman],
    kernel_files_are_hidden_or_read_only[Podman],
    tmpfs_has_the_given_mode_or_that_of_the_covered_directory[Podman],
    device_has_the_given_access[Podman],
    added_hosts_are_in_etc_hosts[Podman],
);

/// A shell function: prints field `$2` of mountinfo for the mount point `$1`.
const FIELD: &str = "field() { awk -v p=$1 -v f=$2 '$5 == p { print $f }' /proc/self/mountinfo; }";

fn read_only_root_has_writable_tmpfs(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "for d in / /data /tmp /run /var/tmp /dev/shm /dev; do touch $d/x 2>/dev/null && \
                  echo $d; done; touch /x 2>&1 | grep -c 'Read-only file system'";
    let said = podman.says(&["--read-only"], script)?;
    same("what is writable", said.as_str(), "/tmp\n/run\n/var/tmp\n/dev/shm\n/dev\n1").or_else(
        |_| {
            // Some versions of podman make /dev read-only.
            same("what is writable", said.as_str(), "/tmp\n/run\n/var/tmp\n/dev/shm\n1")
        },
    )?;
    let script =
        "for d in / /tmp /run /var/tmp; do touch $d/x 2>/dev/null && echo $d; done; echo end";
    let said = podman.says(&["--read-only", "--read-only-tmpfs=false"], script)?;
    Ok(same("what is writable without", said.as_str(), "end")?)
}

fn volumes_are_the_hosts_directories(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let host = context.directory.join("shared");
    fs::create_dir_all(&host).map_err(|error| error.to_string())?;
    fs::write(host.join("in"), "from the host\n").map_err(|error| error.to_string())?;
    let host = host.display();
    let (rw, ro) = (format!("{host}:/rw"), format!("{host}:/ro:ro,noexec"));
    let file = format!("{host}/in:/data/file:ro");
    let script = "cat /rw/in /data/file; echo from within > /rw/out; touch /ro/x 2>/dev/null || echo \
                  refused; grep -c ' /ro .*ro.*noexec' /proc/mounts";
    let said = podman.says(&["-v", &rw, "-v", &ro, "-v", &file], script)?;
    same("what it sees", said.as_str(), "from the host\nfrom the host\nrefused\n1")?;
    let out = fs::read_to_string(context.directory.join("shared/out")).unwrap_or_default();
    Ok(same("what it wrote", out.as_str(), "from within\n")?)
}

fn volume_has_the_given_propagation(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    // A shared mount of our own, as the machine's / may be private.
    let directory = context.directory.join("shared");
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let path = directory.display();
    let shell = |script: &str| podman.shell(script)?.success();
    shell(&format!("mount -t tmpfs shared {path} && mount --make-shared {path}"))?;
    let volume = |mode| format!("{path}:/{mode}:{mode}");
    let volumes = ["private", "rslave", "rshared"].map(volume);
    let options: Vec<_> = volumes.iter().flat_map(|volume| ["-v", volume]).collect();
    let script = format!(
        "{FIELD}; for m in private rslave rshared; do field /$m 7 | sed s/:.*//; done; echo up; \
         while ! test -e /rslave/sub/note; do sleep 0.1; done; ls /rslave/sub /private/sub"
    );
    let seen = podman.start(&options, &script).and_then(|name| {
        shell(&format!(
            "mkdir {path}/sub && mount -t tmpfs sub {path}/sub && touch {path}/sub/note"
        ))?;
        let code = podman.success(&["wait", &name])?;
        let log = podman.success(&["logs", &name])?;
        podman.remove(&name)?;
        Ok((code, log))
    });
    shell(&format!("umount -R {path}"))?;
    let wanted = "-\nmaster\nshared\nup\n/private/sub:\n\n/rslave/sub:\nnote";
    let (code, log) = seen?;
    Ok(same("what it sees", (code.as_str(), log.as_str()), ("0", wanted))?)
}

fn named_volume_keeps_what_is_written(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let volume = context.id();
    let option = format!("--volume={volume}:/data");
    let said = podman.says(&[&option], "cat /data/file; echo kept > /data/kept")?;
    same("the image's content", said.as_str(), "from the image")?;
    same("what was written", podman.says(&[&option], "cat /data/kept")?.as_str(), "kept")?;
    Ok(podman.success(&["volume", "rm", &volume]).map(drop)?)
}

fn kernel_files_are_hidden_or_read_only(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "wc -c < /proc/kcore; wc -c < /proc/keys; ls /sys/firmware | wc -l; \
                  for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/profiling \
                  /sys/power/state; do (echo x > $f) 2>/dev/null && echo $f; done; echo end";
    same("what it sees", podman.says(&[], script)?.as_str(), "0\n0\n0\nend")?;
    let option = "--security-opt=unmask=/proc/keys";
    let seen = podman.says(&[option], "wc -c < /proc/keys; wc -c < /proc/kcore")?;
    Ok(same("what is unmasked", seen.starts_with("0\n") || !seen.ends_with("\n0"), false)?)
}

fn tmpfs_has_the_given_mode_or_that_of_the_covered_directory(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "stat -c %a /data; cat /data/file 2>/dev/null; stat -f -c %T /data";
    for (option, wanted) in [
        ("--tmpfs=/data", "755\nfrom the image\ntmpfs"),
        ("--tmpfs=/data:mode=0700", "700\nfrom the image\ntmpfs"),
        ("--tmpfs=/data:notmpcopyup", "755\ntmpfs"),
        ("--tmpfs=/data:notmpcopyup,mode=0711", "711\ntmpfs"),
    ] {
        same(option, podman.says(&[option], script)?.as_str(), wanted)?;
    }
    Ok(())
}

fn device_has_the_given_access(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "d=/dev/other; test -e $d || mknod $d c 10 229; stat -c %F:%t:%T $d; \
                  (: < $d) 2>/dev/null && echo reads; (: >> $d) 2>/dev/null && echo writes; echo end";
    let device = "character special file:a:e5\n";
    for (options, wanted) in [
        (&["--device=/dev/fuse:/dev/other"][..], "reads\nwrites\nend"),
        (&["--device=/dev/fuse:/dev/other:r"][..], "reads\nend"),
        // A node that the container makes itself, and that no rule allows.
        (&[][..], "end"),
    ] {
        same(&options.join(" "), podman.says(options, script)?, format!("{device}{wanted}"))?;
    }
    Ok(())
}

fn added_hosts_are_in_etc_hosts(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--add-host=one:10.1.2.3", "--add-host=two:fd00::2"];
    let script = "for h in one two; do awk -v h=$h '$2 == h { print $1 }' /etc/hosts; done";
    Ok(same("their addresses", podman.says(&options, script)?.as_str(), "10.1.2.3\nfd00::2")?)
}
