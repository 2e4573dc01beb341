//! The runtimes to compare, and one container under one of them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::mount::UnmountFlags;
use serde_json::Value;
use vial_targets::Error;
use vial_targets::command::{self, OnPath};

use super::listened;
use super::network;
use super::normal::{self, Seen};
use super::noted;
use super::stage::{HELPER, Helper, Stage};
use crate::processes;

/// The id of every container.
pub(super) const ID: &str = "vial-differential";
/// `linux.cgroupsPath` of most containers.
pub(super) const CGROUP: &str = "/vial-differential-group/container";
/// The annotations of a document that tell how many fds the runtime gets: for
/// `--preserve-fds`, and in LISTEN_FDS.
pub(super) const PRESERVED: &str = "differential.preserve-fds";
pub(super) const LISTENED: &str = "differential.listen-fds";
/// How long a container may take. Under TCG a start of runc takes seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A runtime.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    /// vial, crun or runc.
    pub(super) name: &'static str,
    /// Its version.
    pub(super) version: String,
    pub(super) program: PathBuf,
    /// Flags before the verb.
    flags: Vec<String>,
}

impl Runtime {
    /// vial, and the runtimes on this machine to compare it with. Without controllers,
    /// crun must not use cgroups: it sets a limit for its filter of devices that only a
    /// privileged host permits.
    pub(super) fn all(vial: &Path, controllers: bool) -> Vec<Runtime> {
        let beside = ["crun", "runc"].into_iter().filter_map(|name| {
            let program = ["/usr/bin", "/usr/sbin"].map(|d| Path::new(d).join(name));
            Some((name, program.into_iter().find(|path| path.is_file())?))
        });
        let mut all = Vec::new();
        for (name, program) in std::iter::once(("vial", vial.to_owned())).chain(beside) {
            let flag = (name == "crun" && !controllers).then(|| "--cgroup-manager=disabled".into());
            let version = version(&program);
            all.push(Runtime { name, version, program, flags: flag.into_iter().collect() });
        }
        all
    }

    /// Whether it puts containers into cgroups.
    pub(super) fn uses_cgroups(&self) -> bool {
        self.flags.is_empty()
    }

    pub(super) fn command(&self, stage: &Stage) -> Command {
        self.command_of(Command::new(&self.program), stage)
    }

