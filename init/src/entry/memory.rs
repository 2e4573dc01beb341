//! memcpy(3), memmove(3), memset(3), memcmp(3), bcmp(3) and strlen(3), which compiled
//! code calls. Volatile accesses keep the compiler from turning the loop in memcpy into
//! a call of memcpy. They are slow, but copies here are short.

use core::ffi::c_int;

/// The size of one copy step where both pointers are aligned to it.
const WORD: usize = size_of::<usize>();

/// # Safety
/// memcpy(3): both pointers are valid for `length` bytes, which do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    let mut words = 0;
    if to.addr().is_multiple_of(WORD) && from.addr().is_multiple_of(WORD) {
        words = length / WORD;
        for at in 0..words {
            // SAFETY: the word is within the length that the caller guarantees, and
            // aligned, as both pointers are.
            let word = unsafe { from.cast::<usize>().wrapping_add(at).read_volatile() };
            // SAFETY: the same.
            unsafe { to.cast::<usize>().wrapping_add(at).write_volatile(word) };
        }
    }
    for at in words * WORD..length {
        // SAFETY: `at` is below the length that the caller guarantees.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: the same.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
    }
    to
}

/// # Safety
/// memmove(3): both pointers are valid for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.addr() <= from.addr() {
        // SAFETY: from front to back, each byte is read before it is overwritten.
        return unsafe { memcpy(to, from, length) };
    }
    for at in (0..length).rev() {
        // SAFETY: `at` is below the length that the caller guarantees.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: the same.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
    }
    to
}

/// # Safety
/// memset(3): `to` is valid for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: c_int, length: usize) -> *mut u8 {
    let mut words = 0;
    if to.addr().is_multiple_of(WORD) {
        words = length / WORD;
        let word = usize::from_ne_bytes([byte as u8; WORD]);
        for at in 0..words {
            // SAFETY: the word is within the length that the caller guarantees, and
            // aligned, as `to` is.
            unsafe { to.cast::<usize>().wrapping_add(at).write_volatile(word) };
        }
    }
    for at in words * WORD..length {
        // SAFETY: `at` is below the length that the caller guarantees.
        unsafe { to.wrapping_add(at).write_volatile(byte as u8) };
    }
    to
}

/// # Safety
/// memcmp(3): both pointers are valid for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> c_int {
    for at in 0..length {
        // SAFETY: `at` is below the length that the caller guarantees.
        let x = unsafe { a.wrapping_add(at).read_volatile() };
        // SAFETY: the same.
        let y = unsafe { b.wrapping_add(at).read_volatile() };
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
    }
    0
}

/// # Safety
/// bcmp(3): both pointers are valid for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> c_int {
    // SAFETY: the caller guarantees what memcmp needs.
    unsafe { memcmp(a, b, length) }
}

/// # Safety
/// strlen(3): there is a NUL at or after `text`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller guarantees that every byte up to the NUL can be read.
    while unsafe { text.wrapping_add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
