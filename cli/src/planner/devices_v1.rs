//! linux.resources.devices for cgroup v1, which knows no order of rules: it denies all
//! and lists what is allowed, or allows all and lists what is denied.

use super::device_filter::{ALL, BLOCK, CHAR, MKNOD, READ, WRITE, rules};
use super::wrong;
use crate::config::resources::DeviceRule;
use crate::error::Error;

/// What is written, in this order: the file and the value.
pub(super) type Writes = Vec<(&'static str, String)>;

/// An entry of the kernel's list. None matches any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    kind: i32,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

/// Turns the rules, of which a later one wins, into such a list. `is_new`: the cgroup
/// has no list of an earlier container.
pub(super) fn writes(devices: &[DeviceRule], is_new: bool) -> Result<Writes, Error> {
    let (mut allows, mut list): (bool, Vec<Entry>) = (false, Vec::new());
    let origin = |index: usize| match devices.get(index) {
        Some(_) => format!("linux.resources.devices[{index}]"),
        None => "linux.resources.devices".to_owned(),
    };
    for (index, rule) in rules(devices)?.into_iter().enumerate() {
        if rule.is_terminal() {
            (allows, list) = (rule.allow, Vec::new());
            continue;
        }
        for kind in [BLOCK, CHAR] {
            if rule.kind.is_some_and(|wanted| wanted != kind) {
                continue;
            }
            let entry = Entry { kind, major: rule.major, minor: rule.minor, access: rule.access };
            match rule.allow == allows {
                false => add(&mut list, entry),
                true if remove(&mut list, entry) => {}
                true => {
                    let what = "cgroup v1 cannot make an exception from an earlier rule";
                    return Err(wrong(origin(index), what)
                        .hint("let the earlier rule name only the devices that remain"));
                }
            }
        }
    }
    let mut writes = Vec::new();
    if !allows || !is_new {
        writes.push((if allows { "devices.allow" } else { "devices.deny" }, "a".to_owned()));
    }
    let file = if allows { "devices.deny" } else { "devices.allow" };
    writes.extend(list.iter().map(|entry| (file, entry.text())));
    Ok(writes)
}

/// The same for a container that is running, whose list this is now. What stays allowed
/// is allowed at every moment.
pub(super) fn changes(devices: &[DeviceRule], now: &str) -> Result<Writes, Error> {
    let all = writes(devices, false)?;
    let allows_all_now = now.starts_with('a');
    let [(first, _), new @ ..] = &all[..] else { return Ok(all) };
    if *first != "devices.deny" || allows_all_now {
        return Ok(all);
    }
    let mut changes = new.to_vec();
    for line in now.lines() {
        let Some((device, access)) = line.rsplit_once(' ') else { continue };
        let stays = |letter: &char| {
            let mut of_device = new.iter().filter_map(|(_, entry)| entry.rsplit_once(' '));
            of_device.any(|(other, stays)| other == device && stays.contains(*letter))
        };
        let gone: String = access.chars().filter(|letter| !stays(letter)).collect();
        if !gone.is_empty() {
            changes.push(("devices.deny", format!("{device} {gone}")));
        }
    }
    Ok(changes)
}

/// Adds an exception, to the entry for the same devices if there is one.
fn add(list: &mut Vec<Entry>, entry: Entry) {
    match list.iter_mut().find(|other| other.same_devices(&entry)) {
        Some(other) => other.access |= entry.access,
        None => list.push(entry),
    }
}

/// Takes exceptions back. False: one covers more than is taken back.
fn remove(list: &mut Vec<Entry>, entry: Entry) -> bool {
    for other in list.iter_mut().filter(|other| other.access & entry.access != 0) {
        match (entry.covers(other), other.overlaps(&entry)) {
            (true, _) => other.access &= !entry.access,
            (false, true) => return false,
            (false, false) => {}
        }
    }
    list.retain(|other| other.access != 0);
    true
}

impl Entry {
    fn same_devices(&self, other: &Entry) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }

    fn covers(&self, other: &Entry) -> bool {
        let covers = |own: Option<i32>, other| own.is_none() || own == other;
        self.kind == other.kind
            && covers(self.major, other.major)
            && covers(self.minor, other.minor)
    }

    fn overlaps(&self, other: &Entry) -> bool {
        let meet =
            |own: Option<i32>, other: Option<i32>| own.is_none() || other.is_none() || own == other;
        self.kind == other.kind && meet(self.major, other.major) && meet(self.minor, other.minor)
    }

    /// As in `c 1:3 rwm`.
    fn text(&self) -> String {
        let kind = if self.kind == BLOCK { 'b' } else { 'c' };
        let number = |number: Option<i32>| number.map_or("*".to_owned(), |n| n.to_string());
        let mut text = format!("{kind} {}:{} ", number(self.major), number(self.minor));
        for (letter, access) in [('r', READ), ('w', WRITE), ('m', MKNOD)] {
            if self.access & access & ALL != 0 {
                text.push(letter);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{changes, writes};
    use crate::config;
    use crate::config::resources::Resources;

    fn written(rules: &Value, is_new: bool) -> Result<Vec<String>, String> {
        let resources = json!({ "devices": rules }).to_string();
        let resources: Resources = config::parse(resources.as_bytes()).unwrap();
        let writes = writes(&resources.devices, is_new).map_err(|error| error.to_string())?;
        let line = |(file, value): (&str, String)| format!("{} {value}", &file[8..]);
        Ok(writes.into_iter().map(line).collect())
    }

    #[test]
    fn all_is_denied_and_the_rest_is_listed() {
        let default = written(&json!([]), true).unwrap();
        assert_eq!(default[..3], ["deny a", "allow b *:* m", "allow c *:* m"]);
        assert!(default.contains(&"allow c 1:3 rwm".to_owned()), "{default:?}");
        assert!(default.contains(&"allow c 136:* rwm".to_owned()), "{default:?}");
        let some = written(
            &json!([
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "b", "major": 8, "access": "r"},
                {"allow": true, "type": "b", "major": 8, "access": "w"},
                {"allow": true, "major": 9, "minor": 1, "access": "rw"},
                {"allow": true, "type": "c", "major": 7, "minor": 1, "access": "rw"},
                {"allow": false, "type": "c", "major": 7, "access": "w"},
            ]),
            true,
        )
        .unwrap();
        let wanted =
            ["deny a", "allow b 8:* rw", "allow b 9:1 rw", "allow c 9:1 rw", "allow c 7:1 r"];
        assert_eq!(some[..5], wanted);
    }

    #[test]
    fn a_list_of_an_earlier_container_is_replaced() {
        let all = json!([{"allow": true, "access": "rwm"}]);
        assert_eq!(written(&all, true).unwrap(), Vec::<String>::new());
        assert_eq!(written(&all, false).unwrap(), ["allow a"]);
        let but = json!([{"allow": true, "access": "rwm"},
            {"allow": false, "type": "b", "major": 8, "minor": 0, "access": "w"}]);
        assert_eq!(written(&but, true).unwrap(), ["deny b 8:0 w"]);
    }

    #[test]
    fn a_running_container_keeps_what_it_may_use() {
        let rules = json!([{"allow": true, "type": "b", "major": 8, "minor": 1, "access": "r"}]);
        let resources = json!({ "devices": rules }).to_string();
        let resources: Resources = config::parse(resources.as_bytes()).unwrap();
        let changes = |now| changes(&resources.devices, now).unwrap();
        let some = changes("b 8:1 rw\nc 1:3 rwm\nc 9:* rm\n");
        assert!(some.contains(&("devices.allow", "b 8:1 r".to_owned())), "{some:?}");
        let denied: Vec<_> = some.iter().filter(|(file, _)| *file == "devices.deny").collect();
        let wanted = ["b 8:1 w", "c 9:* rm"].map(|text| ("devices.deny", text.to_owned()));
        assert_eq!(denied, wanted.iter().collect::<Vec<_>>());
        assert_eq!(changes("a *:* rwm\n")[0], ("devices.deny", "a".to_owned()));
    }

    #[test]
    fn an_exception_from_a_rule_cannot_be_said() {
        let error = written(
            &json!([
                {"allow": true, "type": "c", "major": 10, "access": "rwm"},
                {"allow": false, "type": "c", "major": 10, "minor": 200, "access": "rwm"},
            ]),
            true,
        )
        .unwrap_err();
        assert!(error.contains("linux.resources.devices[1]: cgroup v1 cannot"), "{error}");
    }
}
