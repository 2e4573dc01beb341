//! hooks: programs that run at points of the life cycle. vial-init runs those in the
//! container's namespaces, which are items of the Plan; vial runs the others, while
//! vial-init waits at a gate.

use std::ffi::CString;
use std::path::Path;

use vial_plan::{ProcessItem, RootfsItem};

use super::program::{list, strings};
use super::{Request, text, wrong};
use crate::config::Config;
use crate::config::hooks::{Hook, Hooks};
use crate::error::Error;
use crate::plan::Plan;

/// Checks all hooks, also those that vial itself will run.
pub(super) fn check(hooks: &Hooks) -> Result<(), Error> {
    for (point, hooks) in hooks.lists() {
        for (index, hook) in hooks.iter().enumerate() {
            check_one(hook, &format!("hooks.{point}[{index}]"))?;
        }
    }
    Ok(())
}

fn check_one(hook: &Hook, field: &str) -> Result<(), Error> {
    let in_field = |name: &str| format!("{field}.{name}");
    if !hook.path.starts_with('/') {
        let what = format_args!("\"{}\" is not an absolute path", hook.path);
        return Err(wrong(in_field("path"), what));
    }
    text(&*hook.path, &in_field("path"))?;
    texts(&hook.args, &in_field("args"))?;
    let env = hook.env.as_deref().unwrap_or_default();
    texts(env, &in_field("env"))?;
    if let Some(index) = env.iter().position(|entry| !entry.contains('=')) {
        let what = format_args!("\"{}\" contains no `=`", env[index]);
        return Err(wrong(format_args!("{field}.env[{index}]"), what));
    }
    match hook.timeout {
        Some(seconds) if seconds <= 0 => {
            let what = format_args!("{seconds} is not above 0");
            Err(wrong(in_field("timeout"), what).hint("leave it out for no timeout"))
        }
        _ => Ok(()),
    }
}

fn texts(all: &[String], field: &str) -> Result<Vec<u8>, Error> {
    strings(all.iter().map(String::as_str), field)
}

/// The state of a container in JSON, as runtime.md defines it: what comes before the pid,
/// the pid, and what comes after it.
pub fn state(config: &Config, id: &str, bundle: &Path, status: &str, pid: &str) -> [String; 3] {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (version, id) = (quoted(&config.oci_version), quoted(id));
    let head = format!("{{\"ociVersion\":{version},\"id\":{id},\"status\":\"{status}\",\"pid\":");
    let mut tail = format!(",\"bundle\":{}", quoted(&bundle.to_string_lossy()));
    if !config.annotations.is_empty() {
        tail += &format!(",\"annotations\":{}", serde_json::json!(config.annotations));
    }
    [head, pid.to_owned(), tail + "}"]
}

/// Adds what happens between the making of the filesystem and the change of the root.
/// The old root is still there: hooks find the host's files, and can mount them below the
/// rootfs.
pub(super) fn before_pivot(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
) -> Result<(), Error> {
    let hooks = &config.hooks;
    let of_vial = [("prestart", &hooks.prestart), ("createRuntime", &hooks.create_runtime)];
    if let Some((point, _)) = of_vial.iter().find(|(_, hooks)| !hooks.is_empty()) {
        plan.push(&RootfsItem::AwaitHooks {}, format!("hooks.{point}"));
    }
    run(plan, (config, request), &hooks.create_container, true)
}

/// Adds the startContainer hooks. They have the user and capabilities of the process, and
/// its environment if they have none, as under runc and crun.
pub(super) fn before_program(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
) -> Result<(), Error> {
    run(plan, (config, request), &config.hooks.start_container, false)
}

/// Adds the hooks of one point: createContainer's, which run at the rootfs, or
/// startContainer's.
fn run(
    plan: &mut Plan,
    (config, request): (&Config, &Request),
    hooks: &[Hook],
    at_rootfs: bool,
) -> Result<(), Error> {
    let (point, status) =
        if at_rootfs { ("createContainer", "creating") } else { ("startContainer", "created") };
    let [head, _, tail] = state(config, &request.id, &request.bundle, status, "");
    for (index, hook) in hooks.iter().enumerate() {
        let field = format!("hooks.{point}[{index}]");
        let program: CString = text(&*hook.path, &field)?;
        let head = text(&*head, &field)?;
        let args = texts(hook.arguments(), &field)?;
        let own_env = hook.env.is_none() && !at_rootfs;
        let env = match &hook.env {
            None if at_rootfs => request.environment.clone(),
            env => texts(env.as_deref().unwrap_or_default(), &field)?,
        };
        let item = ProcessItem::Hook {
            program: &program,
            head: &head,
            args: list(&args, &field)?,
            env: list(&env, &field)?,
            tail: tail.as_bytes(),
            timeout: hook.seconds(),
            at_rootfs,
            own_env,
        };
        plan.push(&item, field);
    }
    Ok(())
}
