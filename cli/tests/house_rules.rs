//! Rules of this repository that the compiler cannot check.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The only places that may hold unsafe code: system calls, the entry code,
/// the panic handler's undefined symbol, and the system calls of the tests.
const UNSAFE: &[&str] =
    &["init/src/sys/", "init/src/entry/", "init/src/main.rs", "tests/src/sys.rs"];
/// Files that may be longer than LONGEST, because they are tables or tests.
const LONG: &[&str] = &["cli/src/seccomp/table.rs", "tests/src/system/", "cli/tests/"];
const LONGEST: usize = 400;
/// The only entries that the root of the repository may have.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".git",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "cli",
    "init",
    "target",
    "targets",
    "tests",
];
/// Hosts that a link may name: documentation, never the build machine's own.
const HOSTS: &[&str] = &[
    "github.com",
    "git.kernel.org",
    "www.kernel.org",
    "docs.kernel.org",
    "lore.kernel.org",
    "man7.org",
    "www.apache.org",
    "docs.rs",
    "doc.rust-lang.org",
    "rust-lang.github.io",
    "opencontainers.org",
    "www.yoctoproject.org",
    "docs.yoctoproject.org",
    "buildroot.org",
    "specs.opencontainers.org",
    "json-schema.org",
    "nvd.nist.gov",
    "www.debian.org",
];

/// Every text file of the repository: its path from the root, and its text.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut directories = vec![workspace().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let path = entry.path();
            let hidden = matches!(path.file_name().unwrap().to_str(), Some(".git" | "target"));
            if path.is_dir() && !hidden {
                directories.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push((from_top(&path), text));
            }
        }
    }
    files
}

fn from_top(path: &Path) -> String {
    path.strip_prefix(workspace()).unwrap_or(path).to_string_lossy().into_owned()
}

fn rust_files() -> Vec<(String, String)> {
    files().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

fn starts_with_one_of(path: &str, list: &[&str]) -> bool {
    list.iter().any(|start| path.starts_with(start))
}

/// Fails with a list of all breaches, not only the first one.
#[track_caller]
fn none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

/// A line without its comment. A `//` in a string cuts the line too. That can
/// only hide a breach that follows a URL on the same line.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn unsafe_code_is_only_in_the_listed_places() {
    let is_unsafe = |line: &str| {
        let mut words = code(line).split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == "unsafe") && !line.contains('"')
    };
    let breaches: Vec<String> = rust_files()
        .iter()
        .filter(|(path, _)| !starts_with_one_of(path, UNSAFE))
        .filter(|(_, text)| text.lines().any(is_unsafe))
        .map(|(path, _)| path.clone())
        .collect();
    none("unsafe code is in none but the listed places", &breaches);
}

/// Functions longer than a screen that are allowed: plain lists, such as one match.
const LONG_FUNCTIONS: &[(&str, &str)] = &[
    ("cli/src/planner/process.rs", "plan"),
    ("cli/src/planner/timeline.rs", "filesystem"),
    ("cli/src/words.rs", "process"),
    ("cli/src/words.rs", "rootfs"),
    ("init/src/process/mod.rs", "carry_out"),
    ("init/src/rootfs/items.rs", "carry_out"),
];
const SCREEN: usize = 60;

/// The functions of a file, formatted by rustfmt: name and length in lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let name = |line: &str| {
        let words = line.trim_start().split_once("fn ").filter(|(before, _)| {
            let before = before.split_whitespace();
            before
                .into_iter()
                .all(|word| word.starts_with("pub") || word == "unsafe" || word == "const")
        });
        let name = words?.1.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()?;
        Some(name.to_owned())
    };
    let length = |start: usize| {
        let indent = lines[start].len() - lines[start].trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        lines[start..].iter().position(|line| *line == end).map_or(1, |length| length + 1)
    };
    let of = |(start, line): (usize, &&str)| Some((name(line)?, length(start)));
    lines.iter().enumerate().filter_map(of).collect()
}

#[test]
fn a_function_fits_a_screen_or_is_a_list() {
    let mut long = BTreeSet::new();
    for (place, text) in rust_files().into_iter().filter(|(path, _)| !path.contains("tests")) {
        let above = functions(&text).into_iter().filter(|(_, length)| *length > SCREEN);
        long.extend(above.map(|(name, _)| (place.clone(), name)));
    }
    let known: BTreeSet<(String, String)> =
        LONG_FUNCTIONS.iter().map(|(place, name)| ((*place).into(), (*name).into())).collect();
    assert_eq!(long, known);
}

#[test]
fn a_file_has_one_subject() {
    let breaches: Vec<String> = rust_files()
        .iter()
        .filter(|(path, _)| !starts_with_one_of(path, LONG) && !path.ends_with("/tests.rs"))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| format!("{path} has {lines} lines"))
        .collect();
    none("a file has at most 400 lines", &breaches);
}

#[test]
fn every_rust_file_opens_with_a_doc_comment() {
    let breaches: Vec<String> = rust_files()
        .iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.clone())
        .collect();
    none("the first line of a file is its //! line", &breaches);
}

