//! The security contexts of pods and containers.

use std::fs;

use serde_json::json;
use vial_targets::command::OnPath;

use super::fields::{
    capabilities, linux_pod, namespaces, pod_security, profile, security, user_namespace,
};
use super::node::{Node, SCOPES};
use super::pods::{Pod, PodWanted, Wanted};
use super::protobuf::Message;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "cri-security",
    user_and_groups_are_as_asked[Containerd],
    capabilities_are_dropped_and_added[Containerd],
    root_paths_and_privileges_are_restricted[Containerd],
    seccomp_and_apparmor_profiles_are_as_asked[Containerd],
    privileged_container_has_all_that_the_node_has[Containerd],
    pod_has_a_user_namespace[Containerd],
);

/// A shell command that prints a field of its own status.
macro_rules! status {
    ($field:literal) => {
        concat!("grep '^", $field, ":' /proc/self/status | cut -f2; ")
    };
}

/// A container with this security context.
fn with(security: Message) -> Wanted {
    Wanted { security, ..Wanted::default() }
}

/// An Int64Value.
fn value(number: u64) -> Message {
    Message::new().number(1, number)
}

fn user_and_groups_are_as_asked(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let script = "id -u; id -g; id -G | tr ' ' '\n' | sort -n | xargs";
    let wanted = Message::new()
        .message(security::RUN_AS_USER, &value(1000))
        .message(security::RUN_AS_GROUP, &value(1234))
        .number(security::SUPPLEMENTAL_GROUPS, 3000)
        .number(security::SUPPLEMENTAL_GROUPS, 2_000_000_000);
    // The image puts user 1000 into group 2000.
    let said = pod.says(script, with(wanted))?;
    same("numbers", said.as_str(), "1000\n1234\n1234 2000 3000 2000000000")?;
    let wanted = Message::new().text(security::RUN_AS_USERNAME, "user");
    let said = pod.says(&format!("{script}; {}", status!("CapEff")), with(wanted))?;
    same("a name", said.as_str(), "1000\n1000\n1000 2000\n0000000000000000")?;
    Ok(pod.remove()?)
}

fn capabilities_are_dropped_and_added(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let script = concat!(status!("CapInh"), status!("CapEff"), status!("CapBnd"));
    let change = |drop: &[&str], add: &[&str]| {
        let all = Message::new().texts(capabilities::DROP, drop).texts(capabilities::ADD, add);
        with(Message::new().message(security::CAPABILITIES, &all))
    };
    // By capabilities(7), and containerd's defaults.
    let (default, sys_time, chown, bind) = (0xa804_25fb_u64, 1 << 25, 1, 1 << 10);
    for (drop, add, set) in [
        (&[][..], &[][..], default),
        (&["CHOWN"][..], &["SYS_TIME"][..], (default | sys_time) & !chown),
        (&["ALL"][..], &["NET_BIND_SERVICE"][..], bind),
    ] {
        let said = pod.says(script, change(drop, add))?;
        let wanted = format!("{:016x}\n{set:016x}\n{set:016x}", 0);
        same(&format!("without {drop:?}, with {add:?}"), said, wanted)?;
    }
    Ok(pod.remove()?)
}

fn root_paths_and_privileges_are_restricted(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let script = concat!(
        status!("NoNewPrivs"),
        "for path in / /tmp /dev/shm; do touch $path/x 2>&1 && echo $path; done; \
         cat /data/file; ls /var; head -c 1 /proc/timer_list | wc -c; \
         (echo 1 >/proc/sys/vm/drop_caches) 2>&1 && echo dropped; true"
    );
    // AppArmor would deny some of this, too.
    let unconfined = Message::new().number(profile::TYPE, profile::UNCONFINED);
    let free = Message::new().message(security::APPARMOR, &unconfined);
    let restricted = free
        .clone()
        .number(security::NO_NEW_PRIVS, 1)
        .number(security::READONLY_ROOTFS, 1)
        .texts(security::MASKED_PATHS, &["/data/file", "/none", "/var", "/proc/timer_list"])
        .texts(security::READONLY_PATHS, &["/none", "/proc/sys"]);
    let said = pod.says(script, with(free))?;
    let wanted = "0\n/\n/tmp\n/dev/shm\nfrom the image\ntmp\n1\ndropped";
    same("what is free", said.as_str(), wanted)?;
    let said = pod.says(script, with(restricted))?;
    let wanted = "1\ntouch: //x: Read-only file system\ntouch: /tmp/x: Read-only file system\n\
                  /dev/shm\n0\nsh: can't create /proc/sys/vm/drop_caches: Read-only file system";
    same("what is restricted", said.as_str(), wanted)?;
    Ok(pod.remove()?)
}

