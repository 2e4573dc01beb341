//! A terminal for the process.

use serde_json::{Value, json};

use super::super::random::Random;
use super::Place;

pub(super) fn add(random: &mut Random, config: &mut Value, _: Place) {
    config["process"]["terminal"] = json!(true);
    if random.percent(70) {
        let (height, width) = *random.one(&[(24, 80), (1, 1), (0, 0), (50, 0), (1000, 65535)]);
        config["process"]["consoleSize"] = json!({ "height": height, "width": width });
    }
}
