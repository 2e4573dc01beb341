//! The host name and the domain name. config.json may set each in two places.

use serde_json::json;

use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "names",
    name_may_be_set_twice_to_the_same_value[Root],
    name_set_to_two_values_is_refused[Root],
    name_may_be_set_by_its_sysctl_alone[Root],
);

const NAMES: [(&str, &str); 2] =
    [("hostname", "kernel.hostname"), ("domainname", "kernel/domainname")];

fn name_may_be_set_twice_to_the_same_value(context: &Context) -> Outcome {
    for (field, sysctl) in NAMES {
        let report = context.report(|config| {
            config[field] = json!("alike");
            config["linux"]["sysctl"] = json!({ sysctl: "alike" });
        })?;
        same(field, report[field].as_str(), Some("alike"))?;
    }
    Ok(())
}

fn name_set_to_two_values_is_refused(context: &Context) -> Outcome {
    for (field, sysctl) in NAMES {
        let wanted = format!("linux.sysctl.{sysctl}: \"other\" is not \"one\", which {field} says");
        edit::refused(context, &[&wanted], |config| {
            config[field] = json!("one");
            config["linux"]["sysctl"] = json!({ sysctl: "other" });
        })?;
    }
    Ok(())
}

fn name_may_be_set_by_its_sysctl_alone(context: &Context) -> Outcome {
    for (field, sysctl) in NAMES {
        let report = context.report(|config| {
            if let Some(config) = config.as_object_mut() {
                config.remove(field);
            }
            config["linux"]["sysctl"] = json!({ sysctl: "alone" });
        })?;
        same(field, report[field].as_str(), Some("alone"))?;
    }
    Ok(())
}
