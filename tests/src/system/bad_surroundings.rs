//! Invalid ids, broken state directories and broken installations are reported in one
//! sentence, and nothing is left behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};
use serde_json::json;

use super::container::{Container, refused, words};
use super::edit;
use crate::context::{Done, same};
use crate::runner::{Failure, topic};
use crate::{Context, Outcome};

topic!(
    "bad_surroundings",
    invalid_id_is_refused[Root],
    read_only_state_directory_is_refused[Root],
    full_state_directory_is_refused[Root],
    file_as_the_state_directory_is_refused,
    state_behind_a_link_is_refused[Root],
    state_is_accessible_to_its_owner_alone[Root],
    missing_vial_init_is_reported[Root],
    vial_init_of_another_build_is_refused[Root],
    other_program_in_vial_inits_place_is_refused[Root],
    limit_without_its_controller_is_refused[Root],
    disabled_user_namespaces_are_reported_with_the_sysctl[Root, UserNamespaces, Machine],
    failed_write_to_stdout_is_a_failure,
);

fn invalid_id_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle = context.bundle(|_| {})?;
    let path = bundle.path.to_string_lossy();
    let long = "a".repeat(5000);
    for id in
        ["", ".", "..", "a/b", "/etc", "../x", "a b", "a\n", "a\nb", ".hidden", "\u{e9}", &long]
    {
        for verb in ["create", "run"] {
            let done = context.vial(&[verb, "--bundle", &path, "--", id])?;
            refused(&done, "invalid container id")
                .map_err(|why| format!("{verb} {id:?}: {why}"))?;
        }
        for verb in ["state", "start", "kill", "delete"] {
            let done = context.vial(&[verb, "--", id])?;
            refused(&done, "invalid container id")
                .map_err(|why| format!("{verb} {id:?}: {why}"))?;
        }
    }
    Ok(context.nothing_left_since(&before)?)
}

/// Runs a valid bundle with `root` as the state directory.
fn run_at(context: &Context, root: &std::path::Path) -> Result<Done, String> {
    let bundle = context.probe_bundle(&["exit", "0"])?;
    let mut command = Command::new(&context.vial);
    command.arg("--root").arg(root).args(["run", "--bundle"]).arg(&bundle.path).arg(context.id());
    Ok(context.run(&mut command)?)
}

fn read_only_state_directory_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let root = context.directory.join("read-only");
    fs::create_dir(&root).map_err(words)?;
    mount_bind(&root, &root).map_err(words)?;
    let done = mount_remount(&root, MountFlags::BIND | MountFlags::RDONLY, "")
        .map_err(words)
        .and_then(|()| run_at(context, &root));
    unmount(&root, UnmountFlags::DETACH).map_err(words)?;
    refused(&done?, "EROFS (read-only file system)")?;
    Ok(context.nothing_left_since(&before)?)
}

fn full_state_directory_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let root = context.directory.join("full");
    fs::create_dir(&root).map_err(words)?;
    mount("tmpfs", &root, "tmpfs", MountFlags::empty(), c"size=16k,nr_inodes=20").map_err(words)?;
    let filled = fs::write(root.join("fill"), vec![0; 1 << 20]);
    let done = run_at(context, &root);
    let left = fs::read_dir(&root).map(Iterator::count);
    unmount(&root, UnmountFlags::DETACH).map_err(words)?;
    same("whether the file system is full", filled.is_err(), true)?;
    refused(&done?, "ENOSPC (no space left on device)")?;
    same("the number of entries in the state directory", left.map_err(words)?, 1)?;
    Ok(context.nothing_left_since(&before)?)
}

fn file_as_the_state_directory_is_refused(context: &Context) -> Outcome {
    let root = context.directory.join("file");
    fs::write(&root, "").map_err(words)?;
    let done = run_at(context, &root)?;
    refused(&done, "file: ")?;
    let list = context.run(Command::new(&context.vial).arg("--root").arg(&root).arg("list"))?;
    Ok(refused(&list, "ENOTDIR")?)
}

/// The files behind the link are not removed.
fn state_behind_a_link_is_refused(context: &Context) -> Outcome {
    let (id, other) = (context.id(), context.directory.join("other"));
    fs::create_dir_all(&context.state).and_then(|()| fs::create_dir(&other)).map_err(words)?;
    fs::write(other.join("file"), "").map_err(words)?;
    symlink(&other, context.state.join(&id)).map_err(words)?;
    for verb in [&["state"][..], &["kill"], &["delete"], &["delete", "--force"]] {
        let done = context.run(context.command(verb).arg(&id))?;
        refused(&done, "ENOTDIR").map_err(|why| format!("{verb:?}: {why}"))?;
    }
    fs::remove_file(context.state.join(&id)).map_err(words)?;
    Ok(same("whether the file exists", other.join("file").exists(), true)?)
}

/// config.json in it may hold secrets, and whoever connects to its socket starts it.
fn state_is_accessible_to_its_owner_alone(context: &Context) -> Outcome {
    let container = Container::created(context, &["exit", "0"])?;
    for directory in [context.state.join(&container.id), context.state.clone()] {
        let mode = fs::metadata(&directory).map_err(words)?.mode();
        same(&format!("the mode of {}", directory.display()), mode & 0o7777, 0o700)?;
    }
    Ok(container.remove()?)
}

