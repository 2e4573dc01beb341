//! Hooks of all six kinds. Each is the probe, and notes what it sees outside of the rootfs.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::stage::{NOTES, STAGE};
use super::{Place, push};

/// All kinds, in the order in which they run.
const KINDS: &[&str] =
    &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

pub(super) fn add(random: &mut Random, config: &mut Value, _: Place) {
    // Its path is the container's, where the notes are a mount.
    const INSIDE: &str = "startContainer";
    let mut hooks = json!({});
    let mut fails = random.percent(10);
    for kind in random.some(KINDS, 45) {
        for number in 0..1 + random.below(2) {
            let top = if kind == INSIDE { "" } else { STAGE };
            let mut hook = json!({
                "path": format!("{top}/probe"),
                "args": ["hook", "note", format!("{top}/{NOTES}"), format!("{kind}{number}")],
            });
            if random.percent(50) {
                hook["env"] = json!(random.some(&["A=1", "PATH=/bin", "EMPTY=", "A=2"], 50));
            }
            if random.percent(30) {
                hook["timeout"] = json!(30);
            }
            if std::mem::take(&mut fails) {
                ["+", "exit", "3"].iter().for_each(|word| push(&mut hook["args"], json!(word)));
            }
            push(&mut hooks[kind], hook);
        }
    }
    if !hooks[INSIDE].is_null() {
        push(
            &mut config["mounts"],
            json!({
                "destination": "/notes", "type": "bind", "options": ["bind", "rw"],
                "source": format!("{STAGE}/notes"),
            }),
        );
    }
    config["hooks"] = hooks;
}

/// A hook that takes longer than it may.
pub(super) fn late(random: &mut Random, config: &mut Value, _: Place) {
    let kind = *random.one(&["prestart", "createRuntime", "createContainer", "poststop"]);
    let path = format!("{STAGE}/probe");
    let hook = json!({ "path": path, "args": ["hook", "sleep", "30"], "timeout": 1 });
    push(&mut config["hooks"][kind], hook);
}
