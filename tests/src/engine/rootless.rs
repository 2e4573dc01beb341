//! An ordinary user whose subordinate ids come from /etc/subuid and /etc/subgid. The
//! host's own newuidmap and newgidmap map them.

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::{Value, json};

use crate::context::same;
use crate::runner::topic;
use crate::system::userns::{NOBODY, own, rootless, run_as_nobody, words};
use crate::{Context, Outcome};

topic!(
    "rootless",
    subordinate_ids_are_mapped_by_newuidmap[Newuidmap],
    ids_that_were_not_granted_are_refused[Newuidmap],
);

const FIRST: u32 = 300_000;
const COUNT: u32 = 1000;

/// Adds the user and its subordinate ids; the machine forgets them when it ends.
fn grant() -> Result<(), String> {
    for (file, line) in [
        ("/etc/passwd", format!("vialtest:x:{NOBODY}:{NOBODY}::/:/bin/sh\n")),
        ("/etc/group", format!("vialtest:x:{NOBODY}:\n")),
        ("/etc/subuid", format!("vialtest:{FIRST}:{COUNT}\n")),
        ("/etc/subgid", format!("vialtest:{FIRST}:{COUNT}\n")),
    ] {
        let text = fs::read_to_string(file).unwrap_or_default();
        if !text.contains(&line) {
            let mut open = OpenOptions::new();
            let file = open.append(true).create(true).open(file);
            file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

fn map(config: &mut Value, count: u32) {
    rootless(config);
    let map = json!([
        { "containerID": 0, "hostID": NOBODY, "size": 1 },
        { "containerID": 1, "hostID": FIRST, "size": count }
    ]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

fn subordinate_ids_are_mapped_by_newuidmap(context: &Context) -> Outcome {
    grant()?;
    let bundle = context.bundle(|config| {
        map(config, COUNT);
        let user = json!({ "uid": 7, "gid": 8, "additionalGids": [9] });
        config["process"]["user"] = user;
    })?;
    own(&bundle, NOBODY)?;
    let done = run_as_nobody(context, &bundle)?.success()?;
    let report: Value = serde_json::from_str(&done.stdout).map_err(|e| e.to_string())?;
    let ids = (&report["uid"], &report["gid"], &report["groups"]);
    same("the user", ids, (&json!(7), &json!(8), &json!([9])))?;
    for name in ["uid_map", "gid_map"] {
        same(name, words(&report[name]), ["0", "61234", "1", "1", "300000", "1000"])?;
    }
    Ok(same("setgroups", report["setgroups"].as_str().map(str::trim), Some("allow"))?)
}

fn ids_that_were_not_granted_are_refused(context: &Context) -> Outcome {
    grant()?;
    let bundle = context.bundle(|config| map(config, COUNT + 1))?;
    own(&bundle, NOBODY)?;
    let done = run_as_nobody(context, &bundle)?.failure()?;
    same(&format!("newuidmap's name in {done}"), done.stderr.contains("newuidmap"), true)?;
    let field = done.stderr.contains("config.json linux.uidMappings");
    Ok(same(&format!("the field in {done}"), field, true)?)
}
