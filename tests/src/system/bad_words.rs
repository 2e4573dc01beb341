//! Attacks in words that an engine passes on: ids, users, paths of cgroups.

use serde_json::json;

use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "bad_words",
    cgroups_path_with_dots_is_refused[Root],
    ids_that_are_paths_are_refused[Root],
    user_that_is_no_number_is_refused[Root],
);

fn cgroups_path_with_dots_is_refused(context: &Context) -> Outcome {
    for path in ["/../x", "../../x", "/a/../../x", "/", "/."] {
        let why = if path.contains("..") { "out of its parent" } else { "the root of" };
        edit::refused(context, &["linux.cgroupsPath", why], |c| {
            c["linux"]["cgroupsPath"] = json!(path)
        })?;
    }
    Ok(())
}

fn ids_that_are_paths_are_refused(context: &Context) -> Outcome {
    let bundle = context.probe_bundle(&["echo", "ran"])?;
    let path = bundle.path.to_string_lossy().into_owned();
    for id in ["..", ".", "../x", "a/b", "/etc", "a\nb", "", "a b", &"x".repeat(5000)] {
        let before = context.leftovers();
        let done = context.vial(&["run", "--bundle", &path, "--", id])?.failure()?;
        same(&format!("{id:?} ran"), done.stdout.contains("ran"), false)?;
        edit::words_of_refusal(&done, &["invalid container id"])?;
        for verb in ["state", "delete", "kill", "start"] {
            let done = context.vial(&[verb, "--", id])?;
            edit::words_of_refusal(&done, &["invalid container id"])?;
        }
        context.nothing_left_since(&before)?;
    }
    Ok(())
}

/// CVE-2026-30892: a user that could not be read was another one.
fn user_that_is_no_number_is_refused(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    for user in ["1000x", "0x0", "", "-1", "1:", ":1", "1:2:3", "4294967296", " 1", "+1", "nobody"]
    {
        let done = container.exec(&["--user", user], &["echo", "ran"])?;
        edit::words_of_refusal(&done, &["--user", user])?;
    }
    Ok(())
}
