//! The Config: config.json under the names of the runtime-spec. Nothing is decided
//! here. Unknown fields are ignored, as the spec says; known fields that vial does
//! not support are kept, and the planner refuses them.

pub mod field;
pub mod hooks;
pub mod linux;
mod locate;
pub mod mount;
mod object;
pub mod process;
pub mod resources;
pub mod seccomp;
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fstat};

use crate::error::Error;
use crate::file::{as_io, open, read_once, read_rest};
pub use field::Field;
pub use hooks::Hooks;
pub use linux::Linux;
pub use mount::Mount;
pub(crate) use object::object;
pub use process::Process;

/// The newest version of the runtime-spec that vial implements.
pub const SPEC: &str = "1.3.0";

/// The largest config.json that is read, in bytes. Real ones are far smaller.
const MAX_SIZE: usize = 16 << 20;

object! {
    /// The whole of config.json.
    #[derive(Debug, Default)]
    pub struct Config {
        /// The version of the spec that it follows.
        pub oci_version: String = "ociVersion" needed,
        /// The container's root filesystem.
        pub root: Option<Root> = "root",
        /// The process to execute.
        pub process: Option<Process> = "process",
        /// The host name.
        pub hostname: String = "hostname",
        /// The domain name.
        pub domainname: String = "domainname",
        /// The mounts, in order.
        pub mounts: Vec<Mount> = "mounts",
        /// Programs to run at points of the life cycle.
        pub hooks: Hooks = "hooks",
        /// Arbitrary metadata.
        pub annotations: BTreeMap<String, String> = "annotations",
        /// Settings for Linux.
        pub linux: Linux = "linux",
    }

    /// The container's root filesystem.
    #[derive(Debug, Default)]
    pub struct Root {
        /// Its path, absolute or relative to the bundle.
        pub path: String = "path" needed,
        /// Whether it is read-only in the container.
        pub readonly: bool = "readonly",
    }
}

impl Config {
    /// The absolute path of the rootfs.
    pub fn rootfs(&self, bundle: &Path) -> Result<PathBuf, Error> {
        match &self.root {
            None => Err(Error::new("config.json root: missing")),
            Some(root) if root.path.is_empty() => Err(Error::new("config.json root.path: missing")),
            Some(root) => Ok(bundle.join(&root.path)),
        }
    }

    /// Reads a config.json. Returns its bytes too.
    pub fn load(path: &Path) -> Result<(Config, Vec<u8>), Error> {
        let bytes = read(path)?;
        let config = parse(&bytes).map_err(|error| error.context(path.display()))?;
        Ok((config, bytes))
    }

    /// Reads a Config from bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Config, Error> {
        parse(bytes)
    }
}

/// Reads a document of the spec. The error names the field whose type is wrong, or
/// the line and column where the text is not JSON.
pub fn parse<T: Field + Default>(bytes: &[u8]) -> Result<T, Error> {
    let mut result = T::default();
    read_into(&mut result, bytes)?;
    Ok(result)
}

fn read_into(field: &mut dyn Field, bytes: &[u8]) -> Result<(), Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error))?;
    field::read(field, text).map_err(|error| {
        let words = error.to_string();
        if !error.is_data() {
            return Error::new(words);
        }
        // It is told behind the beginning of the list, or behind its end if it is empty.
        let of_list = words.starts_with("invalid type: sequence");
        match locate::path_at(text.as_bytes(), error.line(), error.column(), of_list) {
            path if path.is_empty() => Error::new(words),
            path => Error::new(format_args!("{path}: {words}")),
        }
    })
}

/// The error for a text that is not UTF-8, as JSON must be (RFC 8259).
fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> Error {
    let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default().len() + 1;
    Error::new(format_args!("invalid UTF-8 at line {line} column {column}"))
}

/// Reads a JSON file of at most 16 MiB.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::io(format_args!("read {}", path.display()), &error);
    let file = open(path, OFlags::RDONLY).map_err(failed)?;
    let size = fstat(&file).map_or(0, |stat| stat.st_size.clamp(0, MAX_SIZE as i64 + 1));
    // A regular file ends at its size; the size of a pipe or a file of /proc is 0.
    let mut bytes = vec![0; size as usize];
    let length = read_once(&file, &mut bytes).map_err(|errno| failed(as_io(errno)))?;
    if length == 0 || length < bytes.len() {
        bytes.truncate(length);
        let rest = read_rest(file, &mut bytes, MAX_SIZE + 1);
        rest.map_err(|errno| failed(as_io(errno)))?;
    }
    if bytes.len() > MAX_SIZE {
        let limit = MAX_SIZE >> 20;
        return Err(Error::new(format_args!("{}: larger than {limit} MiB", path.display())));
    }
    Ok(bytes)
}
