//! linux.netDevices: which network devices are moved, and their new names.

use std::collections::BTreeSet;

use vial_plan::NamespaceItem;

use super::{Namespaces, text, wrong};
use crate::config::Config;
use crate::error::Error;
use crate::host::Host;
use crate::namespace::kind;
use crate::plan::Plan;

/// The longest name of a network device, in bytes (IFNAMSIZ).
const LONGEST: usize = 15;

/// Adds the item that waits for the devices.
pub(super) fn plan(
    plan: &mut Plan,
    config: &Config,
    namespaces: &Namespaces,
    host: &Host,
) -> Result<(), Error> {
    let devices = &config.linux.net_devices;
    if devices.is_empty() {
        return Ok(());
    }
    let field = "linux.netDevices";
    namespaces.must_have(kind::NETWORK, field)?;
    if host.uid != 0 {
        return Err(wrong(field, "vial does not run as root, so it cannot move network devices"));
    }
    let mut new_names = BTreeSet::new();
    for (name, device) in devices {
        let field = format!("{field}[\"{name}\"]");
        check(name, &field)?;
        let new_name = if device.name.is_empty() { name } else { &device.name };
        let stem = new_name.strip_suffix("%d").unwrap_or(new_name);
        let field = format!("{field}.name");
        check(new_name, &field)?;
        if new_name != name && (stem.is_empty() || stem.contains('%')) {
            return Err(wrong(field, "% is only for %d at the end"));
        }
        if new_name == "lo" {
            return Err(wrong(field, "each network namespace has a device lo of its own"));
        }
        if stem == new_name && !new_names.insert(new_name) {
            let what = format_args!("another device gets the name {new_name}, too");
            return Err(wrong(field, what));
        }
        plan.net_devices.push((name.clone(), new_name.clone()));
    }
    let shown = plan.net_devices.iter().map(|(name, new_name)| match name == new_name {
        true => name.clone(),
        false => format!("{name} as {new_name}"),
    });
    let names = text(shown.collect::<Vec<_>>().join(", "), field)?;
    plan.push(&NamespaceItem::NetDevices { names: &names }, field);
    Ok(())
}

/// Refuses a name that the kernel refuses (dev_valid_name()).
fn check(name: &str, field: &str) -> Result<(), Error> {
    let is_wrong = |c: char| matches!(c, '/' | ':' | '\0' | '\x0b') || c.is_ascii_whitespace();
    match name {
        "" | "." | ".." => Err(wrong(field, format_args!("{name:?} is not a device's name"))),
        name if name.len() > LONGEST => {
            Err(wrong(field, format_args!("longer than the {LONGEST} bytes of a device's name")))
        }
        name if name.contains(is_wrong) => {
            Err(wrong(field, format_args!("{name:?} is not a device's name")))
        }
        _ => Ok(()),
    }
}
