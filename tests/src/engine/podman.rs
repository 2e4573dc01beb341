//! podman for the engine tests: its own storage, its own containers.conf, and an
//! image of busybox and the probe.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use vial_targets::command::OnPath;

use crate::context::Done;
use crate::engine::printed;
use crate::{Context, processes};

/// All of podman's files, in the machine's memory: created once per boot.
const HOME: &str = "/run/vial-engine";
/// The image's name.
pub(super) const IMAGE: &str = "box";
/// How long to wait for something to happen. Under TCG a call of podman takes
/// seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// podman, with the image imported.
pub(super) struct Podman<'a> {
    pub(super) context: &'a Context,
}

impl<'a> Podman<'a> {
    /// The first test after boot creates the storage and the image.
    pub(super) fn ready(context: &'a Context) -> Result<Self, String> {
        let podman = Self { context };
        let ready = Path::new(HOME).join("ready");
        if !ready.exists() {
            let image = make_image(context)?;
            configure(context)?;
            podman.success(&["import", &image.to_string_lossy(), IMAGE])?;
            fs::write(&ready, "").on_path("create", &ready)?;
        }
        Ok(podman)
    }

    /// A podman command with these arguments.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = in_storage(Command::new("podman"));
        command.args(words);
        command
    }

    /// Runs podman, and returns how it ended.
    pub(super) fn call(&self, words: &[&str]) -> Result<Done, String> {
        Ok(self.context.run(&mut self.command(words))?)
    }

    /// Runs podman, which must succeed. Returns what it printed, trimmed.
    pub(super) fn success(&self, words: &[&str]) -> Result<String, String> {
        printed("podman", words, self.call(words)?)
    }

    /// Runs `podman run --rm OPTIONS box WORDS`, and returns how it ended.
    pub(super) fn run(&self, options: &[&str], words: &[&str]) -> Result<Done, String> {
        self.call(&[&["run", "--rm"], options, &[IMAGE], words].concat())
    }

    /// What a shell in a new container prints, trimmed.
    pub(super) fn says(&self, options: &[&str], script: &str) -> Result<String, String> {
        self.success(&[&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())
    }

    /// Runs a shell by `podman run --detach`. Returns the container's name.
    pub(super) fn start(&self, options: &[&str], script: &str) -> Result<String, String> {
        let name = self.context.id();
        let front = ["run", "--detach", "--name", &name];
        self.success(&[&front, options, &[IMAGE, "sh", "-c", script]].concat())?;
        Ok(name)
    }

    /// Runs a shell on the host, where `$PODMAN` is podman's command. It sets up
    /// pipes, fds or a terminal.
    pub(super) fn shell(&self, script: &str) -> Result<Done, String> {
        let podman = self.command(&[]);
        let words = std::iter::once(podman.get_program()).chain(podman.get_args());
        let words: Vec<_> = words.map(std::ffi::OsStr::to_string_lossy).collect();
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).env("PODMAN", words.join(" "));
        shell.envs(podman.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ok(self.context.run(&mut shell)?)
    }

    /// The same in a terminal of 33 rows and 77 columns.
    pub(super) fn terminal(&self, script: &str) -> Result<Done, String> {
        in_terminal(script, |script| self.shell(script))
    }

    /// A field of `podman inspect`.
    pub(super) fn inspect(&self, name: &str, field: &str) -> Result<String, String> {
        self.success(&["inspect", "--format", &format!("{{{{.{field}}}}}"), name])
    }

    /// The pid of the container's process.
    pub(super) fn pid(&self, name: &str) -> Result<String, String> {
        self.inspect(name, "State.Pid")
    }

    /// Removes a container, running or not.
    pub(super) fn remove(&self, name: &str) -> Result<(), String> {
        self.success(&["rm", "--force", "--time", "0", name]).map(drop)
    }
}

impl Drop for Podman<'_> {
    /// Waits for conmon, and for the podman that conmon starts to clean up. The
    /// runner finds processes that do not exit.
    fn drop(&mut self) {
        let me = std::process::id();
        let _ = wait_until("conmon to exit", || Ok(processes::descendants(me).is_empty()));
    }
}

/// Adds the storage and the settings of these tests to a podman or buildah command.
pub(super) fn in_storage(mut command: Command) -> Command {
    command.env("CONTAINERS_CONF", configuration());
    command.args(["--root", &format!("{HOME}/storage"), "--runroot", &format!("{HOME}/run")]);
    command.args(["--storage-driver", "overlay"]);
    command
}

/// The path of containers.conf.
pub(super) fn configuration() -> PathBuf {
    Path::new(HOME).join("containers.conf")
}

