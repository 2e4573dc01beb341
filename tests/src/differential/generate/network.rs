//! `linux.netDevices`, of the devices that [`super::super::network`] makes.

use serde_json::{Value, json};

use super::super::random::Random;
use super::{Place, has};

pub(super) fn devices(random: &mut Random, config: &mut Value, place: Place) {
    if !place.has_ip || !has(config, "network") {
        return;
    }
    let device = |name: &str| if name.is_empty() { json!({}) } else { json!({ "name": name }) };
    let first = device(random.one::<&str>(&["", "net0", "v0", "eth%d", "v1"]));
    config["linux"]["netDevices"] = match random.below(8) {
        0 => json!({ "v1": device(random.one::<&str>(&["", "v0", "eth0"])) }),
        1 => json!({ "v0": first, "v1": device(random.one::<&str>(&["", "eth%d", "eth0"])) }),
        2 => json!({ "missing": first }),
        _ => json!({ "v0": first }),
    };
    if random.percent(30) {
        config["linux"]["sysctl"]["net.ipv4.conf.all.arp_ignore"] = json!("1");
    }
}
