//! `cargo demo`: builds both binaries, makes a bundle, runs a container from it as
//! root or as an ordinary user, and shows what the container sees.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vial_targets::command::{self, Error, OnPath};
use vial_targets::ship::{output_directory, workspace};

/// The container's id.
const ID: &str = "vial-demo";

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<(), Error> {
    println!("building vial, vial-init and a program that looks around");
    build(&["--package", "vial-init", "--bin", "vial-init"])?;
    build(&["--package", "vial", "--bin", "vial"])?;
    build(&["--package", "vial-tests", "--bin", "probe"])?;
    let release = output_directory().join("release");

    let directory = std::env::temp_dir().join(format!("vial-demo-{}", std::process::id()));
    let result = run(&release, &directory);
    let _ = fs::remove_dir_all(&directory); // If it fails, it lies in /tmp.
    result
}

/// Links the host's libc statically, as the container has none.
fn build(what: &[&str]) -> Result<(), Error> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["rustc", "--quiet", "--release"]).args(what);
    if !what.contains(&"vial-init") {
        cargo.args(["--", "-Ctarget-feature=+crt-static"]);
    }
    command::watched(cargo.current_dir(workspace()))
}

fn run(release: &Path, directory: &Path) -> Result<(), Error> {
    let root = rustix::process::geteuid().is_root();
    let vial = release.join("vial");
    let controllers = controllers();
    bundle(&vial, release, directory, root, &controllers)?;

    let state = directory.join("state");
    let mut command = Command::new(&vial);
    command.args([OsStr::new("--root"), state.as_os_str(), OsStr::new("run")]);
    command.args([OsStr::new("--bundle"), directory.as_os_str(), OsStr::new(ID)]);
    let began = Instant::now();
    let done = command.stderr(Stdio::inherit()).output().on_path("start", &vial)?;
    let elapsed = began.elapsed();
    if !done.status.success() {
        return Err(Error::new("the container failed; its own words are above"));
    }
    let report: Value = serde_json::from_slice(&done.stdout)
        .map_err(|error| Error::new(format!("what the container printed is no report: {error}")))?;
    let features = command::output(Command::new(&vial).arg("features"))?;
    let features: Value = serde_json::from_str(&features).unwrap_or_default();
    show(&report, &features["linux"]["capabilities"], root, elapsed);
    if !controllers.iter().any(|name| name == "memory") {
        println!(
            "\nThis host offers no cgroup v2 controller for memory, so that nothing was limited.\n\
             Limits are shown by `cargo proof`, in a virtual machine with cgroup v2 alone."
        );
    }
    println!("\nTry it yourself: {} --help", vial.display());
    Ok(())
}

/// Makes a bundle: `vial spec`'s config.json with the probe as its process, and a
/// rootfs that holds only the probe.
fn bundle(
    vial: &Path,
    release: &Path,
    directory: &Path,
    root: bool,
    controllers: &[String],
) -> Result<(), Error> {
    let rootfs = directory.join("rootfs");
    for name in ["proc", "sys", "dev", "state"] {
        let path = if name == "state" { directory.join(name) } else { rootfs.join(name) };
        fs::create_dir_all(&path).on_path("make", &path)?;
    }
    let probe = rootfs.join("probe");
    fs::copy(release.join("probe"), &probe).on_path("write", &probe)?;
    let mut spec = Command::new(vial);
    spec.arg("spec").arg("--bundle").arg(directory);
    if !root {
        spec.arg("--rootless");
    }
    command::watched(&mut spec)?;

    let path = directory.join("config.json");
    let text = fs::read_to_string(&path).on_path("read", &path)?;
    let mut config: Value = serde_json::from_str(&text)
        .map_err(|error| Error::new(format!("vial spec wrote no JSON: {error}")))?;
    config["process"]["args"] = json!(["/probe", "report"]);
    config["process"]["terminal"] = json!(false);
    config["hostname"] = json!("board");
    if root {
        let resources = &mut config["linux"]["resources"];
        if controllers.iter().any(|name| name == "memory") {
            resources["memory"] = json!({"limit": 64 << 20});
        }
        if controllers.iter().any(|name| name == "pids") {
            resources["pids"] = json!({"limit": 16});
        }
    }
    fs::write(&path, config.to_string()).on_path("write", &path)
}

/// The controllers in the root of the host's cgroup v2 hierarchy.
fn controllers() -> Vec<String> {
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let read = |place| fs::read_to_string(PathBuf::from(place).join("cgroup.controllers")).ok();
    let text = places.into_iter().find_map(read).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Prints what the container sees.
fn show(report: &Value, known: &Value, root: bool, elapsed: Duration) {
    let line = |name: &str, value: &str| println!("  {name:<14}{value}");
    let text = |field: &str| match &report[field] {
        Value::String(text) => text.trim().replace('\n', ", "),
        other => other.to_string(),
    };
    let who = if root { "root" } else { "an ordinary user" };
    println!(
        "\nA container, started by {who} in {:.1} ms. It sees:\n",
        elapsed.as_secs_f64() * 1e3
    );
    line("pid", &text("pid"));
    line("host name", &text("hostname"));
    line("user, group", &format!("{}, {}", text("uid"), text("gid")));
    let capabilities = &report["capabilities"];
    for (name, field) in [("capabilities", "CapEff"), ("bounding set", "CapBnd")] {
        line(name, &names(capabilities[field].as_str().unwrap_or("0"), known));
    }
    line("no_new_privs", &text("no_new_privs"));
    line("seccomp", &text("seccomp"));
    namespaces(report);
    let mounts = report["mounts"].as_array().map_or(&[][..], Vec::as_slice);
    line("mounts", &mounts.len().to_string());
    for mount in mounts {
        let of = |field: &str| mount[field].as_str().unwrap_or("?").to_owned();
        let options = mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let options = options.collect::<Vec<_>>().join(",");
        println!("                {:<20} {:<9} {options}", of("point"), of("type"));
    }
    line("cgroup", &text("cgroup"));
    for (file, value) in report["cgroup_files"].as_object().into_iter().flatten() {
        line("", &format!("{file} = {}", value.as_str().unwrap_or("?").trim()));
    }
    line("open files", &format!("at most {}", report["rlimits"]["RLIMIT_NOFILE"]["soft"]));
    line("its memory", report["memory"]["rss"].as_str().unwrap_or("?"));
}

/// The names of the capabilities in a hexadecimal set of /proc/PID/status. `vial
/// features` lists the names in the order of their bits.
fn names(set: &str, known: &Value) -> String {
    let bits = u64::from_str_radix(set, 16).unwrap_or_default();
    let listed = known.as_array().into_iter().flatten().filter_map(Value::as_str).enumerate();
    let names: Vec<_> =
        listed.filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// Prints the container's namespaces, and which of them are the host's.
fn namespaces(report: &Value) {
    for (name, inode) in report["namespaces"].as_object().into_iter().flatten() {
        let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
        let same = host.to_string_lossy().contains(inode.as_str().unwrap_or("?"));
        let whose = if same { "the host's" } else { "its own" };
        let inode = inode.as_str().unwrap_or("?");
        println!("  {:<14}{inode} ({whose})", format!("{name} ns"));
    }
}
