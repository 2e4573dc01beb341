//! Paths that are built in memory of fixed size.

use core::ffi::CStr;

use heapless::{Vec, VecView};
use rustix::io::{Errno, Result};

/// PATH_MAX of Linux, including the NUL.
pub const PATH_MAX: usize = 4096;

/// A path of at most SIZE bytes including its NUL; a longer one is ENAMETOOLONG. The
/// unused rest is not initialized: most paths are short, and zeroing it would be most
/// of the work.
#[derive(Debug)]
pub struct PathBuffer<const SIZE: usize = PATH_MAX>(Vec<u8, SIZE>);

impl<const SIZE: usize> PathBuffer<SIZE> {
    /// An empty path.
    pub const fn empty() -> Self {
        PathBuffer(Vec::new())
    }

    /// Appends bytes.
    pub fn push(&mut self, part: &[u8]) -> Result<&mut Self> {
        push(self.0.as_mut_view(), part)?;
        Ok(self)
    }

    /// Appends a number in decimal.
    pub fn push_number(&mut self, number: u32) -> Result<&mut Self> {
        push_number(self.0.as_mut_view(), number)?;
        Ok(self)
    }

    /// Empties the path.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The path without its NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split_last().map_or(&[], |(_, bytes)| bytes)
    }

    /// The path as a C string; it ends at the first NUL.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// One function for buffers of every size. It overwrites the NUL, and appends a new
/// one.
fn push(buffer: &mut VecView<u8>, part: &[u8]) -> Result<()> {
    let used = buffer.len().saturating_sub(1);
    let fits = used.checked_add(part.len()).is_some_and(|end| end < buffer.capacity());
    if !fits {
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

/// Splits a path into its parent and its last component: `a/b/c` gives `a/b` and `c`,
/// `c` gives an empty parent. Trailing slashes are ignored.
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

/// The same for a C string, so that the last component is one, too. It is empty if the
/// path ends in a slash.
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
