//! The modules of vial and of vial-init form layers: a module may use only the
//! layers below it. Every exception is listed here with its reason.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Pairs of modules that use each other, and why.
const CIRCLES: &[(&str, &str, &str)] = &[
    ("flags", "verb", "the command line is parsed into a verb"),
    ("leave", "stage0", "the items of a stage work on its state"),
    ("opener", "stage0", "as leave"),
    ("process", "stage2", "as leave"),
    ("rootfs", "stage2", "as leave"),
    ("opener", "rootfs", "the opener opens files for the rootfs, and attaches mounts as it does"),
];

/// Files and directories that decide without reading the machine, and the modules that
/// they may use.
const PURE: &[(&str, &[&str])] = &[
    ("planner", &["config", "error", "host", "namespace", "plan", "seccomp"]),
    ("seccomp", &["config"]),
    ("words.rs", &["namespace", "planner", "seccomp"]),
    ("launch/hint.rs", &[]),
];

/// Names whose use means that a module reads the machine.
const LOOKS: &[&str] =
    &["std::fs", "std::env", "std::net", "std::process", "rustix::fs", "exists()"];

/// The files of a crate: each file's path below the sources, and its code without tests.
fn files(sources: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(sources);
    let mut files = Vec::new();
    let mut todo: Vec<PathBuf> = vec![root.clone()];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let is_test = path.with_extension("").iter().any(|name| name == "tests");
        if path.extension().is_some_and(|end| end == "rs") && !is_test {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            files.push((path.strip_prefix(&root).unwrap().to_owned(), code(text)));
        }
    }
    files
}

/// The modules of a crate: the directories and files of its sources.
fn modules(sources: &str) -> BTreeMap<String, Vec<String>> {
    let mut modules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in files(sources) {
        let path = path.with_extension("");
        let name = path.iter().next().unwrap().to_string_lossy().into_owned();
        modules.entry(name).or_default().push(text);
    }
    modules
}

/// Removes comments, which may name any module.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that a file names: `crate::name` and `crate::{name, ..}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or(rest),
        };
        let firsts = list.split(',').map(|name| name.trim().split("::").next().unwrap_or_default());
        names.extend(firsts.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    names
}

/// The modules that each module uses.
fn known(modules: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, BTreeSet<String>> {
    let of = |files: &Vec<String>| files.iter().flat_map(|text| named(text)).collect();
    modules.iter().map(|(name, files)| (name.as_str(), of(files))).collect()
}

#[test]
fn mutual_use_of_modules_is_listed() {
    let mut found = BTreeSet::new();
    for sources in ["cli/src", "init/src"] {
        let modules = modules(sources);
        let known = known(&modules);
        for (one, others) in &known {
            for other in others.iter().filter(|other| one < &other.as_str()) {
                if known.get(other.as_str()).is_some_and(|back| back.contains(*one)) {
                    found.insert(((*one).to_owned(), other.clone()));
                }
            }
        }
    }
    let listed: BTreeSet<(String, String)> =
        CIRCLES.iter().map(|(one, other, _)| ((*one).to_owned(), (*other).to_owned())).collect();
    assert_eq!(found, listed);
}

#[test]
fn pure_modules_do_not_read_the_machine() {
    let files = files("cli/src");
    let mut breaches = Vec::new();
    for (place, may_know) in PURE {
        let texts: Vec<&str> = files
            .iter()
            .filter(|(path, _)| path.starts_with(place))
            .map(|(_, text)| text.as_str())
            .collect();
        assert!(!texts.is_empty(), "{place} is gone");
        for text in texts {
            let beyond = named(text).into_iter();
            let beyond = beyond.filter(|name| name != place && !may_know.contains(&name.as_str()));
            breaches.extend(beyond.map(|name| format!("{place} knows {name}")));
            let looks = LOOKS.iter().filter(|look| text.contains(**look));
            breaches.extend(looks.map(|look| format!("{place} uses {look}")));
        }
    }
    assert_eq!(breaches, Vec::<String>::new());
}

/// Only main.rs and the parser use the verbs.
#[test]
fn only_the_parser_uses_the_verbs() {
    let modules = modules("cli/src");
    let known = known(&modules);
    let knows = known.iter().filter(|(_, others)| others.contains("verb"));
    let knows: Vec<&str> = knows.map(|(name, _)| *name).filter(|name| *name != "verb").collect();
    assert_eq!(knows, ["flags"]);
}