#[test]
fn the_top_level_is_short() {
    let allowed: BTreeSet<PathBuf> = TOP.iter().map(|name| workspace().join(name)).collect();
    let breaches: Vec<String> = fs::read_dir(workspace())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !allowed.contains(path))
        .map(|path| from_top(&path))
        .collect();
    none("nothing lies at the top without a reason", &breaches);
}

#[test]
fn no_file_names_the_machine_that_built_it() {
    let top = workspace().to_string_lossy().into_owned();
    // Root's home is /root on every machine, and in containers.
    let named = |home: &String| home.len() > 1 && home != "/root";
    let home = std::env::var("HOME").ok().filter(named).map(|home| home + "/");
    let mut breaches = Vec::new();
    for (path, text) in files() {
        for (number, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", number + 1);
            if line.contains(&top) || home.as_ref().is_some_and(|home| line.contains(home)) {
                breaches.push(format!("{place} has a path of this machine"));
            }
            for host in hosts(line).filter(|host| !HOSTS.contains(host)) {
                breaches.push(format!("{place} names the host {host}"));
            }
        }
    }
    none("no path or host of one machine is in the tree", &breaches);
}

/// The host of each address in the line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).filter_map(|rest| {
        let host =
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-').next()?;
        host.contains('.').then(|| host.trim_end_matches('.'))
    })
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap();
    let breaches: Vec<String> = lock
        .lines()
        .filter(|line| line.starts_with("source = "))
        .filter(|line| !line.contains("\"registry+https://github.com/rust-lang/crates.io-index\""))
        .map(str::to_owned)
        .collect();
    none("Cargo.lock names crates.io alone", &breaches);
    let config = fs::read_to_string(workspace().join(".cargo/config.toml")).unwrap();
    assert!(!config.contains("registr"), "a registry is the user's to configure");
}

/// Whether a line of vial-init has a word of std, alloc or a heap.
fn has_heap_or_std(line: &str) -> bool {
    const WORDS: [&str; 6] = ["alloc", "std", "heap", "Heap", "GlobalAlloc", "global_allocator"];
    let mut outside_texts = code(line).split('"').step_by(2);
    let is_wordless = |c: char| !c.is_alphanumeric() && c != '_';
    outside_texts.any(|part| part.split(is_wordless).any(|word| WORDS.contains(&word)))
}

#[test]
fn vial_init_has_neither_std_nor_a_heap() {
    // Check the check: each of these lines must be found.
    for line in [
        "extern crate alloc;",
        "use std::vec::Vec;",
        "let text = alloc::format!(\"\");",
        "use core::alloc::GlobalAlloc;",
        "#[global_allocator]",
        "static HEAP: crate::sys::heap::Heap = crate::sys::heap::Heap::new();",
        "use super::heap;",
    ] {
        assert!(has_heap_or_std(line), "{line}");
    }
    assert!(!has_heap_or_std("// std, alloc and heap in a comment"));
    assert!(!has_heap_or_std("let allocated = heapless::Vec::<u8, 4>::new();"));

    let mut breaches = Vec::new();
    for root in ["init/src/lib.rs", "init/src/main.rs", "init/plan/src/lib.rs"] {
        let text = fs::read_to_string(workspace().join(root)).unwrap();
        if !text.contains("no_std") {
            breaches.push(format!("{root} has no #![no_std]"));
        }
    }
    let of_init = |path: &str| starts_with_one_of(path, &["init/src/", "init/plan/src/"]);
    for (path, text) in rust_files().iter().filter(|(path, _)| of_init(path)) {
        // The CLI's heap is here because it makes system calls. Only the `mod` line
        // may name the file. Tests may use std.
        if path == "init/src/sys/heap.rs" || path.ends_with("/tests.rs") {
            continue;
        }
        // A test module at the end of a file may use std.
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_its_module = |line: &str| path == "init/src/sys/mod.rs" && line == "pub mod heap;";
        let lines = shipped.lines().filter(|line| has_heap_or_std(line) && !is_its_module(line));
        breaches.extend(lines.map(|line| format!("{path}: {}", line.trim())));
    }
    // vial-init has no allocator, so no dependency may need one. A plain `cargo build`
    // unifies features: what vial enables is enabled in vial-init too.
    for manifest in ["Cargo.toml", "init/Cargo.toml", "init/plan/Cargo.toml", "cli/Cargo.toml"] {
        let text = fs::read_to_string(workspace().join(manifest)).unwrap();
        // vial-init does not depend on serde_json.
        let exempt = |line: &str| line.starts_with('#') || line.starts_with("serde_json");
        for line in text.lines().filter(|line| !exempt(line.trim_start())) {
            if ["\"alloc\"", "\"std\""].iter().any(|feature| line.contains(feature)) {
                breaches.push(format!("{manifest}: {line}"));
            }
        }
    }
    none("vial-init uses core alone", &breaches);
}
