//! vial supports what `vial features` lists, and nothing else.

use serde_json::{Value, json};

use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "features",
    every_listed_mount_option_is_vials_own,
    unlisted_mount_option_goes_to_the_filesystem,
    every_listed_namespace_can_be_new,
    every_listed_capability_can_be_kept,
    every_listed_seccomp_name_works,
    unlisted_seccomp_name_is_refused,
    feature_that_is_not_enabled_is_refused,
);

fn features(context: &Context) -> Result<Value, String> {
    let done = context.vial(&["features"])?.success()?;
    done.json()
}

/// A list of the features, which must not be empty.
fn list(features: &Value, pointer: &str) -> Result<Vec<String>, String> {
    let list = features.pointer(pointer).and_then(Value::as_array).ok_or(pointer)?;
    let list: Vec<String> = list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    if list.is_empty() { Err(format!("{pointer} is empty")) } else { Ok(list) }
}

fn plan(context: &Context, edit: impl FnOnce(&mut Value)) -> Result<Done, String> {
    let bundle = context.bundle(edit)?;
    Ok(context.vial(&["plan", "--bundle", &bundle.path.to_string_lossy()])?)
}

/// The plan's steps for a mount on /x with this option. Its type is tmpfs, or what the
/// option needs.
fn mounted(context: &Context, option: &str) -> Result<String, String> {
    let kind = if option == "remount" { "none" } else { "tmpfs" };
    let done = plan(context, |config| {
        let mut mount = json!({ "destination": "/x", "type": kind, "source": "/usr",
            "options": [option] });
        if BINDS.contains(&option) {
            mount["options"] = json!([option, "bind"]);
            let map = json!([{ "containerID": 0, "hostID": 1, "size": 1 }]);
            if option.ends_with("idmap") {
                mount["uidMappings"] = map.clone();
                mount["gidMappings"] = map;
            }
        }
        config["mounts"] = json!([mount]);
    })?
    .success()?;
    let acts = done.stdout.lines().filter(|line| line.contains("(mounts[0])"));
    Ok(acts.collect::<Vec<_>>().join("\n"))
}

/// Whether the file system gets the option. The plan lists it last then, after the
/// flags.
fn is_data(acts: &str, option: &str) -> bool {
    let first = acts.lines().next().unwrap_or_default();
    let with = first.split_once(" with ").map_or("", |(_, with)| with);
    let with = with.split("  (").next().unwrap_or_default();
    with.split(", ").any(|word| word == option)
}

/// Options that only a bind may have.
const BINDS: [&str; 5] = ["copy-symlink", "dest-nofollow", "idmap", "ridmap", "src-nofollow"];

/// Options that appear in the plan under their own name, as flags.
const FLAGS: [&str; 17] = [
    "copy-symlink",
    "dest-nofollow",
    "dirsync",
    "iversion",
    "lazytime",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nosuid",
    "nosymfollow",
    "relatime",
    "ro",
    "silent",
    "src-nofollow",
    "strictatime",
];

fn every_listed_mount_option_is_vials_own(context: &Context) -> Outcome {
    for option in list(&features(context)?, "/mountOptions")? {
        let acts = mounted(context, &option)?;
        let wanted = FLAGS.contains(&&*option) || option == "sync";
        same(&option, is_data(&acts, &option), wanted)
            .map_err(|why| format!("in the plan: {why}: {acts}"))?;
    }
    Ok(())
}

fn unlisted_mount_option_goes_to_the_filesystem(context: &Context) -> Outcome {
    let listed = list(&features(context)?, "/mountOptions")?;
    for option in ["size=1m", "noswap", "huge=never", "nosuidx", "rsize", "rnosize", "RO"] {
        same(option, listed.iter().any(|one| one == option), false)?;
        let acts = mounted(context, option)?;
        same(option, is_data(&acts, option), true).map_err(|why| format!("{why}: {acts}"))?;
    }
    Ok(())
}

fn namespaces(context: &Context, kind: &str) -> Result<Done, String> {
    plan(context, |config| {
        let mut all = vec![json!({ "type": "mount" })];
        if kind != "mount" {
            all.push(json!({ "type": kind }));
        }
        let map = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
        if kind == "user" {
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
        }
        config["linux"]["namespaces"] = json!(all);
        if let Some(config) = config.as_object_mut() {
            config.remove("hostname");
        }
    })
}

