//! The process's privileges: capabilities, user, limits, keys and fds.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use serde_json::{Value, json};

use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome, sys};

topic!(
    "security",
    five_capability_sets_are_exactly_as_given [Root],
    ordinary_user_has_the_ambient_set [Root],
    ordinary_user_has_no_capability_without_ambient [Root],
    no_given_capabilities_mean_none [Root],
    callers_ambient_set_and_groups_are_dropped [Root],
    ambient_without_inheritable_is_left_out [Root],
    exec_has_no_inheritable_capability_by_default [Root],
    exec_cap_adds_no_inheritable_capability [Root],
    exec_cap_is_ambient_if_config_json_has_it_inheritable [Root],
    no_new_privs_is_as_given [Root],
    user_groups_and_umask_are_as_given [Root],
    kept_groups_replace_those_of_config_json [Root],
    home_comes_from_etc_passwd_or_is_the_root [Root],
    given_home_is_kept [Root],
    every_limit_is_as_given [Root],
    oom_score_adj_is_as_given [Root],
    process_leads_a_session_of_its_own [Root],
    session_keyring_is_new [Root, Keyrings],
    session_keyring_is_the_callers_on_request [Root, Keyrings],
    ordinary_user_can_open_its_stdio [Root],
    no_fd_of_the_caller_leaks [Root],
    no_fd_of_the_caller_leaks_into_exec [Root],
    working_directory_may_be_closed_to_the_user [Root],
);

/// Bits of capability sets, by capabilities(7).
const KILL: u64 = 1 << 5;
const NET_BIND_SERVICE: u64 = 1 << 10;
const CHOWN: u64 = 1;

fn sets(report: &Value) -> Result<[u64; 5], String> {
    let mut bits = [0; 5];
    for (place, name) in bits.iter_mut().zip(["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"]) {
        let text = report["capabilities"][name].as_str().unwrap_or_default();
        *place = u64::from_str_radix(text, 16).map_err(|e| format!("{name} {text:?}: {e}"))?;
    }
    Ok(bits)
}

fn give(config: &mut Value, sets: [&[&str]; 5]) {
    let [bounding, permitted, effective, inheritable, ambient] = sets;
    config["process"]["capabilities"] = json!({
        "bounding": bounding, "permitted": permitted, "effective": effective,
        "inheritable": inheritable, "ambient": ambient
    });
}

const ALL: &[&str] = &["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

fn five_capability_sets_are_exactly_as_given(context: &Context) -> Outcome {
    // For root, execve(2) computes the permitted and effective sets from the bounding and
    // inheritable ones: see capabilities(7). SECBIT_NOROOT is not set.
    let report = context.report(|config| {
        let some: &[&str] = &["CAP_KILL"];
        give(config, [ALL, ALL, ALL, some, some]);
    })?;
    let all = CHOWN | KILL | NET_BIND_SERVICE;
    Ok(same("the sets", sets(&report)?, [all, all, all, KILL, KILL])?)
}

fn ordinary_user_has_the_ambient_set(context: &Context) -> Outcome {
    let report = context.report(|config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        let two: &[&str] = &["CAP_KILL", "CAP_NET_BIND_SERVICE"];
        give(config, [ALL, ALL, ALL, two, &["CAP_KILL"]]);
    })?;
    let bounding = CHOWN | KILL | NET_BIND_SERVICE;
    let inheritable = KILL | NET_BIND_SERVICE;
    Ok(same("the sets", sets(&report)?, [bounding, KILL, KILL, inheritable, KILL])?)
}

fn ordinary_user_has_no_capability_without_ambient(context: &Context) -> Outcome {
    let report = context.report(|config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        give(config, [ALL, ALL, ALL, &[], &[]]);
    })?;
    Ok(same("the sets", sets(&report)?, [CHOWN | KILL | NET_BIND_SERVICE, 0, 0, 0, 0])?)
}

fn no_given_capabilities_mean_none(context: &Context) -> Outcome {
    let empty = context.report(|config| config["process"]["capabilities"] = json!({}))?;
    same("the sets", sets(&empty)?, [0; 5])?;
    let absent = context.report(|config| {
        config["process"].as_object_mut().map(|process| process.remove("capabilities"));
    })?;
    Ok(same("the sets", sets(&absent)?, [0; 5])?)
}

/// The caller has some, as a service may have from its manager.
fn callers_ambient_set_and_groups_are_dropped(context: &Context) -> Outcome {
    let some: &[&str] = &["CAP_KILL"];
    let bundle = context.bundle(|config| give(config, [ALL, ALL, ALL, some, &[]]))?;
    let path = bundle.path.to_string_lossy();
    for role in ["ambient:5", "groups:7"] {
        let mut command = context.command_as(role, &["run", "--bundle", &path, &context.id()]);
        let report = context.run(&mut command)?.success()?.json()?;
        let [.., inheritable, ambient] = sets(&report)?;
        same(role, [inheritable, ambient], [KILL, 0])?;
        same(role, &report["groups"], &json!([]))?;
    }
    Ok(())
}

