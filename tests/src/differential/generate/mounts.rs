//! Mounts, the root, devices, and paths that are hidden or read-only.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::stage::STAGE;
use super::super::when::texts;
use super::{Place, has, push};

fn mount(config: &mut Value, destination: &str, kind: &str, source: &str, options: &[&str]) {
    let mut mount = json!({ "destination": destination, "type": kind, "source": source });
    if !options.is_empty() {
        mount["options"] = json!(options);
    }
    push(&mut config["mounts"], mount);
}

/// What `runc spec` mounts, with some left out.
pub(super) fn usual(random: &mut Random, config: &mut Value, _: Place) {
    let proc = random.some(&["nosuid", "noexec", "nodev"], 40);
    if !proc.is_empty() {
        config["mounts"][0]["options"] = json!(proc);
    }
    if random.percent(90) {
        let options = ["nosuid", "strictatime", "mode=755", "size=65536k"];
        mount(config, "/dev", "tmpfs", "tmpfs", &options);
        if random.percent(80) {
            let mut options =
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"].to_vec();
            random.shuffle(&mut options);
            mount(config, "/dev/pts", "devpts", "devpts", &options);
        }
        if random.percent(70) {
            let options = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"];
            mount(config, "/dev/shm", "tmpfs", "shm", &options);
        }
        if random.percent(60) && has(config, "ipc") {
            mount(config, "/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]);
        }
    }
    if random.percent(75) && has(config, "network") {
        let write = *random.one(&["ro", "ro", "rw"]);
        mount(config, "/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", write]);
    }
}

pub(super) fn cgroup(random: &mut Random, config: &mut Value, _: Place) {
    let write = *random.one(&["ro", "rw"]);
    let mut options = ["nosuid", "noexec", "nodev", "relatime", write].to_vec();
    random.shuffle(&mut options);
    mount(config, "/sys/fs/cgroup", "cgroup", "cgroup", &options);
}

/// Attributes of a mount, of which later ones win.
const ATTRIBUTES: &[&str] = &[
    "ro",
    "rw",
    "nosuid",
    "suid",
    "nodev",
    "dev",
    "noexec",
    "exec",
    "noatime",
    "atime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "nodiratime",
    "diratime",
];
const DESTINATIONS: &[&str] = &[
    "/data",
    "/data/sub",
    "/mnt",
    "/mnt/made",
    "/mnt/made/deeper",
    "/var/run/here",
    "/link/in",
    "/absolute/in",
    "/upwards/in",
    "/tmp/sub",
    "/missing/one/two",
    "/run/app",
    "/dev/extra",
    "/full",
    "/link",
    "/var/run",
    "/dangling/in",
];

pub(super) fn binds(random: &mut Random, config: &mut Value, _: Place) {
    const DIRECTORIES: &[&str] =
        &["@/sources/dir", "@/sources/tree", "@/sources/link", "@/sources/over", "beside"];
    const FILES: &[&str] = &["@/sources/file", "@/sources/link-to-file", "/dev/null"];
    const ON_FILES: &[&str] =
        &["/etc/hosts", "/etc/made", "/data/file", "/made/deep/file", "/link/file", "/dangling"];
    for _ in 0..1 + random.below(3) {
        let file = random.percent(30);
        let source = *random.one(if file { FILES } else { DIRECTORIES });
        let destination = *random.one(if file { ON_FILES } else { DESTINATIONS });
        let mut options = random.some(ATTRIBUTES, 12);
        options.push(*random.one(&["bind", "rbind"]));
        random.shuffle(&mut options);
        if random.percent(25) {
            options.push(*random.one(&["rprivate", "private", "rslave"]));
        }
        let kind = *random.one(&["bind", "bind", "none", ""]);
        mount(config, destination, kind, &source.replace('@', STAGE), &options);
    }
}

pub(super) fn tmpfs(random: &mut Random, config: &mut Value, _: Place) {
    const DATA: &[&str] = &["size=1m", "mode=1777", "mode=700", "nr_inodes=100", "uid=1", "gid=2"];
    for _ in 0..1 + random.below(2) {
        let destination = *random.one(DESTINATIONS);
        let mut options = random.some(ATTRIBUTES, 12);
        for data in random.some(DATA, 30) {
            let key = data.split('=').next();
            if options.iter().all(|other| other.split('=').next() != key) {
                options.push(data);
            }
        }
        if random.percent(15) {
            options.push("tmpcopyup");
        }
        random.shuffle(&mut options);
        mount(config, destination, "tmpfs", random.one::<&str>(&["tmpfs", "none", "x"]), &options);
    }
}

/// More of the kernel's filesystems, in places that are not theirs.
pub(super) fn others(random: &mut Random, config: &mut Value, _: Place) {
    match random.below(4) {
        0 if has(config, "pid") => mount(config, "/mnt/proc", "proc", "proc", &["ro", "nosuid"]),
        1 if has(config, "network") => mount(config, "/mnt/sys", "sysfs", "sysfs", &["ro"]),
        2 if has(config, "ipc") => mount(config, "/mnt/mqueue", "mqueue", "mqueue", &[]),
        _ => mount(config, "/mnt/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0600"]),
    }
}

