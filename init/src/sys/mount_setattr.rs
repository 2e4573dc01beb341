//! mount_setattr(2)

use linux_raw_sys::general::{self, __NR_mount_setattr};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// struct mount_attr.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    /// MOUNT_ATTR_* bits to set.
    pub set: u64,
    /// MOUNT_ATTR_* bits to clear.
    pub clear: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 leaves it as it is.
    pub propagation: u64,
    /// With MOUNT_ATTR_IDMAP: the user namespace whose mappings the mount gets.
    pub userns_fd: u64,
}

impl Attributes {
    /// Changes nothing but the mapping of ids. The namespace must stay open for the call.
    pub fn ids_of(namespace: BorrowedFd<'_>) -> Self {
        let userns_fd = namespace.as_raw_fd() as u64;
        Self { set: general::MOUNT_ATTR_IDMAP.into(), userns_fd, ..Self::default() }
    }
}

const AT_EMPTY_PATH: usize = general::AT_EMPTY_PATH as usize;
const AT_RECURSIVE: usize = general::AT_RECURSIVE as usize;

/// mount_setattr(2): changes the mount that the fd refers to. Linux 5.12.
pub fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    attributes: &Attributes,
) -> Result<()> {
    let fd = mount.as_raw_fd() as usize;
    let flags = if recursive { AT_EMPTY_PATH | AT_RECURSIVE } else { AT_EMPTY_PATH };
    let path = c"".as_ptr().addr();
    let (address, size) = (core::ptr::from_ref(attributes).addr(), size_of::<Attributes>());
    // SAFETY: path ends with a NUL; the kernel reads `size` bytes of attributes.
    to_result(unsafe { syscall(__NR_mount_setattr, [fd, path, flags, address, size, 0]) })?;
    Ok(())
}
