//! Terminals: relayed by a run in the foreground, or sent over the console socket.

use std::fs::{self, File};
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Child;

use rustix::fs::OFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::{Value, json};

use super::container::{Container, reap, refused, wait_until, words};
use super::edit;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "terminal",
    run_relays_the_callers_terminal[Root],
    terminal_follows_the_callers_size[Root],
    callers_terminal_is_raw_during_a_run_and_then_restored[Root],
    all_output_of_a_terminal_arrives[Root],
    console_socket_receives_the_master[Root],
    console_socket_may_have_a_long_path[Root],
    console_has_the_size_of_config_json[Root],
    terminal_is_the_controlling_one[Root],
    exec_sends_its_terminal_over_a_console_socket[Root],
    terminal_without_a_console_socket_is_refused[Root],
    console_socket_without_a_terminal_is_refused[Root],
    missing_console_socket_is_refused[Root],
    create_fails_if_the_console_socket_closes_at_once[Root],
    console_that_is_a_link_is_refused[Root],
    ptmx_of_the_image_is_refused[Root],
);

/// A pseudoterminal for a test.
struct Pty {
    master: File,
    slave: File,
}

/// A pseudoterminal: its master and its slave.
pub(super) fn pair() -> Result<(File, File), String> {
    let pty = Pty::new(80, 24)?;
    Ok((pty.master, pty.slave))
}

impl Pty {
    fn new(columns: u16, rows: u16) -> Result<Self, String> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).map_err(words)?;
        grantpt(&master).map_err(words)?;
        unlockpt(&master).map_err(words)?;
        let name = ptsname(&master, Vec::new()).map_err(words)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).map_err(words)?;
        let pty = Self { master: File::from(master), slave: File::from(slave) };
        pty.resize(columns, rows)?;
        Ok(pty)
    }

    fn resize(&self, columns: u16, rows: u16) -> Result<(), String> {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).map_err(words)
    }

    /// Starts `run` with the slave as all of its streams.
    fn run(&self, container: &Container<'_>) -> Result<Child, String> {
        let mut command = container.command("run");
        let stream = || self.slave.try_clone().map_err(words);
        command.stdin(stream()?).stdout(stream()?).stderr(stream()?).spawn().map_err(words)
    }

    fn is_raw(&self) -> bool {
        tcgetattr(&self.slave).is_ok_and(|mode| !mode.local_modes.contains(LocalModes::ICANON))
    }
}

/// Reads until `wanted` has come. EOF before that is an error.
pub(super) fn read_until(mut from: &File, wanted: &str) -> Result<String, String> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&all).contains(wanted) {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => {
                let all = String::from_utf8_lossy(&all).into_owned();
                return Err(format!("{wanted:?} did not come, but {all:?}"));
            }
            Ok(count) => all.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

fn with_terminal<'a>(context: &'a Context, deeds: &[&str]) -> Result<Container<'a>, String> {
    Container::prepared_from(context, |config| terminal(config, deeds))
}

fn terminal(config: &mut Value, deeds: &[&str]) {
    edit::deeds(config, deeds);
    config["process"]["terminal"] = json!(true);
}

fn run_relays_the_callers_terminal(context: &Context) -> Outcome {
    let before = context.leftovers();
    let pty = Pty::new(132, 43)?;
    let container = with_terminal(context, &["tty-echo"])?;
    let mut run = pty.run(&container)?;
    wait_until("raw mode", || pty.is_raw())?;
    (&pty.master).write_all(b"hello\r").map_err(words)?;
    read_until(&pty.master, "132x43 hello\r\n")?;
    (&pty.master).write_all(&[4]).map_err(words)?; // ^D ends the probe's input.
    same("the exit code", run.wait().map_err(words)?.code(), Some(0))?;
    Ok(context.nothing_left_since(&before)?)
}

fn terminal_follows_the_callers_size(context: &Context) -> Outcome {
    let pty = Pty::new(80, 24)?;
    let container = with_terminal(context, &["echo", "ready", "+", "tty-echo"])?;
    let mut run = pty.run(&container)?;
    read_until(&pty.master, "ready")?;
    (&pty.master).write_all(b"one\r").map_err(words)?;
    read_until(&pty.master, "80x24 one")?;
    pty.resize(100, 50)?;
    let vial = i32::try_from(run.id()).ok().and_then(Pid::from_raw).ok_or("no pid")?;
    kill_process(vial, Signal::WINCH).map_err(words)?;
    // vial must handle the signal before the input that follows.
    std::thread::sleep(std::time::Duration::from_millis(200));
    (&pty.master).write_all(b"two\r").map_err(words)?;
    read_until(&pty.master, "100x50 two")?;
    (&pty.master).write_all(&[4]).map_err(words)?;
    Ok(same("the exit code", run.wait().map_err(words)?.code(), Some(0))?)
}