/// The propagation of some mounts.
pub(super) fn propagating(random: &mut Random, config: &mut Value, _: Place) {
    const KINDS: &[&str] = &[
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
    ];
    for mount in config["mounts"].as_array_mut().into_iter().flatten().skip(1) {
        if random.percent(30) {
            push(&mut mount["options"], json!(random.one(KINDS)));
        }
    }
}

pub(super) fn recursive(random: &mut Random, config: &mut Value, _: Place) {
    const RECURSIVE: &[&str] =
        &["rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rrelatime", "rrw", "rnodiratime"];
    let mut options = random.some(RECURSIVE, 25);
    options.push("rbind");
    random.shuffle(&mut options);
    mount(config, "/mnt", "bind", &format!("{STAGE}/sources/tree"), &options);
}

/// Those that take an attribute away, beside those that give it.
pub(super) fn more_recursive(random: &mut Random, config: &mut Value, _: Place) {
    const MORE: &[&str] = &[
        "rro",
        "rsuid",
        "rnosuid",
        "rdev",
        "rexec",
        "rnoexec",
        "rdiratime",
        "rsymfollow",
        "rnosymfollow",
    ];
    let mut options = random.some(MORE, 30);
    options
        .extend(["rbind", *random.one::<&str>(&["nosuid", "nodev", "noexec", "ro", "nodiratime"])]);
    random.shuffle(&mut options);
    mount(config, "/mnt/made", "bind", &format!("{STAGE}/sources/tree"), &options);
}

/// Options that few documents have, and no type.
pub(super) fn rare_options(random: &mut Random, config: &mut Value, _: Place) {
    const RARE: &[&str] = &[
        "defaults",
        "sync",
        "async",
        "dirsync",
        "lazytime",
        "nolazytime",
        "silent",
        "loud",
        "iversion",
        "noiversion",
        "nosymfollow",
        "symfollow",
        "mand",
        "nomand",
    ];
    let at = random.below(3);
    for mount in config["mounts"].as_array_mut().into_iter().flatten().skip(1) {
        if random.percent(30) {
            push(&mut mount["options"], json!(random.one(RARE)));
        }
        let is_bind = texts(&mount["options"]).any(|option| option.ends_with("bind"));
        if let Some(members) = mount.as_object_mut().filter(|_| is_bind && at == 0) {
            members.remove("type");
        }
    }
}

/// The mounts after /proc in another order.
pub(super) fn shuffled(random: &mut Random, config: &mut Value, _: Place) {
    if let Some([_, rest @ ..]) = config["mounts"].as_array_mut().map(Vec::as_mut_slice) {
        random.shuffle(rest);
    }
}

pub(super) fn readonly_root(_: &mut Random, config: &mut Value, _: Place) {
    config["root"]["readonly"] = json!(true);
}

pub(super) fn rootfs_propagation(random: &mut Random, config: &mut Value, _: Place) {
    config["linux"]["rootfsPropagation"] = json!(random.one(&[
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
    ]));
}

pub(super) fn masked(random: &mut Random, config: &mut Value, _: Place) {
    const PATHS: &[&str] = &[
        "/proc/acpi",
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/scsi",
        "/sys/firmware",
        "/data",
        "/data/file",
        "/etc/hosts",
        "/missing",
        "/link",
        "/proc/sys/net",
        "/full",
    ];
    config["linux"]["maskedPaths"] = json!(random.some(PATHS, 25));
}

pub(super) fn readonly(random: &mut Random, config: &mut Value, _: Place) {
    const PATHS: &[&str] = &[
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/sys",
        "/proc/sysrq-trigger",
        "/data",
        "/data/file",
        "/tmp",
        "/missing/too",
        "/link",
        "/dev",
        "/dev/shm",
        "/full",
        "/mnt",
    ];
    config["linux"]["readonlyPaths"] = json!(random.some(PATHS, 25));
}

pub(super) fn devices(random: &mut Random, config: &mut Value, _: Place) {
    // A user namespace binds the host's node of the same path.
    let in_user = has(config, "user");
    const NODES: &[(&str, &str, u32, u32)] = &[
        ("/dev/kmsg", "c", 1, 11),
        ("/dev/full", "c", 1, 7),
        ("/dev/fuse", "c", 10, 229),
        ("/dev/null", "c", 1, 3),
    ];
    const MORE: &[(&str, &str, u32, u32)] = &[
        ("/dev/one", "c", 1, 5),
        ("/dev/sub/two", "u", 1, 8),
        ("/dev/block", "b", 7, 1),
        ("/opt/elsewhere", "c", 1, 5),
        ("/dev/pipe", "p", 0, 0),
        ("/link/node", "c", 1, 3),
    ];
    let mut chosen = random.some(NODES, 30);
    if !in_user {
        chosen.extend(random.some(MORE, 30));
    }
    for (path, kind, major, minor) in chosen {
        let mut device = json!({ "path": path, "type": kind });
        if kind != "p" {
            device["major"] = json!(major);
            device["minor"] = json!(minor);
        }
        if random.percent(60) {
            device["fileMode"] = json!(random.one(&[0o600, 0o666, 0o640, 0o777, 0o444]));
        }
        if random.percent(40) {
            device["uid"] = json!(random.one(&[0, 1000]));
            device["gid"] = json!(random.one(&[0, 5, 1000]));
        }
        push(&mut config["linux"]["devices"], device);
    }
}
