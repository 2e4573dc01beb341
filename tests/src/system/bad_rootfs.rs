//! A rootfs that does not match its config.json, or that leads out of itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use super::container::{refused, words};
use super::edit::mount;
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "bad_rootfs",
    bad_rootfs_path_is_refused[Root],
    program_that_cannot_be_executed_is_refused[Root],
    nul_and_overlong_text_is_refused[Root],
    invalid_working_directory_is_refused[Root],
    mount_without_a_target_is_refused[Root],
    mount_target_through_a_link_stays_in_the_rootfs[Root],
    proc_sys_or_dev_as_a_link_is_refused[Root],
    missing_mount_source_is_refused[Root],
    mount_over_the_wrong_file_type_is_refused[Root],
    tree_too_deep_to_be_copied_is_refused[Root],
    rejected_mount_option_is_reported_in_the_kernels_words[Root],
);

fn check(context: &Context, bundle: &Bundle, text: &str) -> Result<(), String> {
    let before = context.leftovers();
    let done = context.run_bundle(bundle)?;
    refused(&done, text).map_err(|why| format!("{text}: {why}"))?;
    context.nothing_left_since(&before)
}

fn edited(context: &Context, text: &str, edit: impl FnOnce(&mut Value)) -> Result<(), String> {
    check(context, &context.bundle(edit)?, text)
}

fn bad_rootfs_path_is_refused(context: &Context) -> Outcome {
    edited(context, "nowhere", |config| config["root"]["path"] = json!("nowhere"))?;
    edited(context, "root.path", |config| config["root"]["path"] = json!(""))?;
    edited(context, "config.json root", |config| config["root"]["path"] = json!("config.json"))?;
    let bundle = context.bundle(|config| config["root"]["path"] = json!("loop"))?;
    symlink("loop", bundle.path.join("loop")).map_err(words)?;
    check(context, &bundle, "ELOOP")?;
    Ok(edited(context, "root.path", |config| config["root"]["path"] = json!("a\0b"))?)
}

fn program_that_cannot_be_executed_is_refused(context: &Context) -> Outcome {
    let cases: [(&str, &str); 6] = [
        ("nosuch", "executable file not found in $PATH"),
        ("/no/such", "no such file or directory"),
        ("/tmp/text", "permission denied"),
        ("/tmp/text/x", "not a directory"),
        ("/tmp/garbage", "exec format error"),
        ("/tmp/script", "no such file or directory"),
    ];
    for (program, text) in cases {
        let bundle = context.bundle(|config| config["process"]["args"] = json!([program]))?;
        let tmp = bundle.rootfs.join("tmp");
        let executable = fs::Permissions::from_mode(0o755);
        fs::write(tmp.join("text"), "hello").map_err(words)?;
        fs::write(tmp.join("garbage"), "\x01\x02\x03").map_err(words)?;
        fs::write(tmp.join("script"), "#!/no/such/interpreter\n").map_err(words)?;
        fs::set_permissions(tmp.join("garbage"), executable.clone()).map_err(words)?;
        fs::set_permissions(tmp.join("script"), executable).map_err(words)?;
        check(context, &bundle, text).map_err(|why| format!("{program}: {why}"))?;
    }
    edited(context, "is a directory", |config| config["process"]["args"] = json!(["/tmp"]))?;
    edited(context, "process.args", |config| config["process"]["args"] = json!([""]))?;
    Ok(edited(context, "process.args", |config| config["process"]["args"] = json!([]))?)
}

fn nul_and_overlong_text_is_refused(context: &Context) -> Outcome {
    edited(context, "process.args[1]: contains a NUL byte", |config| {
        config["process"]["args"] = json!(["/probe", "a\0b"]);
    })?;
    edited(context, "process.env[0]: contains a NUL byte", |config| {
        config["process"]["env"] = json!(["A=\0"]);
    })?;
    edited(context, "process.env[1]", |config| {
        config["process"]["env"] = json!(["A=b", "nothing"]);
    })?;
    edited(context, "hostname", |config| config["hostname"] = json!("a\0b"))?;
    edited(context, "hostname", |config| config["hostname"] = json!("h".repeat(65)))?;
    edited(context, "mounts[0]", |config| config["mounts"][0]["destination"] = json!("/pr\0oc"))?;
    let long = "a".repeat(200_000); // MAX_ARG_STRLEN of execve(2) is 131,072.
    Ok(edited(context, "argument list too long", |config| {
        config["process"]["args"] = json!(["/probe", long]);
    })?)
}

