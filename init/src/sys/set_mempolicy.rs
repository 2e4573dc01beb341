//! set_mempolicy(2)

use linux_raw_sys::general::__NR_set_mempolicy;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// set_mempolicy(2): sets the NUMA policy of this thread. `nodes` is a bit mask, in
/// words of 8 bytes.
pub fn set_mempolicy(mode: u32, nodes: &[u8]) -> Result<()> {
    let bits = nodes.len() * 8;
    let address = if nodes.is_empty() { 0 } else { nodes.as_ptr().addr() };
    // The kernel reads one bit less than the number says.
    let count = if nodes.is_empty() { 0 } else { bits + 1 };
    // SAFETY: the kernel reads `count` - 1 bits at nodes, rounded up to words. The
    // slice holds that many, as it is made of whole words.
    to_result(unsafe { syscall(__NR_set_mempolicy, [mode as usize, address, count, 0, 0, 0]) })?;
    Ok(())
}
