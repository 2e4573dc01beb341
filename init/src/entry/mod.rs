//! What only the program has, because a library would bring it into other programs: the
//! entry point, and the memory functions that compiled code calls.
#![allow(unsafe_code, reason = "there is no libc to have it; see each SAFETY")]

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
mod start;

mod memory;
