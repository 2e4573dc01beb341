//! The procfs that vial-init works with is the kernel's, and so is each file of it
//! that is written: nothing that is mounted there takes the kernel's place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::edit;
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "procfs",
    file_that_is_mounted_over_is_not_written[Root],
    folder_in_the_place_of_proc_is_refused[Root],
);

/// `run` of a bundle where a file or folder is bound on a place of the host's,
/// and these calls are missing.
fn run(
    context: &Context,
    bundle: &Bundle,
    file: &Path,
    place: &str,
    missing: &[libc::c_long],
) -> Result<Done, String> {
    let mut command = Command::new(&context.probe);
    command.args(["be", &format!("covered:{}:{place}", file.display())]).arg(&context.probe);
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    // No number of a call is so high.
    let missing = if missing.is_empty() { "9999".to_owned() } else { missing.join(",") };
    command.args(["refuse", &libc::ENOSYS.to_string(), &missing]).arg(&context.vial);
    command.arg("--root").arg(&context.state).args(["run", "--bundle"]);
    Ok(context.run(command.arg(&bundle.path).arg(context.id()))?)
}

/// CVE-2025-52881: what was written went where a mount led it.
fn file_that_is_mounted_over_is_not_written(context: &Context) -> Outcome {
    let file = context.folder.join("taken");
    fs::write(&file, "as it was").map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        config["linux"]["sysctl"] = json!({ "kernel.domainname": "written" });
    })?;
    for missing in [&[][..], &[libc::SYS_openat2]] {
        let done = run(context, &bundle, &file, "/proc/sys/kernel/domainname", missing)?;
        edit::words_of_refusal(&done, &["linux.sysctl.kernel.domainname", "open the procfs file"])?;
        let text = fs::read_to_string(&file).map_err(|e| e.to_string())?;
        same("what is in the file", text.as_str(), "as it was")?;
    }
    Ok(())
}

/// CVE-2019-16884: with all in it that vial itself asks for.
fn folder_in_the_place_of_proc_is_refused(context: &Context) -> Outcome {
    let fake = context.folder.join("proc");
    fs::create_dir_all(fake.join("self/fd")).map_err(|e| e.to_string())?;
    symlink(&context.vial, fake.join("self/exe")).map_err(|e| e.to_string())?;
    for number in 3..20 {
        let place = fake.join(format!("self/fd/{number}"));
        symlink(context.vial.with_file_name("vial-init"), place).map_err(|e| e.to_string())?;
    }
    let bundle = context.bundle(|_| {})?;
    let done = run(context, &bundle, &fake, "/proc", &[])?;
    Ok(edit::words_of_refusal(&done, &["/proc", "fstatfs(2): ENODEV"])?)
}
