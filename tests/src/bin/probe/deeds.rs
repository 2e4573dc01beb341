//! The probe's deeds. A deed that fails prints the name of the errno.

use std::ffi::{CString, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use vial_tests::{inject, ptrace, sys};

use crate::{attacks, callers, hook, notify, report, survey};

/// Why the probe stops before its last deed.
#[derive(Debug)]
pub(crate) enum End {
    /// The deed `exit` asked for this exit code.
    Exit(u8),
    /// A deed failed.
    Failed(io::Error),
    /// There is no such deed, or its arguments are wrong.
    Misused(&'static str),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Failed(error)
    }
}

impl From<std::num::ParseIntError> for End {
    fn from(_: std::num::ParseIntError) -> Self {
        End::Misused("not a number")
    }
}

/// Does one deed.
pub(crate) fn run(words: &[&str]) -> Result<(), End> {
    match *words {
        ["report"] => println!("{}", report::everything()),
        ["survey", ref paths @ ..] => println!("{}", survey::everything(paths)),
        ["exit", code] => return Err(End::Exit(code.parse()?)),
        ["sleep", seconds] => sleep(Duration::from_secs(seconds.parse()?)),
        ["echo", text] => println!("{text}"),
        ["complain", text] => eprintln!("{text}"),
        ["copy"] => _ = io::copy(&mut io::stdin(), &mut io::stdout())?,
        ["tick", path] => tick(path)?,
        ["count", path] => count(path, || Ok(()))?,
        ["converse", path] => converse(path)?,
        ["cat", path] => io::stdout().write_all(&fs::read(path)?)?,
        // These two create no file. On a read-only file system, creating fails differently.
        ["write", path, text] => {
            OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())?;
        }
        ["append", path, text] => {
            OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes())?;
        }
        ["create", path, text] => fs::write(path, text)?,
        ["mkdir", path] => fs::create_dir(path)?,
        ["remove", path] => fs::remove_file(path)?,
        ["chmod", mode, path] => {
            let mode = u32::from_str_radix(mode, 8)?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        ["chown", uid, gid, path] => chown(path, Some(uid.parse()?), Some(gid.parse()?))?,
        ["stat", path] => println!("{}", stat(path)?),
        ["ls", path] => list(path)?,
        ["spoil", ref paths @ ..] => paths.iter().for_each(|path| spoil(path)),
        ["fds"] => println!("{}", report::fds()),
        ["open-device", path, mode] => open_device(path, mode)?,
        ["call", number, ref arguments @ ..] => call(number, arguments)?,
        ["find-inits", seen] => attacks::find_inits(seen),
        ["overwrite-exes", seen] => attacks::overwrite_exes(seen),
        ["call-i386", number] => println!("{:?}", sys::call_i386(number.parse()?, 0)),
        ["call-i386", number, argument] => {
            let argument = parse_number(argument)? as u64;
            println!("{:?}", sys::call_i386(number.parse()?, argument));
        }
        ["refuse", errno, calls, program, ref arguments @ ..] => {
            let numbers = calls.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
            sys::refuse_calls(&numbers, errno.parse()?)?;
            exec(program, arguments)?;
        }
        ["fail-nth", seen, nth, errno, ref words @ ..] => {
            fs::write(seen, "")?;
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let (code, failed) = inject::run(&words, nth.parse()?, errno.parse()?)?;
            fs::write(seen, failed.map_or_else(String::new, |call| call.to_string()))?;
            return Err(End::Exit(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255)));
        }
        ["be-traced", ref words @ ..] => return Err(End::Failed(ptrace::be_traced(words))),
        ["fork", count] => fork(count.parse()?)?,
        ["ignore", signals, "exec", program, ref arguments @ ..] => {
            for signal in signals.split(',') {
                sys::ignore_signal(signal.parse()?);
            }
            exec(program, arguments)?;
        }
        ["hold-signals"] => sys::hold_signals(),
        ["signals"] => signals(),
        ["clocks"] => println!("{}", json!(sys::clocks())),
        ["allocate", mib] => allocate(mib.parse()?),
        ["sleep-beside", seconds] => {
            let pause = Duration::from_secs(seconds.parse()?);
            std::thread::spawn(move || sleep(pause));
        }
        ["note", file, name, ref command @ ..] => hook::note(file, name, command)?,
        ["add-to-container", source, target, device] => {
            hook::add_to_container(source, target, device)?;
        }
        ["await", path] => {
            while !fs::exists(path)? {
                sleep(Duration::from_millis(5));
            }
        }
        ["notify", ref texts @ ..] => notify::say(texts)?,
        ["notify-with-fd", text] => notify::say_with_fd(text)?,
        ["notify-for-a-second"] => {
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_secs(1) {
                notify::say(&["STATUS=flood"])?;
            }
        }
        ["tty-echo"] => tty_echo()?,
        ["exec", program, ref arguments @ ..] => exec(program, arguments)?,
        ["be", role, program, ref arguments @ ..] => {
            callers::execute_as(role, Command::new(program).args(arguments))?;
        }
        _ => return Err(End::Misused("no such deed")),
    }
    io::stdout().flush()?;
    Ok(())
}

