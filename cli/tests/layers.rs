//! Who may know whom: the modules of vial and of vial-init stand in layers, and
//! know those below them. A circle is listed here with its reason, or there is none.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Two that know each other, and why.
const CIRCLES: &[(&str, &str, &str)] = &[
    ("flags", "verb", "the verbs are what the command line is parsed into"),
    ("leave", "stage0", "the items of a stage work on its state"),
    ("opener", "stage0", "as leave"),
    ("process", "stage2", "as leave"),
    ("rootfs", "stage2", "as leave"),
    ("opener", "rootfs", "the opener opens for the rootfs, and attaches like it"),
];

/// What decides without looking at the machine, and what it may know: a folder or
/// a file.
const PURE: &[(&str, &[&str])] = &[
    ("planner", &["config", "error", "host", "namespace", "plan", "seccomp"]),
    ("seccomp", &["config"]),
    ("words.rs", &["namespace", "planner", "seccomp"]),
    ("launch/hint.rs", &[]),
];

/// By which a module would look at the machine.
const LOOKS: &[&str] =
    &["std::fs", "std::env", "std::net", "std::process", "rustix::fs", "exists()"];

/// The files of a crate, each by its path below the sources, without its tests.
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

/// The modules of a crate: the folders and files of its sources.
fn modules(sources: &str) -> BTreeMap<String, Vec<String>> {
    let mut modules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in files(sources) {
        let path = path.with_extension("");
        let name = path.iter().next().unwrap().to_string_lossy().into_owned();
        modules.entry(name).or_default().push(text);
    }
    modules
}

/// Without comments, which may speak of anything.
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

/// Which modules each one knows.
fn known(modules: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, BTreeSet<String>> {
    let of = |files: &Vec<String>| files.iter().flat_map(|text| named(text)).collect();
    modules.iter().map(|(name, files)| (name.as_str(), of(files))).collect()
}

#[test]
fn modules_know_each_other_only_where_it_is_said_why() {
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
fn what_decides_does_not_look_at_the_machine() {
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

/// Nothing but main.rs and the parser knows the verbs.
#[test]
fn nothing_below_knows_the_verbs() {
    let modules = modules("cli/src");
    let known = known(&modules);
    let knows = known.iter().filter(|(_, others)| others.contains("verb"));
    let knows: Vec<&str> = knows.map(|(name, _)| *name).filter(|name| *name != "verb").collect();
    assert_eq!(knows, ["flags"]);
}
