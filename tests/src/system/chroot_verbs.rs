//! The verbs on containers without a mount namespace, whose root exec must find.

use std::fs;

use serde_json::json;

use super::chroot::{bare, mounts, mounts_of_its_own, sleeping};
use super::container::{refused, wait_until, words};
use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "chroot_verbs",
    exec_has_the_same_root[Root],
    exec_without_a_pidfd_is_refused[Root],
    exec_with_a_terminal_is_refused[Root],
    callers_mount_namespace_by_path_counts_as_none[Root],
    cap_sys_chroot_causes_a_warning[Root],
    verbs_work_and_nothing_is_left[Root],
    processes_are_listed_and_paused [Root, Cgroup2],
);

fn exec_has_the_same_root(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let root = &container.bundle.rootfs;
    fs::write(root.join("etc/passwd"), "x:x:0:0:x:/home/inside:/x\n").map_err(words)?;
    fs::copy(root.join("probe"), root.join("usr/bin/only-inside")).map_err(words)?;
    fs::create_dir(root.join("home")).map_err(words)?;
    let said = container.exec(&["--cwd", "/home"], &["cat", "../marker"])?.success()?.stdout;
    same("the marker", said.as_str(), "inside")?;
    let report = container.exec_report(&[])?;
    same("HOME", report["env"]["HOME"].as_str(), Some("/home/inside"))?;
    same("cwd", report["cwd"].as_str(), Some("/"))?;
    let exec = |program: &str| context.vial(&["exec", &container.id, program, "cat", "/marker"]);
    same("by PATH", exec("only-inside")?.success()?.stdout.as_str(), "inside")?;
    refused(&exec("/bin/sh")?, "exec \"/bin/sh\"")?;
    Ok(same("the exit code", container.exec(&[], &["exit", "7"])?.code, 7)?)
}

fn exec_without_a_pidfd_is_refused(context: &Context) -> Outcome {
    let hidden = context.hiding(libc::ENOSYS, &[libc::SYS_pidfd_open])?;
    let container = sleeping(&hidden)?;
    let done = container.exec(&[], &["exit", "0"])?;
    refused(&done, "cannot make sure which root container")?;
    same("whether there is a hint", done.stderr.contains("\nhint: "), true)?;
    Ok(())
}

fn exec_with_a_terminal_is_refused(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let done = container.exec(&["--tty"], &["exit", "0"])?;
    Ok(edit::words_of_refusal(&done, &["process.terminal: ", "mount namespace"])?)
}

fn callers_mount_namespace_by_path_counts_as_none(context: &Context) -> Outcome {
    mounts_of_its_own()?;
    let before = mounts()?;
    let container = Container::start(context, &["sleep", "60"], |config| {
        bare(config);
        edit::join(config, "mount", "/proc/self/ns/mnt");
    })?;
    fs::write(container.bundle.rootfs.join("marker"), "inside").map_err(words)?;
    let said = container.exec(&[], &["cat", "/marker"])?.success()?.stdout;
    same("the marker", said.as_str(), "inside")?;
    // exec works from another mount namespace too.
    mounts_of_its_own()?;
    let said = container.exec(&[], &["cat", "/marker"])?.success()?.stdout;
    same("the marker from elsewhere", said.as_str(), "inside")?;
    drop(container);
    same("the number of mounts", mounts()?.lines().count(), before.lines().count())?;
    Ok(())
}

fn cap_sys_chroot_causes_a_warning(context: &Context) -> Outcome {
    let log = context.directory.join("log");
    let path = log.to_string_lossy().into_owned();
    let said = |verb: &[&str]| -> Result<usize, String> {
        let _ = fs::remove_file(&log); // ENOENT: there is none at first.
        context.vial(&[&["--log", &path][..], verb].concat())?.success()?;
        Ok(fs::read_to_string(&log).unwrap_or_default().matches("CAP_SYS_CHROOT").count())
    };
    for (capability, warnings) in [("CAP_SYS_CHROOT", 1), ("CAP_KILL", 0)] {
        let bundle = context.bundle(|config| {
            bare(config);
            edit::deeds(config, &["sleep", "60"]);
            edit::capabilities(config, &[capability]);
        })?;
        let id = context.id();
        let bundle = bundle.path.to_string_lossy().into_owned();
        same(capability, said(&["create", "--bundle", &bundle, &id])?, warnings)?;
        same(
            "the number of warnings from exec",
            said(&["exec", &id, "/probe", "exit", "0"])?,
            warnings,
        )?;
        context.vial(&["delete", "--force", &id])?.success()?;
    }
    Ok(())
}

fn verbs_work_and_nothing_is_left(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = sleeping(context)?;
    let vial = |words: &[&str]| context.vial(words)?.success();
    let id = container.id.as_str();
    same("state", vial(&["state", id])?.stdout.contains("running"), true)?;
    refused(&context.vial(&["delete", id])?, "not stopped")?;
    vial(&["kill", id, "KILL"])?;
    wait_until("it to end", || vial(&["state", id]).is_ok_and(|s| s.stdout.contains("stopped")))?;
    refused(&context.vial(&["exec", id, "/probe"])?, "cannot exec in a stopped container")?;
    vial(&["delete", id])?;
    drop(container);
    context.nothing_left_since(&before)?;
    // The same for a created container, and for one whose program is missing.
    drop(Container::create(context, context.bundle(bare)?)?);
    edit::refused(context, &["no such file"], |config| {
        bare(config);
        config["process"]["args"] = json!(["/bin/sh"]);
    })?;
    edit::refused(context, &["root.path", "ENOENT"], |config| {
        bare(config);
        config["root"]["path"] = json!("nothing");
    })?;
    Ok(context.nothing_left_since(&before)?)
}

fn processes_are_listed_and_paused(context: &Context) -> Outcome {
    let container = sleeping(context)?;
    let vial = |words: &[&str]| context.vial(words)?.success();
    let id = container.id.as_str();
    let listed = vial(&["ps", "--format", "json", id])?.stdout;
    same("ps", listed.trim(), format!("[{}]", container.pid).as_str())?;
    vial(&["pause", id])?;
    same("paused", vial(&["state", id])?.stdout.contains("\"paused\""), true)?;
    refused(&context.vial(&["exec", id, "/probe"])?, "cannot exec in a paused container")?;
    vial(&["resume", id])?;
    container.exec(&[], &["exit", "0"])?.success()?;
    Ok(())
}
