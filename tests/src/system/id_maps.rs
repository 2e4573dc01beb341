//! Idmapped mounts.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use rustix::mount::MountFlags;
use serde_json::{Value, json};

use super::container::{nothing_left, refused};
use super::edit::{self, Container, bind, join};
use super::fallbacks::without;
use super::mounted::Mounted;
use super::userns::{FIRST, bundle};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "id_maps",
    owners_are_mapped[Root, IdMaps],
    file_made_inside_has_the_id_of_the_source[Root, IdMaps],
    only_ridmap_reaches_submounts[Root, IdMaps],
    mapping_of_the_container_is_taken[Root, UserNamespaces, IdMaps],
    mapping_of_a_joined_user_namespace_is_taken[Root, UserNamespaces, IdMaps],
    source_in_a_closed_directory_is_mapped[Root, UserNamespaces, IdMaps],
    mapping_in_an_option_is_taken[Root, UserNamespaces, IdMaps],
    attributes_are_set_too[Root, IdMaps],
    many_mounts_share_a_mapping[Root, IdMaps],
    missing_support_is_told[Root],
    wrong_mappings_are_refused[Root],
);

/// A tmpfs of the host with a file of user 1000 and group 2000, and below it another
/// tmpfs with such a file.
fn source(context: &Context) -> Result<[Mounted; 2], String> {
    let none = MountFlags::empty();
    let upper = Mounted::tmpfs(context.directory.join("owned"), "owned", none)?;
    let lower = Mounted::tmpfs(upper.0.join("below"), "below", none)?;
    for tmpfs in [&upper, &lower] {
        let file = tmpfs.0.join("file");
        fs::write(&file, "of 1000").map_err(|e| e.to_string())?;
        chown(&file, Some(1000), Some(2000)).map_err(|e| e.to_string())?;
        fs::set_permissions(&tmpfs.0, fs::Permissions::from_mode(0o777))
            .map_err(|e| e.to_string())?;
    }
    // The submount goes first.
    Ok([lower, upper])
}

/// Maps 1000 to `uid` and 2000 to `gid`, and root to itself.
fn mapped(config: &mut Value, uid: u32, gid: u32) {
    let map = |from: u32, to: u32| {
        json!([
            { "containerID": 0, "hostID": 0, "size": 1 },
            { "containerID": from, "hostID": to, "size": 1 }
        ])
    };
    let mount = config["mounts"].as_array_mut().and_then(|list| list.last_mut());
    if let Some(mount) = mount {
        mount["uidMappings"] = map(1000, uid);
        mount["gidMappings"] = map(2000, gid);
    }
}

fn owner(stat: &str) -> Result<[u64; 2], String> {
    let stat: Value = serde_json::from_str(stat).map_err(|e| format!("{stat:?}: {e}"))?;
    Ok(["uid", "gid"].map(|id| stat[id].as_u64().unwrap_or(u64::MAX)))
}

/// The owners of the two files as a container sees them.
fn owners(context: &Context, edit: impl FnOnce(&mut Value)) -> Result<[[u64; 2]; 2], String> {
    let said =
        edit::said(context, &["stat", "/owned/file", "+", "stat", "/owned/below/file"], edit)?;
    let (upper, lower) = said.split_once('\n').ok_or("two lines are missing")?;
    Ok([owner(upper)?, owner(lower)?])
}

fn owners_are_mapped(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    for options in [&["bind", "idmap"][..], &["bind"], &["ridmap", "bind"]] {
        let said = edit::said(context, &["stat", "/owned/file"], |config| {
            bind(config, &upper.path(), "/owned", options);
            mapped(config, 3000, 4000);
        })?;
        same(&format!("the owner with {options:?}"), owner(&said)?, [3000, 4000])?;
    }
    let said = edit::said(context, &["stat", "/owned/file"], |config| {
        bind(config, &upper.path(), "/owned", &["bind"]);
    })?;
    Ok(same("the owner without a mapping", owner(&said)?, [1000, 2000])?)
}

fn file_made_inside_has_the_id_of_the_source(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    edit::said(context, &["create", "/owned/new", "x"], |config| {
        bind(config, &upper.path(), "/owned", &["bind", "idmap"]);
        mapped(config, 3000, 4000);
        config["process"]["user"] = json!({ "uid": 3000, "gid": 4000 });
    })?;
    let meta = fs::metadata(upper.0.join("new")).map_err(|e| e.to_string())?;
    Ok(same("its owner on the host", [meta.uid(), meta.gid()], [1000, 2000])?)
}

