//! What the kernel's own log of a mount says (fsopen(2)): mount(2), which makes the
//! filesystems of a container, answers EINVAL for every option that is wrong.

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, read};
use rustix::mount::{FsOpenFlags, fsconfig_set_flag, fsconfig_set_string, fsopen};
use vial_plan::{Item, RootfsItem, Stage2};

/// The kernel's words about the options of a filesystem that could not be mounted.
/// The options are tried again, on a filesystem that is never made.
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
    let context = fsopen(*fstype, FsOpenFlags::FSOPEN_CLOEXEC).ok()?; // A filter may hide it.
    let mut options = data.to_bytes().split(|byte| *byte == b',').filter(|text| !text.is_empty());
    options.find_map(|option| refusal(&context, option))
}

/// What the kernel says of one option, if it does not take it.
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
    // `e tmpfs: Bad value for 'size'`: a level, and the words.
    let message = String::from_utf8_lossy(message.get(..length)?);
    let message = message.get(2..)?.trim();
    (!message.is_empty()).then(|| format!("the kernel says: {message}"))
}
