//! A container without a mount namespace. Its root is changed by chroot(2), and
//! nothing may be mounted: the host would see it.

use vial_plan::RootfsItem;

use super::{Namespaces, Request, device_nodes, hooks, process, text, wrong};
use crate::config::{Config, Process};
use crate::error::Error;
use crate::host::Host;
use crate::namespace::kind;
use crate::plan::Plan;

const HINT: &str = "add {\"type\": \"mount\"} to linux.namespaces";

/// Refuses all fields that need a mount.
pub(super) fn refuse_mounts(
    config: &Config,
    process: &Process,
    namespaces: &Namespaces,
    host: &Host,
) -> Result<(), Error> {
    let linux = &config.linux;
    if namespaces.has(kind::USER) || host.in_user_namespace {
        // It is in the list, or the caller is in one.
        let index = linux.namespaces.iter().position(|namespace| namespace.kind == "user");
        let field = index.filter(|_| namespaces.has(kind::USER));
        let field =
            field.map_or("linux.namespaces".to_owned(), |at| format!("linux.namespaces[{at}]"));
        let what = "devices of a user namespace are bind mounts, which need a mount namespace";
        return Err(wrong(field, what).hint(HINT));
    }
    terminal(process)?;
    if config.mounts.iter().any(|mount| mount.is_for_notify) {
        let what = "the socket that NOTIFY_SOCKET asks for needs a mount namespace";
        return Err(wrong("linux.namespaces", what)
            .hint("unset NOTIFY_SOCKET, or add {\"type\": \"mount\"}"));
    }
    let root = config.root.as_ref();
    for (field, is_set) in [
        ("mounts[0]", !config.mounts.is_empty()),
        ("linux.maskedPaths[0]", !linux.masked_paths.is_empty()),
        ("linux.readonlyPaths[0]", !linux.readonly_paths.is_empty()),
        ("root.readonly", root.is_some_and(|root| root.readonly)),
        ("linux.rootfsPropagation", !linux.rootfs_propagation.is_empty()),
    ] {
        if is_set {
            let what = "without a mount namespace it would change the host's mounts";
            return Err(wrong(field, what).hint(HINT));
        }
    }
    Ok(())
}

/// Refuses a terminal, for the container's process and for exec.
pub(super) fn terminal(process: &Process) -> Result<(), Error> {
    match process.terminal {
        true => {
            let what = "a terminal needs devpts, which cannot be mounted without a mount namespace";
            Err(wrong("process.terminal", what).hint(HINT))
        }
        false => Ok(()),
    }
}

/// Makes the nodes of /dev in the rootfs itself.
pub(super) fn filesystem(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    process: &Process,
) -> Result<(), Error> {
    let root = config.rootfs(&request.bundle)?.into_os_string().into_encoded_bytes();
    let root = text(root, "root.path")?;
    plan.push(&RootfsItem::OpenRootfs { path: &root }, "root.path");
    device_nodes::devices(plan, config, &|_| false)?;
    process::make_directory(plan, process, "process")?;
    hooks::before_pivot(plan, config, request)?;
    // Last, since the host's files cannot be reached after it.
    plan.push(&RootfsItem::Chroot {}, "root.path");
    Ok(())
}
