//! Known attacks, one test each: vial refuses or survives them, and nothing outside
//! the rootfs changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};

use super::edit::{self, Container, bind, mount};
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "escapes",
    runtime_cannot_be_overwritten_by_its_container[Root],
    runtime_cannot_be_overwritten_by_an_exec[Root],
    waiting_container_cannot_be_read_or_written_by_another[Root],
    dev_that_is_a_link_leads_nowhere[Root],
    proc_and_sys_that_are_links_are_refused[Root],
    link_in_a_mount_target_stays_within_the_root[Root],
    missing_target_behind_a_link_is_not_made_on_the_host[Root],
    device_path_behind_a_link_is_not_made_on_the_host[Root],
    exchanged_mount_target_never_leads_to_the_host[Root],
    null_device_that_is_a_link_masks_nothing_of_the_host[Root],
    masked_link_is_masked_within_the_root[Root],
    working_directory_in_a_leaked_fd_leads_nowhere[Root],
    exec_directory_in_a_leaked_fd_is_refused[Root],
    working_directory_behind_a_link_stays_within_the_root[Root],
    mount_over_proc_is_refused[Root],
    mount_inside_proc_is_refused[Root],
    sysctl_is_not_written_to_a_fake_proc[Root],
    passwd_that_leads_out_is_not_read[Root],
);

/// A directory of the host in which no file may appear.
fn outside(context: &Context) -> Result<PathBuf, String> {
    let directory = context.directory.join("outside");
    fs::create_dir(&directory).map_err(|e| e.to_string())?;
    Ok(directory)
}

fn untouched(directory: &Path) -> Result<(), String> {
    let entries = fs::read_dir(directory).map_err(|e| e.to_string())?;
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    same(
        &format!("the entries of {}", directory.display()),
        names,
        Vec::<std::ffi::OsString>::new(),
    )
}

/// Replaces a path of the rootfs by a symbolic link.
fn link(bundle: &Bundle, to: &Path, at: &str) -> Result<(), String> {
    let place = bundle.rootfs.join(at);
    let _ = fs::remove_dir(&place); // ENOENT: there is nothing to replace.
    symlink(to, &place).map_err(|error| format!("{}: {error}", place.display()))
}

/// What vial-init prints if vial did not start it.
const BY_HAND: &str = "vial-init is started by vial: try `vial --help`\n";

/// CVE-2019-5736: the container's program is /proc/self/exe, the runtime's own binary,
/// which another process of the container then opens for writing.
fn runtime_cannot_be_overwritten_by_its_container(context: &Context) -> Outcome {
    let init = context.vial.with_file_name("vial-init");
    let before = fs::read(&init).map_err(|e| e.to_string())?;
    for path in ["/proc/self/exe", "/proc/1/exe"] {
        // This executes vial-init again, which finds no channel to vial.
        let bundle = context.bundle(|c| c["process"]["args"] = json!([path]))?;
        let done = context.run_bundle(&bundle)?;
        same(path, (done.code, done.stderr.as_str()), (1, BY_HAND))?;
    }
    let after = fs::read(&init).map_err(|e| e.to_string())?;
    Ok(same("whether vial-init is unchanged", before == after, true)?)
}

