//! The numbers of calls that have another name on architectures of 32 bits.

#[cfg(target_pointer_width = "64")]
pub(super) use linux_raw_sys::general::{
    __NR_clock_gettime as CLOCK_GETTIME, __NR_mmap as MMAP, __NR_setgroups as SETGROUPS,
};
// mmap2(2) counts the offset in units of 4096 bytes. setgroups takes ids of 16 bits, and
// clock_gettime gives seconds of 32.
#[cfg(target_pointer_width = "32")]
pub(super) use linux_raw_sys::general::{
    __NR_clock_gettime64 as CLOCK_GETTIME, __NR_mmap2 as MMAP, __NR_setgroups32 as SETGROUPS,
};
