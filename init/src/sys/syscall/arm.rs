//! arm: system calls of the EABI.

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
    // SAFETY: the kernel changes only r0, which is an output, and r7 is restored. In
    // Thumb code it is the frame pointer, so it cannot be an operand. The caller knows
    // what the kernel does to memory.
    unsafe {
        asm!(
            "mov {frame}, r7",
            "mov r7, {number}",
            "svc #0",
            "mov r7, {frame}",
            frame = out(reg) _,
            number = in(reg) number,
            inlateout("r0") a0 => result,
            in("r1") a1, in("r2") a2, in("r3") a3, in("r4") a4, in("r5") a5,
            options(nostack)
        );
    }
    result
}
