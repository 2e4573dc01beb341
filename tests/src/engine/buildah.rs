//! buildah on vial: builds images, and runs commands in containers.

use std::fs;
use std::process::Command;

use vial_targets::command::OnPath;

use crate::context::{Done, same};
use crate::engine::podman::{Podman, in_storage, tar};
use crate::engine::printed;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "buildah",
    build_runs_its_steps_and_keeps_their_files[Buildah],
    buildah_run_passes_output_and_exit_code[Buildah],
);

fn buildah(context: &Context, words: &[&str]) -> Result<Done, String> {
    let mut command = in_storage(Command::new("buildah"));
    Ok(context.run(command.args(words))?)
}

fn success(context: &Context, words: &[&str]) -> Result<String, String> {
    printed("buildah", words, buildah(context, words)?)
}

fn build_runs_its_steps_and_keeps_their_files(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let place = context.directory.join("Dockerfile");
    let steps =
        "FROM box\nRUN echo made > /made && mkdir /etc/x\nUSER 1000\nRUN id -u > /tmp/who\n";
    fs::write(&place, steps).on_path("write", &place)?;
    let (vial, file) = (context.vial.to_string_lossy(), place.to_string_lossy());
    let directory = context.directory.to_string_lossy();
    let words =
        ["build", "--runtime", &vial, "--isolation", "oci", "--network=none", "--pull-never"];
    success(context, &[&words[..], &["--tag", "built", "--file", &file, &directory]].concat())?;
    let said = podman.success(&["run", "--rm", "built", "cat", "/made", "/tmp/who"])?;
    same("what the steps made", said.as_str(), "made\n1000")?;
    Ok(podman.success(&["rmi", "built"]).map(drop)?)
}

fn buildah_run_passes_output_and_exit_code(context: &Context) -> Outcome {
    Podman::ready(context)?;
    let name = success(context, &["from", "scratch"])?;
    success(context, &["add", &name, &tar().to_string_lossy(), "/"])?;
    let vial = context.vial.to_string_lossy();
    let front = ["run", "--runtime", &vial, "--isolation", "oci", "--network=none", &name, "--"];
    let done = buildah(context, &[&front[..], &["sh", "-c", "echo out; exit 42"]].concat())?;
    same("exit code and output", (done.code, done.stdout.as_str()), (42, "out\n"))?;
    Ok(success(context, &["rm", &name]).map(drop)?)
}
