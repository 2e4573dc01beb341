//! Gives both binaries the same fingerprint: a hash of every source file below init/. A
//! CLI refuses a vial-init of another build by it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let plan = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let init = plan.join("..");
    let mut files = Vec::new();
    for directory in [init.join("src"), plan.join("src")] {
        collect(&directory, &mut files)?;
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    files.sort();

    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.add(env::var("CARGO_PKG_VERSION").unwrap_or_default().as_bytes());
    hash.add(env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default().as_bytes());
    for file in &files {
        hash.add(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.add(&fs::read(file)?);
    }
    println!("cargo::rustc-env=VIAL_FINGERPRINT={}", hash.0);
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// FNV-1a, 64 bit. It depends only on the bytes, not on the toolchain. It need not
/// resist forgery: nobody gains from one.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
