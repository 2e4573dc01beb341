//! A path that is put together in memory of fixed size.

use core::ffi::CStr;

use heapless::{Vec, VecView};
use rustix::io::{Errno, Result};

/// PATH_MAX of Linux, the terminating NUL included.
pub const PATH_MAX: usize = 4096;

/// A path of at most PATH_MAX bytes, its NUL included; more is ENAMETOOLONG.
/// Bytes that were not pushed were not written either: most paths are short,
/// and to zero the rest would be most of the work.
#[derive(Debug)]
pub struct PathBuffer<const SIZE: usize = PATH_MAX>(Vec<u8, SIZE>);

impl<const SIZE: usize> PathBuffer<SIZE> {
    /// An empty path.
    pub const fn empty() -> Self {
        PathBuffer(Vec::new())
    }

    /// Adds bytes at the end.
    pub fn push(&mut self, part: &[u8]) -> Result<&mut Self> {
        push(self.0.as_mut_view(), part)?;
        Ok(self)
    }

    /// Adds a number in decimal.
    pub fn push_number(&mut self, number: u32) -> Result<&mut Self> {
        push_number(self.0.as_mut_view(), number)?;
        Ok(self)
    }

    /// Cuts the path back to nothing.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The bytes without the NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split_last().map_or(&[], |(_, bytes)| bytes)
    }

    /// The path for the kernel; one that holds a NUL ends there.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// For buffers of any size. The NUL makes way, and takes its place behind what is
/// added.
fn push(buffer: &mut VecView<u8>, part: &[u8]) -> Result<()> {
    let used = buffer.len().saturating_sub(1);
    let whole = used.checked_add(part.len()).is_some_and(|end| end < buffer.capacity());
    if !whole {
        return Err(Errno::NAMETOOLONG);
    }
    buffer.truncate(used);
    let added = buffer.extend_from_slice(part).and_then(|()| buffer.extend_from_slice(&[0]));
    added.map_err(|_| Errno::NAMETOOLONG)
}

fn push_number(buffer: &mut VecView<u8>, number: u32) -> Result<()> {
    let mut divisor = 1_000_000_000;
    while divisor > 1 && number < divisor {
        divisor /= 10;
    }
    while divisor > 0 {
        push(buffer, &[b'0' + ((number / divisor) % 10) as u8])?;
        divisor /= 10;
    }
    Ok(())
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

/// The same of a text for the kernel, whose last component is one too; nothing
/// is left of one that ends in a slash.
pub fn split_name(path: &CStr) -> (&[u8], &CStr) {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|b| *b == b'/');
    let from = slash.map_or(0, |slash| slash.saturating_add(1));
    let name = CStr::from_bytes_until_nul(bytes.get(from..).unwrap_or_default());
    (bytes.get(..slash.unwrap_or(0)).unwrap_or_default(), name.unwrap_or_default())
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
        assert_eq!(split_name(c"/a/b"), (&b"/a"[..], c"b"));
        assert_eq!(split_name(c"b"), (&b""[..], c"b"));
        assert_eq!(split_name(c"/"), (&b""[..], c""));
    }
}
