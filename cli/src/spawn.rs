//! Runs a program of the host to its end. std::process would cost 15 KB. Also what
//! hooks need for that.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use vial_init::sys::clone3::{Side, clone3};
use vial_init::sys::execve::{Vector, execve};
use vial_init::sys::exit::exit;
use vial_init::sys::signal::set_default;

use vial_init::spawn::BY_SIGNAL;
use vial_plan::{Call, Step};

use crate::error::errno_words;
use crate::file::{as_io, read_rest};
use crate::signals;

/// How a program ended, and what it printed.
#[derive(Debug)]
pub struct Output {
    /// Whether it exited with 0.
    pub is_success: bool,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its errors. Read after stdout, so they must fit into a pipe.
    pub stderr: Vec<u8>,
}

/// Runs a program of PATH in this process's environment. None: there is none.
pub fn output(name: &str, arguments: &[String]) -> io::Result<Option<Output>> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let directories = path.as_bytes().split(|byte| *byte == b':');
    let places = directories.map(|directory| [directory, b"/", name.as_bytes()].concat());
    let places = texts(places)?;
    let words = std::iter::once(name).chain(arguments.iter().map(String::as_str));
    let words = list(texts(words.map(|word| word.as_bytes().to_vec()))?);
    let environment = environment()?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(as_io);
    let ((out, its_out), (err, its_err)) = (pipe()?, pipe()?);
    let child = match clone3(0, None).map_err(as_io)? {
        Side::Parent { child } => Pid::from_raw(child.cast_signed()),
        Side::Child { .. } => {
            // Rust ignores SIGPIPE from the start, and execve(2) keeps that.
            let _ = set_default(Signal::PIPE.as_raw().unsigned_abs()); // EINVAL is not possible.
            if dup2_stdout(&its_out).and_then(|()| dup2_stderr(&its_err)).is_ok() {
                for place in places {
                    execve(place, &words, &environment); // It failed: try the next directory.
                }
            }
            exit(NOT_FOUND)
        }
    };
    drop((its_out, its_err));
    let (stdout, stderr) = (read(out)?, read(err)?);
    let ended = waitpid(child, WaitOptions::empty()).map_err(as_io)?;
    let code = ended.and_then(|(_, status)| status.exit_status());
    let is_found = code != Some(NOT_FOUND.into());
    Ok(is_found.then_some(Output { is_success: code == Some(0), stdout, stderr }))
}

/// What a call of vial-init was for, its name, and why it failed; or how the program
/// ended that it ran. timeout: in seconds, of that program.
pub fn cause(call: Call, step: Step, number: u32, timeout: u32) -> String {
    match step {
        Step::EndOfProgram if call == Call::None => return end(number.cast_signed()),
        Step::EndAtTimeout => {
            return format!("it ran for longer than its timeout of {timeout} s, and was killed");
        }
        _ => {}
    }
    let why = errno_words(Errno::from_raw_os_error(number.cast_signed()));
    match (step.words(), call.name()) {
        (what, "") => format!("{what}: {why}"),
        (what, call) => format!("{what}: {call}: {why}"),
    }
}

fn end(status: i32) -> String {
    match status.checked_sub(BY_SIGNAL).and_then(signals::from_number) {
        Some(signal) => format!("it was killed by SIG{}", signals::name(signal)),
        None => format!("it exited with status {status}"),
    }
}

/// The exit status of shells for a missing program.
const NOT_FOUND: u8 = 127;

fn read(pipe: OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_rest(pipe, &mut bytes, usize::MAX).map_err(as_io)?;
    Ok(bytes)
}

/// This process's environment, for execve.
pub fn environment() -> io::Result<Vector> {
    texts(variables()).map(list)
}

/// This process's environment, entry by entry.
pub fn variables() -> impl Iterator<Item = Vec<u8>> {
    std::env::vars_os().map(|(name, value)| {
        let both = [name.as_os_str(), OsStr::new("="), value.as_os_str()];
        both.into_iter().collect::<OsString>().into_vec()
    })
}

/// Strings that live until execve.
pub fn texts(all: impl Iterator<Item = Vec<u8>>) -> io::Result<&'static [CString]> {
    let texts: Result<Vec<_>, _> = all.map(CString::new).collect();
    Ok(texts?.leak())
}

/// The list of them for execve.
pub fn list(texts: &'static [CString]) -> Vector {
    let mut list = Vector::new(vec![0; texts.len() + 1].leak());
    let _ = texts.iter().try_for_each(|text| list.push(text)); // There is room for all.
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_and_its_words_are_told_apart() {
        let script = ["-c".to_owned(), "echo out; echo \"$PATH\" >&2; exit 3".to_owned()];
        let done = output("sh", &script).unwrap().unwrap();
        let path = std::env::var("PATH").unwrap() + "\n";
        assert_eq!((&*done.stdout, &*done.stderr), (&b"out\n"[..], path.as_bytes()));
        assert!(!done.is_success);
        assert!(output("true", &[]).unwrap().unwrap().is_success);
        assert!(output("no-such-program", &[]).unwrap().is_none());
    }
}
