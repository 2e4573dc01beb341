//! Namespaces that are joined by path, the host's own among them: what may be set in
//! them, and clock offsets beside them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use serde_json::{Value, json};

use super::container::wait_until;
use super::edit::{self, Container, inode, join, namespace, refused, user_namespace};
use super::userns::{NOBODY, own, rootless, run_as_nobody, words};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "joined",
    callers_namespace_can_be_joined_by_path[Root],
    callers_user_namespace_by_path_counts_as_none [Root, UserNamespaces],
    sysctl_for_the_hosts_own_namespace_is_refused [Root, Machine],
    names_for_the_hosts_own_namespace_are_refused [Root, Machine],
    sysctl_for_another_containers_namespace_is_written[Root],
    user_namespace_without_mappings_maps_every_id [Root, UserNamespaces],
    uid_map_or_gid_map_alone_is_refused [Root, UserNamespaces],
    offsets_beside_a_joined_namespace_are_set [Root, TimeNamespaces, UserNamespaces],
    offsets_in_a_joined_user_namespace_are_set [Root, TimeNamespaces, UserNamespaces],
);

fn callers_namespace_can_be_joined_by_path(context: &Context) -> Outcome {
    const KINDS: [(&str, &str); 4] =
        [("uts", "uts"), ("ipc", "ipc"), ("network", "net"), ("pid", "pid")];
    // In a container, the namespaces of process 1 may be inaccessible.
    let bases = ["/proc/self/ns", "/proc/1/ns"];
    for base in bases.into_iter().filter(|base| inode(&format!("{base}/net")).is_ok()) {
        let report = context.report(|config| {
            for (kind, name) in KINDS {
                join(config, kind, &format!("{base}/{name}"));
            }
            edit::without_hostname(config);
        })?;
        for (_, name) in KINDS {
            let wanted = inode(&format!("/proc/self/ns/{name}"))?;
            same(name, report["namespaces"][name].as_str(), Some(&*wanted))?;
        }
    }
    let container = Container::start(context, &["sleep", "60"], |config| {
        join(config, "network", "/proc/self/ns/net");
        join(config, "user", "/proc/self/ns/user");
    })?;
    Ok(container.exec(&[], &["report"])?.success().map(|_| ())?)
}

fn callers_user_namespace_by_path_counts_as_none(context: &Context) -> Outcome {
    let report = context.report(|config| join(config, "user", "/proc/self/ns/user"))?;
    let wanted = inode("/proc/self/ns/user")?;
    same("the user namespace", report["namespaces"]["user"].as_str(), Some(&*wanted))?;
    // An ordinary user is refused: it needs a new user namespace.
    let bundle = context.bundle(|config| {
        rootless(config);
        join(config, "user", "/proc/self/ns/user");
        edit::without_maps(config);
    })?;
    own(&bundle, NOBODY)?;
    let done = run_as_nobody(context, &bundle)?.failure()?;
    edit::one_sentence(&done)?;
    Ok(same(
        "whether the error names it",
        done.stderr.contains("a user namespace is needed"),
        true,
    )?)
}

/// Every kind of path to the host's own namespace.
fn ways(context: &Context, name: &str) -> Result<Vec<String>, String> {
    let link = context.directory.join(format!("link-{name}"));
    symlink(format!("/proc/self/ns/{name}"), &link).map_err(|e| e.to_string())?;
    let bound = context.directory.join(format!("bound-{name}"));
    fs::write(&bound, "").map_err(|e| e.to_string())?;
    mount_bind(format!("/proc/self/ns/{name}"), &bound).map_err(|e| e.to_string())?;
    let paths = [link, bound].map(|path| path.to_string_lossy().into_owned());
    let proc = [format!("/proc/self/ns/{name}"), format!("/proc/1/ns/{name}")];
    Ok(proc.into_iter().chain(paths).collect())
}

fn sysctl_for_the_hosts_own_namespace_is_refused(context: &Context) -> Outcome {
    const ALL: [(&str, &str, &str, &str); 3] = [
        ("network", "net", "net.ipv4.ip_default_ttl", "net/ipv4/ip_default_ttl"),
        ("ipc", "ipc", "kernel.shmmni", "kernel/shmmni"),
        ("uts", "uts", "kernel.domainname", "kernel/domainname"),
    ];
    for (kind, name, key, file) in ALL {
        let read = || fs::read_to_string(format!("/proc/sys/{file}")).map_err(|e| e.to_string());
        let before = read()?;
        for path in ways(context, name)? {
            let field = format!("linux.sysctl.{key}");
            let words = [&*field, "linux.namespaces[4].path", "the host's own"];
            refused(context, &words, |config| {
                join(config, kind, &path);
                edit::without_hostname(config);
                config["linux"]["sysctl"] = json!({ key: "99" });
            })?;
        }
        let bound = context.directory.join(format!("bound-{name}"));
        unmount(bound, UnmountFlags::DETACH).map_err(|e| e.to_string())?;
        same(file, read()?, before)?;
    }
    Ok(())
}

