//! execve(2)

use core::ffi::CStr;

use linux_raw_sys::general::__NR_execve;
use rustix::io::Errno;

use super::syscall::syscall;

/// Pointers to NUL-terminated texts, in memory that was mapped for them.
#[derive(Debug)]
pub struct Vector {
    room: &'static mut [usize],
    used: usize,
}

impl Vector {
    /// A list with room for `room.len() - 1` texts; the last entry stays null.
    pub fn new(room: &'static mut [usize]) -> Self {
        Vector { room, used: 0 }
    }

    /// Adds a text, which must live until execve; None where there is no room.
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

/// execve(2): becomes the program; returns only if it cannot.
pub fn execve(program: &CStr, args: &Vector, env: &Vector) -> Errno {
    let (path, args, env) = (program.as_ptr().addr(), args.address(), env.address());
    // SAFETY: path ends with a NUL; both lists are zeroed memory of which
    // push() fills all but the last entry with NUL-terminated texts that live
    // for ever.
    let result = unsafe { syscall(__NR_execve, [path, args, env, 0, 0, 0]) };
    Errno::from_raw_os_error(result.unsigned_abs() as i32)
}
