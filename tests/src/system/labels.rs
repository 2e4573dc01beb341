//! AppArmor profiles and SELinux labels: set for execve(2) where the kernel supports
//! them, and refused in one sentence where it does not.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "labels",
    unloaded_profile_is_refused [Root],
    unloaded_profile_of_an_exec_is_refused [Root],
    unavailable_selinux_label_is_refused [Root],
    unavailable_mount_label_is_refused [Root],
    mount_label_must_have_no_quotation_mark [Root],
    unconfined_is_always_available [Root],
    profile_confines_the_container [Root, AppArmor],
    profile_confines_an_exec_too [Root, AppArmor],
    profile_confines_in_a_user_namespace [Root, AppArmor],
    profile_is_not_written_to_a_fake_proc [Root, AppArmor],
    profiles_may_be_stacked [Root, AppArmor],
    profile_may_be_in_a_namespace [Root, AppArmor],
);

const NAME: &str = "vial-test-profile";

/// Engines look for this text in an error, to tell that the label failed.
const PATTERN: &str = "`/proc/self/attr/";

fn unloaded_profile_is_refused(context: &Context) -> Outcome {
    let words = ["process.apparmorProfile", "no-such-profile", PATTERN];
    Ok(edit::refused(context, &words, |config| {
        config["process"]["apparmorProfile"] = json!("no-such-profile");
    })?)
}

fn unloaded_profile_of_an_exec_is_refused(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let done = container.exec(&["--apparmor", "no-such-profile"], &["exit", "0"])?.failure()?;
    edit::one_sentence(&done)?;
    Ok(same("whether the error has the path", done.stderr.contains(PATTERN), true)?)
}

fn unavailable_selinux_label_is_refused(context: &Context) -> Outcome {
    let words = ["process.selinuxLabel", "no:such:label:s0", PATTERN];
    Ok(edit::refused(context, &words, |config| {
        config["process"]["selinuxLabel"] = json!("no:such:label:s0");
    })?)
}

fn unavailable_mount_label_is_refused(context: &Context) -> Outcome {
    let words = ["context=\"no:such:label:s0\"", "EINVAL", "linux.mountLabel"];
    Ok(edit::refused(context, &words, |config| {
        config["linux"]["mountLabel"] = json!("no:such:label:s0");
    })?)
}

fn mount_label_must_have_no_quotation_mark(context: &Context) -> Outcome {
    Ok(edit::refused(context, &["config.json linux.mountLabel: has a quotation mark"], |config| {
        config["linux"]["mountLabel"] = json!("a\",size=1,\"b");
    })?)
}

fn unconfined_is_always_available(context: &Context) -> Outcome {
    let done = edit::run(context, &["echo", "ran"], |config| {
        config["process"]["apparmorProfile"] = json!("unconfined");
    })?;
    Ok(same("what it printed", done.success()?.stdout.as_str(), "ran\n")?)
}

/// Loads a profile that denies reading /etc/secret.
fn load(context: &Context) -> Result<(), String> {
    load_as(context, NAME, &[])
}

/// The same under another name, and with these options of apparmor_parser(8).
fn load_as(context: &Context, name: &str, options: &[&str]) -> Result<(), String> {
    let text = format!(
        "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n  file,\n  network,\n  \
         capability,\n  mount,\n  umount,\n  pivot_root,\n  ptrace,\n  signal,\n  unix,\n  \
         deny /etc/secret r,\n}}\n"
    );
    let file = context.directory.join("profile");
    fs::write(&file, text).map_err(|e| e.to_string())?;
    let mut parser = Command::new("apparmor_parser");
    parser.args(["--replace", "--skip-cache"]).args(options);
    context.run(parser.arg(&file))?.success()?;
    Ok(())
}

/// A container under the profile, with a file /etc/secret, and with `also` applied.
fn confined<'a>(
    context: &'a Context,
    also: impl FnOnce(&mut Value),
) -> Result<Container<'a>, String> {
    load(context)?;
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["sleep", "60"]);
        config["process"]["apparmorProfile"] = json!(NAME);
        also(config);
    })?;
    fs::write(bundle.rootfs.join("etc/secret"), "secret").map_err(|e| e.to_string())?;
    let container = Container::create(context, bundle)?;
    context.vial(&["start", &container.id])?.success()?;
    Ok(container)
}

