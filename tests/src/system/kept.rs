//! The Plan is kept with the container: later changes to the bundle do not matter.

use std::fs;

use serde_json::Value;

use super::container::{Container, cgroup_of, nothing_left, refused, words};
use super::edit;
use crate::bundle::base_config;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "kept",
    plan_of_a_container_is_the_one_of_its_create[Root],
    failed_start_is_reported_by_the_kept_plan[Root],
    verbs_work_without_the_bundle[Root],
    exec_enters_only_the_cgroup_of_its_container[Root],
    damaged_plan_is_reported_and_blocks_no_other_verb[Root],
);

/// The output of `vial plan` with these arguments, as text and as JSON.
fn plan(context: &Context, arguments: &[&str]) -> Result<(String, Value), String> {
    let text = context.run(context.command(&["plan"]).args(arguments))?.success()?.stdout;
    let json = context.run(context.command(&["plan", "-f", "json"]).args(arguments))?;
    Ok((text, serde_json::from_str(&json.success()?.stdout).map_err(words)?))
}

fn plan_of_a_container_is_the_one_of_its_create(context: &Context) -> Outcome {
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        // This causes a warning, which is a part of the plan.
        config["linux"]["seccomp"] = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["nonsense"], "action": "SCMP_ACT_ALLOW" }] });
    })?;
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    let before = plan(context, &["--bundle", &bundle, &container.id])?;
    same("whether it warns", before.0.contains("warnings\n"), true)?;
    container.create(&[])?.success()?;
    let kept = plan(context, &[&container.id])?;
    same("the plan of the container", &kept, &before)?;
    // Change the bundle. Only a dry run sees the change.
    let mut config = base_config();
    config["hostname"] = "another".into();
    container.bundle.write_config(&config)?;
    same("the plan of the container", &plan(context, &[&container.id])?, &before)?;
    let dry = plan(context, &["--bundle", &bundle, &container.id])?.0;
    same(
        "whether the dry run has the new name",
        dry.contains("set the host name to another"),
        true,
    )?;
    let by_option = context
        .run(context.command(&["plan", "--no-pivot", &container.id]).current_dir(&bundle))?;
    let moves = by_option.success()?.stdout.contains("move the rootfs onto the root");
    same("whether the other option changes the dry run", moves, true)?;
    container.vial("start", &[])?.success()?;
    same("the plan of the container", &plan(context, &[&container.id])?, &before)?;
    Ok(container.remove()?)
}

fn failed_start_is_reported_by_the_kept_plan(context: &Context) -> Outcome {
    let before = context.leftovers();
    for (options, gone) in [(&[][..], false), (&[], true), (&["--no-pivot"], false)] {
        let container = Container::prepared(context, &["exit", "0"])?;
        container.create(options)?.success()?;
        let mut config = base_config();
        config["process"]["args"] = serde_json::json!(["/another"]);
        container.bundle.write_config(&config)?;
        fs::remove_file(container.bundle.rootfs.join("probe")).map_err(words)?;
        if gone {
            fs::remove_dir_all(&container.bundle.path).map_err(words)?;
        }
        let text = "exec \"/probe\" (config.json process.args[0]): no such file or directory";
        refused(&container.vial("start", &[])?, text)
            .map_err(|why| format!("{options:?}, gone: {gone}: {why}"))?;
        container.ends()?;
        container.remove()?;
    }
    Ok(context.nothing_left_since(&before)?)
}

fn verbs_work_without_the_bundle(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::created(context, &["echo", "hello", "+", "sleep", "3600"])?;
    let state = container.state()?;
    // The process keeps its root open, so the bundle may be renamed.
    let other = container.bundle.path.with_extension("moved");
    fs::rename(&container.bundle.path, &other).map_err(words)?;
    same("state", container.state()?, state)?;
    container.vial("start", &[])?.success()?;
    container.printed(1)?;
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    Ok(context.nothing_left_since(&before)?)
}

/// The caller may have another file system mounted over cgroup2. The exec must not
/// escape from the container's cgroup.
fn exec_enters_only_the_cgroup_of_its_container(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let cgroup = cgroup_of(container.pid()?)?;
    let root = cgroup.ancestors().find(|path| !path.join("cgroup.events").exists());
    let root = root.unwrap_or(&cgroup).to_string_lossy().into_owned();
    let empty = context.directory.join("empty");
    fs::create_dir(&empty).map_err(words)?;
    let role = format!("covered:{}:{root}", empty.display());
    let mut exec = context.command_as(&role, &["exec", &container.id, "/probe", "exit", "0"]);
    refused(&context.run(&mut exec)?, &format!("open the cgroup2 filesystem at {root}"))?;
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    Ok(container.remove()?)
}

fn damaged_plan_is_reported_and_blocks_no_other_verb(context: &Context) -> Outcome {
    let before = context.leftovers();
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 6] = [
        ("is not a whole plan", |bytes| bytes.clear()),
        ("is not a whole plan", |bytes| bytes.truncate(bytes.len() - 1)),
        ("is not a whole plan", |bytes| bytes.push(0)),
        ("is not a whole plan", |bytes| bytes.fill(0xff)),
        ("another build of vial", |bytes| {
            let magic = bytes.windows(8).position(|window| window == b"vialplan").unwrap_or(0);
            bytes[magic + 12] ^= 1; // The fingerprint.
        }),
        ("ENOENT (no such file or directory)", |_| {}),
    ];
    for (text, damage) in damages {
        let container = Container::created(context, &["exit", "0"])?;
        let file = context.state.join(&container.id).join("plan");
        let mut bytes = fs::read(&file).map_err(words)?;
        damage(&mut bytes);
        match text.starts_with("ENOENT") {
            true => fs::remove_file(&file),
            false => fs::write(&file, bytes),
        }
        .map_err(words)?;
        refused(&container.vial("plan", &[])?, text)?;
        refused(&container.vial("plan", &[])?, &file.to_string_lossy())?;
        container.is("created")?;
        container.vial("kill", &["0"])?.success()?;
        fs::remove_file(container.bundle.rootfs.join("probe")).map_err(words)?;
        let done = container.vial("start", &[])?;
        refused(&done, text)?;
        refused(&done, "ENOENT (no such file or directory)")?;
        container.ends()?;
        container.vial("delete", &[])?.success()?;
    }
    Ok(nothing_left(context, &before)?)
}
