//! aarch64: system calls.

use core::arch::asm;

/// Raises SIGILL, which ends the process without a system call.
pub(super) fn trap() {
    // SAFETY: the instruction is permanently undefined and does nothing else.
    unsafe { asm!("udf #0", options(nomem, nostack)) };
}

/// syscall(2): number, then up to six arguments.
///
/// # Safety
/// The call itself may be unsafe: each pointer among the arguments must be valid for
/// what the call's man page says.
pub(super) unsafe fn syscall(number: u32, a: [usize; 6]) -> isize {
    let [a0, a1, a2, a3, a4, a5] = a;
    let result: isize;
    // SAFETY: the instruction changes only x0, which is an output. The caller knows
    // what the kernel does to memory.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number as usize,
            inlateout("x0") a0 => result,
            in("x1") a1, in("x2") a2, in("x3") a3, in("x4") a4, in("x5") a5,
            options(nostack)
        );
    }
    result
}