fn is_confined(container: &Container<'_>, pid: u32) -> Result<(), String> {
    let path = format!("/proc/{pid}/attr/current");
    let label = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    same("the label", label.trim(), &*format!("{NAME} (enforce)"))?;
    let done = container.exec(&[], &["cat", "/proc/self/attr/current"])?.success()?;
    same("an exec's", done.stdout.trim(), &*format!("{NAME} (enforce)"))?;
    let done = container.exec(&[], &["cat", "/etc/secret"])?.failure()?;
    same("the errno of reading the secret", done.stdout.trim(), "EACCES")
}

fn profile_confines_the_container(context: &Context) -> Outcome {
    let container = confined(context, |_| {})?;
    Ok(is_confined(&container, container.pid)?)
}

fn profile_confines_an_exec_too(context: &Context) -> Outcome {
    load(context)?;
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let options = ["--apparmor", NAME];
    let done = container.exec(&options, &["cat", "/proc/self/attr/current"])?.success()?;
    Ok(same("the label", done.stdout.trim(), &*format!("{NAME} (enforce)"))?)
}

fn profile_confines_in_a_user_namespace(context: &Context) -> Outcome {
    let container = confined(context, |config| edit::user_namespace(config, 0))?;
    Ok(is_confined(&container, container.pid)?)
}

/// CVE-2019-16884: the image has a directory /proc, and no procfs is mounted on it.
fn profile_is_not_written_to_a_fake_proc(context: &Context) -> Outcome {
    load(context)?;
    let bundle = context.bundle(|config| {
        edit::without_proc(config);
        config["process"]["apparmorProfile"] = json!(NAME);
        edit::deeds(config, &["cat", "/etc/secret"]);
    })?;
    let fake = bundle.rootfs.join("proc/self/attr/apparmor");
    fs::create_dir_all(&fake).map_err(|e| e.to_string())?;
    for file in ["exec", "../exec"] {
        fs::write(fake.join(file), "").map_err(|e| e.to_string())?;
    }
    fs::write(bundle.rootfs.join("etc/secret"), "secret").map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?.failure()?;
    Ok(same("the errno of reading the secret", done.stdout.trim(), "EACCES")?)
}

/// The label of a container that asks for this profile, as its init sees it from outside,
/// and what it gets when it reads the secret.
fn label_and_secret(context: &Context, profile: &str) -> Result<(String, String), String> {
    let mut all = Vec::new();
    for no_new_privs in [false, true] {
        let container = confined(context, |config| {
            config["process"]["apparmorProfile"] = json!(profile);
            config["process"]["noNewPrivileges"] = json!(no_new_privs);
        })?;
        let label = fs::read_to_string(format!("/proc/{}/attr/current", container.pid));
        let label = label.map_err(|e| e.to_string())?.trim().to_owned();
        let done = container.exec(&[], &["cat", "/etc/secret"])?.failure()?;
        all.push((label, done.stdout.trim().to_owned()));
    }
    same("both with no_new_privs and without", &all[0], &all[1])?;
    Ok(all.remove(0))
}

fn profiles_may_be_stacked(context: &Context) -> Outcome {
    load_as(context, "vial-test-second", &[])?;
    let profile = format!("{NAME}//&vial-test-second");
    let (label, secret) = label_and_secret(context, &profile)?;
    same("the label", label, format!("{profile} (enforce)"))?;
    Ok(same("the errno of reading the secret", secret.as_str(), "EACCES")?)
}

fn profile_may_be_in_a_namespace(context: &Context) -> Outcome {
    const NAMESPACE: &str = "/sys/kernel/security/apparmor/policy/namespaces/vial-test";
    fs::create_dir(NAMESPACE).map_err(|e| e.to_string())?;
    let seen = load_as(context, NAME, &["--namespace", "vial-test"])
        .and_then(|()| label_and_secret(context, &format!(":vial-test:{NAME}")));
    fs::remove_dir(NAMESPACE).map_err(|e| e.to_string())?;
    let (label, secret) = seen?;
    same("the label", label, format!(":vial-test:{NAME} (enforce)"))?;
    Ok(same("the errno of reading the secret", secret.as_str(), "EACCES")?)
}
