//! Finds kernel modules and their dependencies in an unpacked kernel package.
//! Debian's packages have no modules.dep, which depmod(8) writes when a kernel
//! is installed; each module's own `depends=` is read instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vial_targets::Error;
use vial_targets::command::OnPath;

/// The modules of one kernel, by name.
#[derive(Debug)]
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
}

impl Modules {
    /// The modules of the kernel in an unpacked package.
    ///
    /// # Errors
    /// The package has no lib/modules, or it cannot be read.
    pub fn of(package: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        // Packages since trixie use usr/lib, as / and /usr are merged.
        let mut directories = vec![package.join("usr/lib/modules")];
        if !directories[0].is_dir() {
            directories = vec![package.join("lib/modules")];
        }
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).on_path("read", &directory)? {
                let path = entry.on_path("read", &directory)?.path();
                if path.is_dir() && !path.is_symlink() {
                    directories.push(path);
                } else if let Some(name) = module_name(&path) {
                    files.insert(name, path);
                }
            }
        }
        Ok(Self { files })
    }

    /// The named modules and their dependencies, as (name, bytes), in the order
    /// to load them. A name without a module is left out: it is built in, or
    /// missing, and then the module that needs it fails to load.
    ///
    /// # Errors
    /// A module cannot be read or decompressed.
    pub fn in_order(&self, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut ordered = Vec::new();
        for name in names {
            self.add(name, &mut ordered)?;
        }
        Ok(ordered)
    }

    fn add(&self, name: &str, ordered: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        let name = name.replace('-', "_");
        let Some(path) = self.files.get(&name) else {
            return Ok(());
        };
        if ordered.iter().any(|(known, _)| *known == name) {
            return Ok(());
        }
        let bytes = read(path)?;
        for dependency in depends(&bytes) {
            self.add(&dependency, ordered)?;
        }
        ordered.push((name, bytes));
        Ok(())
    }
}

/// `nf_tables` for `.../nf_tables.ko` and `.../nf-tables.ko.xz`.
fn module_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".ko").or_else(|| name.strip_suffix(".ko.xz"))?;
    Some(stem.replace('-', "_"))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    if path.extension().is_some_and(|extension| extension == "xz") {
        let done = Command::new("xz").arg("-dc").arg(path).output().on_path("decompress", path)?;
        return Ok(done.stdout);
    }
    fs::read(path).on_path("read", path)
}

/// The names after `depends=` in the module's .modinfo section.
fn depends(module: &[u8]) -> Vec<String> {
    module
        .split(|byte| *byte == 0)
        .filter_map(|text| text.strip_prefix(b"depends="))
        .filter_map(|list| std::str::from_utf8(list).ok())
        .flat_map(|list| list.split(','))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(depends(b"\x7fELF\0license=GPL\0depends=9pnet,fscache\0"), ["9pnet", "fscache"]);
        assert!(depends(b"\0depends=\0").is_empty());
    }
}
