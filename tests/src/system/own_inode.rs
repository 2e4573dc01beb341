//! vial-init as a container finds it: an inode that nobody else runs.

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
    what_a_start_runs_cannot_be_changed[Root],
    process_that_enters_cannot_be_traced[Root],
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

/// Whatever one container does to it (a lease, a lock, fsverity, a chmod) is
/// done to no other, and not to the host's file.
fn each_start_has_an_inode_of_its_own(context: &Context) -> Outcome {
    let (_first, first) = waiting(context)?;
    let (_second, second) = waiting(context)?;
    let (first, second) = (inode_of(&first)?, inode_of(&second)?);
    same("one inode for both", first == second, false)?;
    let file = context.vial.with_file_name("vial-init");
    let file = inode_of(&file.to_string_lossy())?;
    Ok(same("the host's file among them", file == first || file == second, false)?)
}

/// CVE-2019-5736: also once it no longer runs, when the kernel lets it be written.
fn what_a_start_runs_cannot_be_changed(context: &Context) -> Outcome {
    let (_container, exe) = waiting(context)?;
    let file = fs::File::open(&exe).map_err(|e| format!("{exe}: {e}"))?;
    let seals = rustix::fs::fcntl_get_seals(&file).map_err(|e| e.to_string())?;
    let wanted = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    Ok(same("the seals", seals & wanted, wanted)?)
}

/// A process of the same user and capabilities may trace one that is not kept
/// from it, and so have its fds: an exec, and a create that joins.
fn process_that_enters_cannot_be_traced(context: &Context) -> Outcome {
    let container = Container::start(context, &["find-inits", "/seen"], |_| {})?;
    let unseen = |who: &str| {
        let seen = fs::read_to_string(container.bundle.rootfs.join("seen")).unwrap_or_default();
        same(&format!("what was seen of {who}"), seen.as_str(), "")
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
    crate::processes::reap(); // The kernel holds the other's first process until then.
    Ok(unseen("a create")?)
}