/// The first process looks for processes that execute vial-init, tries to open their
/// /proc/PID/exe for writing, and notes its success.
fn runtime_cannot_be_overwritten_by_an_exec(context: &Context) -> Outcome {
    let init = context.vial.with_file_name("vial-init");
    let before = fs::read(&init).map_err(|e| e.to_string())?;
    let container = Container::start(context, &["overwrite-exes", "/seen"], |config| {
        edit::capabilities(config, &["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]);
    })?;
    for _ in 0..30 {
        let done = context.vial(&["exec", &container.id, "/proc/self/exe"])?;
        same("code and stderr of the exec", (done.code, done.stderr.as_str()), (1, BY_HAND))?;
        container.exec(&[], &["exit", "0"])?.success()?;
    }
    let seen = fs::read_to_string(container.bundle.rootfs.join("seen")).unwrap_or_default();
    same("files that could be written", seen.as_str(), "")?;
    let after = fs::read(&init).map_err(|e| e.to_string())?;
    Ok(same("whether vial-init is unchanged", before == after, true)?)
}

/// A created container still executes vial-init. Another container in its pid namespace
/// can write neither its binary nor its memory.
fn waiting_container_cannot_be_read_or_written_by_another(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| edit::deeds(config, &["sleep", "60"]))?;
    let waiting = Container::create(context, bundle)?;
    for path in ["/proc/1/exe", "/proc/1/mem"] {
        let done = edit::run(context, &["write", path, "x"], |config| {
            edit::join(config, "pid", &waiting.namespace("pid"));
            edit::capabilities(config, &["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
        })?
        .failure()?;
        let answer = done.stdout.trim().to_owned();
        let refused = ["EACCES", "EPERM", "ETXTBSY", "EIO"].contains(&answer.as_str());
        same(&format!("whether {answer} of {path} is a refusal"), refused, true)?;
    }
    Ok(())
}

/// CVE-2026-41579, CVE-2026-47766: device nodes were made outside, where /dev led.
fn dev_that_is_a_link_leads_nowhere(context: &Context) -> Outcome {
    let outside = outside(context)?;
    for keeps_mounts in [true, false] {
        let bundle = context.bundle(|config| {
            if !keeps_mounts {
                edit::without_mounts(config, "/dev");
            }
        })?;
        link(&bundle, &outside, "dev")?;
        let what = if keeps_mounts { "mounts[1]" } else { "make device /dev/null" };
        edit::refused_bundle(context, &bundle, &[what, "ELOOP", "may not be symbolic links"])?;
        untouched(&outside)?;
    }
    Ok(())
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867.
fn proc_and_sys_that_are_links_are_refused(context: &Context) -> Outcome {
    for (name, index) in [("proc", 0), ("sys", 5)] {
        let bundle = context.bundle(|_| {})?;
        fs::create_dir(bundle.rootfs.join("elsewhere")).map_err(|e| e.to_string())?;
        link(&bundle, Path::new("elsewhere"), name)?;
        let field = format!("mounts[{index}]");
        edit::refused_bundle(context, &bundle, &[&field, &format!("/{name}")])?;
    }
    Ok(())
}

/// CVE-2019-18837: a link in the image led a mount out of the rootfs.
fn link_in_a_mount_target_stays_within_the_root(context: &Context) -> Outcome {
    let outside = outside(context)?;
    let bundle = context.bundle(|config| {
        mount(config, "tmpfs", "tmpfs", "/tmp/link/below", &[]);
        bind(config, "/proc/version", "/tmp/link/file", &["bind"]);
        edit::deeds(config, &["create", "/tmp/link/below/x", "", "+", "cat", "/tmp/link/file"]);
    })?;
    link(&bundle, &outside, "tmp/link")?;
    let done = context.run_bundle(&bundle)?.success()?;
    same("whether the bound file is read", done.stdout.starts_with("Linux version"), true)?;
    untouched(&outside)?;
    // The link's target is resolved within the rootfs, and made there.
    Ok(made_inside(&bundle, &outside, "below")?)
}

/// Checks that the host's path was made as a path of the rootfs.
fn made_inside(bundle: &Bundle, outside: &Path, name: &str) -> Result<(), String> {
    let path = outside.join(name);
    let inside = bundle.rootfs.join(path.strip_prefix("/").unwrap_or(&path));
    same(&format!("whether {} was made", inside.display()), inside.exists(), true)
}

/// CVE-2024-45310.
fn missing_target_behind_a_link_is_not_made_on_the_host(context: &Context) -> Outcome {
    let outside = outside(context)?;
    for target in [outside.clone(), Path::new("../../../../..").join(&outside)] {
        let bundle = context.bundle(|config| {
            mount(config, "tmpfs", "tmpfs", "/tmp/link/a/b/c", &[]);
            bind(config, "/proc/version", "/etc/file-link", &["bind"]);
        })?;
        link(&bundle, &target, "tmp/link")?;
        link(&bundle, &target.join("file"), "etc/file-link")?;
        edit::report_of(context, &bundle)?;
        untouched(&outside)?;
        made_inside(&bundle, &outside, "a/b/c")?;
        made_inside(&bundle, &outside, "file")?;
    }
    Ok(())
}

fn device_path_behind_a_link_is_not_made_on_the_host(context: &Context) -> Outcome {
    let outside = outside(context)?;
    let device = json!({ "type": "c", "path": "/tmp/link/x", "major": 1, "minor": 3 });
    let fifo = json!({ "type": "p", "path": "/etc/file-link" });
    let bundle = |device: &serde_json::Value| {
        let bundle = context.bundle(|c| edit::add(&mut c["linux"]["devices"], device.clone()))?;
        link(&bundle, &outside, "tmp/link")?;
        link(&bundle, &outside.join("file"), "etc/file-link")?;
        Ok::<_, String>(bundle)
    };
    let behind = bundle(&device)?;
    edit::report_of(context, &behind)?;
    untouched(&outside)?;
    made_inside(&behind, &outside, "x")?;
    // At the node's own path, a link is refused.
    let words = ["linux.devices[0]", "/etc/file-link", "EEXIST"];
    edit::refused_bundle(context, &bundle(&fifo)?, &words)?;
    Ok(untouched(&outside)?)
}

/// CVE-2021-30465: while the runtime mounts in a shared volume, another container swaps
/// a directory of it with a link.
fn exchanged_mount_target_never_leads_to_the_host(context: &Context) -> Outcome {
    let outside = outside(context)?;
    let volume = context.directory.join("volume");
    fs::create_dir_all(volume.join("a")).map_err(|e| e.to_string())?;
    symlink(&outside, volume.join("b")).map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        bind(config, &volume.to_string_lossy(), "/volume", &["rbind"]);
        mount(config, "tmpfs", "tmpfs", "/volume/a/b/c", &[]);
        mount(config, "tmpfs", "tmpfs", "/volume/a", &[]);
        bind(config, "/proc/version", "/volume/a/file", &["bind"]);
        edit::deeds(config, &["echo", "done"]);
    })?;
    let over = AtomicBool::new(false);
    let (a, b) = (volume.join("a"), volume.join("b"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // EBUSY: it is a mount point at this moment.
                let _ = renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE);
            }
        });
        let all = (0..50).try_for_each(|_| {
            let done = context.run_bundle(&bundle)?;
            match done.code {
                0 => same("what it printed", done.stdout.as_str(), "done\n")?,
                _ => edit::words_of_refusal(&done, &["config.json mounts["])?,
            }
            untouched(&outside)
        });
        over.store(true, Ordering::Relaxed);
        all
    })?;
    untouched(&outside)?;
    // The bundle works without the race.
    Ok(same("what it printed", context.run_bundle(&bundle)?.success()?.stdout.as_str(), "done\n")?)
}