/// The path of another one, which leaves podman its default cgroup manager: systemd.
pub(super) fn default_manager() -> PathBuf {
    Path::new(HOME).join("containers-systemd.conf")
}

/// The path of the image's root as a tar file.
pub(super) fn tar() -> PathBuf {
    Path::new(HOME).join("image.tar")
}

/// Saves the image in a format that other engines import. Returns its path.
pub(super) fn archive(podman: &Podman) -> Result<PathBuf, String> {
    let file = Path::new(HOME).join("archive.tar");
    if !file.exists() {
        podman.success(&["save", "--output", &file.to_string_lossy(), IMAGE])?;
    }
    Ok(file)
}

/// Runs a shell script in a terminal of 33 rows and 77 columns, made by script(1).
pub(super) fn in_terminal(
    script: &str,
    shell: impl FnOnce(&str) -> Result<Done, String>,
) -> Result<Done, String> {
    let inner = format!("stty rows 33 cols 77; exec {script}");
    let done = shell(&format!("exec script -qec \"{inner}\" /dev/null"))?;
    // script(1) ends its input with a NUL, which the terminal echoes. A terminal ends
    // lines with a carriage return.
    let stdout = done.stdout.replace(['\0', '\r'], "").replace("^@", "");
    Ok(Done { stdout, ..done })
}

/// Waits until `holds` returns true.
pub(super) fn wait_until(
    what: &str,
    mut holds: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let began = Instant::now();
    while !holds()? {
        if began.elapsed() > PATIENCE {
            return Err(format!("timed out waiting for {what}"));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Writes a tar file of the image's root: busybox, the probe, two users, and a directory
/// whose content a tmpfs or a volume may copy up.
fn make_image(context: &Context) -> Result<PathBuf, String> {
    let root = Path::new(HOME).join("image");
    match fs::remove_dir_all(&root) {
        // An earlier attempt failed half-way.
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => other.on_path("remove", &root)?,
    }
    for directory in ["bin", "etc", "tmp", "proc", "sys", "dev", "run", "root", "var/tmp", "data"] {
        let directory = root.join(directory);
        fs::create_dir_all(&directory).on_path("create", &directory)?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox"))
        .on_path("copy", Path::new("/bin/busybox"))?;
    fs::copy(&context.probe, root.join("bin/probe")).on_path("copy", &context.probe)?;
    let list = context.run(Command::new("/bin/busybox").arg("--list"))?.success()?.stdout;
    for applet in list.lines().filter(|applet| *applet != "busybox") {
        let link = root.join("bin").join(applet);
        std::os::unix::fs::symlink("busybox", &link).on_path("link", &link)?;
    }
    for (name, text) in [
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"),
        ("etc/group", "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n"),
        ("data/file", "from the image\n"),
        ("bin/not-executable", "#!/bin/sh\n"),
    ] {
        fs::write(root.join(name), text).on_path("write", &root.join(name))?;
    }
    for directory in ["tmp", "var/tmp"] {
        let directory = root.join(directory);
        fs::set_permissions(&directory, Permissions::from_mode(0o1777))
            .on_path("open", &directory)?;
    }
    let file = tar();
    let mut tar = Command::new("tar");
    context.run(tar.arg("-cf").arg(&file).arg("-C").arg(&root).arg("."))?.success()?;
    Ok(file)
}

/// Writes containers.conf, and the ids from which `--userns=auto` takes some.
fn configure(context: &Context) -> Result<(), String> {
    let runtime = context.vial.display();
    // podman recognises by its name what a runtime can do.
    let name = context.vial.file_name().unwrap_or_default().to_string_lossy();
    let configuration = format!(
        r#"
        [containers]
        log_driver = "k8s-file"
        netns = "none"
        [network]
        network_backend = "netavark"
        [engine]
        cgroup_manager = "cgroupfs"
        events_logger = "file"
        runtime = "{name}"
        runtime_supports_json = ["{name}"]
        runtime_supports_nocgroup = ["{name}"]
        [engine.runtimes]
        {name} = ["{runtime}"]
        "#
    );
    let manager = "cgroup_manager = \"cgroupfs\"";
    let by_systemd = configuration.replace(manager, "");
    for (file, text) in [(self::configuration(), configuration), (default_manager(), by_systemd)] {
        fs::write(&file, text).on_path("write", &file)?;
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        let path = Path::new(file);
        let others = fs::read_to_string(path).unwrap_or_default(); // There may be none.
        let text = format!("{others}containers:200000:1000000\n");
        fs::write(path, text).on_path("write", path)?;
    }
    Ok(())
}
