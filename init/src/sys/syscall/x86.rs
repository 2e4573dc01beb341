//! x86: system calls of i386.

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
    // The compiler keeps esi and ebp to itself, so they cannot be operands. With them
    // all registers are in use: eax points at the three values that have none.
    let rest = [a3, a5, number as usize];
    let result: isize;
    // SAFETY: the kernel changes only eax, which is an output; esi and ebp are restored.
    // The values are read before eax and esi change. The caller knows what the kernel
    // does to memory.
    unsafe {
        asm!(
            "push esi",
            "push ebp",
            "mov esi, [eax]",
            "mov ebp, [eax + 4]",
            "mov eax, [eax + 8]",
            "int 0x80",
            "pop ebp",
            "pop esi",
            inlateout("eax") rest.as_ptr() => result,
            in("ebx") a0, in("ecx") a1, in("edx") a2, in("edi") a4,
        );
    }
    result
}
