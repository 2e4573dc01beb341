//! vial-init as a container finds it: an inode that nobody else runs.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!("own_inode", each_start_has_an_inode_of_its_own[Root]);

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
