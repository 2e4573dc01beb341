//! A config.json that cannot be carried out is refused with exit code 1 and one
//! sentence that names the field. Nothing is left behind.

use std::fs;

use serde_json::{Value, json};

use super::container::{refused, words};
use super::edit::without_namespace;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "bad_config",
    missing_config_is_refused[Root],
    invalid_json_is_refused_with_its_place[Root],
    deep_nesting_is_refused[Root],
    huge_config_is_refused[Root],
    wrong_type_is_refused_with_its_field[Root],
    version_of_another_major_is_refused[Root],
    version_of_a_later_minor_is_accepted[Root],
    missing_required_field_is_refused[Root],
    unknown_names_are_refused[Root],
    contradictory_namespaces_are_refused[Root],
    numbers_out_of_range_are_refused[Root],
    unsupported_config_is_refused_with_its_field[Root],
    limits_of_cgroup_v1_are_refused_by_v2 [Root, Cgroup2],
    rdt_without_resctrl_is_refused[Root],
    sysctl_of_the_host_is_refused[Root],
    unusable_cgroups_path_is_refused[Root],
    unknown_seccomp_names_are_refused[Root],
    invalid_devices_are_refused[Root],
    unknown_field_is_ignored[Root],
);

/// Checks that `create` and `run` refuse the config with `text`, and leave nothing.
fn check(context: &Context, text: &str, edit: impl FnOnce(&mut Value)) -> Result<(), String> {
    let bundle = context.bundle(edit)?;
    check_bundle(context, &bundle.path, text)
}

fn check_bundle(context: &Context, path: &std::path::Path, text: &str) -> Result<(), String> {
    for verb in ["create", "run"] {
        let before = context.leftovers();
        let mut command = context.command(&[verb, "--bundle"]);
        let done = context.run(command.arg(path).arg(context.id()))?;
        refused(&done, text).map_err(|why| format!("{verb}, {text}: {why}"))?;
        same("whether it contains a NUL", done.stderr.contains('\0'), false)?;
        same("whether its length is sane", done.stderr.len() < 2000, true)?;
        context.nothing_left_since(&before)?;
        let children = fs::read_to_string("/proc/thread-self/children").map_err(words)?;
        same("zombies", children.trim(), "").map_err(|why| format!("{text}: {why}"))?;
    }
    Ok(())
}

/// Sets the field at `pointer`, a JSON pointer (RFC 6901), and checks.
fn check_field(context: &Context, pointer: &str, value: Value, text: &str) -> Result<(), String> {
    check(context, text, |config| set(config, pointer, value))
}

fn set(config: &mut Value, pointer: &str, value: Value) {
    let mut at = config;
    for name in pointer.split('/').skip(1) {
        at = match name.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[name],
        };
    }
    *at = value;
}

/// Checks a config.json with this content.
fn check_text(context: &Context, config: &[u8], text: &str) -> Result<(), String> {
    let bundle = context.bundle(|_| {})?;
    fs::write(bundle.path.join("config.json"), config).map_err(words)?;
    check_bundle(context, &bundle.path, text)
}

fn missing_config_is_refused(context: &Context) -> Outcome {
    let bundle = context.bundle(|_| {})?;
    fs::remove_file(bundle.path.join("config.json")).map_err(words)?;
    check_bundle(context, &bundle.path, "config.json: ENOENT (no such file or directory)")?;
    fs::create_dir(bundle.path.join("config.json")).map_err(words)?;
    check_bundle(context, &bundle.path, "config.json: EISDIR (is a directory)")?;
    Ok(check_bundle(context, &bundle.path.join("nowhere"), "nowhere: ENOENT")?)
}

fn invalid_json_is_refused_with_its_place(context: &Context) -> Outcome {
    check_text(context, b"", "line 1 column 0")?;
    check_text(context, b"\x7fELF\x02\x01\x01\0\0", "line 1 column 1")?;
    check_text(context, b"{\n  \"ociVersion\": \"1.0.2\",\n  nonsense\n}", "line 3 column 3")?;
    check_text(context, b"{\"ociVersion\": \"\xff\xfe\"}", "line 1")?;
    check_text(context, b"{\"ociVersion\": \"1.0.2\",}", "line 1 column 24")?;
    let whole = context.bundle(|_| {})?;
    let text = fs::read(whole.path.join("config.json")).map_err(words)?;
    for part in 1..8 {
        check_text(context, &text[..text.len() * part / 8], "line ")?;
    }
    let twice = [&text[..], b"{}"].concat();
    Ok(check_text(context, &twice, "trailing characters")?)
}

