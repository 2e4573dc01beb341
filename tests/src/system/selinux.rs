//! SELinux labels, in a machine whose policy is tests/src/selinux.conf.

use rustix::fs::getxattr;
use serde_json::{Value, json};

use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "selinux",
    process_and_exec_have_the_label [Root, Selinux],
    session_keyring_has_the_label [Root, Selinux, Keyrings],
    new_filesystems_have_the_mount_label [Root, Selinux],
    mount_label_works_in_a_user_namespace [Root, Selinux],
    mount_may_have_a_label_of_its_own [Root, Selinux],
    annotation_names_the_option [Root, Selinux],
    unknown_labels_are_refused [Root, Selinux],
);

const PROCESS: &str = "u:r:container_t";
const FILES: &str = "u:object_r:file_t";

/// The new filesystems of the bundle, and the covers of its masked paths.
const NEW: [&str; 8] = [
    "/dev",
    "/dev/pts",
    "/dev/shm",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/sys/firmware",
];

fn labelled(config: &mut Value) {
    config["process"]["selinuxLabel"] = json!(PROCESS);
    config["process"]["noNewPrivileges"] = json!(false);
    config["linux"]["mountLabel"] = json!(FILES);
}

/// A label as a file of /proc/self/attr has it, with a NUL.
fn label(text: &str) -> &str {
    text.trim_end_matches(['\0', '\n'])
}

fn process_and_exec_have_the_label(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], labelled)?;
    let path = format!("/proc/{}/attr/current", container.pid);
    let seen = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    same("the label", label(&seen), PROCESS)?;
    let done = container.exec(&[], &["cat", "/proc/self/attr/current"])?.success()?;
    Ok(same("an exec's", label(&done.stdout), PROCESS)?)
}

/// keyctl(2) tells the length of the label of the session keyring, with its NUL.
fn session_keyring_has_the_label(context: &Context) -> Outcome {
    let number = libc::SYS_keyctl.to_string();
    let (get_security, session) = ("17", "-3");
    let deeds = ["call", &number, get_security, session, "0", "0"];
    for (wanted, with) in [(PROCESS, true), ("u:r:host_t", false)] {
        let said = edit::said(context, &deeds, |config| {
            if with {
                labelled(config);
            }
        })?;
        same("the length", said, (wanted.len() + 1).to_string())?;
    }
    Ok(())
}

/// The options of the filesystem that is mounted at each place of a container.
fn options(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            Some((mount.split(' ').nth(4)?, filesystem.split(' ').nth(2)?))
        })
        .collect()
}

/// Which places of a container have this option.
fn places(
    context: &Context,
    option: &str,
    edit: impl FnOnce(&mut Value),
) -> Result<Vec<String>, String> {
    let seen = edit::said(context, &["cat", "/proc/self/mountinfo"], edit)?;
    let has = |options: &str| options.split(',').any(|one| one == option);
    let places = options(&seen).into_iter().filter(|(_, options)| has(options));
    Ok(places.map(|(place, _)| place.to_owned()).collect())
}

fn new_filesystems_have_the_mount_label(context: &Context) -> Outcome {
    let option = format!("context={FILES}");
    let seen = places(context, &option, labelled)?;
    same("the places", seen, NEW.map(str::to_owned).to_vec())?;
    // mqueue takes no such option: its root has the label.
    let container = Container::start(context, &["sleep", "60"], labelled)?;
    let mut bytes = [0; 64];
    let queues = container.root().join("dev/mqueue");
    let length = getxattr(&queues, "security.selinux", &mut bytes).map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
    Ok(same("the label of /dev/mqueue", label(&text), FILES)?)
}

fn mount_label_works_in_a_user_namespace(context: &Context) -> Outcome {
    let seen = places(context, &format!("context={FILES}"), |config| {
        labelled(config);
        edit::user_namespace(config, 0);
    })?;
    Ok(same("the places", seen, NEW.map(str::to_owned).to_vec())?)
}

fn mount_may_have_a_label_of_its_own(context: &Context) -> Outcome {
    let own = "context=u:object_r:host_t";
    let seen = places(context, own, |config| {
        labelled(config);
        edit::mount(config, "tmpfs", "tmpfs", "/tmp", &[own]);
    })?;
    Ok(same("the places", seen, vec!["/tmp".to_owned()])?)
}

fn annotation_names_the_option(context: &Context) -> Outcome {
    let with = |config: &mut Value, kind: &str| {
        labelled(config);
        config["annotations"]["run.oci.mount_context_type"] = json!(kind);
    };
    let option = format!("rootcontext={FILES}");
    let seen = places(context, &option, |config| with(config, "rootcontext"))?;
    same("whether /dev/shm has it", seen.contains(&"/dev/shm".to_owned()), true)?;
    let words = ["annotations[\"run.oci.mount_context_type\"]", "\"nocontext\" is not"];
    Ok(edit::refused(context, &words, |config| with(config, "nocontext"))?)
}

fn unknown_labels_are_refused(context: &Context) -> Outcome {
    for (field, words) in [
        ("mountLabel", ["context=\"no:such:label\"", "has no such label"]),
        ("selinuxLabel", ["process.selinuxLabel", "`/proc/self/attr/keycreate`"]),
    ] {
        edit::refused(context, &words, |config| {
            labelled(config);
            let at = if field == "mountLabel" { "linux" } else { "process" };
            config[at][field] = json!("no:such:label");
        })?;
    }
    Ok(())
}
