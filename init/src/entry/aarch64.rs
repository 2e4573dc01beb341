//! aarch64: the entry point.

use core::arch::global_asm;

// The kernel enters with the stack pointer at argc, already aligned. A zero frame
// pointer and link register end any stack walk.
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