fn deep_nesting_is_refused(context: &Context) -> Outcome {
    check_text(context, "[".repeat(50_000).as_bytes(), "line 1")?;
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    check_text(context, deep.as_bytes(), "ociVersion")?;
    let deep = format!("{{\"annotations\":{}{}}}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    Ok(check_text(context, deep.as_bytes(), "line 1")?)
}

fn huge_config_is_refused(context: &Context) -> Outcome {
    let mut text = format!("{:#}", crate::bundle::base_config());
    text.push_str(&" ".repeat(100 << 20));
    Ok(check_text(context, text.as_bytes(), "larger than")?)
}

fn wrong_type_is_refused_with_its_field(context: &Context) -> Outcome {
    let wrong = [
        ("/process/args", json!("/probe"), "process.args"),
        ("/process/args/0", json!(1), "process.args[0]"),
        ("/process/user/uid", json!("root"), "process.user.uid"),
        ("/process/user/uid", json!(-1), "process.user.uid"),
        ("/process/user/gid", json!(1.5), "process.user.gid"),
        ("/process/terminal", json!("true"), "process.terminal"),
        ("/root", json!([]), "root"),
        ("/root/readonly", json!(0), "root.readonly"),
        ("/mounts", json!({}), "mounts"),
        ("/mounts/2/options", json!("ro"), "mounts[2].options"),
        ("/linux/namespaces/1/type", json!(null), "linux.namespaces[1]"),
        ("/linux/resources/memory", json!({"limit": "1G"}), "linux.resources.memory.limit"),
        ("/linux/maskedPaths/3", json!({}), "linux.maskedPaths[3]"),
        ("/hostname", json!(["a"]), "hostname"),
        ("/annotations", json!({"a": 1}), "annotations.a"),
        ("/process/rlimits/0/soft", json!(-1), "process.rlimits[0].soft"),
    ];
    for (pointer, value, field) in wrong {
        check_field(context, pointer, value, &format!("config.json: {field}: "))?;
    }
    Ok(())
}

fn version_of_another_major_is_refused(context: &Context) -> Outcome {
    for version in ["2.0.0", "0.9.0", "", "x", "1", "1.x.0", "one.two.three", "\u{0}"] {
        check_field(context, "/ociVersion", json!(version), "ociVersion")?;
    }
    Ok(())
}

fn version_of_a_later_minor_is_accepted(context: &Context) -> Outcome {
    for version in ["1.0.0", "1.0.0-rc5", "1.2.1+dev", "1.9.9", "1.100.0"] {
        let bundle = context.bundle(|config| {
            set(config, "/ociVersion", json!(version));
            set(config, "/process/args", json!(["/probe", "exit", "0"]));
        })?;
        context.run_bundle(&bundle)?.success().map_err(|why| format!("{version}: {why}"))?;
    }
    Ok(())
}

fn missing_required_field_is_refused(context: &Context) -> Outcome {
    let remove = |outer: &'static str, field: &'static str| {
        move |config: &mut Value| {
            let object = config.pointer_mut(outer).and_then(Value::as_object_mut);
            let _ = object.map(|object| object.remove(field));
        }
    };
    check(context, "ociVersion", remove("", "ociVersion"))?;
    check(context, "root", remove("", "root"))?;
    check(context, "process.cwd", remove("/process", "cwd"))?;
    check(context, "process.args", remove("/process", "args"))?;
    check(context, "root", remove("/root", "path"))?;
    check(context, "mounts[0]", remove("/mounts/0", "destination"))?;
    Ok(check(context, "linux.namespaces[0]", remove("/linux/namespaces/0", "type"))?)
}

fn unknown_names_are_refused(context: &Context) -> Outcome {
    let text = "linux.namespaces[1].type: unknown namespace type \"net\"";
    check_field(context, "/linux/namespaces/1/type", json!("net"), text)?;
    let text = "process.rlimits[0].type: unknown limit \"NOFILE\"";
    check_field(context, "/process/rlimits/0/type", json!("NOFILE"), text)?;
    let text = "linux.rootfsPropagation";
    check_field(context, "/linux/rootfsPropagation", json!("sideways"), text)?;
    let mount = json!({ "destination": "/x", "type": "nonsensefs", "source": "x" });
    check_field(context, "/mounts/4", mount, "mounts[4]")?;
    let offsets = json!({ "realtime": { "secs": 1 } });
    Ok(check_field(context, "/linux/timeOffsets", offsets, "linux.timeOffsets.realtime")?)
}

fn contradictory_namespaces_are_refused(context: &Context) -> Outcome {
    check_field(context, "/linux/namespaces/1/type", json!("pid"), "linux.namespaces[1]")?;
    let without = |kind: &'static str| move |config: &mut Value| without_namespace(config, kind);
    check(context, "hostname", without("uts"))?;
    check(context, "mount", without("mount"))?;
    let path = json!({ "type": "network", "path": "/no/such/namespace" });
    check_field(context, "/linux/namespaces/1", path, "linux.namespaces[1].path")?;
    let other_kind = json!({ "type": "network", "path": "/proc/self/ns/uts" });
    check_field(context, "/linux/namespaces/1", other_kind, "linux.namespaces[1].path")?;
    let no_namespace = json!({ "type": "network", "path": "/proc/self/status" });
    Ok(check_field(context, "/linux/namespaces/1", no_namespace, "linux.namespaces[1].path")?)
}

fn numbers_out_of_range_are_refused(context: &Context) -> Outcome {
    for (pointer, value, text) in [
        ("/process/user/uid", json!(u32::MAX), "process.user.uid"),
        ("/process/user/gid", json!(u32::MAX), "process.user.gid"),
        ("/process/user/uid", json!(1_u64 << 32), "process.user.uid"),
        ("/process/user/umask", json!(0o1000), "process.user.umask"),
        ("/process/user/additionalGids", json!([u32::MAX]), "process.user"),
        ("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj"),
        ("/process/oomScoreAdj", json!(-1001), "process.oomScoreAdj"),
        ("/process/rlimits/0/soft", json!(2048), "process.rlimits[0]"),
    ] {
        check_field(context, pointer, value, text)?;
    }
    let limit = json!({ "type": "RLIMIT_NOFILE", "hard": 10, "soft": 10 });
    let twice = json!([limit.clone(), limit]);
    Ok(check_field(context, "/process/rlimits", twice, "process.rlimits[1]")?)
}

fn unsupported_config_is_refused_with_its_field(context: &Context) -> Outcome {
    let rdt = json!({ "closID": "x" });
    check_field(context, "/linux/intelRdt", rdt, "config.json linux.intelRdt: ")?;
    let hook = json!([{ "path": "/no/such/hook" }]);
    for point in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let before = context.leftovers();
        let bundle = context.bundle(|config| config["hooks"] = json!({ point: hook.clone() }))?;
        refused(&context.run_bundle(&bundle)?, &format!("hooks.{point}"))?;
        context.nothing_left_since(&before)?;
    }
    Ok(())
}