/// CVE-2025-31133: /dev/null was a link, and the runtime bound its target, writable, as
/// the mask.
fn null_device_that_is_a_link_masks_nothing_of_the_host(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        // Removes the mount on /dev, so that the image's /dev/null is used.
        edit::without_mounts(config, "/dev");
        config["linux"]["maskedPaths"] = json!(["/proc/sys/kernel/shmmax"]);
        config["linux"]["readonlyPaths"] = json!([]);
        edit::deeds(config, &["cat", "/proc/sys/kernel/shmmax"]);
    })?;
    fs::write(bundle.rootfs.join("etc/target"), "of the image").map_err(|e| e.to_string())?;
    link(&bundle, Path::new("/etc/target"), "dev/null")?;
    // vial makes /dev/null, and refuses a link in its place.
    edit::refused_bundle(context, &bundle, &["make device /dev/null", "EEXIST"])?;
    let text = fs::read_to_string(bundle.rootfs.join("etc/target")).map_err(|e| e.to_string())?;
    Ok(same("the link's target", text.as_str(), "of the image")?)
}

fn masked_link_is_masked_within_the_root(context: &Context) -> Outcome {
    let secret = context.directory.join("secret");
    fs::write(&secret, "of the host").map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        config["linux"]["maskedPaths"] = json!(["/etc/link", "/etc/out"]);
        edit::deeds(config, &["cat", "/etc/file"]);
    })?;
    fs::write(bundle.rootfs.join("etc/file"), "of the image").map_err(|e| e.to_string())?;
    link(&bundle, Path::new("/etc/file"), "etc/link")?;
    link(&bundle, &secret, "etc/out")?;
    let done = context.run_bundle(&bundle)?.success()?;
    same("what the link leads to", done.stdout.as_str(), "")?;
    let text = fs::read_to_string(&secret).map_err(|e| e.to_string())?;
    Ok(same("the host's file", text.as_str(), "of the host")?)
}

