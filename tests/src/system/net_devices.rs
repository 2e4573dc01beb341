//! linux.netDevices: network devices of the host in the container. Each test has a
//! network namespace of its own as its host.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::container::{Container, nothing_left, refused, wait_until, words};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::sys;
use crate::{Context, Outcome};

topic!(
    "net_devices",
    device_keeps_its_addresses_and_is_up[Root, Iproute],
    device_gets_a_name_from_a_template[Root, Iproute],
    kernel_parameter_of_a_device_is_set[Root, Iproute],
    device_is_in_a_user_namespace[Root, Iproute, UserNamespaces],
    failed_create_gives_the_devices_back[Root, Iproute],
    joined_namespace_keeps_the_device[Root, Iproute],
    name_in_a_joined_namespace_is_not_taken_twice[Root, Iproute],
    devices_that_cannot_be_moved_are_refused[Root, Iproute],
);

/// Puts this process into a new network namespace with a pair of veth devices.
fn host_with(first: &str, second: &str) -> Result<(), String> {
    let flags = libc::CLONE_NEWNET as usize;
    sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0]).map_err(words)?;
    ip(&format!("link add {first} type veth peer name {second}"))
}

fn ip(arguments: &str) -> Result<(), String> {
    let done = Command::new("ip").args(arguments.split(' ')).output().map_err(words)?;
    let stderr = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("ip {arguments}: {stderr}")) }
}

/// The device of this name in the network namespace of a process, as ip-address(8) shows
/// it. Null if there is none.
fn device(pid: u64, name: &str) -> Result<Value, String> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{pid}/ns/net")).args(["ip", "-json", "address", "show"]);
    let all = command.output().map_err(words)?.stdout;
    let all: Value = serde_json::from_slice(&all).map_err(words)?;
    let mut all = all.as_array().cloned().unwrap_or_default().into_iter();
    Ok(all.find(|device| device["ifname"] == name).unwrap_or_default())
}

fn own(name: &str) -> Result<Value, String> {
    device(std::process::id().into(), name)
}

/// Its addresses, sorted, without those that the kernel makes itself.
fn addresses(device: &Value) -> Vec<String> {
    let all = device["addr_info"].as_array().cloned().unwrap_or_default();
    let global = all.iter().filter(|address| address["scope"] == "global");
    let word = |value: &Value| value.to_string().trim_matches('"').to_owned();
    let text = |address: &Value| {
        let (local, prefix) = (word(&address["local"]), word(&address["prefixlen"]));
        match address.get("address") {
            Some(peer) => format!("{local} peer {}/{prefix}", word(peer)),
            None => format!("{local}/{prefix}"),
        }
    };
    let mut texts: Vec<String> = global.map(text).collect();
    texts.sort();
    texts
}

fn is_up(device: &Value) -> bool {
    device["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"))
}

fn network(config: &mut Value, devices: Value) {
    edit::without_namespace(config, "network");
    edit::namespace(config, "network");
    config["linux"]["netDevices"] = devices;
    edit::deeds(config, &["sleep", "60"]);
}

fn device_keeps_its_addresses_and_is_up(context: &Context) -> Outcome {
    for up in [true, false] {
        let (first, second) = if up { ("v0", "v1") } else { ("w0", "w1") };
        host_with(first, second)?;
        let name = first;
        ip(&format!("link set {name} mtu 1400 address 02:00:00:00:00:07"))?;
        if up {
            ip(&format!("link set {name} up"))?;
        }
        for address in [
            "10.1.2.3/24 broadcast 10.1.2.255",
            "10.1.2.4/24",
            "10.7.0.1 peer 10.7.0.2/32",
            "fd00::1/64 nodad",
            "10.9.9.9/32 scope link",
            "10.9.9.10/32 valid_lft 1000 preferred_lft 1000",
        ] {
            ip(&format!("address add {address} dev {name}"))?;
        }
        let container = Container::created_from(context, |config| {
            network(config, json!({ name: { "name": "net0" } }));
        })?;
        let seen = device(container.pid()?, "net0")?;
        same("whether it is up", is_up(&seen), true)?;
        same(
            "its mtu and address",
            (&seen["mtu"], &seen["address"]),
            (&json!(1400), &json!("02:00:00:00:00:07")),
        )?;
        let wanted = ["10.1.2.3/24", "10.1.2.4/24", "10.7.0.1 peer 10.7.0.2/32", "fd00::1/64"];
        same("its addresses", addresses(&seen), wanted)?;
        same("the one on the host", own(name)?, Value::Null)?;
        container.remove()?;
    }
    Ok(())
}

fn device_gets_a_name_from_a_template(context: &Context) -> Outcome {
    host_with("v0", "v1")?;
    let container = Container::created_from(context, |config| {
        network(config, json!({ "v0": { "name": "eth%d" }, "v1": { "name": "eth%d" } }));
    })?;
    for name in ["eth0", "eth1"] {
        same(name, is_up(&device(container.pid()?, name)?), true)?;
    }
    Ok(container.remove()?)
}

fn kernel_parameter_of_a_device_is_set(context: &Context) -> Outcome {
    host_with("v0", "v1")?;
    let container = Container::created_from(context, |config| {
        network(config, json!({ "v0": {} }));
        config["linux"]["sysctl"] = json!({ "net.ipv4.conf.v0.arp_ignore": "1" });
    })?;
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/ns/net", container.pid()?));
    let seen = command.args(["cat", "/proc/sys/net/ipv4/conf/v0/arp_ignore"]).output();
    same("the parameter", &*seen.map_err(words)?.stdout, b"1\n")?;
    Ok(container.remove()?)
}