fn callers_terminal_is_raw_during_a_run_and_then_restored(context: &Context) -> Outcome {
    for deeds in [&["tty-echo"][..], &["tty-echo", "+", "exit", "7"][..]] {
        let pty = Pty::new(80, 24)?;
        let before = format!("{:?}", tcgetattr(&pty.slave).map_err(words)?);
        let container = with_terminal(context, deeds)?;
        let mut run = pty.run(&container)?;
        wait_until("raw mode", || pty.is_raw())?;
        (&pty.master).write_all(b"hello\r").map_err(words)?;
        read_until(&pty.master, "80x24 hello")?;
        (&pty.master).write_all(&[4]).map_err(words)?;
        run.wait().map_err(words)?;
        let after = format!("{:?}", tcgetattr(&pty.slave).map_err(words)?);
        same("the caller's terminal", after, before)?;
    }
    Ok(())
}

fn all_output_of_a_terminal_arrives(context: &Context) -> Outcome {
    for _ in 0..5 {
        let pty = Pty::new(80, 24)?;
        let text = "x".repeat(3000);
        let container = with_terminal(context, &["echo", &text, "+", "echo", "the last line"])?;
        let mut run = pty.run(&container)?;
        let all = read_until(&pty.master, "the last line\r\n")?;
        same("the bytes", all.matches('x').count(), 3000)?;
        same("the exit code", run.wait().map_err(words)?.code(), Some(0))?;
    }
    Ok(())
}

/// Listens on a path of any length.
pub(super) fn listen(path: &Path) -> Result<UnixListener, String> {
    let directory = File::open(path.parent().unwrap_or(path)).map_err(words)?;
    let name = path.file_name().unwrap_or_default();
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    UnixListener::bind(short).map_err(words)
}

/// Receives a terminal as engines do: one connection, one message, one fd.
pub(super) fn receive(listener: &UnixListener) -> Result<(File, Vec<u8>), String> {
    let (socket, _) = listener.accept().map_err(words)?;
    let mut name = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut name)];
    let message =
        recvmsg(&socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).map_err(words)?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    same("the fds received", fds.len(), 1)?;
    let name = name.get(..message.bytes).unwrap_or_default().to_vec();
    same("the name has 1 to 4095 bytes", (1..4096).contains(&name.len()), true)?;
    Ok((File::from(fds.remove(0)), name))
}

fn check_console(context: &Context, path: &Path) -> Result<(), String> {
    let before = context.leftovers();
    let listener = listen(path)?;
    let container = with_terminal(context, &["tty-echo"])?;
    container.create(&["--console-socket", &path.to_string_lossy()])?.success()?;
    let (master, _) = receive(&listener)?;
    container.vial("start", &[])?.success()?;
    (&master).write_all(b"hello\n").map_err(words)?;
    read_until(&master, "x0 hello").or_else(|_| read_until(&master, "hello\r\n"))?;
    (&master).write_all(&[4]).map_err(words)?;
    container.ends()?;
    container.remove()?;
    context.nothing_left_since(&before)
}

fn console_socket_receives_the_master(context: &Context) -> Outcome {
    Ok(check_console(context, &context.directory.join("console.sock"))?)
}

fn console_socket_may_have_a_long_path(context: &Context) -> Outcome {
    let directory = context.directory.join("a".repeat(100)).join("b".repeat(100));
    fs::create_dir_all(&directory).map_err(words)?;
    Ok(check_console(context, &directory.join("console.sock"))?)
}

/// The probe's report, from a container whose terminal goes over a console socket.
fn report(context: &Context, edit: impl FnOnce(&mut Value)) -> Result<Value, String> {
    let path = context.directory.join("report.sock");
    let listener = listen(&path)?;
    let container = Container::prepared_from(context, |config| {
        terminal(config, &["report"]);
        edit(config);
    })?;
    container.create(&["--console-socket", &path.to_string_lossy()])?.success()?;
    let (master, _) = receive(&listener)?;
    container.vial("start", &[])?.success()?;
    let text = read_until(&master, "}\r\n")?;
    container.ends()?;
    container.remove()?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

fn console_has_the_size_of_config_json(context: &Context) -> Outcome {
    let report = report(context, |config| {
        config["process"]["consoleSize"] = json!({ "height": 33, "width": 99 });
    })?;
    Ok(same("the size", report["stdin"]["size"].as_str(), Some("99x33"))?)
}

fn terminal_is_the_controlling_one(context: &Context) -> Outcome {
    let seen = report(context, |_| {})?;
    for fd in ["0", "1", "2"] {
        same("a stream", seen["fds"][fd].as_str(), Some("/dev/pts/0"))?;
    }
    same("the other fds", seen["fds"].as_object().map(serde_json::Map::len), Some(3))?;
    same("the session", seen["sid"].as_i64(), Some(1))?;
    same("/dev/console", seen["dev"]["console"]["type"].as_str(), Some("c"))?;
    let pty = Pty::new(80, 24)?;
    let deeds = ["open-device", "/dev/tty", "rw", "+", "open-device", "/dev/console", "rw"];
    let mut run = pty.run(&with_terminal(context, &deeds)?)?;
    read_until(&pty.master, "opened\r\nopened\r\n")?;
    Ok(same("the exit code", run.wait().map_err(words)?.code(), Some(0))?)
}

fn exec_sends_its_terminal_over_a_console_socket(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let path = context.directory.join("exec.sock");
    let listener = listen(&path)?;
    let pid_file = context.directory.join("pid");
    let mut exec = context.command(&["exec", "--tty", "--detach", "--console-socket"]);
    exec.arg(&path).arg("--pid-file").arg(&pid_file);
    exec.args([&container.id, "/probe", "tty-echo"]);
    context.run(&mut exec)?.success()?;
    let (master, _) = receive(&listener)?;
    (&master).write_all(b"hello\n").map_err(words)?;
    read_until(&master, " hello\r\n")?;
    (&master).write_all(&[4]).map_err(words)?;
    same("its exit code", reap(&pid_file)?.exit_status(), Some(0))?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn terminal_without_a_console_socket_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = with_terminal(context, &["tty-echo"])?;
    let done = container.create(&[])?;
    refused(&done, "cannot allocate tty if ")?;
    refused(&done, " will detach without setting console socket")?;
    let done = context.run(container.command("run").arg("--detach"))?;
    refused(&done, " will detach without setting console socket")?;
    Ok(context.nothing_left_since(&before)?)
}

fn console_socket_without_a_terminal_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let path = context.directory.join("unused.sock");
    let _listener = listen(&path)?;
    let container = Container::prepared_from(context, |_| {})?;
    let done = container.create(&["--console-socket", &path.to_string_lossy()])?;
    refused(&done, "cannot use console socket if ")?;
    Ok(context.nothing_left_since(&before)?)
}

