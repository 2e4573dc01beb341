//! Symbolic links at the ends of a bind: src-nofollow, dest-nofollow and copy-symlink,
//! which crun has and podman uses.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::container::refused;
use super::edit::{self, bind, mount_at};
use super::userns;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "bind_links",
    link_at_the_source_is_copied[Root],
    copy_of_a_link_leaves_the_mounts_before_it_alone[Root],
    copy_of_a_link_may_be_there_already[Root],
    copy_of_a_closed_link_works_in_a_user_namespace[Root, UserNamespaces],
    source_that_is_no_link_is_bound[Root],
    link_itself_is_bound[Root],
    link_at_the_target_is_covered[Root],
    wrong_combinations_are_refused[Root],
);

/// A directory with a file, and a link to a file that only the container has.
fn source(context: &Context) -> Result<PathBuf, String> {
    let directory = context.directory.join("source");
    fs::create_dir_all(&directory).map_err(|e| e.to_string())?;
    fs::write(directory.join("file"), "of the host").map_err(|e| e.to_string())?;
    symlink("/etc/inside", directory.join("link")).map_err(|e| e.to_string())?;
    Ok(directory)
}

fn link_of(stat: &str) -> Result<Value, String> {
    let stat: Value = serde_json::from_str(stat).map_err(|e| format!("{stat:?}: {e}"))?;
    Ok(json!([stat["type"], stat["link"]]))
}

fn link_at_the_source_is_copied(context: &Context) -> Outcome {
    let link = source(context)?.join("link").to_string_lossy().into_owned();
    let said = edit::said(context, &["stat", "/made/for/it"], |config| {
        bind(config, &link, "/made/for/it", &["rbind", "copy-symlink", "ro", "rprivate"]);
    })?;
    Ok(same("the link", link_of(&said)?, json!(["l", "/etc/inside"]))?)
}

fn copy_of_a_link_leaves_the_mounts_before_it_alone(context: &Context) -> Outcome {
    let directory = source(context)?;
    let (file, link) = (directory.join("file"), directory.join("link"));
    let report = context.report(|config| {
        bind(config, &file.to_string_lossy(), "/file", &["bind"]);
        bind(config, &link.to_string_lossy(), "/link", &["rbind", "copy-symlink", "rro"]);
    })?;
    let options = &mount_at(&report, "/file")?["options"];
    same("whether the file is read-only", edit::has(options, "ro"), false)?;
    Ok(same("whether a mount is at /link", mount_at(&report, "/link").is_ok(), false)?)
}

fn copy_of_a_link_may_be_there_already(context: &Context) -> Outcome {
    let link = source(context)?.join("link").to_string_lossy().into_owned();
    let bundle = context.bundle(|config| {
        bind(config, &link, "/link", &["bind", "copy-symlink"]);
        edit::deeds(config, &["stat", "/link"]);
    })?;
    for _ in 0..2 {
        let said = context.run_bundle(&bundle)?.success()?.stdout;
        same("the link", link_of(said.trim())?, json!(["l", "/etc/inside"]))?;
    }
    let place = bundle.rootfs.join("link");
    fs::remove_file(&place).map_err(|e| e.to_string())?;
    symlink("/etc/other", &place).map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?;
    edit::one_sentence(&done)?;
    refused(&done, "find another file or symbolic link there")?;
    Ok(same("the link", fs::read_link(&place).ok(), Some("/etc/other".into()))?)
}

fn copy_of_a_closed_link_works_in_a_user_namespace(context: &Context) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let directory = source(context)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
        .map_err(|e| e.to_string())?;
    let bundle = userns::bundle(context, |config| {
        let link = directory.join("link").to_string_lossy().into_owned();
        bind(config, &link, "/tmp/link", &["bind", "copy-symlink"]);
        edit::deeds(config, &["stat", "/tmp/link"]);
    })?;
    let said = context.run_bundle(&bundle)?.success()?.stdout;
    Ok(same("the link", link_of(said.trim())?, json!(["l", "/etc/inside"]))?)
}

fn source_that_is_no_link_is_bound(context: &Context) -> Outcome {
    let file = source(context)?.join("file").to_string_lossy().into_owned();
    let said = edit::said(context, &["cat", "/file"], |config| {
        bind(config, &file, "/file", &["bind", "copy-symlink"]);
    })?;
    Ok(same("the text", said.as_str(), "of the host")?)
}

fn link_itself_is_bound(context: &Context) -> Outcome {
    let link = source(context)?.join("link").to_string_lossy().into_owned();
    let report = ["stat", "/bound"];
    let said = edit::said(context, &report, |config| {
        bind(config, &link, "/bound", &["bind", "src-nofollow"]);
    })?;
    same("the link", link_of(&said)?, json!(["l", "/etc/inside"]))?;
    // Without the option the link is followed, and leads to nothing on the host.
    let done = edit::run(context, &report, |config| bind(config, &link, "/bound", &["bind"]))?;
    Ok(refused(&done, "no such file or directory")?)
}

fn link_at_the_target_is_covered(context: &Context) -> Outcome {
    let directory = source(context)?;
    let (file, link) = (directory.join("file"), directory.join("link"));
    let covered = |source: &PathBuf, options: &[&str]| {
        let bundle = context.bundle(|config| {
            bind(config, &source.to_string_lossy(), "/place", options);
            edit::deeds(config, &["stat", "/place", "+", "stat", "/etc/inside"]);
        })?;
        symlink("/etc/inside", bundle.rootfs.join("place")).map_err(|e| e.to_string())?;
        fs::write(bundle.rootfs.join("etc/inside"), "inside").map_err(|e| e.to_string())?;
        let said = context.run_bundle(&bundle)?.success()?.stdout;
        let (place, inside) = said.trim().split_once('\n').ok_or("two lines are missing")?;
        let size = |stat: &str| {
            serde_json::from_str::<Value>(stat).ok().and_then(|stat| stat["size"].as_u64())
        };
        Ok::<_, String>((link_of(place)?, size(inside)))
    };
    let (place, inside) = covered(&file, &["bind", "dest-nofollow"])?;
    same("what is there", place, json!(["-", null]))?;
    same("the size of what the link leads to", inside, Some(6))?;
    let (place, inside) = covered(&link, &["bind", "src-nofollow", "dest-nofollow"])?;
    same("what is there", place, json!(["l", "/etc/inside"]))?;
    same("the size of what the link leads to", inside, Some(6))?;
    let (place, inside) = covered(&file, &["bind"])?;
    same("what is there without the option", place, json!(["l", "/etc/inside"]))?;
    Ok(same("the size of what the link leads to", inside, Some(11))?)
}

fn wrong_combinations_are_refused(context: &Context) -> Outcome {
    for (kind, options, words) in [
        ("bind", &["bind", "copy-symlink", "src-nofollow"][..], "copy-symlink excludes"),
        ("bind", &["bind", "copy-symlink", "dest-nofollow"], "copy-symlink excludes"),
        ("tmpfs", &["copy-symlink"], "are for binds"),
        ("tmpfs", &["dest-nofollow"], "are for binds"),
        ("proc", &["src-nofollow"], "are for binds"),
    ] {
        let done = edit::run(context, &["exit", "0"], |config| {
            edit::mount(config, kind, "/tmp", "/place", options);
        })?;
        edit::one_sentence(&done)?;
        refused(&done, words)?;
    }
    Ok(())
}
