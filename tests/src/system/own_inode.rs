//! vial-init as a container sees it: an inode that no other process executes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::SealFlags;

use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "own_inode",
    each_start_has_an_inode_of_its_own[Root],
    inode_of_a_start_is_sealed[Root],
    entering_process_cannot_be_traced[Root],
);

fn inode_of(path: &str) -> Result<(u64, u64), String> {
    let meta = fs::metadata(path).map_err(|e| format!("{path}: {e}"))?;
    Ok((meta.dev(), meta.ino()))
}

fn waiting(context: &Context) -> Result<(Container<'_>, String), String> {
    let bundle = context.bundle(|config| edit::deeds(config, &["echo", "started"]))?;
    let container = Container::create(context, bundle)?;
    let exe = format!("/proc/{}/exe", container.pid);
    Ok((container, exe))
}

/// What one container does to its inode (a lease, a lock, fsverity, chmod) reaches
/// neither another container's nor the host's file.
fn each_start_has_an_inode_of_its_own(context: &Context) -> Outcome {
    let (_first, first) = waiting(context)?;
    let (_second, second) = waiting(context)?;
    let (first, second) = (inode_of(&first)?, inode_of(&second)?);
    same("whether both have one inode", first == second, false)?;
    let file = context.vial.with_file_name("vial-init");
    let file = inode_of(&file.to_string_lossy())?;
    Ok(same("whether one is the host's file", file == first || file == second, false)?)
}

/// CVE-2019-5736: the seals also hold when no process executes it, and the kernel
/// would allow writing.
fn inode_of_a_start_is_sealed(context: &Context) -> Outcome {
    let (_container, exe) = waiting(context)?;
    let file = fs::File::open(&exe).map_err(|e| format!("{exe}: {e}"))?;
    let seals = rustix::fs::fcntl_get_seals(&file).map_err(|e| e.to_string())?;
    let wanted = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    Ok(same("the seals", seals & wanted, wanted)?)
}

/// Without this protection, a process with the same user and capabilities may trace an
/// exec or a joining create, and so get at its fds.
fn entering_process_cannot_be_traced(context: &Context) -> Outcome {
    let container = Container::start(context, &["find-inits", "/seen"], |_| {})?;
    let unseen = |who: &str| {
        let seen = fs::read_to_string(container.bundle.rootfs.join("seen")).unwrap_or_default();
        same(&format!("what {who} showed"), seen.as_str(), "")
    };
    for _ in 0..30 {
        container.exec(&[], &["exit", "0"])?.success()?;
    }
    unseen("an exec")?;
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["exit", "0"]);
        edit::join(config, "pid", &container.namespace("pid"));
    })?;
    let waiting = Container::create(context, bundle)?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(waiting);
    crate::processes::reap(); // Until then the kernel keeps the other's first process.
    Ok(unseen("a create")?)
}