/// Copies vial into a directory of its own. The test puts a vial-init beside it.
fn vial_alone(context: &Context) -> Result<PathBuf, String> {
    let directory = context.directory.join(format!("bin-{}", context.id()));
    fs::create_dir(&directory).map_err(words)?;
    fs::copy(&context.vial, directory.join("vial")).map_err(words)?;
    Ok(directory)
}

fn run_by(context: &Context, directory: &std::path::Path, text: &str) -> Result<(), String> {
    let before = context.leftovers();
    let bundle = context.probe_bundle(&["exit", "0"])?;
    let mut command = Command::new(directory.join("vial"));
    command.arg("--root").arg(&context.state).args(["run", "--bundle"]);
    let done = context.run(command.arg(&bundle.path).arg(context.id()))?;
    refused(&done, text)?;
    context.nothing_left_since(&before)
}

fn missing_vial_init_is_reported(context: &Context) -> Outcome {
    if fs::exists("/usr/libexec/vial/vial-init").unwrap_or(false) {
        return Err(Failure::Skipped("host without an installed vial-init".into()));
    }
    Ok(run_by(context, &vial_alone(context)?, "vial-init is missing")?)
}

fn vial_init_of_another_build_is_refused(context: &Context) -> Outcome {
    let directory = vial_alone(context)?;
    let done = context.run(Command::new(&context.vial).arg("--version"))?.success()?;
    let build = done.stdout.lines().find_map(|line| line.strip_prefix("commit: "));
    let build = u64::from_str_radix(build.unwrap_or_default(), 16).map_err(words)?;
    let init = context.vial.with_file_name("vial-init");
    let mut bytes = fs::read(&init).map_err(words)?;
    let mut patched = 0;
    // The number is in one piece, or in two halves on 32-bit machines.
    let halves =
        [(build as u32).to_ne_bytes().to_vec(), ((build >> 32) as u32).to_ne_bytes().to_vec()];
    for wanted in [build.to_ne_bytes().to_vec()].iter().chain(&halves) {
        let places: Vec<usize> = (0..bytes.len().saturating_sub(8))
            .filter(|place| bytes[*place..].starts_with(wanted))
            .collect();
        places.iter().for_each(|place| bytes[*place] ^= 0xff);
        patched += places.len();
    }
    if patched == 0 {
        // This architecture's code builds the number from smaller parts.
        return Err(Failure::Skipped("build number in one piece".into()));
    }
    let other = directory.join("vial-init");
    fs::copy(&init, &other).map_err(words)?;
    fs::write(&other, bytes).map_err(words)?;
    Ok(run_by(context, &directory, "vial-init is of another build than vial")?)
}

fn other_program_in_vial_inits_place_is_refused(context: &Context) -> Outcome {
    let directory = vial_alone(context)?;
    fs::copy(&context.probe, directory.join("vial-init")).map_err(words)?;
    let before = context.leftovers();
    let bundle = context.probe_bundle(&["exit", "0"])?;
    let mut command = Command::new(directory.join("vial"));
    command.arg("--root").arg(&context.state).args(["run", "--bundle"]);
    let done = context.run(command.arg(&bundle.path).arg(context.id()))?.failure()?;
    // The other program may have printed something before.
    same(
        "whether it is reported",
        done.stderr.contains("vial: vial-init ended without a reply"),
        true,
    )?;
    context.nothing_left_since(&before)?;
    fs::write(directory.join("vial-init"), "").map_err(words)?;
    Ok(run_by(context, &directory, "vial-init")?)
}

fn limit_without_its_controller_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle = context.bundle(|config| {
        config["linux"]["resources"]["unified"] = json!({ "nonsense.max": "1" });
    })?;
    let done = context.run_bundle(&bundle)?;
    refused(&done, "linux.resources.unified.nonsense.max")?;
    refused(&done, "nonsense controller")?;
    Ok(context.nothing_left_since(&before)?)
}

fn disabled_user_namespaces_are_reported_with_the_sysctl(context: &Context) -> Outcome {
    let setting = "/proc/sys/user/max_user_namespaces";
    let before = context.leftovers();
    let bundle = context.bundle(|config| edit::user_namespace(config, 100_000))?;
    let was = fs::read_to_string(setting).map_err(words)?;
    fs::write(setting, "0").map_err(words)?;
    let done = context.run_bundle(&bundle);
    fs::write(setting, was).map_err(words)?;
    let done = done?;
    refused(&done, "ENOSPC (no space left on device)")?;
    refused(&done, setting)?;
    Ok(context.nothing_left_since(&before)?)
}

fn failed_write_to_stdout_is_a_failure(context: &Context) -> Outcome {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").map_err(words)?;
    let err = context.directory.join("err");
    let status = Command::new(&context.vial)
        .arg("features")
        .stdout(full)
        .stderr(fs::File::create(&err).map_err(words)?)
        .status()
        .map_err(words)?;
    same("the exit code", status.code(), Some(1))?;
    let said = fs::read_to_string(&err).map_err(words)?;
    Ok(same("whether it is reported", said.contains("ENOSPC"), true)?)
}