fn missing_console_socket_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = with_terminal(context, &["tty-echo"])?;
    refused(&container.create(&["--console-socket", "/no/such/socket"])?, "/no/such/socket")?;
    let file = context.directory.join("a-file");
    fs::write(&file, "").map_err(words)?;
    let done = container.create(&["--console-socket", &file.to_string_lossy()])?;
    refused(&done, "ECONNREFUSED")?;
    Ok(context.nothing_left_since(&before)?)
}

fn create_fails_if_the_console_socket_closes_at_once(context: &Context) -> Outcome {
    let before = context.leftovers();
    let path = context.directory.join("closing.sock");
    let listener = listen(&path)?;
    let container = with_terminal(context, &["tty-echo"])?;
    let closer = std::thread::spawn(move || listener.accept().map(drop));
    let done = container.create(&["--console-socket", &path.to_string_lossy()])?;
    closer.join().map_err(|_| "the receiver died")?.map_err(words)?;
    if done.code == 0 {
        return Ok(container.remove()?); // vial had sent its message before the close.
    }
    refused(&done, "console socket")?;
    Ok(context.nothing_left_since(&before)?)
}

/// Creates a container with a terminal, whose /dev comes from the image.
fn create_in(
    context: &Context,
    image: impl FnOnce(&Path) -> std::io::Result<()>,
    edit: impl FnOnce(&mut Value),
) -> Result<Done, String> {
    let path = context.directory.join(format!("{}.sock", context.id()));
    let _listener = listen(&path)?;
    let container = Container::prepared_from(context, |config| {
        terminal(config, &["tty-echo"]);
        edit::without_mounts(config, "/dev");
        edit(config);
    })?;
    image(&container.bundle.rootfs).map_err(words)?;
    container.create(&["--console-socket", &path.to_string_lossy()])
}

/// CVE-2025-52565: the runtime bound the terminal on a path that the image chose.
fn console_that_is_a_link_is_refused(context: &Context) -> Outcome {
    let image = |rootfs: &Path| {
        fs::write(rootfs.join("etc/target"), "")?;
        symlink("/etc/target", rootfs.join("dev/console"))
    };
    let done = create_in(context, image, |config| mount(config, "devpts", "/dev/pts"))?;
    refused(&done, "process.terminal")?;
    Ok(refused(&done, "ELOOP")?)
}

/// Such a ptmx would create the terminal in a devpts that the image chose.
fn ptmx_of_the_image_is_refused(context: &Context) -> Outcome {
    // The kernel uses the devpts in the directory `pts` beside such a node.
    let node = json!({ "type": "c", "path": "/dev/pts/ptmx", "major": 5, "minor": 2 });
    let done = create_in(
        context,
        |_| Ok(()),
        |config| {
            mount(config, "devpts", "/dev/pts/pts");
            config["linux"]["devices"] = json!([node]);
        },
    )?;
    refused(&done, "process.terminal")?;
    refused(&done, "ENODEV")?;
    let image = |rootfs: &Path| {
        fs::create_dir(rootfs.join("dev/pts"))?;
        symlink("/mnt/ptmx", rootfs.join("dev/pts/ptmx"))
    };
    let done = create_in(context, image, |config| mount(config, "devpts", "/mnt"))?;
    refused(&done, "process.terminal")?;
    Ok(refused(&done, "ELOOP")?)
}

fn mount(config: &mut Value, kind: &str, place: &str) {
    edit::mount(config, kind, kind, place, &["newinstance", "ptmxmode=0666"]);
}
