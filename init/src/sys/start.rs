//! From _start to Rust: the arguments as the kernel laid them on the stack.

use core::ffi::{CStr, c_char};

/// Where `_start` goes on. `stack` points at argc, then argv.
///
/// # Safety
/// `stack` must be the stack pointer that the kernel starts a process with.
pub unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: _start passes the stack pointer of a fresh process, where the
    // kernel put argc.
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
    /// The next argument, to be written over: /proc/PID/cmdline has it as it is then.
    pub fn next_place(&mut self) -> Option<&'static mut [u8]> {
        // SAFETY: argv ends with a null pointer, so that there is one to read.
        let start = unsafe { *self.next }.cast::<u8>().cast_mut();
        let length = self.next()?.count_bytes();
        // SAFETY: the kernel put the text on the stack, which can be written, and
        // nobody else was given it: what next() has made is gone.
        Some(unsafe { core::slice::from_raw_parts_mut(start, length) })
    }
}

impl Iterator for Arguments {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: `left` of argc pointers are still unread, so this is one.
        let text = unsafe { *self.next };
        // SAFETY: argv ends with a null pointer, which lies one past the last.
        self.next = unsafe { self.next.add(1) };
        // SAFETY: the kernel ends every argument with a NUL, and none that was
        // handed out here is written.
        Some(unsafe { CStr::from_ptr(text) })
    }
}
