//! From _start to Rust: takes the arguments from the stack, where the kernel put them.

use core::ffi::{CStr, c_char};

/// Called by `_start`. `stack` points at argc, which argv follows.
///
/// # Safety
/// `stack` must be the stack pointer that the kernel started the process with.
pub unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: `_start` passes the initial stack pointer, where the kernel put argc.
    let count = unsafe { *stack };
    // SAFETY: argv follows argc on the same stack.
    let first = unsafe { stack.add(1) }.cast::<*const c_char>();
    crate::main(Arguments { next: first, left: count })
}

/// The process's arguments, in order.
#[derive(Debug)]
pub struct Arguments {
    next: *const *const c_char,
    left: usize,
}

impl Arguments {
    /// The next argument, for writing: /proc/PID/cmdline shows what is written there.
    pub fn next_place(&mut self) -> Option<&'static mut [u8]> {
        // SAFETY: argv ends with a null pointer, so there is a pointer to read.
        let start = unsafe { *self.next }.cast::<u8>().cast_mut();
        let length = self.next()?.count_bytes();
        // SAFETY: the kernel put the string on the stack, which is writable. The CStr
        // of next() is gone, so nothing else refers to it.
        Some(unsafe { core::slice::from_raw_parts_mut(start, length) })
    }
}

impl Iterator for Arguments {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: `left` pointers of argv are unread, so this is one of them.
        let text = unsafe { *self.next };
        // SAFETY: argv ends with a null pointer, so the next one is within it.
        self.next = unsafe { self.next.add(1) };
        // SAFETY: the kernel ends every argument with a NUL. Nothing writes to an
        // argument that was returned here.
        Some(unsafe { CStr::from_ptr(text) })
    }
}