fn device_is_in_a_user_namespace(context: &Context) -> Outcome {
    host_with("v0", "v1")?;
    ip("address add 10.1.2.3/24 dev v0")?;
    let container = Container::created_from(context, |config| {
        network(config, json!({ "v0": {} }));
        edit::user_namespace(config, 100_000);
    })?;
    let seen = device(container.pid()?, "v0")?;
    same("it", (is_up(&seen), addresses(&seen)), (true, vec!["10.1.2.3/24".to_owned()]))?;
    Ok(container.remove()?)
}

fn failed_create_gives_the_devices_back(context: &Context) -> Outcome {
    host_with("v0", "v1")?;
    ip("address add 10.1.2.3/24 dev v0")?;
    ip("address add fd00::1/64 dev v0 nodad")?;
    ip("link set v0 up")?;
    let before = context.leftovers();
    let back = || {
        let device = own("v0")?;
        same("whether it is up", is_up(&device), true)?;
        same("its addresses", addresses(&device), ["10.1.2.3/24", "fd00::1/64"])?;
        same("the other one", own("v1")?["ifname"].as_str(), Some("v1"))
    };
    // The program is missing, which is found last.
    let container = Container::prepared_from(context, |config| {
        network(config, json!({ "v0": { "name": "net0" }, "v1": {} }));
        config["process"]["args"] = json!(["/no/such/program"]);
    })?;
    refused(&container.create(&[])?, "/no/such/program")?;
    back()?;
    // lo cannot be moved, which the kernel says after v0 has moved.
    let container = Container::prepared_from(context, |config| {
        network(config, json!({ "lo": { "name": "x" }, "v0": { "name": "net0" } }));
    })?;
    refused(&container.create(&[])?, "move network device lo")?;
    let container = Container::prepared_from(context, |config| {
        network(config, json!({ "v0": { "name": "net0" }, "v1": { "name": "net%d" } }));
        config["process"]["cwd"] = json!("/proc/1/nothing");
    })?;
    container.create(&[])?.failure()?;
    back()?;
    Ok(nothing_left(context, &before)?)
}

/// A network namespace that a process holds.
struct Held(Child);

impl Held {
    fn new() -> Result<Held, String> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "100"]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(words)?;
        let inode = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let pid = child.id().to_string();
        wait_until("the namespace", || inode(&pid).is_some_and(|it| Some(it) != inode("self")))?;
        Ok(Held(child))
    }

    fn pid(&self) -> u64 {
        self.0.id().into()
    }

    fn join(&self, config: &mut Value, devices: Value) {
        network(config, devices);
        edit::join(config, "network", &format!("/proc/{}/ns/net", self.pid()));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill(); // It has ended, should it fail.
        let _ = self.0.wait();
    }
}

fn joined_namespace_keeps_the_device(context: &Context) -> Outcome {
    host_with("v0", "v1")?;
    ip("address add 10.1.2.3/24 dev v0")?;
    let held = Held::new()?;
    let container =
        Container::created_from(context, |config| held.join(config, json!({ "v0": {} })))?;
    container.remove()?;
    same("its addresses", addresses(&device(held.pid(), "v0")?), ["10.1.2.3/24"])?;
    Ok(same("the one on the host", own("v0")?, Value::Null)?)
}

fn name_in_a_joined_namespace_is_not_taken_twice(context: &Context) -> Outcome {
    host_with("v0", "v1")?;
    let held = Held::new()?;
    ip(&format!("link add net0 netns {} type veth peer name net1", held.pid()))?;
    let before = context.leftovers();
    let container = Container::prepared_from(context, |config| {
        held.join(config, json!({ "v0": { "name": "net0" } }));
    })?;
    refused(&container.create(&[])?, "the container has a device net0 already")?;
    same("the one on the host", own("v0")?["ifname"].as_str(), Some("v0"))?;
    nothing_left(context, &before)?;
    let container = Container::created_from(context, |config| {
        held.join(config, json!({ "v0": { "name": "net%d" } }));
    })?;
    container.remove()?;
    Ok(same(
        "the template",
        is_up(&device(held.pid(), "net2")?) || is_up(&device(held.pid(), "net1")?),
        true,
    )?)
}

fn devices_that_cannot_be_moved_are_refused(context: &Context) -> Outcome {
    host_with("v0", "v1")?;
    let before = context.leftovers();
    for (devices, text) in [
        (json!({ "nope": {} }), "linux.netDevices[\"nope\"]: the host has no such network device"),
        (json!({ "v0": { "name": "sixteen-bytes-xx" } }), "longer than the 15 bytes"),
        (json!({ "v0": { "name": "a/b" } }), "linux.netDevices[\"v0\"].name: \"a/b\" is not"),
        (json!({ "v0": { "name": "a b" } }), "is not a device's name"),
        (json!({ "v0": { "name": ".." } }), "is not a device's name"),
        (json!({ "v0": { "name": "%d%d" } }), "% is only for %d at the end"),
        (json!({ "v0": { "name": "lo" } }), "has a device lo of its own"),
        (json!({ "v0": { "name": "x" }, "v1": { "name": "x" } }), "another device gets the name x"),
        (json!({ "v0": {}, "v1": { "name": "v0" } }), "another device gets the name v0"),
    ] {
        let container = Container::prepared_from(context, |config| network(config, devices))?;
        refused(&container.create(&[])?, text)?;
    }
    let container = Container::prepared_from(context, |config| {
        network(config, json!({ "v0": {} }));
        edit::without_namespace(config, "network");
    })?;
    refused(&container.create(&[])?, "linux.netDevices")?;
    let container = Container::prepared_from(context, |config| {
        network(config, json!({ "v0": {} }));
        edit::join(config, "network", "/proc/self/ns/net");
    })?;
    refused(&container.create(&[])?, "the host's own namespace")?;
    Ok(nothing_left(context, &before)?)
}