fn only_ridmap_reaches_submounts(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    for (option, below) in [("idmap", [1000, 2000]), ("ridmap", [3000, 4000])] {
        let seen = owners(context, |config| {
            bind(config, &upper.path(), "/owned", &["rbind", option]);
            mapped(config, 3000, 4000);
        })?;
        same(option, seen, [[3000, 4000], below])?;
    }
    Ok(())
}

/// Ids 1000 and 2000 on disk are 1000 and 2000 in the container, too, if the mount has
/// the mapping of its user namespace.
fn mapping_of_the_container_is_taken(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    let bundle = |options: &[&str]| {
        bundle(context, |config| {
            bind(config, &upper.path(), "/owned", options);
            edit::deeds(config, &["stat", "/owned/file"]);
        })
    };
    let said = context.run_bundle(&bundle(&["bind", "idmap"])?)?.success()?.stdout;
    same("the owner", owner(said.trim())?, [1000, 2000])?;
    let said = context.run_bundle(&bundle(&["bind"])?)?.success()?.stdout;
    Ok(same("the owner without idmap", owner(said.trim())?, [65534, 65534])?)
}

fn mapping_of_a_joined_user_namespace_is_taken(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    let outer = Container::create(context, bundle(context, |_| {})?)?;
    let path = outer.namespace("user");
    let inner = bundle(context, |config| {
        join(config, "user", &path);
        edit::without_maps(config);
        bind(config, &upper.path(), "/owned", &["bind", "idmap"]);
        edit::deeds(config, &["stat", "/owned/file"]);
    })?;
    let said = context.run_bundle(&inner)?.success()?.stdout;
    Ok(same("the owner", owner(said.trim())?, [1000, 2000])?)
}

fn source_in_a_closed_directory_is_mapped(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    fs::set_permissions(&context.directory, fs::Permissions::from_mode(0o711))
        .map_err(|e| e.to_string())?;
    fs::set_permissions(&upper.0, fs::Permissions::from_mode(0o700)).map_err(|e| e.to_string())?;
    let file = upper.0.join("file").to_string_lossy().into_owned();
    let bundle = bundle(context, |config| {
        bind(config, &file, "/file", &["bind", "idmap", "ro"]);
        edit::deeds(config, &["stat", "/file", "+", "cat", "/file"]);
    })?;
    let said = context.run_bundle(&bundle)?.success()?.stdout;
    let (stat, text) = said.split_once('\n').ok_or("two lines are missing")?;
    same("the owner", owner(stat)?, [1000, 2000])?;
    Ok(same("the text", text.trim(), "of 1000")?)
}

fn mapping_in_an_option_is_taken(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    let option = "idmap=uids=0-0-1#1000-3000-1;gids=0-0-1#2000-4000-1";
    let said = edit::said(context, &["stat", "/owned/file"], |config| {
        bind(config, &upper.path(), "/owned", &["bind", option]);
    })?;
    same("the owner", owner(&said)?, [3000, 4000])?;
    // After a @ the ids are those of the container.
    let bundle = bundle(context, |config| {
        let option = "idmap=uids=@0-0-1#@1000-7-1;gids=@0-0-1#@2000-8-1";
        bind(config, &upper.path(), "/owned", &["bind", option]);
        edit::deeds(config, &["stat", "/owned/file"]);
    })?;
    let said = context.run_bundle(&bundle)?.success()?.stdout;
    Ok(same("the owner in a user namespace", owner(said.trim())?, [7, 8])?)
}

fn attributes_are_set_too(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    let report = context.report(|config| {
        bind(config, &upper.path(), "/owned", &["rbind", "idmap", "ro", "rnosuid", "rslave"]);
        mapped(config, 3000, 4000);
    })?;
    let options = &edit::mount_at(&report, "/owned")?["options"];
    for (word, wanted) in [("ro", true), ("nosuid", true), ("noexec", false)] {
        same(&format!("{word} of {options}"), edit::has(options, word), wanted)?;
    }
    let below = &edit::mount_at(&report, "/owned/below")?["options"];
    Ok(same("nosuid below", edit::has(below, "nosuid"), true)?)
}