fn limits_of_cgroup_v1_are_refused_by_v2(context: &Context) -> Outcome {
    for (field, value) in [
        ("memory/swappiness", json!(60)),
        ("memory/disableOOMKiller", json!(true)),
        ("memory/kernelTCP", json!(1 << 20)),
        ("memory/useHierarchy", json!(false)),
        ("cpu/realtimeRuntime", json!(1000)),
        ("cpu/realtimePeriod", json!(1000)),
        ("blockIO/leafWeight", json!(100)),
        ("network/classID", json!(1)),
    ] {
        let text = format!("linux.resources.{}: cgroup v2 ", field.replace('/', "."));
        check_field(context, &format!("/linux/resources/{field}"), value, &text)?;
    }
    let priorities = json!([{ "name": "lo", "priority": 1 }]);
    let text = "linux.resources.network.priorities[0]: cgroup v2 ";
    Ok(check_field(context, "/linux/resources/network/priorities", priorities, text)?)
}

/// No machine of ours has such a processor.
fn rdt_without_resctrl_is_refused(context: &Context) -> Outcome {
    let long = "x".repeat(256);
    for id in ["..", ".", "a/b", "/", &long] {
        check_field(
            context,
            "/linux/intelRdt",
            json!({ "closID": id }),
            "linux.intelRdt.closID: ",
        )?;
    }
    if fs::exists("/sys/fs/resctrl/schemata").unwrap_or(false) {
        return Ok(());
    }
    for field in ["closID", "l3CacheSchema", "memBwSchema"] {
        let text = "linux.intelRdt: no resctrl filesystem is mounted";
        check_field(context, "/linux/intelRdt", json!({ field: "L3:0=f" }), text)?;
    }
    let text = "linux.intelRdt: no resctrl filesystem is mounted";
    Ok(check_field(context, "/linux/intelRdt", json!({ "enableMonitoring": true }), text)?)
}

