//! The text of `vial plan`: names where the kernel has numbers.

use serde_json::{Value, json};

use super::container::words;
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "plan",
    mount_flags_have_the_names_of_options,
    limits_and_filters_have_their_names[Root],
    devices_have_type_numbers_and_mode[Root],
    act_is_one_line_without_control_characters,
);

/// The plan of the base config.json after `edit`. Checks that JSON has the same acts.
fn plan(context: &Context, edit: impl FnOnce(&mut Value)) -> Result<String, String> {
    let bundle = context.bundle(edit)?;
    let path = bundle.path.to_string_lossy();
    let text = context.vial(&["plan", "--bundle", &path])?.success()?.stdout;
    let json = context.vial(&["plan", "--bundle", &path, "-f", "json"])?.success()?.stdout;
    let acts: Vec<Value> = serde_json::from_str(&json).map_err(words)?;
    for act in acts {
        let act = act["act"].as_str().unwrap_or_default();
        same(act, text.contains(act), true)?;
    }
    Ok(text)
}

fn all_said(text: &str, sentences: &[&str]) -> Result<(), String> {
    for sentence in sentences {
        same(sentence, text.contains(sentence), true).map_err(|why| format!("{why}: {text}"))?;
    }
    same("whether the plan has a raw number", text.contains("0x"), false)
        .map_err(|why| format!("{why}: {text}"))
}

fn mount_flags_have_the_names_of_options(context: &Context) -> Outcome {
    let text = plan(context, |config| {
        edit::mount(config, "tmpfs", "tmpfs", "/a", &["nosuid", "strictatime", "mode=755,size=1m"]);
        edit::mount(config, "tmpfs", "tmpfs", "/b", &["noexec", "noatime", "sync", "lazytime"]);
        edit::bind(config, "/usr", "/c", &["rbind", "ro", "nodev", "nodiratime", "relatime"]);
        edit::bind(config, "/usr", "/d", &["bind", "nosymfollow", "exec"]);
        edit::mount(config, "tmpfs", "tmpfs", "/e", &["tmpcopyup", "rro", "rnosuid"]);
        edit::mount(config, "", "", "/e", &["remount", "nodev"]);
    })?;
    Ok(all_said(
        &text,
        &[
            "mount tmpfs on /a with nosuid, strictatime, mode=755,size=1m",
            "mount tmpfs on /b with lazytime, noatime, noexec, sync, the mode of what it covers",
            "bind /usr and what is mounted below on /c with nodev, nodiratime, relatime, ro",
            "bind /usr on /d with exec, nosymfollow",
            "mount tmpfs on /e with a copy of what it covers",
            "make the mount at /e and those below nosuid, ro",
            "remount /e with nodev",
        ],
    )?)
}

fn limits_and_filters_have_their_names(context: &Context) -> Outcome {
    let text = plan(context, |config| {
        config["process"]["rlimits"] = json!([
            { "type": "RLIMIT_NOFILE", "soft": 64, "hard": 128 },
            { "type": "RLIMIT_RTTIME", "soft": 1, "hard": u64::MAX },
        ]);
        config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW",
            "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
            "syscalls": [{ "names": ["kexec_load"], "action": "SCMP_ACT_ERRNO" }] });
    })?;
    Ok(all_said(
        &text,
        &[
            "raise the hard limit RLIMIT_NOFILE to 128",
            "set RLIMIT_NOFILE to 64, at most 128",
            "set RLIMIT_RTTIME to 1, at most unlimited",
            "instructions with SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_TSYNC",
        ],
    )?)
}

fn devices_have_type_numbers_and_mode(context: &Context) -> Outcome {
    let text = plan(context, |config| {
        config["linux"]["devices"] = json!([
            { "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640 },
            { "path": "/dev/disk", "type": "b", "major": 8, "minor": 0 },
        ]);
    })?;
    let said = ["/dev/fuse (c 10:229, mode 0640)", "/dev/disk (b 8:0, mode 0666)"];
    Ok(all_said(&text, &said)?)
}

fn act_is_one_line_without_control_characters(context: &Context) -> Outcome {
    let name = "a\nb\u{1b}[2J\u{202e}c";
    let bundle = context.bundle(|config| {
        edit::mount(config, "tmpfs", "tmpfs", &format!("/{name}"), &["nosuid"]);
        config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": [name], "action": "SCMP_ACT_ALLOW" }] });
    })?;
    let path = bundle.path.to_string_lossy();
    let text = context.vial(&["plan", "--bundle", &path])?.success()?.stdout;
    same("its words", text.matches("a\\nb\\u{1b}[2J\\u{202e}c").count(), 2)?;
    let steering = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
    Ok(same("a control character", text.chars().find(|letter| steering(*letter)), None)?)
}
