//! Paths in JSON, which may hold any bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::field::{Field, Kind, Refused, Scalar};

/// A path for JSON. A backslash, and each byte that is not UTF-8, is written as in
/// proc_pid_mountinfo(5), `\\134`.
pub(crate) fn escape(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\134"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\{byte:03o}")));
    }
    text
}

pub(crate) fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 8));
        bytes.extend_from_slice(rest.as_bytes());
    }
    OsString::from_vec(bytes).into()
}

impl Field for PathBuf {
    fn kind_of() -> Kind {
        String::kind_of()
    }

    fn kind(&self) -> Kind {
        Self::kind_of()
    }

    fn set(&mut self, scalar: Scalar<'_>) -> Result<(), Refused> {
        let Scalar::Text(text) = scalar else { return Err(Refused::Type) };
        *self = unescape(text);
        Ok(())
    }
}

/// A path in JSON.
pub(crate) mod bytes {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&escape(path))
    }
}

/// A path in JSON, or null.
pub(crate) mod optional_bytes {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(
        path: &Option<PathBuf>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_deref().map(escape).serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_comes_back_from_json() {
        for path in [&b"/a b/\xc3\xa9"[..], b"/\xff\xfe/\xc3", b"\\x/\\134\\", b"", b"a\nb\x01"] {
            let path = PathBuf::from(OsString::from_vec(path.to_vec()));
            assert_eq!(unescape(&escape(&path)), path);
        }
        assert_eq!(escape(Path::new("/run/web")), "/run/web");
    }
}