fn ambient_without_inheritable_is_left_out(context: &Context) -> Outcome {
    let report = context.report(|config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        give(config, [ALL, ALL, ALL, &["CAP_CHOWN"], ALL]);
    })?;
    let [_, permitted, effective, inheritable, ambient] = sets(&report)?;
    same("ambient", ambient, CHOWN)?;
    Ok(same("the others", [permitted, effective, inheritable], [CHOWN; 3])?)
}

fn exec_has_no_inheritable_capability_by_default(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let [.., inheritable, ambient] = sets(&container.exec_report(&[])?)?;
    Ok(same("inheritable and ambient", [inheritable, ambient], [0, 0])?)
}

/// CVE-2022-29162, CVE-2022-27650: capabilities from `--cap` were inheritable too.
fn exec_cap_adds_no_inheritable_capability(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let report = container.exec_report(&["--cap", "CAP_CHOWN"])?;
    let [bounding, permitted, effective, inheritable, ambient] = sets(&report)?;
    same("the added capability", bounding & permitted & effective & CHOWN, CHOWN)?;
    Ok(same("inheritable and ambient", [inheritable, ambient], [0, 0])?)
}

/// Otherwise `--cap` does nothing for a user other than root: see capabilities(7).
fn exec_cap_is_ambient_if_config_json_has_it_inheritable(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |config| {
        give(config, [ALL, ALL, ALL, &["CAP_KILL"], &[]]);
    })?;
    let flags = ["--user", "1000", "--cap", "CAP_KILL", "--cap", "CAP_CHOWN"];
    let [_, permitted, effective, inheritable, ambient] = sets(&container.exec_report(&flags)?)?;
    Ok(same("the sets", [permitted, effective, inheritable, ambient], [KILL; 4])?)
}

fn no_new_privs_is_as_given(context: &Context) -> Outcome {
    for (asked, seen) in [(true, "1"), (false, "0")] {
        let report = context.report(|c| c["process"]["noNewPrivileges"] = asked.into())?;
        same("NoNewPrivs", report["no_new_privs"].as_str(), Some(seen))?;
    }
    Ok(())
}

/// podman lists a group there, also with --group-add=keep-groups.
fn kept_groups_replace_those_of_config_json(context: &Context) -> Outcome {
    let groups = |report: &Value| report["groups"].clone();
    let own = context.report(|config| {
        config["annotations"] = json!({ "run.oci.keep_original_groups": "1" });
    })?;
    let listed = context.report(|config| {
        config["annotations"] = json!({ "run.oci.keep_original_groups": "1" });
        config["process"]["user"]["additionalGids"] = json!([4711]);
    })?;
    Ok(same("the groups", groups(&listed), groups(&own))?)
}

fn user_groups_and_umask_are_as_given(context: &Context) -> Outcome {
    let report = context.report(|config| {
        config["process"]["user"] =
            json!({ "uid": 1234, "gid": 2345, "additionalGids": [7, 99, 65534], "umask": 0o27 });
    })?;
    same("uid", report["uid"].as_u64(), Some(1234))?;
    same("gid", report["gid"].as_u64(), Some(2345))?;
    same("umask", report["umask"].as_str(), Some("0027"))?;
    same("groups", &report["groups"], &json!([7, 99, 65534]))?;
    let plain = context.report(|_| {})?;
    same("groups", &plain["groups"], &json!([]))?;
    Ok(same("umask", plain["umask"].as_str(), Some("0022"))?)
}

fn home_comes_from_etc_passwd_or_is_the_root(context: &Context) -> Outcome {
    for (uid, home) in [(0, "/root"), (1000, "/home/board"), (4242, "/"), (10_000, "/")] {
        let bundle = context.bundle(|c| c["process"]["user"]["uid"] = uid.into())?;
        let lines = "root:x:0:0::/root:/bin/sh\nboard:x:1000:1000:A Board:/home/board:/bin/sh\n";
        fs::write(bundle.rootfs.join("etc/passwd"), lines).map_err(|e| e.to_string())?;
        let report = edit::report_of(context, &bundle)?;
        same("HOME", report["env"]["HOME"].as_str(), Some(home))?;
    }
    let none = context.report(|_| {})?;
    Ok(same("HOME without /etc/passwd", none["env"]["HOME"].as_str(), Some("/"))?)
}

fn given_home_is_kept(context: &Context) -> Outcome {
    let report = context.report(|c| c["process"]["env"] = json!(["HOME=/given", "A=b=c"]))?;
    same("HOME", report["env"]["HOME"].as_str(), Some("/given"))?;
    Ok(same("A", report["env"]["A"].as_str(), Some("b=c"))?)
}