fn many_mounts_share_a_mapping(context: &Context) -> Outcome {
    let [_lower, upper] = source(context)?;
    let before = context.leftovers();
    let bundle = context.bundle(|config| {
        for index in 0..300 {
            bind(config, &upper.path(), &format!("/owned/{index}"), &["bind", "idmap"]);
            mapped(config, 3000, 4000);
        }
        edit::deeds(config, &["stat", "/owned/299/file"]);
    })?;
    let said = context.run_bundle(&bundle)?.success()?.stdout;
    same("the owner", owner(said.trim())?, [3000, 4000])?;
    let plan = context.vial(&["plan", "--bundle", &bundle.path.to_string_lossy()])?.success()?;
    same("the maps made", plan.stdout.matches("make a map for mounts").count(), 1)?;
    Ok(nothing_left(context, &before)?)
}

fn missing_support_is_told(context: &Context) -> Outcome {
    let before = context.leftovers();
    let volume = context.directory.join("volume");
    fs::create_dir_all(&volume).map_err(|e| e.to_string())?;
    for user_namespace in [false, true] {
        let bundle = match user_namespace {
            false => context.bundle(|config| {
                bind(config, &volume.to_string_lossy(), "/volume", &["bind", "idmap"]);
                mapped(config, 3000, 4000);
            })?,
            true => bundle(context, |config| {
                bind(config, &volume.to_string_lossy(), "/volume", &["bind", "idmap"]);
            })?,
        };
        let calls = [libc::SYS_mount_setattr];
        let done = without(context, &calls, libc::ENOSYS, "run", &bundle, &context.id())?;
        edit::one_sentence(&done)?;
        for words in ["map the ids of the mount", "ENOSYS", "idmapped mounts need Linux 5.12"] {
            refused(&done, words)?;
        }
    }
    Ok(nothing_left(context, &before)?)
}

fn wrong_mappings_are_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let one = |container: u32, host: u32, size: u32| json!({ "containerID": container, "hostID": host, "size": size });
    let many: Vec<Value> = (0..10_000).map(|id| one(id, id, 1)).collect();
    for (maps, words) in [
        (json!({ "uidMappings": [one(0, 0, 1)] }), "gidMappings: missing"),
        (json!({ "gidMappings": [one(0, 0, 1)] }), "uidMappings: missing"),
        (
            json!({ "uidMappings": [one(0, 0, 0)], "gidMappings": [one(0, 0, 1)] }),
            "uidMappings[0].size: out of range",
        ),
        (
            json!({ "uidMappings": [one(0, 0, 1)], "gidMappings": [one(0, 5, 4), one(3, 9, 1)] }),
            "gidMappings[1]: overlaps mounts[",
        ),
        (
            json!({ "uidMappings": many, "gidMappings": [one(0, 0, 1)] }),
            "10000 ranges: the kernel takes at most 340",
        ),
        (json!({}), "which has none"),
        (json!({ "options": ["bind", "idmap=uids=0-1"] }), "is not a mapping such as"),
        (json!({ "options": ["bind", "idmap=uids=0-1-1"] }), "needs both uids= and gids="),
        (json!({ "options": ["bind", "idmap=uids=@0-1-1;gids=0-1-1"] }), "is not mapped"),
        (json!({ "options": ["idmap"], "type": "tmpfs" }), "only for a bind mount"),
    ] {
        let done = edit::run(context, &["exit", "0"], |config| {
            bind(config, "/tmp", "/owned", &["bind", "idmap"]);
            let Some(mount) = config["mounts"].as_array_mut().and_then(|list| list.last_mut())
            else {
                return;
            };
            for (field, value) in maps.as_object().into_iter().flatten() {
                mount[field] = value.clone();
            }
        })?;
        edit::one_sentence(&done)?;
        refused(&done, words)?;
    }
    let done = edit::run(context, &["exit", "0"], |config| {
        edit::user_namespace(config, FIRST);
        edit::add(&mut config["linux"]["uidMappings"], one(7, 1, 1));
    })?;
    refused(&done, "linux.uidMappings[1]: overlaps linux.uidMappings[0]")?;
    Ok(nothing_left(context, &before)?)
}
