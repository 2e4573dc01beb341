//! Binds of directories, files and trees: their flags and their propagation.

use std::fs;

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount,
};
use serde_json::{Value, json};

use super::edit::{self, Container, bind, has, mount_at};
use super::mounted::Mounted;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "binds",
    directory_and_file_are_bound[Root],
    bind_has_the_given_flags[Root],
    plain_bind_leaves_out_submounts[Root],
    recursive_bind_keeps_submounts[Root],
    readonly_bind_refuses_writes[Root],
    recursive_readonly_reaches_submounts[Root, MountSetattr],
    recursive_options_reach_submounts[Root, MountSetattr],
    bind_has_the_given_propagation[Root],
    hosts_mount_propagates_to_a_slave_or_shared_bind[Root],
    root_has_the_given_propagation[Root],
    mount_is_shared_in_a_private_root[Root],
    host_keeps_its_mounts_if_its_root_is_shared[Root, Machine],
    missing_source_is_refused_with_its_field[Root],
    relative_source_starts_at_the_bundle[Root],
);

/// A mount with a submount.
fn tree(context: &Context) -> Result<Mounted, String> {
    Mounted::tree(context, MountFlags::empty())
}

fn directory_and_file_are_bound(context: &Context) -> Outcome {
    let directory = context.directory.join("directory");
    fs::create_dir(&directory).map_err(|e| e.to_string())?;
    fs::write(directory.join("file"), "bound").map_err(|e| e.to_string())?;
    let path = directory.to_string_lossy().into_owned();
    let words =
        ["cat", "/directory/file", "+", "cat", "/file", "+", "create", "/directory/new", "made"];
    let text = edit::said(context, &words, |config| {
        bind(config, &path, "/directory", &["bind"]);
        bind(config, &format!("{path}/file"), "/file", &["bind"]);
    })?;
    same("both", text.as_str(), "boundbound")?;
    let made = fs::read_to_string(directory.join("new")).map_err(|e| e.to_string())?;
    Ok(same("what was made inside", made.as_str(), "made")?)
}

fn bind_has_the_given_flags(context: &Context) -> Outcome {
    let tree = tree(context)?;
    let report = context.report(|config| {
        bind(config, &tree.path(), "/a", &["bind", "nosuid", "nodev", "noexec", "noatime", "ro"]);
        bind(config, &tree.path(), "/b", &["bind"]);
        bind(config, &tree.path(), "/c", &["rbind", "strictatime"]);
        // Undoes noatime alone.
        bind(config, &tree.path(), "/d", &["bind", "strictatime", "atime"]);
        bind(config, &tree.path(), "/e", &["bind", "noatime", "atime"]);
    })?;
    let options = &mount_at(&report, "/a")?["options"];
    for word in ["nosuid", "nodev", "noexec", "noatime", "ro"] {
        same(&format!("{word} of {options}"), has(options, word), true)?;
    }
    same("/b", &mount_at(&report, "/b")?["options"], &json!(["rw", "relatime"]))?;
    same("/c", &mount_at(&report, "/c")?["options"], &json!(["rw"]))?;
    same("/d", &mount_at(&report, "/d")?["options"], &json!(["rw"]))?;
    Ok(same("/e", &mount_at(&report, "/e")?["options"], &json!(["rw", "relatime"]))?)
}

fn plain_bind_leaves_out_submounts(context: &Context) -> Outcome {
    let tree = tree(context)?;
    let text = edit::said(context, &["ls", "/tree", "+", "ls", "/tree/below"], |config| {
        bind(config, &tree.path(), "/tree", &["bind"]);
    })?;
    Ok(same("the names", text.as_str(), "below\nupper")?)
}

fn recursive_bind_keeps_submounts(context: &Context) -> Outcome {
    let tree = tree(context)?;
    let text =
        edit::said(context, &["cat", "/tree/upper", "+", "cat", "/tree/below/lower"], |c| {
            bind(c, &tree.path(), "/tree", &["rbind"]);
        })?;
    Ok(same("both files", text.as_str(), "upperlower")?)
}

fn readonly_bind_refuses_writes(context: &Context) -> Outcome {
    let tree = tree(context)?;
    // Not recursive: mount(8) says that submounts stay writable.
    let words = ["create", "/tree/below/x", "", "+", "create", "/tree/x", ""];
    let edit = |config: &mut Value| bind(config, &tree.path(), "/tree", &["rbind", "ro"]);
    let done = edit::run(context, &words, edit)?.failure()?;
    same("the errno", done.stdout.trim(), "EROFS")?;
    same("whether the right deed failed", done.stderr.contains("create /tree/x"), true)?;
    let host = fs::write(tree.0.join("of-the-host"), "");
    Ok(same("whether the host may write", host.is_ok(), true)?)
}

fn recursive_readonly_reaches_submounts(context: &Context) -> Outcome {
    let tree = tree(context)?;
    for path in ["/tree/x", "/tree/below/x"] {
        let edit = |config: &mut Value| bind(config, &tree.path(), "/tree", &["rbind", "rro"]);
        let done = edit::run(context, &["create", path, ""], edit)?.failure()?;
        same(path, done.stdout.trim(), "EROFS")?;
    }
    let host = fs::write(tree.0.join("below/of-the-host"), "");
    Ok(same("whether the host may write", host.is_ok(), true)?)
}

