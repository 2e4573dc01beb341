//! The CLI's errors: one sentence each, and a hint where the user can do something
//! about it.

use std::fmt::{self, Display};
use std::io;

use rustix::io::Errno;

/// An error in words: lower case, no full stop, printed once, by main. It is a
/// pointer, which keeps the many `Result`s small.
#[derive(Debug)]
pub struct Error(Box<Words>);

#[derive(Debug)]
struct Words {
    sentence: String,
    hint: Option<String>,
    code: u8,
}

impl Error {
    /// An error that is said by this sentence alone.
    pub fn new(sentence: impl Display) -> Error {
        Error::of(&sentence)
    }

    // Not generic: a copy for each type would take kilobytes.
    fn of(sentence: &dyn Display) -> Error {
        Error(Box::new(Words { sentence: sentence.to_string(), hint: None, code: 1 }))
    }

    /// A call that failed while doing `what`.
    pub fn io(what: impl Display, error: &io::Error) -> Error {
        Error::of_io(&what, error)
    }

    fn of_io(what: &dyn Display, error: &io::Error) -> Error {
        let why = match error.raw_os_error() {
            Some(number) => errno_words(Errno::from_raw_os_error(number)),
            None => error.to_string(),
        };
        Error::new(format_args!("{what}: {why}"))
    }

    /// A system call that failed while doing `what`.
    pub fn errno(what: impl Display, errno: Errno) -> Error {
        Error::of_errno(&what, errno)
    }

    fn of_errno(what: &dyn Display, errno: Errno) -> Error {
        Error::new(format_args!("{what}: {}", errno_words(errno)))
    }

    /// Puts what the error belongs to in front of it.
    pub fn context(self, what: impl Display) -> Error {
        self.within(&what)
    }

    fn within(mut self, what: &dyn Display) -> Error {
        self.0.sentence = format!("{what}: {}", self.0.sentence);
        self
    }

    /// Leaves a part of the sentence out.
    pub fn without(mut self, part: &str) -> Error {
        self.0.sentence = self.0.sentence.replace(part, "");
        self
    }

    /// Adds what the user can do.
    pub fn hint(self, hint: impl Display) -> Error {
        self.with(&hint)
    }

    fn with(mut self, hint: &dyn Display) -> Error {
        self.0.hint = Some(hint.to_string());
        self
    }

    /// The error of a verb that a signal ended.
    pub fn ended_by(name: &str, number: i32) -> Error {
        let mut error =
            Error::new(format_args!("ended by SIG{name} before the program was started"));
        error.0.code = 128_u8.saturating_add(number.unsigned_abs() as u8);
        error
    }

    /// As an error of exec, whose exit status 1 would be that of many programs.
    pub fn of_exec(mut self) -> Error {
        if self.0.code == 1 {
            self.0.code = 255;
        }
        self
    }

    /// vial's exit status.
    pub fn code(&self) -> u8 {
        self.0.code
    }

    /// What the user can do, if anything.
    pub fn what_to_do(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.sentence)
    }
}

/// As in `EPERM (operation not permitted)`.
pub fn errno_words(errno: Errno) -> String {
    let Some((name, text)) = errno_name(errno) else {
        return format!("errno {}", errno.raw_os_error());
    };
    format!("{name} ({text})")
}

/// An errno's name and text, for those that vial's calls return.
pub fn errno_name(errno: Errno) -> Option<(&'static str, &'static str)> {
    const NAMES: &[(Errno, &str, &str)] = &[
        (Errno::PERM, "EPERM", "operation not permitted"),
        (Errno::NOENT, "ENOENT", "no such file or directory"),
        (Errno::SRCH, "ESRCH", "no such process"),
        (Errno::INTR, "EINTR", "interrupted system call"),
        (Errno::IO, "EIO", "input/output error"),
        (Errno::NXIO, "ENXIO", "no such device or address"),
        (Errno::TOOBIG, "E2BIG", "argument list too long"),
        (Errno::NOEXEC, "ENOEXEC", "exec format error"),
        (Errno::BADF, "EBADF", "bad file descriptor"),
        (Errno::CHILD, "ECHILD", "no child processes"),
        (Errno::AGAIN, "EAGAIN", "resource temporarily unavailable"),
        (Errno::NOMEM, "ENOMEM", "cannot allocate memory"),
        (Errno::ACCESS, "EACCES", "permission denied"),
        (Errno::FAULT, "EFAULT", "bad address"),
        (Errno::NOTBLK, "ENOTBLK", "block device required"),
        (Errno::BUSY, "EBUSY", "device or resource busy"),
        (Errno::EXIST, "EEXIST", "file exists"),
        (Errno::XDEV, "EXDEV", "invalid cross-device link"),
        (Errno::NODEV, "ENODEV", "no such device"),
        (Errno::NOTDIR, "ENOTDIR", "not a directory"),
        (Errno::ISDIR, "EISDIR", "is a directory"),
        (Errno::INVAL, "EINVAL", "invalid argument"),
        (Errno::NFILE, "ENFILE", "too many open files in system"),
        (Errno::MFILE, "EMFILE", "too many open files"),
        (Errno::NOTTY, "ENOTTY", "inappropriate ioctl for device"),
        (Errno::TXTBSY, "ETXTBSY", "text file busy"),
        (Errno::FBIG, "EFBIG", "file too large"),
        (Errno::NOSPC, "ENOSPC", "no space left on device"),
        (Errno::ROFS, "EROFS", "read-only file system"),
        (Errno::MLINK, "EMLINK", "too many links"),
        (Errno::PIPE, "EPIPE", "broken pipe"),
        (Errno::RANGE, "ERANGE", "numerical result out of range"),
        (Errno::NAMETOOLONG, "ENAMETOOLONG", "file name too long"),
        (Errno::NOSYS, "ENOSYS", "function not implemented"),
        (Errno::NOTEMPTY, "ENOTEMPTY", "directory not empty"),
        (Errno::LOOP, "ELOOP", "too many levels of symbolic links"),
        (Errno::OVERFLOW, "EOVERFLOW", "value too large for defined data type"),
        (Errno::USERS, "EUSERS", "too many users"),
        (Errno::OPNOTSUPP, "EOPNOTSUPP", "operation not supported"),
        (Errno::AFNOSUPPORT, "EAFNOSUPPORT", "address family not supported by protocol"),
        (Errno::NOBUFS, "ENOBUFS", "no buffer space available"),
        (Errno::CONNREFUSED, "ECONNREFUSED", "connection refused"),
        (Errno::CONNRESET, "ECONNRESET", "connection reset by peer"),
        (Errno::STALE, "ESTALE", "stale file handle"),
        (Errno::DQUOT, "EDQUOT", "disk quota exceeded"),
        (Errno::LIBBAD, "ELIBBAD", "accessing a corrupted shared library"),
    ];
    let found = NAMES.iter().find(|(number, ..)| *number == errno);
    found.map(|(_, name, text)| (*name, *text))
}
