//! targets/kernels.md must list every `KERNEL(x.y)` note of the code, and
//! nothing else.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The root of the repository.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A release and a file, as in "5.6 init/src/cgroup.rs".
type Places = BTreeSet<String>;

/// One line of the table.
struct Row {
    feature: String,
    places: Places,
    tests: Vec<String>,
}

fn rows(document: &str) -> Vec<Row> {
    let lines = document.lines().filter(|line| line.starts_with('|'));
    // Skip the two lines of the heading.
    lines.skip(2).map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    assert_eq!(cells.len(), 5, "not five columns: {line}");
    assert!(cells.iter().all(|cell| !cell.is_empty()), "an empty column: {line}");
    let [feature, since, _, files, tests] = [0, 1, 2, 3, 4].map(|column| cells[column]);
    Row {
        feature: feature.to_owned(),
        places: files.split(", ").map(|file| format!("{since} {file}")).collect(),
        tests: tests.split(", ").map(str::to_owned).collect(),
    }
}

/// The `KERNEL(x.y)` notes of one file.
fn notes(file: &str, text: &str) -> Places {
    let releases = text.split("KERNEL(").skip(1);
    releases.map(|rest| format!("{} {file}", rest.split(')').next().unwrap_or_default())).collect()
}

/// The notes of all files below a directory.
fn notes_below(directory: &Path) -> Places {
    let mut found = Places::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(notes_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(workspace()).unwrap().to_string_lossy().into_owned();
            found.extend(notes(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

fn table() -> Vec<Row> {
    rows(&fs::read_to_string(workspace().join("targets/kernels.md")).unwrap())
}

#[test]
fn each_note_has_its_row_and_each_row_its_notes() {
    let noted: Places = ["init", "cli/src"]
        .iter()
        .flat_map(|directory| notes_below(&workspace().join(directory)))
        .collect();
    let listed: Places = table().into_iter().flat_map(|row| row.places).collect();
    let without_row: Vec<_> = noted.difference(&listed).collect();
    let without_note: Vec<_> = listed.difference(&noted).collect();
    assert!(without_row.is_empty(), "notes without a row: {without_row:?}");
    assert!(without_note.is_empty(), "rows without a note: {without_note:?}");
    assert!(!noted.is_empty(), "no note was found at all");
}

#[test]
fn each_row_names_tests_that_exist() {
    let missing: Vec<String> = table()
        .iter()
        .flat_map(|row| row.tests.iter().map(move |test| (&row.feature, test)))
        .filter(|(_, test)| !is_a_system_test(test))
        .map(|(feature, test)| format!("{feature}: {test}"))
        .collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

/// Whether the topic's file lists this test and defines it.
fn is_a_system_test(name: &str) -> bool {
    let (topic, test) = name.split_once("::").unwrap_or_default();
    let path = workspace().join("tests/src/system").join(topic).with_extension("rs");
    let text = fs::read_to_string(path).unwrap_or_default();
    let is_listed = text.lines().any(|line| {
        line.strip_prefix("    ")
            .and_then(|line| line.strip_prefix(test))
            .is_some_and(|rest| rest.trim_start().starts_with(['[', ',']))
    });
    is_listed && text.contains(&format!("\nfn {test}("))
}

#[test]
fn rows_and_notes_are_parsed() {
    let document =
        "text\n| feature | since |\n|---|---|\n| a b | 5.6 | other | x.rs, y.rs | t::u |\n";
    let [row] = &rows(document)[..] else { panic!("not one row") };
    let places: Vec<&str> = row.places.iter().map(String::as_str).collect();
    assert_eq!(
        (row.feature.as_str(), &places[..], &row.tests[..]),
        ("a b", &["5.6 x.rs", "5.6 y.rs"][..], &["t::u".to_owned()][..])
    );
    let noted = notes("x.rs", "// KERNEL(5.6): one\n/// KERNEL(5.12): two\n// Linux 5.9\n");
    assert_eq!(noted, Places::from(["5.6 x.rs".to_owned(), "5.12 x.rs".to_owned()]));
}
