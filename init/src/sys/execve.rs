//! execve(2)

use core::ffi::CStr;

use linux_raw_sys::general::__NR_execve;
use rustix::io::Errno;

use super::syscall::syscall;

/// Pointers to NUL-terminated strings, in memory that was mapped for them.
#[derive(Debug)]
pub struct Vector {
    room: &'static mut [usize],
    used: usize,
}

impl Vector {
    /// A list with room for `room.len() - 1` strings. The last entry stays null.
    pub fn new(room: &'static mut [usize]) -> Self {
        Vector { room, used: 0 }
    }

    /// Adds a string. None if there is no room.
    pub fn push(&mut self, text: &'static CStr) -> Option<()> {
        let last = self.room.len().checked_sub(1)?;
        let place = self.room.get_mut(..last)?.get_mut(self.used)?;
        *place = text.as_ptr().addr();
        self.used = self.used.checked_add(1)?;
        Some(())
    }

    fn address(&self) -> usize {
        self.room.as_ptr().addr()
    }
}

/// execve(2): executes the program. Returns only if that failed.
pub fn execve(program: &CStr, args: &Vector, env: &Vector) -> Errno {
    let (path, args, env) = (program.as_ptr().addr(), args.address(), env.address());
    // SAFETY: path ends with a NUL. Both lists are zeroed memory; push() fills all but
    // the last entry with NUL-terminated strings of static lifetime.
    let result = unsafe { syscall(__NR_execve, [path, args, env, 0, 0, 0]) };
    Errno::from_raw_os_error(result.unsigned_abs() as i32)
}