fn names_for_the_hosts_own_namespace_are_refused(context: &Context) -> Outcome {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    for field in ["hostname", "domainname"] {
        let before = read(field).map_err(|e| e.to_string())?;
        for path in ["/proc/self/ns/uts", "/proc/1/ns/uts"] {
            let words = [field, "linux.namespaces[4].path", "the host's own"];
            refused(context, &words, |config| {
                join(config, "uts", path);
                edit::without_hostname(config);
                config[field] = json!("taken");
            })?;
        }
        same(field, read(field).map_err(|e| e.to_string())?, before)?;
    }
    Ok(())
}

fn sysctl_for_another_containers_namespace_is_written(context: &Context) -> Outcome {
    let other = Container::start(context, &["sleep", "60"], |_| {})?;
    let ttl = "/proc/sys/net/ipv4/ip_default_ttl";
    let text = edit::said(context, &["cat", ttl], |config| {
        join(config, "network", &other.namespace("net"));
        config["linux"]["sysctl"] = json!({ "net.ipv4.ip_default_ttl": "99" });
    })?;
    Ok(same("the value", text.as_str(), "99")?)
}

fn user_namespace_without_mappings_maps_every_id(context: &Context) -> Outcome {
    let report = context.report(|config| {
        namespace(config, "user");
        config["process"]["user"] = json!({ "uid": 70_000, "gid": 70_001 });
    })?;
    for map in ["uid_map", "gid_map"] {
        same(map, words(&report[map]), ["0", "0", "4294967295"])?;
    }
    same("uid", report["uid"].as_u64(), Some(70_000))?;
    let own = inode("/proc/self/ns/user")?;
    same("whether it is the host's namespace", report["namespaces"]["user"] == own, false)?;
    // In a user namespace, the new one maps the ids that this one has.
    let bundle = context.bundle(|config| namespace(config, "user"))?;
    let mut command = context.command_as("namespaced-root", &["run", "--bundle"]);
    command.arg(&bundle.path).arg(context.id());
    // Later a file system may fail to mount there. The mapping comes before.
    let done = context.run(&mut command)?;
    Ok(same("whether the error is about id maps", done.stderr.contains("map uids"), false)?)
}

fn uid_map_or_gid_map_alone_is_refused(context: &Context) -> Outcome {
    for map in ["uidMappings", "gidMappings"] {
        refused(context, &[&format!("linux.{map}")], |config| {
            user_namespace(config, 100_000);
            config["linux"].as_object_mut().map(|linux| linux.remove(map));
        })?;
    }
    Ok(())
}

/// Adds a time namespace whose boot clock is a day ahead. The probe prints its offsets.
fn ahead(config: &mut Value) {
    namespace(config, "time");
    config["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 86_400 } });
    edit::deeds(config, &["cat", "/proc/self/timens_offsets"]);
}

fn is_ahead(text: &str) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    same("the offsets", words, vec!["monotonic", "0", "0", "boottime", "86400", "0"])
}

fn offsets_beside_a_joined_namespace_are_set(context: &Context) -> Outcome {
    let other = Container::start(context, &["sleep", "60"], |_| {})?;
    for (first, joined) in [(0, true), (100_000, false), (100_000, true)] {
        let bundle = context.bundle(|config| {
            ahead(config);
            user_namespace(config, first);
            if joined {
                join(config, "uts", &other.namespace("uts"));
                edit::without_hostname(config);
            }
        })?;
        own(&bundle, first)?;
        is_ahead(&context.run_bundle(&bundle)?.success()?.stdout)?;
    }
    Ok(())
}

/// A process in a new user namespace.
struct Holder(Child);

impl Holder {
    fn new(context: &Context, id: u32) -> Result<Self, String> {
        let mut command = Command::new(&context.probe);
        command.args(["be", "namespaced"]).arg(&context.probe).args(["sleep", "60"]);
        command.uid(id).gid(id);
        let holder = Self(command.spawn().map_err(|e| e.to_string())?);
        let own = inode("/proc/self/ns/user")?;
        let path = holder.path();
        wait_until("a user namespace", || inode(&path).is_ok_and(|other| other != own))?;
        for map in ["uid_map", "gid_map"] {
            let file = format!("/proc/{}/{map}", holder.0.id());
            let size = if id == 0 { 65_536 } else { 1 };
            fs::write(&file, format!("0 {id} {size}")).map_err(|e| format!("{file}: {e}"))?;
        }
        Ok(holder)
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/user", self.0.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill(); // ESRCH: it has exited already.
        let _ = self.0.wait();
    }
}

fn offsets_in_a_joined_user_namespace_are_set(context: &Context) -> Outcome {
    let holder = Holder::new(context, 0)?;
    let bundle = context.bundle(|config| {
        ahead(config);
        join(config, "user", &holder.path());
    })?;
    is_ahead(&context.run_bundle(&bundle)?.success()?.stdout)?;
    // An ordinary user does not own the /proc files of an undumpable process.
    let holder = Holder::new(context, NOBODY)?;
    let bundle = context.bundle(|config| {
        rootless(config);
        edit::without_maps(config);
        ahead(config);
        join(config, "user", &holder.path());
    })?;
    own(&bundle, NOBODY)?;
    let owner = fs::metadata(&bundle.path).map_err(|e| e.to_string())?.uid();
    same("the bundle's owner", owner, NOBODY)?;
    Ok(is_ahead(&run_as_nobody(context, &bundle)?.success()?.stdout)?)
}