fn seccomp_and_apparmor_profiles_are_as_asked(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let script = concat!(
        status!("Seccomp"),
        "cat /proc/self/attr/current; mkdir /x 2>&1; unshare -U true 2>&1"
    );
    let both = |seccomp: &Message, apparmor: &Message| {
        let all = Message::new().message(security::SECCOMP, seccomp);
        with(all.message(security::APPARMOR, apparmor))
    };
    let default = Message::new().number(profile::TYPE, profile::RUNTIME_DEFAULT);
    let unconfined = Message::new().number(profile::TYPE, profile::UNCONFINED);
    let said = pod.says(&format!("{script}; true"), both(&default, &default))?;
    let wanted = "2\ncri-containerd.apparmor.d (enforce)\nunshare: unshare(0x10000000): \
                  Operation not permitted";
    same("the defaults", said.as_str(), wanted)?;
    let said = pod.says(script, both(&unconfined, &unconfined))?;
    same("unconfined", said.as_str(), "0\nunconfined")?;

    let file = context.directory.join("seccomp.json");
    let rule = json!({ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 76 });
    let own = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
    fs::write(&file, own.to_string()).on_path("write", &file)?;
    let own = Message::new().number(profile::TYPE, profile::LOCALHOST);
    let own = own.text(profile::LOCALHOST_REF, &file.to_string_lossy());
    let said = pod.says(script, both(&own, &unconfined))?;
    let wanted = "2\nunconfined\nmkdir: can't create directory '/x': Name not unique on network";
    same("a profile of the node", said.as_str(), wanted)?;
    Ok(pod.remove()?)
}

fn privileged_container_has_all_that_the_node_has(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let security = Message::new().number(pod_security::PRIVILEGED, 1);
    let pod = Pod::run(&node, SCOPES, PodWanted { security, ..PodWanted::default() })?;
    let script = concat!(
        status!("CapEff"),
        status!("Seccomp"),
        "cat /proc/self/attr/current; dd if=/dev/vda of=/dev/null bs=512 count=1 2>/dev/null; \
         echo $?; mkdir /sys/fs/cgroup/x; echo $?; test -w /proc/sys/kernel/hostname; echo $?"
    );
    let said = pod.says(script, with(Message::new().number(security::PRIVILEGED, 1)))?;
    let own = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let all = own.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap_or_default();
    same("what it has", said, format!("{all}\n0\nunconfined\n0\n0\n0"))?;
    Ok(pod.remove()?)
}

/// The pod's network is its own: before 1.35, Kubernetes allows no user namespace beside
/// the node's network.
fn pod_has_a_user_namespace(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let ids = Message::new()
        .number(user_namespace::HOST_ID, 300_000)
        .number(user_namespace::CONTAINER_ID, 0)
        .number(user_namespace::LENGTH, 65536);
    let users = Message::new().message(user_namespace::UIDS, &ids);
    let users = users.message(user_namespace::GIDS, &ids);
    let spaces = Message::new().number(namespaces::PID, namespaces::CONTAINER);
    let spaces = spaces.message(namespaces::USER, &users);
    let linux =
        Message::new().entry(linux_pod::SYSCTLS, "net.ipv4.ip_unprivileged_port_start", "80");
    let wanted = PodWanted { namespaces: Some(spaces), linux, ..PodWanted::default() };
    let pod = Pod::run(&node, SCOPES, wanted)?;
    let container = pod.start("touch /root/file; exec sleep 1000", Wanted::default())?;
    let script = "tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; id -u; \
                  stat -c %u:%g /bin /root/file; ip -4 -o address show dev eth0 | xargs; \
                  cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
    let said = container.says(script)?;
    same("its ids", said.starts_with("0 300000 65536\n 0 300000 65536\n0\n0:0\n0:0\n"), true)
        .map_err(|why| format!("{why}: {said}"))?;
    same("its network", said.contains("192.0.2.7/24") && said.ends_with("\n80"), true)
        .map_err(|why| format!("{why}: {said}"))?;
    let user = Message::new().message(security::RUN_AS_USER, &value(1000));
    same(
        "another user",
        pod.says("id -u; cat /data/file", with(user))?.as_str(),
        "1000\nfrom the image",
    )?;
    Ok(pod.remove()?)
}