fn invalid_working_directory_is_refused(context: &Context) -> Outcome {
    for (cwd, text) in [
        ("", "process.cwd: missing"),
        ("tmp", "process.cwd"),
        ("/probe", "process.cwd"),
        ("/proc/self/fd/3", "process.cwd"),
        ("/proc/self/fd/9", "process.cwd"),
    ] {
        edited(context, text, |config| config["process"]["cwd"] = json!(cwd))
            .map_err(|why| format!("{cwd}: {why}"))?;
    }
    Ok(())
}

/// Adds `mounts[6]`, a tmpfs at `destination`.
fn mount_at(config: &mut Value, destination: &str) {
    mount(config, "tmpfs", "tmpfs", destination, &[]);
}

fn mount_without_a_target_is_refused(context: &Context) -> Outcome {
    Ok(edited(context, "mounts[6].destination", |config| mount_at(config, ""))?)
}

fn mount_target_through_a_link_stays_in_the_rootfs(context: &Context) -> Outcome {
    let outside = context.directory.join("outside");
    fs::create_dir(&outside).map_err(words)?;
    let mut up = "../".repeat(20);
    up.push_str(outside.to_string_lossy().trim_start_matches('/'));
    for link in [outside.to_string_lossy().into_owned(), up] {
        let bundle = context.bundle(|config| {
            mount_at(config, "/out/made");
            config["process"]["args"] = json!(["/probe", "create", "/out/made/file", "x"]);
        })?;
        symlink(&link, bundle.rootfs.join("out")).map_err(words)?;
        let done = context.run_bundle(&bundle)?;
        same("whether the exit code is 0 or 1", matches!(done.code, 0 | 1), true)?;
        same("the number of files outside", fs::read_dir(&outside).map_err(words)?.count(), 0)?;
    }
    Ok(())
}

fn proc_sys_or_dev_as_a_link_is_refused(context: &Context) -> Outcome {
    for name in ["proc", "sys", "dev"] {
        let bundle = context.bundle(|_| {})?;
        let place = bundle.rootfs.join(name);
        fs::remove_dir(&place).map_err(words)?;
        symlink("tmp", &place).map_err(words)?;
        check(context, &bundle, "mounts[").map_err(|why| format!("{name}: {why}"))?;
        let touched = fs::read_dir(bundle.rootfs.join("tmp")).map_err(words)?.count();
        same("the number of files behind the link", touched, 0)?;
    }
    Ok(())
}

fn missing_mount_source_is_refused(context: &Context) -> Outcome {
    let bind =
        json!({ "destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"] });
    edited(context, "/no/such", |config| config["mounts"][4] = bind.clone())?;
    edited(context, "mounts[4].source", |config| {
        config["mounts"][4] = bind.clone();
        config["mounts"][4]["source"] = json!("");
    })?;
    Ok(edited(context, "mounts[4].type", |config| {
        config["mounts"][4] = json!({ "destination": "/x", "source": "/tmp" });
    })?)
}

fn mount_over_the_wrong_file_type_is_refused(context: &Context) -> Outcome {
    // A directory over the file /probe, and a file over the directory /tmp.
    let over = |source: &str, target: &str| json!({ "destination": target, "type": "bind", "source": source, "options": ["bind"] });
    edited(context, "mounts[4]", |config| config["mounts"][4] = over("/proc", "/probe"))?;
    edited(context, "mounts[4]", |config| config["mounts"][4] = over("/proc/version", "/tmp"))?;
    Ok(edited(context, "mounts[6]", |config| mount_at(config, "/probe"))?)
}

/// vial-init copies the tree by recursion, so its stack limits the depth.
fn tree_too_deep_to_be_copied_is_refused(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        mount(config, "tmpfs", "tmpfs", "/srv", &["tmpcopyup"]);
    })?;
    fs::create_dir_all(bundle.rootfs.join("srv").join("n/".repeat(100))).map_err(words)?;
    check(context, &bundle, "mounts[6]")?;
    Ok(check(context, &bundle, "ENAMETOOLONG")?)
}

/// mount(2) fails with EINVAL for each of them; the kernel's log has the reason.
fn rejected_mount_option_is_reported_in_the_kernels_words(context: &Context) -> Outcome {
    for (options, said) in [
        (&["size=lots"][..], "the kernel says: tmpfs: Bad value for 'size'"),
        (&["size=1m", "colour=blue"], "the kernel says: tmpfs: Unknown parameter 'colour'"),
        (&["striped"], "the kernel says: tmpfs: Unknown parameter 'striped'"),
    ] {
        edited(context, said, |config| mount(config, "tmpfs", "tmpfs", "/srv", options))?;
    }
    Ok(())
}
