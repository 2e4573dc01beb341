//! riscv64: the entry point.

use core::arch::global_asm;

// The kernel enters with the stack pointer at argc, already aligned. A zero frame
// pointer and return address end any stack walk. Code may address data near the global
// pointer, whose place the linker defines; the linker must not express this first load
// of it by itself.
global_asm!(
    ".globl vial_init_start",
    ".type vial_init_start,@function",
    "vial_init_start:",
    ".option push",
    ".option norelax",
    "lla gp, __global_pointer$",
    ".option pop",
    "li s0, 0",
    "li ra, 0",
    "mv a0, sp",
    "call {begin}",
    "unimp",
    begin = sym vial_init::sys::start::begin,
);
