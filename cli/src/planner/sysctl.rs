//! linux.sysctl: kernel parameters.

use vial_plan::NamespaceItem;

use super::{Namespaces, text, wrong};
use crate::config::Config;
use crate::error::Error;
use crate::namespace::kind;
use crate::plan::Plan;

/// Adds linux.sysctl. Refuses parameters that do not belong to one of the
/// container's namespaces.
pub(super) fn sysctl(
    plan: &mut Plan,
    config: &Config,
    namespaces: &Namespaces,
) -> Result<(), Error> {
    for (key, value) in &config.linux.sysctl {
        let field = format!("linux.sysctl.{key}");
        // The first `.` or `/` is the separator.
        let path = match key.find(['.', '/']).map(|at| key.as_bytes()[at]) {
            Some(b'.') => key.chars().map(swap).collect(),
            _ => key.clone(),
        };
        let needed = if path.starts_with("net/") {
            kind::NETWORK
        } else if path.starts_with("fs/mqueue/") || is_ipc(&path) {
            kind::IPC
        } else if path == "kernel/domainname" || path == "kernel/hostname" {
            kind::UTS
        } else {
            return Err(wrong(field, "not namespaced: it would change the host"));
        };
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(wrong(field, "not a path below /proc/sys"));
        }
        namespaces.must_have(needed, &field)?;
        for (name, same, set) in [
            ("hostname", "kernel/hostname", &config.hostname),
            ("domainname", "kernel/domainname", &config.domainname),
        ] {
            if path == same && !set.is_empty() && set != value {
                let what = format_args!("\"{value}\" is not \"{set}\", which {name} says");
                return Err(wrong(field, what).hint("leave out one of them"));
            }
        }
        let (path, value) = (text(path, &field)?, text(&**value, &field)?);
        plan.push(&NamespaceItem::Sysctl { path: &path, value: &value }, field);
    }
    Ok(())
}

/// Swaps the separators: `net.ipv4.conf.eth0/1.x` means eth0.1 (sysctl(8)).
fn swap(letter: char) -> char {
    match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    }
}

fn is_ipc(path: &str) -> bool {
    const KEYS: [&str; 10] = [
        "msgmax",
        "msgmnb",
        "msgmni",
        "sem",
        "shmall",
        "shmmax",
        "shmmni",
        "shm_rmid_forced",
        "msg_next_id",
        "sem_next_id",
    ];
    path.strip_prefix("kernel/").is_some_and(|key| KEYS.contains(&key))
}
