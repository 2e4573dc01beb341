//! arm: the entry point.

use core::arch::global_asm;

// The kernel enters with the stack pointer at argc, aligned to 8 bytes. A zero frame
// pointer and link register end any stack walk.
// The code is Arm code, whatever the rest is: the linker makes `bl` change the mode.
global_asm!(
    ".arm",
    ".p2align 2",
    ".globl vial_init_start",
    ".type vial_init_start,%function",
    "vial_init_start:",
    "mov r11, #0",
    "mov lr, #0",
    "mov r0, sp",
    "bl {begin}",
    "udf #0",
    begin = sym vial_init::sys::start::begin,
);
