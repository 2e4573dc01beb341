//! The kernel's own words about a refused mount option, from the log of fsopen(2).
//! vial-init mounts by mount(2), which returns only EINVAL.

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, read};
use rustix::mount::{FsOpenFlags, fsconfig_set_flag, fsconfig_set_string, fsopen};
use vial_plan::{Item, RootfsItem, Stage2};

/// The kernel's words about the options of a mount that failed. Sets the options
/// again by fsconfig(2), on a filesystem that is never created.
pub fn words(item: &Item<'_>, errno: Errno) -> Option<String> {
    let Item::Stage2(Stage2::Rootfs(item)) = item else { return None };
    let (RootfsItem::Mount { fstype, data, .. } | RootfsItem::MountCopy { fstype, data, .. }) =
        item
    else {
        return None;
    };
    if errno != Errno::INVAL {
        return None;
    }
    let context = fsopen(*fstype, FsOpenFlags::FSOPEN_CLOEXEC).ok()?; // ENOSYS: a filter hides it.
    let mut options = data.to_bytes().split(|byte| *byte == b',').filter(|text| !text.is_empty());
    options.find_map(|option| refusal(&context, option))
}

/// What the kernel says about one option, if it refuses it.
fn refusal(context: &OwnedFd, option: &[u8]) -> Option<String> {
    let mut parts = option.splitn(2, |byte| *byte == b'=');
    let (name, value) = (parts.next()?, parts.next());
    let set = match value {
        Some(value) => fsconfig_set_string(context.as_fd(), name, value),
        None => fsconfig_set_flag(context.as_fd(), name),
    };
    set.err()?;
    let mut message = [0; 512];
    let length = read(context, &mut message[..]).ok()?;
    // A level and a message: `e tmpfs: Bad value for 'size'`.
    let message = String::from_utf8_lossy(message.get(..length)?);
    let message = message.get(2..)?.trim();
    (!message.is_empty()).then(|| format!("the kernel says: {message}"))
}
