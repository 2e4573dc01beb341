//! Attacks by a hostile container on processes that enter it.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use vial_tests::sys;

/// Loops forever: tries to open for writing each vial-init that another process of
/// the container executes or holds open, also after making its mount writable. Writes
/// the name of a file that could be opened to `seen`.
pub(crate) fn overwrite_exes(seen: &str) {
    loop {
        for pid in 2..200 {
            let process = PathBuf::from(format!("/proc/{pid}"));
            let mut places = vec![process.join("exe")];
            let fds = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
            places.extend(fds.map(|entry| entry.path()));
            for place in places {
                attack(&place, seen);
            }
        }
    }
}

fn attack(place: &Path, seen: &str) {
    let Ok(target) = fs::read_link(place) else { return };
    if !target.to_string_lossy().contains("vial-init") {
        return;
    }
    let _ = make_writable(place); // EINVAL is expected: the mount is in no mount namespace.
    // Opening it may succeed, just after the process has executed its program. The seals
    // must still refuse every change.
    let Ok(mut file) = OpenOptions::new().write(true).open(place) else { return };
    if file.write(b"x").is_ok() || file.set_len(0).is_ok() || file.set_len(1 << 20).is_ok() {
        // If this fails there is no other way to report it.
        let _ = fs::write(seen, target.to_string_lossy().as_bytes());
    }
}

/// mount_setattr(2): clears the read-only flag of the mount that `place` is on.
fn make_writable(place: &Path) -> std::io::Result<()> {
    const RDONLY: u64 = 1;
    let path = CString::new(place.as_os_str().as_encoded_bytes())?;
    let attributes = [0_u64, RDONLY, 0, 0];
    let (name, place) =
        (path.as_ptr().expose_provenance(), attributes.as_ptr().expose_provenance());
    let directory = libc::AT_FDCWD as usize;
    let size = size_of_val(&attributes);
    sys::call(libc::SYS_mount_setattr, [directory, name, 0, place, size, 0]).map(|_| ())
}

/// Loops forever: looks for vial-init among the processes of the container, and
/// writes its path to `seen`. A process that may read another's exe link may trace it.
pub(crate) fn find_inits(seen: &str) {
    loop {
        for pid in 2..200 {
            let target = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            if target.to_string_lossy().contains("vial-init") {
                // If this fails there is no other way to report it.
                let _ = fs::write(seen, target.to_string_lossy().as_bytes());
            }
        }
    }
}
