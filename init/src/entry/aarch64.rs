//! aarch64: how the kernel starts the process.

use core::arch::global_asm;

// The kernel enters with argc at the stack pointer, which is aligned already.
// A zero frame pointer and link register end any walk of the stack.
global_asm!(
    ".globl vial_init_start",
    ".type vial_init_start,%function",
    "vial_init_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {begin}",
    "brk #1",
    begin = sym vial_init::sys::start::begin,
);
