//! x86: the entry point.

use core::arch::global_asm;

// The kernel enters with the stack pointer at argc, and with no return address. This
// passes that pointer on as the argument, on the stack, and aligns the stack as the ABI
// requires.
global_asm!(
    ".globl vial_init_start",
    ".type vial_init_start,@function",
    "vial_init_start:",
    "xor %ebp, %ebp",
    "mov %esp, %eax",
    "and $-16, %esp",
    "sub $12, %esp",
    "push %eax",
    "call {begin}",
    "ud2",
    begin = sym vial_init::sys::start::begin,
    options(att_syntax)
);