fn every_listed_namespace_can_be_new(context: &Context) -> Outcome {
    let listed = list(&features(context)?, "/linux/namespaces")?;
    same("the number", listed.len(), 8)?;
    for kind in listed {
        let done = namespaces(context, &kind)?.success()?;
        let new = done.stdout.lines().filter(|line| line.contains(" new "));
        let said: Vec<&str> = new.filter(|line| line.contains(&kind)).collect();
        same(&format!("{kind} in {done}"), said.is_empty(), false)?;
    }
    let done = namespaces(context, "syslog")?.failure()?;
    Ok(same("whether it names the field", done.stderr.contains("namespaces[1].type"), true)?)
}

fn every_listed_capability_can_be_kept(context: &Context) -> Outcome {
    let listed = list(&features(context)?, "/linux/capabilities")?;
    same("the number of capabilities", listed.len(), 41)?;
    for name in listed {
        let done = plan(context, |config| {
            config["process"]["capabilities"] = json!({ "bounding": [name] });
        })?
        .success()?;
        let kept = format!("limit the bounding set to {name}  (");
        same(&kept, done.stdout.contains(&kept), true).map_err(|why| format!("{why}: {done}"))?;
    }
    Ok(())
}

/// A seccomp profile with one word replaced.
fn profile(pointer: &str, word: &str) -> Value {
    let mut profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "flags": [],
        "listenerPath": "/agent",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO",
            "args": [{ "index": 0, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_EQ" }] }]
    });
    if pointer == "/flags" {
        profile["flags"] = json!([word]);
    } else if let Some(place) = profile.pointer_mut(pointer) {
        *place = json!(word);
    }
    profile
}

const WORDS: [(&str, &[&str]); 4] = [
    ("/linux/seccomp/actions", &["/defaultAction", "/syscalls/0/action"]),
    ("/linux/seccomp/operators", &["/syscalls/0/args/0/op"]),
    ("/linux/seccomp/archs", &["/architectures/0"]),
    ("/linux/seccomp/supportedFlags", &["/flags"]),
];

fn every_listed_seccomp_name_works(context: &Context) -> Outcome {
    let features = features(context)?;
    for (listed, places) in WORDS {
        for word in list(&features, listed)? {
            for place in places {
                let profile = profile(place, &word);
                let done = plan(context, |config| config["linux"]["seccomp"] = profile)?;
                let said = done.success().map_err(|why| format!("{word} at {place}: {why}"))?;
                same("a filter", said.stdout.contains("load a seccomp filter"), true)?;
            }
        }
    }
    Ok(())
}

fn unlisted_seccomp_name_is_refused(context: &Context) -> Outcome {
    let features = features(context)?;
    for (listed, word, place, field) in [
        ("actions", "SCMP_ACT_DENY", "/syscalls/0/action", "syscalls[0].action"),
        ("operators", "SCMP_CMP_XOR", "/syscalls/0/args/0/op", "syscalls[0].args[0].op"),
        ("archs", "SCMP_ARCH_Z80", "/architectures/0", "architectures[0]"),
        ("knownFlags", "SECCOMP_FILTER_FLAG_NEW_LISTENER", "/flags", "flags[0]"),
    ] {
        let all = list(&features, &format!("/linux/seccomp/{listed}"))?;
        same(word, all.iter().any(|one| one == word), false)?;
        let done = plan(context, |config| config["linux"]["seccomp"] = profile(place, word))?;
        let stderr = done.failure()?.stderr;
        same(word, stderr.contains(&format!("linux.seccomp.{field}")), true)
            .map_err(|why| format!("{why}: {stderr}"))?;
    }
    Ok(())
}

fn feature_that_is_not_enabled_is_refused(context: &Context) -> Outcome {
    let features = features(context)?;
    for (enabled, pointer, value) in
        [("/linux/intelRdt/enabled", "/linux/intelRdt", json!({ "closID": "x" }))]
    {
        if features.pointer(enabled).and_then(Value::as_bool) == Some(true) {
            continue; // Another test shows that it works.
        }
        let done = plan(context, |config| {
            let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
            if let Some(parent) = config.pointer_mut(parent) {
                parent[name] = value;
            }
        })?;
        let field = pointer.trim_start_matches('/').replace('/', ".");
        same(pointer, done.failure()?.stderr.contains(&field), true)?;
    }
    // Other tests show that hooks run at each of these.
    let points =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    same("the hooks", &features["hooks"], &json!(points))?;
    Ok(())
}
