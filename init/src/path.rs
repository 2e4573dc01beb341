//! A path that is put together in memory of fixed size.

use core::ffi::CStr;

use rustix::io::{Errno, Result};

/// PATH_MAX of Linux, the terminating NUL included.
pub const PATH_MAX: usize = 4096;

/// A NUL-terminated path of at most PATH_MAX bytes; more is ENAMETOOLONG.
#[derive(Debug)]
pub struct PathBuffer<const SIZE: usize = PATH_MAX> {
    bytes: [u8; SIZE],
    used: usize,
}

impl<const SIZE: usize> PathBuffer<SIZE> {
    /// An empty path.
    pub const fn empty() -> Self {
        PathBuffer { bytes: [0; SIZE], used: 0 }
    }

    /// Adds bytes at the end.
    pub fn push(&mut self, part: &[u8]) -> Result<&mut Self> {
        let end = self.used.checked_add(part.len()).filter(|end| *end < SIZE);
        let place = end.and_then(|end| self.bytes.get_mut(self.used..end));
        for (to, from) in place.ok_or(Errno::NAMETOOLONG)?.iter_mut().zip(part) {
            *to = *from;
        }
        self.used = end.ok_or(Errno::NAMETOOLONG)?;
        if let Some(nul) = self.bytes.get_mut(self.used) {
            *nul = 0;
        }
        Ok(self)
    }

    /// Adds a number in decimal.
    pub fn push_number(&mut self, number: u32) -> Result<&mut Self> {
        let mut divisor = 1_000_000_000;
        while divisor > 1 && number < divisor {
            divisor /= 10;
        }
        while divisor > 0 {
            self.push(&[b'0' + ((number / divisor) % 10) as u8])?;
            divisor /= 10;
        }
        Ok(self)
    }

    /// Cuts the path back to nothing.
    pub fn clear(&mut self) {
        self.used = 0;
        self.bytes[0] = 0;
    }

    /// The bytes without the NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// The path for the kernel; one that holds a NUL ends there.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// Parent and last component of a path: `a/b/c` is `a/b` and `c`, `c` is empty
/// and `c`. Slashes at the end count for nothing.
pub fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |last| last.saturating_add(1));
    let path = path.get(..end).unwrap_or_default();
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => {
            let name = path.get(slash.saturating_add(1)..).unwrap_or_default();
            (path.get(..slash).unwrap_or_default(), name)
        }
        None => (&[], path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for (number, text) in [(0, c"0"), (7, c"7"), (10, c"10"), (4_294_967_295, c"4294967295")] {
            let mut path: PathBuffer<16> = PathBuffer::empty();
            path.push_number(number).unwrap();
            assert_eq!(path.as_c_str(), text);
        }
    }

    #[test]
    fn a_path_too_long_is_refused() {
        let mut path: PathBuffer<4> = PathBuffer::empty();
        path.push(b"abc").unwrap();
        assert_eq!(path.push(b"d").map(|_| ()), Err(Errno::NAMETOOLONG));
        assert_eq!(path.as_c_str(), c"abc");
    }

    #[test]
    fn the_last_component_is_split_off() {
        assert_eq!(split_last(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split_last(b"/c//"), (&b""[..], &b"c"[..]));
        assert_eq!(split_last(b"c"), (&b""[..], &b"c"[..]));
        assert_eq!(split_last(b"/"), (&b""[..], &b""[..]));
    }
}