fn every_limit_is_as_given(context: &Context) -> Outcome {
    // At most what root has without CAP_SYS_RESOURCE, and at least what the probe needs.
    const LIMITS: [(&str, u64, u64); 16] = [
        // A kernel of 32 bits holds no more.
        ("RLIMIT_AS", 1 << 30, 1 << 31),
        ("RLIMIT_CORE", 0, 1024),
        ("RLIMIT_CPU", 1000, 2000),
        ("RLIMIT_DATA", 1 << 30, 1 << 31),
        ("RLIMIT_FSIZE", 1 << 20, 1 << 21),
        ("RLIMIT_LOCKS", 10, 20),
        ("RLIMIT_MEMLOCK", 4096, 8192),
        ("RLIMIT_MSGQUEUE", 1000, 2000),
        ("RLIMIT_NICE", 0, 0),
        ("RLIMIT_NOFILE", 64, 128),
        ("RLIMIT_NPROC", 500, 600),
        ("RLIMIT_RSS", 1 << 30, 1 << 31),
        ("RLIMIT_RTPRIO", 0, 0),
        ("RLIMIT_RTTIME", 1_000_000, 2_000_000),
        ("RLIMIT_SIGPENDING", 100, 200),
        ("RLIMIT_STACK", 1 << 22, 1 << 23),
    ];
    let report = context.report(|config| {
        let limits = LIMITS
            .iter()
            .map(|(kind, soft, hard)| json!({ "type": kind, "soft": soft, "hard": hard }));
        config["process"]["rlimits"] = limits.collect();
    })?;
    for (name, soft, hard) in LIMITS {
        same(name, &report["rlimits"][name], &json!({ "soft": soft, "hard": hard }))?;
    }
    Ok(())
}

fn oom_score_adj_is_as_given(context: &Context) -> Outcome {
    let report = context.report(|config| config["process"]["oomScoreAdj"] = 321.into())?;
    Ok(same("oom_score_adj", report["oom_score_adj"].as_str(), Some("321"))?)
}

fn process_leads_a_session_of_its_own(context: &Context) -> Outcome {
    let report = context.report(|_| {})?;
    Ok(same("sid", report["sid"].as_u64(), Some(1))?)
}

fn session_keyring_is_new(context: &Context) -> Outcome {
    let own = json!(sys::session_keyring().map_err(|e| e.to_string())?);
    let report = context.report(|_| {})?;
    let seen = &report["session_keyring"];
    let name = seen["name"].as_str().unwrap_or_default();
    same(&format!("a name of its own: {name}"), name.starts_with("_ses."), true)?;
    Ok(same("the caller's keyring", seen["id"] == own, false)?)
}

fn session_keyring_is_the_callers_on_request(context: &Context) -> Outcome {
    let own = json!(sys::session_keyring().map_err(|e| e.to_string())?);
    let bundle = context.bundle(|_| {})?;
    let report = context.run_bundle_with(&bundle, &["--no-new-keyring"])?.success()?.json()?;
    Ok(same("the keyring", &report["session_keyring"]["id"], &own)?)
}

fn ordinary_user_can_open_its_stdio(context: &Context) -> Outcome {
    let words = ["write", "/dev/stdout", "seen", "+", "write", "/dev/stderr", ""];
    let done = edit::run(context, &words, |config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    })?
    .success()?;
    Ok(same("stdout", done.stdout.as_str(), "seen")?)
}

/// Fds of a host's directory that this process leaves open, without FD_CLOEXEC, in `vial`
/// and its children: CVE-2024-21626.
struct Leak(#[allow(dead_code, reason = "held open")] Vec<OwnedFd>);

impl Leak {
    fn new() -> Result<Self, String> {
        let mut held = Vec::new();
        for _ in 0..8 {
            let directory = fs::File::open("/").map_err(|e| e.to_string())?;
            // fcntl(2) F_DUPFD does not set FD_CLOEXEC.
            let arguments = [directory.as_raw_fd().cast_unsigned() as usize, 0, 3, 0, 0, 0];
            let copy = sys::call(libc::SYS_fcntl, arguments).map_err(|e| e.to_string())?;
            let copy = i32::try_from(copy).map_err(|e| e.to_string())?;
            held.push(sys::owned(copy));
        }
        Ok(Self(held))
    }
}

fn only_stdio(fds: &Value) -> Result<(), String> {
    let names: Vec<_> = fds.as_object().map(|fds| fds.keys().collect()).unwrap_or_default();
    same(&format!("the fds {fds}"), names.len(), 3)
}

fn no_fd_of_the_caller_leaks(context: &Context) -> Outcome {
    let _leak = Leak::new()?;
    Ok(only_stdio(&context.report(|_| {})?["fds"])?)
}

fn no_fd_of_the_caller_leaks_into_exec(context: &Context) -> Outcome {
    let _leak = Leak::new()?;
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    Ok(only_stdio(&container.exec_report(&[])?["fds"])?)
}

/// Root may enter the directory and the user may not. Like runc, vial changes the directory
/// before it changes the user.
fn working_directory_may_be_closed_to_the_user(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        config["process"]["cwd"] = "/etc/private".into();
        edit::deeds(config, &["echo", "entered"]);
    })?;
    let place = bundle.rootfs.join("etc/private");
    fs::create_dir(&place).map_err(|e| e.to_string())?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&place, mode).map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("what it printed", done.stdout.trim(), "entered")?)
}
