//! `vial run`: one container from start to end.

use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "run",
    container_sees_its_config [Root],
    run_returns_the_containers_exit_code [Root],
    config_may_be_another_file [Root],
    device_not_in_the_list_is_refused [Root],
    memory_limit_is_in_the_cgroup [Root, Cgroup2],
    nothing_is_left_of_a_container_that_ended [Root],
    nothing_is_left_of_a_container_that_cannot_start [Root],
);

fn container_sees_its_config(context: &Context) -> Outcome {
    let report = context.report(|config| {
        config["hostname"] = "board".into();
        config["process"]["cwd"] = "/tmp".into();
    })?;
    same("pid", report["pid"].as_u64(), Some(1))?;
    same("hostname", report["hostname"].as_str(), Some("board"))?;
    same("cwd", report["cwd"].as_str(), Some("/tmp"))?;
    Ok(same("no_new_privs", report["no_new_privs"].as_str(), Some("1"))?)
}

fn run_returns_the_containers_exit_code(context: &Context) -> Outcome {
    let bundle = context.probe_bundle(&["exit", "42"])?;
    Ok(same("the code", context.run_bundle(&bundle)?.code, 42)?)
}

/// As under crun. Paths in it still start at the bundle.
fn config_may_be_another_file(context: &Context) -> Outcome {
    let bundle = context.probe_bundle(&["exit", "42"])?;
    let file = context.directory.join(format!("other-{}", context.id()));
    std::fs::rename(bundle.path.join("config.json"), &file).map_err(|e| e.to_string())?;
    let run = |file: &std::path::Path| {
        let mut command = context.command(&["run", "--config"]);
        context.run(command.arg(file).arg("--bundle").arg(&bundle.path).arg(context.id()))
    };
    same("the code", run(&file)?.code, 42)?;
    let done = run(std::path::Path::new("/no/such/file"))?;
    Ok(super::container::refused(&done, "/no/such/file")?)
}

fn device_not_in_the_list_is_refused(context: &Context) -> Outcome {
    // mknodat(2) of a device with the numbers of /dev/mem, then opening it.
    let (mode, device) = ("0x21b6", "0x101");
    let number = libc::SYS_mknodat.to_string();
    let words =
        ["call", &number, "-100", ":/tmp/mem", mode, device, "+", "open-device", "/tmp/mem", "r"];
    let done = edit::run(context, &words, |config| {
        edit::capabilities(config, &["CAP_MKNOD", "CAP_SYS_RAWIO"]);
    })?;
    Ok(same("what mknodat and open printed", done.failure()?.stdout.trim(), "0\nEPERM")?)
}

fn memory_limit_is_in_the_cgroup(context: &Context) -> Outcome {
    let report = context.report(|config| {
        config["linux"]["resources"]["memory"] = serde_json::json!({ "limit": 64 << 20 });
        edit::show_cgroup(config, &["ro", "nosuid", "noexec", "nodev"]);
    })?;
    let seen = &report["cgroup_files"]["memory.max"];
    Ok(same("memory.max", seen.as_str(), Some("67108864"))?)
}

fn nothing_is_left_of_a_container_that_ended(context: &Context) -> Outcome {
    let before = context.leftovers();
    context.run_bundle(&context.probe_bundle(&["echo", "hello"])?)?.success()?;
    Ok(context.nothing_left_since(&before)?)
}

fn nothing_is_left_of_a_container_that_cannot_start(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle = context.bundle(|config| {
        config["process"]["args"] = serde_json::json!(["/no/such/program"]);
    })?;
    // A failure for any other reason would show nothing, so check the error.
    let done = context.run_bundle(&bundle)?.failure()?;
    same("whether the error names the program", done.stderr.contains("/no/such/program"), true)
        .map_err(|why| format!("{why}: {done}"))?;
    Ok(context.nothing_left_since(&before)?)
}