fn sysctl_of_the_host_is_refused(context: &Context) -> Outcome {
    for name in ["kernel.panic", "vm.swappiness", "fs.file-max", "../x", "a/../b"] {
        check_field(
            context,
            "/linux/sysctl",
            json!({ name: "1" }),
            &format!("linux.sysctl.{name}"),
        )?;
    }
    let share = |config: &mut Value| {
        set(config, "/linux/sysctl", json!({ "net.ipv4.ip_forward": "1" }));
        without_namespace(config, "network");
    };
    Ok(check(context, "linux.sysctl.net.ipv4.ip_forward", share)?)
}

fn unusable_cgroups_path_is_refused(context: &Context) -> Outcome {
    for path in ["../x", "../../x", "/../x", "/a/../../x", "a/..", ".."] {
        let text = format!("linux.cgroupsPath: \"{path}\" leads out of its parent");
        check_field(context, "/linux/cgroupsPath", json!(path), &text)?;
    }
    for (path, text) in [
        ("/", "linux.cgroupsPath: the root cgroup"),
        ("/.", "linux.cgroupsPath: the root cgroup"),
        ("a:b:c", "linux.cgroupsPath: \"a:b:c\" is for the systemd driver"),
        ("\u{0}", "linux.cgroupsPath"),
    ] {
        check_field(context, "/linux/cgroupsPath", json!(path), text)?;
    }
    Ok(())
}

fn unknown_seccomp_names_are_refused(context: &Context) -> Outcome {
    let profile = |action: &str, architecture: &str, rule: &str| {
        json!({ "defaultAction": action, "architectures": [architecture],
            "syscalls": [{ "names": ["mkdir"], "action": rule }] })
    };
    let (allow, x86) = ("SCMP_ACT_ALLOW", "SCMP_ARCH_X86_64");
    for (profile, text) in [
        (profile("SCMP_ACT_NONSENSE", x86, allow), "linux.seccomp.defaultAction"),
        (profile(allow, "SCMP_ARCH_Z80", allow), "linux.seccomp.architectures[0]"),
        (profile(allow, x86, "SCMP_ACT_NONSENSE"), "linux.seccomp.syscalls[0].action"),
    ] {
        check_field(context, "/linux/seccomp", profile, text)?;
    }
    let flags = json!({ "defaultAction": allow, "flags": ["SECCOMP_FILTER_FLAG_NONSENSE"] });
    check_field(context, "/linux/seccomp", flags, "linux.seccomp.flags")?;
    let syscall = json!({ "defaultAction": allow,
        "syscalls": [{ "names": ["a_syscall_of_tomorrow"], "action": "SCMP_ACT_ERRNO" }] });
    Ok(check_field(context, "/linux/seccomp", syscall, "linux.seccomp.syscalls[0].names[0]")?)
}

fn invalid_devices_are_refused(context: &Context) -> Outcome {
    for (device, text) in [
        (json!({ "path": "/dev/x", "type": "z", "major": 1, "minor": 3 }), "type"),
        (json!({ "path": "dev/x", "type": "c", "major": 1, "minor": 3 }), "path"),
        (json!({ "path": "/dev/../x", "type": "c", "major": 1, "minor": 3 }), "path"),
        (json!({ "path": "/dev/x", "type": "c", "major": -1, "minor": 3 }), "major"),
    ] {
        let text = format!("linux.devices[0].{text}");
        check_field(context, "/linux/devices", json!([device]), &text)?;
    }
    Ok(())
}

fn unknown_field_is_ignored(context: &Context) -> Outcome {
    // config.md, "Extensibility": unknown properties MUST be ignored.
    let bundle = context.bundle(|config| {
        config["org.example.unknown"] = json!({ "a": [1, 2, { "b": null }] });
        config["linux"]["unknown"] = json!(true);
    })?;
    context.run_bundle(&bundle)?.success()?;
    Ok(())
}
