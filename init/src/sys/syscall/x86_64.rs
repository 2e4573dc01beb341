//! x86_64: system calls.

use core::arch::asm;

/// Raises SIGILL, which ends the process without a system call.
pub(super) fn trap() {
    // SAFETY: the instruction is defined to raise #UD and does nothing else.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

/// syscall(2): number, then up to six arguments.
///
/// # Safety
/// The call itself may be unsafe: each pointer among the arguments must be valid for
/// what the call's man page says.
pub(super) unsafe fn syscall(number: u32, a: [usize; 6]) -> isize {
    let [a0, a1, a2, a3, a4, a5] = a;
    let result: isize;
    // SAFETY: the instruction changes only rax, rcx and r11, which are outputs. The
    // caller knows what the kernel does to memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") a0, in("rsi") a1, in("rdx") a2, in("r10") a3, in("r8") a4, in("r9") a5,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}
