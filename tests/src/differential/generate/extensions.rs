//! What only some of the runtimes have: mounts with mapped ids, mount options and
//! annotations of crun.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::stage::STAGE;
use super::{Place, has, push};

/// Binds whose files have other owners in the container.
pub(super) fn mapped_mounts(random: &mut Random, config: &mut Value, _: Place) {
    let line =
        |inside, outside, size| json!([{ "containerID": inside, "hostID": outside, "size": size }]);
    let destination = *random.one(&["/mnt", "/data", "/missing/mapped"]);
    let mut mount = json!({
        "destination": destination, "type": "bind", "source": format!("{STAGE}/sources/owned"),
        "options": [random.one(&["bind", "rbind"])],
    });
    match random.below(if has(config, "user") { 4 } else { 3 }) {
        0 => push(&mut mount["options"], json!("idmap=uids=0-3000-1#1-4000-10;gids=0-5000-20")),
        1 => push(&mut mount["options"], json!("idmap=uids=0-0-65536;gids=0-10-2000")),
        2 => {
            mount["uidMappings"] = line(0, 100_000, 65_536);
            mount["gidMappings"] = line(0, 1000, 5000);
        }
        _ => push(&mut mount["options"], json!(random.one(&["idmap", "ridmap"]))),
    }
    push(&mut config["mounts"], mount);
}

/// Symbolic links at the source and at the destination of a bind.
pub(super) fn links(random: &mut Random, config: &mut Value, _: Place) {
    let source = *random.one(&["link", "link-to-file", "dir", "file"]);
    let destinations = ["/copy", "/new/copy", "/dangling", "/link", "/etc/copied", "/absolute"];
    let mut options = vec!["bind"];
    match random.below(3) {
        0 => options.push("copy-symlink"),
        1 => options.push("src-nofollow"),
        _ => options.push("dest-nofollow"),
    }
    random.shuffle(&mut options);
    let mount = json!({
        "destination": random.one(&destinations), "type": "bind",
        "source": format!("{STAGE}/sources/{source}"), "options": options,
    });
    push(&mut config["mounts"], mount);
}

pub(super) fn annotations(random: &mut Random, config: &mut Value, _: Place) {
    if config["annotations"].is_null() {
        config["annotations"] = json!({});
    }
    match random.below(2) {
        0 => config["annotations"]["run.oci.keep_original_groups"] = json!("1"),
        _ => {
            config["annotations"]["run.oci.seccomp_fail_unknown_syscall"] =
                json!(random.one(&["0", "1"]));
        }
    }
}