fn recursive_options_reach_submounts(context: &Context) -> Outcome {
    let tree = tree(context)?;
    let report = context.report(|config| {
        let options = ["rbind", "rnosuid", "rnodev", "rnoexec", "rnoatime"];
        bind(config, &tree.path(), "/tree", &options);
    })?;
    for point in ["/tree", "/tree/below"] {
        let options = &mount_at(&report, point)?["options"];
        for word in ["nosuid", "nodev", "noexec", "noatime", "rw"] {
            same(&format!("{word} of {point} ({options})"), has(options, word), true)?;
        }
    }
    Ok(())
}

/// The mount's propagation without peer group numbers, such as "shared" or "master".
fn propagation(mount: &Value) -> Vec<String> {
    let words = mount["propagation"].as_array().cloned().unwrap_or_default();
    let kind = |word: &Value| Some(word.as_str()?.split(':').next()?.to_owned());
    words.iter().filter_map(kind).collect()
}

fn bind_has_the_given_propagation(context: &Context) -> Outcome {
    let tree = tree(context)?;
    mount_change(&tree.0, MountPropagationFlags::SHARED).map_err(|e| e.to_string())?;
    let below = tree.0.join("below");
    mount_change(&below, MountPropagationFlags::SHARED).map_err(|e| e.to_string())?;
    let report = context.report(|config| {
        for option in ["rprivate", "rslave", "rshared", "runbindable", "slave"] {
            bind(config, &tree.path(), &format!("/{option}"), &["rbind", option]);
        }
    })?;
    for (point, wanted) in [
        ("/rprivate", &[] as &[&str]),
        ("/rprivate/below", &[]),
        ("/rslave", &["master"]),
        ("/rslave/below", &["master"]),
        ("/rshared", &["shared"]),
        ("/rshared/below", &["shared"]),
        ("/runbindable", &["unbindable"]),
        ("/runbindable/below", &["unbindable"]),
        ("/slave", &["master"]),
    ] {
        let seen = propagation(mount_at(&report, point)?);
        let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
        // A shared mount may also be a slave of the host's.
        let seen: Vec<&str> = match wanted {
            ["shared"] => seen.into_iter().filter(|word| *word == "shared").collect(),
            _ => seen,
        };
        same(point, seen.as_slice(), wanted)?;
    }
    Ok(())
}

fn hosts_mount_propagates_to_a_slave_or_shared_bind(context: &Context) -> Outcome {
    for (option, appears) in [("rprivate", false), ("rslave", true), ("rshared", true)] {
        let tree = tree(context)?;
        mount_change(&tree.0, MountPropagationFlags::SHARED).map_err(|e| e.to_string())?;
        fs::create_dir(tree.0.join("new")).map_err(|e| e.to_string())?;
        let container = Container::start(context, &["sleep", "60"], |config| {
            bind(config, &tree.path(), "/tree", &["rbind", option]);
        })?;
        mount_bind(tree.0.join("below"), tree.0.join("new")).map_err(|e| e.to_string())?;
        let seen = container.root().join("tree/new/lower").exists();
        // This also unmounts the propagated copy.
        let gone = unmount(tree.0.join("new"), UnmountFlags::DETACH);
        same(&format!("{option}: it appears inside"), seen, appears)?;
        gone.map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn root_has_the_given_propagation(context: &Context) -> Outcome {
    for (value, wanted) in [
        ("private", &[] as &[&str]),
        ("rprivate", &[]),
        ("shared", &["shared"]),
        ("rshared", &["shared"]),
        ("unbindable", &["unbindable"]),
    ] {
        let report =
            context.report(|config| config["linux"]["rootfsPropagation"] = value.into())?;
        let seen = propagation(mount_at(&report, "/")?);
        let shared = seen.iter().any(|word| word == "shared" || word == "unbindable");
        same(&format!("{value}: {seen:?}"), shared, !wanted.is_empty())?;
        let slave = seen.iter().any(|word| word == "master");
        same(&format!("{value}: slave in {seen:?}"), slave, false)?;
    }
    Ok(())
}

fn mount_is_shared_in_a_private_root(context: &Context) -> Outcome {
    for value in ["private", "rprivate", "slave", "rslave"] {
        let report = context.report(|config| {
            config["linux"]["rootfsPropagation"] = value.into();
            edit::mount(config, "tmpfs", "tmpfs", "/tmp/x", &["shared"]);
        })?;
        let seen = propagation(mount_at(&report, "/tmp/x")?);
        same(&format!("{value}: {seen:?}"), seen.iter().any(|word| word == "shared"), true)?;
    }
    Ok(())
}

/// Unmounting the old root must not propagate to the host.
fn host_keeps_its_mounts_if_its_root_is_shared(context: &Context) -> Outcome {
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)
        .map_err(|e| e.to_string())?;
    let mounts = || fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string());
    let before = mounts()?;
    for value in ["shared", "rshared", "slave", "private"] {
        context.report(|config| {
            config["linux"]["rootfsPropagation"] = value.into();
            edit::mount(config, "tmpfs", "tmpfs", "/tmp/x", &[]);
        })?;
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        same(&format!("the mounts after {value}"), lines(&mounts()?), lines(&before))?;
    }
    Ok(())
}

fn missing_source_is_refused_with_its_field(context: &Context) -> Outcome {
    let words = ["mounts[6]", "/no/such/source", "ENOENT"];
    Ok(edit::refused(context, &words, |c| bind(c, "/no/such/source", "/mnt", &["bind"]))?)
}

fn relative_source_starts_at_the_bundle(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        bind(config, "beside", "/file", &["bind"]);
        edit::deeds(config, &["cat", "/file"]);
    })?;
    fs::write(bundle.path.join("beside"), "of the bundle").map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("the text", done.stdout.as_str(), "of the bundle")?)
}
