//! targets/kernels.md must list every `KERNEL(x.y)` note of the code, and
//! targets/fields.md every field of the runtime-spec; neither anything else.
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
    lines(document).map(row).collect()
}

/// The lines of the table in a document, without the two of its heading.
fn lines(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter(|line| line.starts_with('|')).skip(2)
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    line.unwrap_or_default().split('|').map(str::trim).collect()
}

fn row(line: &str) -> Row {
    let cells = cells(line);
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
    let kernels = table().into_iter().map(|row| (row.feature, row.tests));
    let missing: Vec<String> = kernels
        .chain(fields())
        .flat_map(|(row, tests)| tests.into_iter().map(move |test| (row.clone(), test)))
        .filter(|(_, test)| !is_a_system_test(test))
        .map(|(row, test)| format!("{row}: {test}"))
        .collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

/// The rows of targets/fields.md: a field, and its tests.
fn fields() -> Vec<(String, Vec<String>)> {
    let document = fs::read_to_string(workspace().join("targets/fields.md")).unwrap();
    let row = |line: &str| {
        let cells = cells(line);
        assert_eq!(cells.len(), 3, "not three columns: {line}");
        (cells[0].to_owned(), cells[2].split(", ").map(str::to_owned).collect())
    };
    lines(&document).map(row).collect()
}

/// The fields of the runtime-spec's schema, version 1.3, for Linux, without those that
/// are for Windows or a virtual machine. Where several stand below one, that one.
const SPEC: &str = "
    ociVersion annotations hostname domainname root.path root.readonly
    hooks.prestart hooks.createRuntime hooks.createContainer hooks.startContainer
    hooks.poststart hooks.poststop
    mounts[].source mounts[].destination mounts[].options mounts[].type
    mounts[].uidMappings mounts[].gidMappings
    process.args process.consoleSize process.cwd process.env process.terminal
    process.user.uid process.user.gid process.user.umask process.user.additionalGids
    process.capabilities.bounding process.capabilities.permitted
    process.capabilities.effective process.capabilities.inheritable
    process.capabilities.ambient process.apparmorProfile process.oomScoreAdj
    process.selinuxLabel process.ioPriority process.noNewPrivileges process.scheduler.policy
    process.scheduler.nice process.scheduler.priority process.scheduler.flags
    process.scheduler.runtime process.scheduler.deadline process.scheduler.period
    process.rlimits process.execCPUAffinity.initial process.execCPUAffinity.final
    linux.devices linux.netDevices linux.uidMappings linux.gidMappings
    linux.namespaces[].type linux.namespaces[].path
    linux.resources.unified linux.resources.devices linux.resources.pids.limit
    linux.resources.blockIO.weight linux.resources.blockIO.leafWeight
    linux.resources.blockIO.throttleReadBpsDevice
    linux.resources.blockIO.throttleWriteBpsDevice
    linux.resources.blockIO.throttleReadIOPSDevice
    linux.resources.blockIO.throttleWriteIOPSDevice linux.resources.blockIO.weightDevice
    linux.resources.cpu.cpus linux.resources.cpu.mems linux.resources.cpu.period
    linux.resources.cpu.quota linux.resources.cpu.burst linux.resources.cpu.realtimePeriod
    linux.resources.cpu.realtimeRuntime linux.resources.cpu.shares linux.resources.cpu.idle
    linux.resources.hugepageLimits linux.resources.memory.kernel
    linux.resources.memory.kernelTCP linux.resources.memory.limit
    linux.resources.memory.reservation linux.resources.memory.swap
    linux.resources.memory.swappiness linux.resources.memory.disableOOMKiller
    linux.resources.memory.useHierarchy linux.resources.memory.checkBeforeUpdate
    linux.resources.network.classID linux.resources.network.priorities
    linux.resources.rdma linux.cgroupsPath linux.rootfsPropagation
    linux.seccomp.defaultAction linux.seccomp.defaultErrnoRet linux.seccomp.flags
    linux.seccomp.listenerPath linux.seccomp.listenerMetadata linux.seccomp.architectures
    linux.seccomp.syscalls[].names linux.seccomp.syscalls[].action
    linux.seccomp.syscalls[].errnoRet linux.seccomp.syscalls[].args
    linux.sysctl linux.maskedPaths linux.readonlyPaths linux.mountLabel
    linux.intelRdt.closID linux.intelRdt.schemata linux.intelRdt.l3CacheSchema
    linux.intelRdt.memBwSchema linux.intelRdt.enableMonitoring
    linux.memoryPolicy.mode linux.memoryPolicy.nodes linux.memoryPolicy.flags
    linux.personality.domain linux.personality.flags
    linux.timeOffsets.boottime linux.timeOffsets.monotonic";

/// Whether a row stands for a field: it names the field, or one above it.
fn covers(row: &str, field: &str) -> bool {
    field.strip_prefix(row).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[test]
fn each_field_of_the_spec_has_its_row() {
    let rows = fields();
    let is_covered = |field: &&str| rows.iter().any(|(row, _)| covers(row, field));
    let without_row: Vec<_> = SPEC.split_whitespace().filter(|field| !is_covered(field)).collect();
    assert!(without_row.is_empty(), "fields without a row: {without_row:?}");
    let is_real = |row: &str| SPEC.split_whitespace().any(|field| covers(row, field));
    let without_field: Vec<_> = rows.iter().filter(|(row, _)| !is_real(row)).collect();
    assert!(without_field.is_empty(), "rows without a field: {without_field:?}");
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