    /// `run`, with the fds that the document asks for.
    pub(super) fn command_to_run(&self, stage: &Stage, config: &Value) -> Command {
        let count = |name: &str| {
            let text = config["annotations"][name].as_str();
            text.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0)
        };
        let (preserved, listened) = (count(PRESERVED), count(LISTENED));
        let mut command = match preserved + listened {
            0 => self.command(stage),
            all => {
                let probe = stage.directory.join("probe");
                let mut opener = Command::new(&probe);
                opener.args(["be", &format!("opened:{all}")]);
                if listened > 0 {
                    opener.arg(&probe).args(["be", "activated"]);
                }
                opener.arg(&self.program);
                self.command_of(opener, stage)
            }
        };
        if listened > 0 {
            command.env("LISTEN_FDS", listened.to_string());
        }
        command.arg("run");
        if preserved > 0 {
            command.args(["--preserve-fds", &preserved.to_string()]);
        }
        command.arg("--bundle").arg(stage.bundle());
        command
    }

    fn command_of(&self, mut command: Command, stage: &Stage) -> Command {
        command.arg("--root").arg(self.state(stage)).args(&self.flags).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(&stage.directory);
        command
    }

    fn state(&self, stage: &Stage) -> PathBuf {
        stage.directory.join("state").join(self.name)
    }

    /// Runs a container with this config.json, and returns what it is like.
    pub(super) fn run(&self, stage: &Stage, config: &Value) -> Result<Seen, Error> {
        let helper = config.to_string().contains(HELPER);
        let helper = helper.then(|| Helper::start(&stage.directory.join("probe"))).transpose()?;
        stage.put(config, helper.as_ref())?;
        let before = mount_points();
        let agent = listened::start(config, stage)?;
        let _host = network::Host::start(config)?;
        let (said, errors) = self.run_and_look(stage, config)?;
        // A container that a poststart hook ends may have reported before.
        let ended_by_hook = |report: &Value| {
            let hooks = config["hooks"]["poststart"].to_string();
            hooks.contains("\"exit\"") && report["end"] != "exit status: 0"
        };
        let said = said.filter(|(report, _)| !ended_by_hook(report));
        let mut seen = match &said {
            Some((report, cgroup)) => normal::seen(report, cgroup, helper.as_ref(), stage),
            None => Seen::refused(&errors),
        };
        if said.is_some() {
            for (path, what) in stage.files() {
                seen.add(&["rootfs", &path], what);
            }
        }
        seen.said = errors;
        noted::add(config, helper.as_ref(), stage, &mut seen);
        if let Some(agent) = agent.as_ref().filter(|_| said.is_some()) {
            listened::add(agent, stage, &mut seen);
        }
        self.clean(stage, &before, &mut seen)?;
        Ok(seen)
    }

    /// The container's report and the files of its cgroup, and what the runtime wrote to
    /// its stderr.
    fn run_and_look(
        &self,
        stage: &Stage,
        config: &Value,
    ) -> Result<(Option<(Value, Value)>, String), Error> {
        let errors = stage.directory.join("stderr");
        let file = File::create(&errors).on_path("create", &errors)?;
        if config["process"]["terminal"] == true {
            let seen = self.run_detached(stage, config, file)?;
            return Ok((seen, text_of(&errors)?));
        }
        let mut command = self.command_to_run(stage, config);
        command.arg(ID);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().on_path("start", &self.program)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, line) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.map(|out| BufReader::new(out).read_line(&mut text));
            let _ = sender.send(read.map(|_| text)); // The receiver may have given up.
        });
        let line = line.recv_timeout(PATIENCE);
        let is_late = line.is_err();
        let text = line.ok().flatten().unwrap_or_default();
        let report: Option<Value> = serde_json::from_str(&text).ok();
        let cgroup = normal::cgroup_files(&cgroup());
        drop(stdin); // The probe waits for the end of its stdin.
        if report.is_none() && !text.is_empty() || text.is_empty() && child.try_wait().is_err() {
            processes::kill_descendants(child.id());
        }
        let status = wait(&mut child)?;
        let said = text_of(&errors)?;
        let report = report.map(|mut report| {
            report["end"] = format!("{status}").into();
            (report, cgroup)
        });
        let errors = match (said.is_empty(), is_late) {
            (_, true) => format!("no report in {PATIENCE:?}: {status}: {said}"),
            (true, false) => format!("{status}: {text}"),
            (false, false) => said,
        };
        Ok((report, errors))
    }

    /// Tells what the container left behind, and removes it.
    fn clean(
        &self,
        stage: &Stage,
        before: &[(String, String)],
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        if entries(&self.state(stage)).any(|entry| entry.file_name() == ID) {
            seen.add(&["left", "state"], "yes".to_owned());
            let mut delete = self.command(stage);
            let _ = command::output(delete.args(["delete", "--force", ID])); // Best effort.
            let _ = fs::remove_dir_all(self.state(stage));
        }
        let cgroup = cgroup();
        if cgroup.is_dir() {
            seen.add(&["left", "cgroup"], "yes".to_owned());
            let _ = fs::remove_dir(&cgroup); // It may be in use for a moment more.
        }
        processes::end_descendants(std::process::id());
        // A container whose mounts are shared can change those of the host.
        for point in mount_points().iter().rev().filter(|point| !before.contains(point)) {
            seen.add(&["left", "mount", &point.1], "yes".to_owned());
            let _ = rustix::mount::unmount(&*point.1, UnmountFlags::DETACH); // Checked below.
        }
        if mount_points().iter().any(|point| !before.contains(point)) {
            return Err(Error::new("a mount of a container cannot be removed"));
        }
        Ok(())
    }
}

/// What a runtime wrote to its stderr.
fn text_of(errors: &Path) -> Result<String, Error> {
    let mut said = String::new();
    let read = File::open(errors).and_then(|file| file.take(4000).read_to_string(&mut said));
    read.on_path("read", errors)?;
    Ok(said)
}

/// The container's cgroup.
pub(super) fn cgroup() -> PathBuf {
    Path::new("/sys/fs/cgroup").join(&CGROUP[1..])
}

/// The mounts of this mount namespace, in their order: each with its id and its place.
fn mount_points() -> Vec<(String, String)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.nth(3)?.to_owned()))
    };
    mounts.lines().filter_map(point).collect()
}

/// Waits for a runtime to end. One that hangs is killed, with its container.
pub(super) fn wait(child: &mut std::process::Child) -> Result<std::process::ExitStatus, Error> {
    let began = std::time::Instant::now();
    loop {
        let status = child.try_wait();
        if let Some(status) = status.map_err(|error| Error::new(format!("wait: {error}")))? {
            return Ok(status);
        }
        if began.elapsed() > PATIENCE {
            processes::kill_descendants(child.id());
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The last word of the first line of `--version`.
fn version(program: &Path) -> String {
    let said = command::output(Command::new(program).arg("--version")).unwrap_or_default();
    said.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
}
