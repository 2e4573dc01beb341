//! The container's user, and its privileges.

use std::fs;

use crate::context::same;
use crate::engine::NO_MKDIR;
use crate::engine::podman::Podman;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "podman-security",
    user_and_groups_are_the_given_ones[Podman],
    capabilities_are_podmans_default[Podman],
    capabilities_are_dropped_and_added[Podman],
    user_has_no_capabilities_of_its_own[Podman],
    privileged_has_all_that_the_host_has[Podman],
    no_new_privileges_is_set_on_request[Podman],
    seccomp_profile_is_the_one_given[Podman],
    seccomp_profile_is_podmans_unless_unconfined[Podman],
    sysctls_are_set_in_its_namespaces[Podman],
);

/// A shell command: prints the capability sets of /proc/self/status.
const CAPABILITIES: &str = "grep Cap /proc/self/status | cut -f2 | xargs";
/// Capabilities that some version of podman grants by default, by capabilities(7).
const NUMBERS: &[(&str, u32)] = &[
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_FOWNER", 3),
    ("CAP_FSETID", 4),
    ("CAP_KILL", 5),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_SETPCAP", 8),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_NET_RAW", 13),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_MKNOD", 27),
    ("CAP_AUDIT_WRITE", 29),
    ("CAP_SETFCAP", 31),
];
const NET_ADMIN: u64 = 1 << 12;
const NONE: &str = "0000000000000000";

/// podman's default capabilities. It must be asked: they differ by version and settings.
fn default_capabilities(podman: &Podman) -> Result<u64, String> {
    let names = podman.success(&["info", "--format", "{{.Host.Security.DefaultCapabilities}}"])?;
    names.split(',').try_fold(0, |set, name| {
        let known = NUMBERS.iter().find(|(known, _)| *known == name);
        known.map(|(_, number)| set | 1 << number).ok_or(format!("unknown capability {name}"))
    })
}

/// Formats a set as /proc/self/status does.
fn shown(set: u64) -> String {
    format!("{set:016x}")
}

fn user_and_groups_are_the_given_ones(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--user=user", "--group-add=3000", "--group-add=extra", "--umask=0027"];
    let script = "id -u; id -g; id -G | tr ' ' '\\n' | sort -n | xargs; umask; echo $HOME";
    let said = podman.says(&options, script)?;
    same("a named user", said.as_str(), "1000\n1000\n1000 2000 3000\n0027\n/tmp")?;
    let said = podman.says(&["--user=4321:8765"], "id -u; id -g; id -G")?;
    Ok(same("a user by number", said.as_str(), "4321\n8765\n8765")?)
}

fn capabilities_are_podmans_default(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let default = shown(default_capabilities(&podman)?);
    let wanted = [NONE, &default, &default, &default, NONE].join(" ");
    Ok(same("the capabilities", podman.says(&[], CAPABILITIES)?, wanted)?)
}

fn capabilities_are_dropped_and_added(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let said = podman.says(&["--cap-drop=all"], CAPABILITIES)?;
    same("none of them", said, [NONE; 5].join(" "))?;
    let said = podman.says(&["--cap-drop=all", "--cap-add=net_admin,sys_time"], CAPABILITIES)?;
    let two = "0000000002001000";
    Ok(same("two of them", said, [NONE, two, two, two, NONE].join(" "))?)
}

fn user_has_no_capabilities_of_its_own(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let default = default_capabilities(&podman)?;
    let said = podman.says(&["--user=1000"], CAPABILITIES)?;
    same("the capabilities", said, [NONE, NONE, NONE, &shown(default), NONE].join(" "))?;
    // A capability that is added by name becomes ambient, so that execve(2) keeps it.
    let said = podman.says(&["--user=1000", "--cap-add=net_admin"], CAPABILITIES)?;
    let (one, bounding) = (&shown(NET_ADMIN)[..], &shown(default | NET_ADMIN)[..]);
    Ok(same("one by name", said, [one, one, one, bounding, one].join(" "))?)
}

fn privileged_has_all_that_the_host_has(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let field = |name| status.lines().find_map(|line: &str| line.strip_prefix(name));
    let all = field("CapBnd:\t").unwrap_or_default();
    let script = format!(
        "{CAPABILITIES}; grep Seccomp: /proc/self/status | cut -f2; mount -t tmpfs x /mnt 2>&1 || mkdir \
         /mnt && mount -t tmpfs x /mnt && echo mounted; test -w /proc/sys/kernel/hostname && test -c \
         /dev/kmsg && mkdir /sys/fs/cgroup/sub && echo writable; wc -c < /proc/keys | grep -vx 0 >/dev/null && echo bare"
    );
    let said = podman.says(&["--privileged"], &script)?;
    let said: Vec<_> = said.lines().filter(|line| !line.contains("mounting")).collect();
    let capabilities = [NONE, all, all, all, NONE].join(" ");
    Ok(same(
        "what it may do",
        said,
        vec![capabilities.as_str(), "0", "mounted", "writable", "bare"],
    )?)
}

fn no_new_privileges_is_set_on_request(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "grep NoNewPrivs /proc/self/status | cut -f2";
    let options = ["--security-opt=no-new-privileges"];
    same("asked for", podman.says(&options, script)?.as_str(), "1")?;
    Ok(same("not asked for", podman.says(&[], script)?.as_str(), "0")?)
}

fn seccomp_profile_is_the_one_given(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let profile = context.directory.join("profile.json");
    fs::write(&profile, NO_MKDIR).map_err(|error| error.to_string())?;
    let option = format!("--security-opt=seccomp={}", profile.display());
    let said = podman.says(&[&option], "probe mkdir /tmp/x; touch /tmp/y && echo touched")?;
    Ok(same("what it may do", said.as_str(), "ETIMEDOUT\ntouched")?)
}

fn seccomp_profile_is_podmans_unless_unconfined(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    // move_pages(2) of no page needs no capability. Only the profile denies it.
    let call = format!("probe call {} 0 0 0 0 0 0", libc::SYS_move_pages);
    let script = format!("grep Seccomp: /proc/self/status | cut -f2; {call}");
    let done = podman.run(&[], &["sh", "-c", &script])?;
    same("under the profile", (done.code, done.stdout.as_str()), (1, "2\nEPERM\n"))?;
    let said = podman.says(&["--security-opt=seccomp=unconfined"], &script)?;
    Ok(same("unconfined", said.as_str(), "0\n0")?)
}

fn sysctls_are_set_in_its_namespaces(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let before =
        fs::read_to_string("/proc/sys/kernel/msgmax").map_err(|error| error.to_string())?;
    let options = ["--sysctl=kernel.msgmax=4444", "--sysctl=net.ipv4.ip_forward=1"];
    let said =
        podman.says(&options, "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward")?;
    same("what it sees", said.as_str(), "4444\n1")?;
    let after = fs::read_to_string("/proc/sys/kernel/msgmax").map_err(|error| error.to_string())?;
    Ok(same("the value on the host", after, before)?)
}
