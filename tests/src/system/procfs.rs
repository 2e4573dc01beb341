//! vial-init uses only the kernel's procfs: it refuses a file or directory that is mounted
//! over a part of it.

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

topic!("procfs", covered_procfs_file_is_not_written[Root], fake_proc_on_the_host_is_refused[Root],);

/// Runs a bundle while a file or directory is bound on `place` of the host, and these
/// system calls are missing.
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
    // No system call has such a high number.
    let missing = if missing.is_empty() { "9999".to_owned() } else { missing.join(",") };
    command.args(["refuse", &libc::ENOSYS.to_string(), &missing]).arg(&context.vial);
    command.arg("--root").arg(&context.state).args(["run", "--bundle"]);
    Ok(context.run(command.arg(&bundle.path).arg(context.id()))?)
}

/// CVE-2025-52881: a mount redirected what the runtime wrote to /proc.
fn covered_procfs_file_is_not_written(context: &Context) -> Outcome {
    let file = context.directory.join("taken");
    fs::write(&file, "as it was").map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        config["linux"]["sysctl"] = json!({ "kernel.domainname": "written" });
    })?;
    for missing in [&[][..], &[libc::SYS_openat2]] {
        let done = run(context, &bundle, &file, "/proc/sys/kernel/domainname", missing)?;
        edit::words_of_refusal(&done, &["linux.sysctl.kernel.domainname", "open the procfs file"])?;
        let text = fs::read_to_string(&file).map_err(|e| e.to_string())?;
        same("the content of the file", text.as_str(), "as it was")?;
    }
    Ok(())
}

/// CVE-2019-16884. The fake /proc has every file that vial itself opens.
fn fake_proc_on_the_host_is_refused(context: &Context) -> Outcome {
    let fake = context.directory.join("proc");
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
