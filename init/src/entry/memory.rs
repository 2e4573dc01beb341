//! memcpy(3), memmove(3), memset(3), memcmp(3), bcmp(3) and strlen(3), which the
//! compiler takes for granted. Volatile accesses keep it from making a call of
//! memcpy out of the loop that is memcpy; what is copied here is short.

use core::ffi::c_int;

/// What is copied at once where both places are aligned to it.
const WORD: usize = size_of::<usize>();

/// # Safety
/// memcpy(3): `length` bytes at both places, which do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    let mut words = 0;
    if to.addr().is_multiple_of(WORD) && from.addr().is_multiple_of(WORD) {
        words = length / WORD;
        for at in 0..words {
            // SAFETY: it is below the length that the caller vouches for, and
            // aligned, as both places are.
            let word = unsafe { from.cast::<usize>().wrapping_add(at).read_volatile() };
            // SAFETY: the same.
            unsafe { to.cast::<usize>().wrapping_add(at).write_volatile(word) };
        }
    }
    for at in words * WORD..length {
        // SAFETY: `at` is below the length that the caller vouches for.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: the same.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
    }
    to
}

/// # Safety
/// memmove(3): `length` bytes at both places.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.addr() <= from.addr() {
        // SAFETY: front to back, a byte is read before it is written over.
        return unsafe { memcpy(to, from, length) };
    }
    for at in (0..length).rev() {
        // SAFETY: `at` is below the length that the caller vouches for.
        let byte = unsafe { from.wrapping_add(at).read_volatile() };
        // SAFETY: the same.
        unsafe { to.wrapping_add(at).write_volatile(byte) };
    }
    to
}

/// # Safety
/// memset(3): `length` bytes at `to`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: c_int, length: usize) -> *mut u8 {
    let mut words = 0;
    if to.addr().is_multiple_of(WORD) {
        words = length / WORD;
        let word = usize::from_ne_bytes([byte as u8; WORD]);
        for at in 0..words {
            // SAFETY: it is below the length that the caller vouches for, and
            // aligned, as the place is.
            unsafe { to.cast::<usize>().wrapping_add(at).write_volatile(word) };
        }
    }
    for at in words * WORD..length {
        // SAFETY: `at` is below the length that the caller vouches for.
        unsafe { to.wrapping_add(at).write_volatile(byte as u8) };
    }
    to
}

/// # Safety
/// memcmp(3): `length` bytes at both places.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> c_int {
    for at in 0..length {
        // SAFETY: `at` is below the length that the caller vouches for.
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
/// bcmp(3): `length` bytes at both places.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { memcmp(a, b, length) }
}

/// # Safety
/// strlen(3): a NUL lies at `text` or after it.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: every byte up to the NUL can be read, as the caller vouches.
    while unsafe { text.wrapping_add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