/// Changes the owner, mode and times of an inode, and prints the result of each.
fn spoil(path: &str) {
    let how =
        |result: io::Result<()>| result.map_or_else(|e| sys::errno_name(&e), |()| "ok".into());
    let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    let set_times = || fs::File::open(path)?.set_times(times);
    let owner = how(chown(path, Some(7), Some(7)));
    let mode = how(fs::set_permissions(path, fs::Permissions::from_mode(0o667)));
    println!("{path} {owner} {mode} {}", how(set_times()));
}

/// Opens a device without blocking.
fn open_device(path: &str, mode: &str) -> io::Result<()> {
    let (read, write) = (mode.contains('r'), mode.contains('w'));
    OpenOptions::new().read(read).write(write).custom_flags(libc::O_NONBLOCK).open(path)?;
    println!("opened");
    Ok(())
}

fn stat(path: &str) -> io::Result<serde_json::Value> {
    let meta = fs::symlink_metadata(path)?;
    Ok(serde_json::json!({
        "type": kind(&meta.file_type()),
        "mode": format!("{:04o}", meta.mode() & 0o7777),
        "uid": meta.uid(),
        "gid": meta.gid(),
        "size": meta.size(),
        "device": report::device(meta.rdev()),
        "link": fs::read_link(path).ok(),
    }))
}

/// The letter of a file's type, as `ls -l` shows it.
pub(crate) fn kind(file_type: &fs::FileType) -> &'static str {
    match file_type {
        t if t.is_dir() => "d",
        t if t.is_symlink() => "l",
        t if t.is_char_device() => "c",
        t if t.is_block_device() => "b",
        t if t.is_fifo() => "p",
        t if t.is_socket() => "s",
        _ => "-",
    }
}

fn list(path: &str) -> io::Result<()> {
    let mut names: Vec<_> =
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    names.iter().for_each(|name| println!("{}", name.to_string_lossy()));
    Ok(())
}

/// Makes the system call of this number. An argument is a number (decimal, 0x or
/// negative), or a string after a colon.
fn call(number: &str, arguments: &[&str]) -> Result<(), End> {
    let mut strings = Vec::new();
    let mut values = [0_usize; 6];
    for (value, word) in values.iter_mut().zip(arguments) {
        *value = match word.strip_prefix(':') {
            Some(text) => {
                let text = CString::new(text).map_err(io::Error::from)?;
                let place = text.as_ptr().expose_provenance();
                strings.push(text); // Moving it does not move its heap block.
                place
            }
            None => parse_number(word)?,
        };
    }
    let answer = sys::call(number.parse()?, values)?;
    println!("{answer}");
    Ok(())
}

fn parse_number(word: &str) -> Result<usize, End> {
    match word.strip_prefix("0x") {
        Some(digits) => Ok(usize::from_str_radix(digits, 16)?),
        None if word.starts_with('-') => Ok(word.parse::<isize>()?.cast_unsigned()),
        None => Ok(word.parse()?),
    }
}

/// Starts `count` children that sleep, and prints how many could be started.
fn fork(count: usize) -> io::Result<()> {
    let mut children = Vec::new();
    for _ in 0..count {
        match Command::new("/proc/self/exe").args(["sleep", "3600"]).spawn() {
            Ok(child) => children.push(child),
            Err(error) => {
                println!("{} {}", children.len(), sys::errno_name(&error));
                return Ok(());
            }
        }
    }
    println!("{}", children.len());
    Ok(())
}

/// Prints the number of each signal that arrives, until SIGTERM.
fn signals() {
    sys::hold_signals();
    println!("ready");
    loop {
        let number = sys::next_signal();
        println!("{number}");
        if number == libc::SIGTERM {
            return;
        }
    }
}

/// Touches every page of that many MiB, and prints each MiB that it has.
fn allocate(mib: usize) {
    let mut held = Vec::new();
    for count in 1..=mib {
        held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
        println!("{count}");
    }
}

/// Appends a byte to a file every 5 ms.
fn tick(path: &str) -> io::Result<()> {
    loop {
        OpenOptions::new().create(true).append(true).open(path)?.write_all(b".")?;
        sleep(Duration::from_millis(5));
    }
}

/// Counts in memory how often something could be done, and writes the number to a file
/// every 5 ms.
fn count(path: &str, mut deed: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    for number in 0_u64.. {
        deed()?;
        file.seek(io::SeekFrom::Start(0))?;
        file.write_all(format!("{number:08}").as_bytes())?;
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Counts the bytes that went through a TCP connection of this process to itself.
fn converse(path: &str) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut one = TcpStream::connect(listener.local_addr()?)?;
    let (mut other, _) = listener.accept()?;
    count(path, || {
        one.write_all(b"x")?;
        other.read_exact(&mut [0])
    })
}

/// Echoes each line of stdin, after the size of the terminal.
fn tty_echo() -> io::Result<()> {
    for line in io::stdin().lines() {
        println!("{} {}", report::tty_size(), line?);
    }
    Ok(())
}

/// Executes another program. It has read nothing from stdin before.
fn exec(program: &str, arguments: &[&str]) -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    Err(Command::new(program).args(arguments).exec())
}

/// The text of a small file, or None if it cannot be read.
pub(crate) fn text(path: &str) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}
