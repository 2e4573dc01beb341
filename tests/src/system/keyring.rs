//! The session keyring of a container whose id is as long as an engine's.

use serde_json::{Value, json};

use super::edit::Container;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "keyring",
    keyring_may_be_searched_by_its_user [Root, Keyrings],
    exec_finds_the_keyring_of_the_container [Root, Keyrings],
    exec_shares_the_callers_keyring_if_create_did [Root, Keyrings],
    deleted_id_can_be_reused_at_once [Root, Keyrings],
);

fn keyring(report: &str) -> Result<Value, String> {
    let report: Value = serde_json::from_str(report).map_err(|e| e.to_string())?;
    Ok(report["session_keyring"].clone())
}

fn keyring_may_be_searched_by_its_user(context: &Context) -> Outcome {
    let seen = context.report(|_| {})?["session_keyring"].clone();
    Ok(same("the permissions", seen["permissions"].as_str(), Some("3f1b0000"))?)
}

fn exec_finds_the_keyring_of_the_container(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let first = keyring(&container.exec(&[], &["report"])?.success()?.stdout)?;
    same("its name", first["name"].as_str(), Some(&*format!("_ses.{}", container.id)))?;
    let second = keyring(&container.exec(&[], &["report"])?.success()?.stdout)?;
    Ok(same("another exec's", &second["id"], &first["id"])?)
}

fn exec_shares_the_callers_keyring_if_create_did(context: &Context) -> Outcome {
    let own = json!(crate::sys::session_keyring().map_err(|e| e.to_string())?);
    let bundle = context.probe_bundle(&["sleep", "60"])?;
    let container = Container::create_with(context, bundle, &["--no-new-keyring"])?;
    context.vial(&["start", &container.id])?.success()?;
    let seen = keyring(&container.exec(&[], &["report"])?.success()?.stdout)?;
    Ok(same("the keyring", &seen["id"], &own)?)
}

fn deleted_id_can_be_reused_at_once(context: &Context) -> Outcome {
    let id = context.id();
    for _ in 0..3 {
        let bundle = context.bundle(|_| {})?;
        let mut command = context.command(&["run", "--bundle"]);
        context.run(command.arg(&bundle.path).arg(&id))?.success()?;
    }
    Ok(())
}
