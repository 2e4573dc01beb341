//! x86_64: how the kernel starts the process.

use core::arch::global_asm;

// The kernel enters with argc at the stack pointer and no return address.
// This hands that address over, with the stack aligned as the ABI wants it.
global_asm!(
    ".globl vial_init_start",
    ".type vial_init_start,@function",
    "vial_init_start:",
    "xor %ebp, %ebp",
    "mov %rsp, %rdi",
    "and $-16, %rsp",
    "call {begin}",
    "ud2",
    begin = sym vial_init::sys::start::begin,
    options(att_syntax)
);