/// CVE-2024-21626: a leaked fd of a host's directory as the working directory.
fn working_directory_in_a_leaked_fd_leads_nowhere(context: &Context) -> Outcome {
    for fd in 3..12 {
        for path in [format!("/proc/self/fd/{fd}"), format!("/proc/self/fd/{fd}/../../..")] {
            let bundle = context.bundle(|config| {
                config["process"]["cwd"] = json!(path);
                edit::deeds(config, &["cat", "../../../../../../etc/hostname"]);
            })?;
            // An fd of the rootfs itself leads only into the rootfs, which does not have
            // the file.
            let done = context.run_bundle(&bundle)?.failure()?;
            match path.ends_with("..") {
                true => same(&path, done.stdout.trim(), "ENOENT")?,
                false => edit::words_of_refusal(&done, &["process.cwd", &path])?,
            }
        }
    }
    Ok(())
}

fn exec_directory_in_a_leaked_fd_is_refused(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    symlink("/proc/self/fd/4", container.bundle.rootfs.join("link")).map_err(|e| e.to_string())?;
    for path in (3..12).map(|fd| format!("/proc/self/fd/{fd}")).chain(["/link".into()]) {
        let done = container.exec(&["--cwd", &path], &["echo", "entered"])?;
        edit::words_of_refusal(&done, &["process.cwd", &path])?;
    }
    Ok(())
}

fn working_directory_behind_a_link_stays_within_the_root(context: &Context) -> Outcome {
    let outside = outside(context)?;
    let bundle = context.bundle(|config| config["process"]["cwd"] = "/tmp/link/new".into())?;
    link(&bundle, &outside, "tmp/link")?;
    let report = edit::report_of(context, &bundle)?;
    same("cwd", report["cwd"].as_str(), outside.join("new").to_str())?;
    Ok(untouched(&outside)?)
}

/// CVE-2019-16884: with a volume on /proc, the runtime reads and writes forged files.
fn mount_over_proc_is_refused(context: &Context) -> Outcome {
    let outside = outside(context)?;
    let path = outside.to_string_lossy().into_owned();
    for destination in ["/proc", "proc/", "//proc/.", "/./proc"] {
        let words = ["mounts[6].destination", "/proc"];
        edit::refused(context, &words, |c| bind(c, &path, destination, &["rbind"]))?;
        edit::refused(context, &words, |c| mount(c, "tmpfs", "x", destination, &[]))?;
    }
    Ok(())
}

fn mount_inside_proc_is_refused(context: &Context) -> Outcome {
    for path in ["/proc/self/attr/exec", "/proc/1", "/proc/sys/kernel", "/proc/self/fd/3"] {
        let words = ["mounts[6].destination", path];
        edit::refused(context, &words, |c| bind(c, "/proc/version", path, &["bind"]))?;
    }
    // lxcfs binds files like this one.
    let text = edit::said(context, &["cat", "/proc/uptime"], |config| {
        bind(config, "/proc/version", "/proc/uptime", &["bind", "ro"]);
    })?;
    Ok(same("the version", text.starts_with("Linux version"), true)?)
}

/// CVE-2025-52881: a mount redirected what the runtime wrote to /proc.
fn sysctl_is_not_written_to_a_fake_proc(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        config["linux"]["sysctl"] = json!({ "kernel.shmmax": "123456" });
        edit::deeds(config, &["cat", "/proc/sys/kernel/shmmax"]);
    })?;
    let fake = bundle.rootfs.join("proc/sys/kernel");
    fs::create_dir_all(&fake).map_err(|e| e.to_string())?;
    symlink("/proc/sys/kernel/core_pattern", fake.join("shmmax")).map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("kernel.shmmax", done.stdout.trim(), "123456")?)
}

/// The runtime itself reads this file of the image, as in CVE-2025-24965.
fn passwd_that_leads_out_is_not_read(context: &Context) -> Outcome {
    let passwd = context.directory.join("passwd");
    fs::write(&passwd, "root:x:0:0::/of-the-host:/bin/sh\n").map_err(|e| e.to_string())?;
    let bundle = context.bundle(|_| {})?;
    link(&bundle, &passwd, "etc/passwd")?;
    let report: Value = edit::report_of(context, &bundle)?;
    Ok(same("HOME", report["env"]["HOME"].as_str(), Some("/"))?)
}
