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
    let state = state(config, &request.id, &request.bundle, "creating", "");
    for (index, hook) in hooks.create_container.iter().enumerate() {
        let field = format!("hooks.createContainer[{index}]");
        let env = match &hook.env {
            Some(env) => texts(env, &field)?,
            None => request.environment.clone(),
        };
        push(plan, hook, &state, Run { env: &env, at_rootfs: true, own_env: false }, field)?;
    }
    Ok(())
}

/// Adds the startContainer hooks. They have the user and capabilities of the process, and
/// its environment if they have none, as under runc and crun.
pub(super) fn before_program(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
) -> Result<(), Error> {
    let state = state(config, &request.id, &request.bundle, "created", "");
    for (index, hook) in config.hooks.start_container.iter().enumerate() {
        let field = format!("hooks.startContainer[{index}]");
        let env = texts(hook.env.as_deref().unwrap_or_default(), &field)?;
        let own_env = hook.env.is_none();
        push(plan, hook, &state, Run { env: &env, at_rootfs: false, own_env }, field)?;
    }
    Ok(())
}

/// How vial-init runs a hook.
struct Run<'a> {
    env: &'a [u8],
    at_rootfs: bool,
    own_env: bool,
}

fn push(
    plan: &mut Plan,
    hook: &Hook,
    [head, _, tail]: &[String; 3],
    run: Run<'_>,
    field: String,
) -> Result<(), Error> {
    let program: CString = text(&*hook.path, &field)?;
    let head = text(&**head, &field)?;
    let args = texts(hook.arguments(), &field)?;
    let Run { env, at_rootfs, own_env } = run;
    let item = ProcessItem::Hook {
        program: &program,
        head: &head,
        args: list(&args, &field)?,
        env: list(env, &field)?,
        tail: tail.as_bytes(),
        timeout: hook.seconds(),
        at_rootfs,
        own_env,
    };
    plan.push(&item, field);
    Ok(())
}
