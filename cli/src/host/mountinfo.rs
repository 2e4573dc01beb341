//! /proc/self/mountinfo (proc_pid_mountinfo(5)). It is read as bytes, since mount
//! points may have any name.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The mount points of proc and sysfs, the deepest first.
pub fn kernel_mounts() -> Vec<PathBuf> {
    // Without procfs the list is empty; stage 0 says so.
    let is_kernels = |kind: &[u8]| matches!(kind, b"proc" | b"sysfs");
    points(&fs::read("/proc/self/mountinfo").unwrap_or_default(), &is_kernels)
}

/// Whether anything is mounted below a directory.
pub fn has_mounts(directory: &Path) -> bool {
    !below(directory).is_empty()
}

/// The mount points below a directory.
pub fn below(directory: &Path) -> Vec<PathBuf> {
    let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut points = points(&mountinfo, &|_| true);
    points.retain(|point| point.starts_with(directory) && point != directory);
    points
}

/// A mount of cgroups.
#[derive(Debug)]
pub struct CgroupPoint {
    /// The part of the hierarchy that is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Whether it is cgroup2.
    pub is_v2: bool,
    /// The options of the filesystem, for v1 with its controllers and its name.
    pub options: Vec<String>,
}

/// All mounts of cgroups.
pub fn cgroups() -> Vec<CgroupPoint> {
    cgroups_in(&fs::read("/proc/self/mountinfo").unwrap_or_default())
}

/// Those of this text.
pub(super) fn cgroups_in(mountinfo: &[u8]) -> Vec<CgroupPoint> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let mut words = line.split(|byte| *byte == b' ');
            let (root, point) = (words.nth(3)?, words.next()?);
            let mut words = words.skip_while(|word| *word != b"-").skip(1);
            let is_v2 = match words.next()? {
                b"cgroup" => false,
                b"cgroup2" => true,
                _ => return None,
            };
            let options = String::from_utf8_lossy(words.nth(1)?);
            Some(CgroupPoint {
                root: PathBuf::from(OsString::from_vec(unescaped(root))),
                point: PathBuf::from(OsString::from_vec(unescaped(point))),
                is_v2,
                options: options.split(',').map(str::to_owned).collect(),
            })
        })
        .collect()
}

/// The first mount point of this type of filesystem.
pub fn first_of(kind: &str) -> Option<PathBuf> {
    let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
    points(&mountinfo, &|found| found == kind.as_bytes()).pop()
}

/// The mount points of these types of filesystem, the deepest first.
fn points(mountinfo: &[u8], is_wanted: &dyn Fn(&[u8]) -> bool) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let mut points: Vec<PathBuf> = lines
        .filter_map(|line| {
            let mut words = line.split(|byte| *byte == b' ');
            let point = words.nth(4)?;
            // A hyphen ends the optional fields; the type follows it.
            let kind = words.skip_while(|word| *word != b"-").nth(1)?;
            is_wanted(kind).then(|| PathBuf::from(OsString::from_vec(unescaped(point))))
        })
        .collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

/// Decodes the kernel's octal escapes of space, tab, newline, backslash and `#`.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::points;

    fn found(mountinfo: &[u8]) -> Vec<Vec<u8>> {
        let points = points(mountinfo, &|kind| matches!(kind, b"proc" | b"sysfs"));
        points.iter().map(|point| point.as_os_str().as_bytes().to_vec()).collect()
    }

    #[test]
    fn types_are_found_whatever_the_optional_fields() {
        let text = b"\
            21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
            22 21 0:5 / /proc rw,nosuid shared:2 master:3 - proc proc rw\n\
            23 21 0:6 / /sys rw - sysfs sysfs rw\n\
            24 21 0:7 / /tmp/proc rw shared:4 - tmpfs proc rw\n\
            25 22 0:5 /sys /proc/sys ro - proc proc rw\n";
        assert_eq!(found(text), [&b"/proc/sys"[..], b"/proc", b"/sys"]);
    }

    #[test]
    fn every_escape_is_undone() {
        let text = b"22 21 0:5 / /a\\040b\\011c\\012d\\134e\\043f\\8 rw - proc proc rw\n";
        assert_eq!(found(text), [b"/a b\tc\nd\\e#f\\8"]);
        // Decoded once: `\134040b` is `\040b`.
        let text = b"22 21 0:5 / /a\\134040b rw - proc proc rw\n";
        assert_eq!(found(text), [b"/a\\040b"]);
    }

    #[test]
    fn names_that_are_not_utf_8_are_kept() {
        let text = b"\
            21 1 0:3 / /\xff\xfe rw - tmpfs \xff rw\n\
            22 1 0:4 / /\xc3 rw - sysfs sysfs rw\n\
            23 1 0:5 / /proc rw - proc proc rw\n";
        assert_eq!(found(text), [&b"/\xc3"[..], b"/proc"]);
    }

    #[test]
    fn lines_cut_short_are_passed_over() {
        assert_eq!(found(b"21 1 0:3 /\n22 1 0:4 / /x rw -\n\n- proc"), Vec::<Vec<u8>>::new());
    }
}
