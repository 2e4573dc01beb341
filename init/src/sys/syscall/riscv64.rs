//! riscv64: system calls.

use core::arch::asm;

/// Raises SIGILL, which ends the process without a system call.
pub(super) fn trap() {
    // SAFETY: the instruction is defined to be illegal and does nothing else.
    unsafe { asm!("unimp", options(nomem, nostack)) };
}

/// syscall(2): number, then up to six arguments.
///
/// # Safety
/// The call itself may be unsafe: each pointer among the arguments must be valid for
/// what the call's man page says.
pub(super) unsafe fn syscall(number: u32, a: [usize; 6]) -> isize {
    let [a0, a1, a2, a3, a4, a5] = a;
    let result: isize;
    // SAFETY: the instruction changes only a0, which is an output. The caller knows
    // what the kernel does to memory.
    unsafe {
        asm!(
            "ecall",
            in("a7") number as usize,
            inlateout("a0") a0 => result,
            in("a1") a1, in("a2") a2, in("a3") a3, in("a4") a4, in("a5") a5,
            options(nostack)
        );
    }
    result
}
