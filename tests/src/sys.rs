//! The only unsafe code of the tests: system calls that std and rustix lack.
#![allow(unsafe_code, reason = "the one place for it in the tests; see each SAFETY")]

use std::io;
use std::mem::MaybeUninit;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

/// syscall(2) with the numbers that a test asks for.
///
/// A pointer among the arguments must come from a buffer that outlives the
/// call. A test may also pass an invalid pointer; the kernel then returns
/// EFAULT.
///
/// # Errors
/// The errno that the kernel returned.
pub fn call(number: libc::c_long, a: [usize; 6]) -> io::Result<libc::c_long> {
    let [a0, a1, a2, a3, a4, a5] = a;
    // SAFETY: only the probe and the tests call this. Their pointers come from
    // buffers that outlive the call, and a call that damages this process can
    // only make its own test fail.
    let answer = unsafe { libc::syscall(number, a0, a1, a2, a3, a4, a5) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// The numbers of calls that have another name on some architectures.
#[cfg(target_pointer_width = "64")]
pub mod number {
    #[cfg(not(target_arch = "riscv64"))]
    pub use libc::SYS_renameat as RENAMEAT;
    #[cfg(target_arch = "riscv64")]
    pub use libc::SYS_renameat2 as RENAMEAT;
    pub use libc::{
        SYS_fchown as FCHOWN, SYS_fcntl as FCNTL, SYS_fstat as FSTAT, SYS_fstatfs as FSTATFS,
        SYS_mmap as MMAP, SYS_newfstatat as FSTATAT, SYS_sendfile as SENDFILE,
        SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID,
    };
}
/// The same on architectures of 32 bits. Those without 32 take ids of 16 bits.
#[cfg(target_pointer_width = "32")]
pub mod number {
    pub use libc::{
        SYS_fchown32 as FCHOWN, SYS_fcntl64 as FCNTL, SYS_fstat64 as FSTAT,
        SYS_fstatat64 as FSTATAT, SYS_fstatfs64 as FSTATFS, SYS_mmap2 as MMAP,
        SYS_renameat as RENAMEAT, SYS_sendfile64 as SENDFILE, SYS_setgroups32 as SETGROUPS,
        SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID,
    };
}

/// Whether the kernel has mount_setattr(2): with bad arguments it fails with
/// another errno than ENOSYS.
#[must_use]
pub fn has_mount_setattr() -> bool {
    let answer = call(libc::SYS_mount_setattr, [usize::MAX, 0, 0, 0, 0, 0]);
    answer.is_err_and(|error| error.raw_os_error() != Some(libc::ENOSYS))
}

/// The monotonic clock and the boot clock, in seconds. std's have 32 bits on some
/// architectures.
#[must_use]
pub fn clocks() -> [i64; 2] {
    [ClockId::Monotonic, ClockId::Boottime].map(|clock| clock_gettime(clock).tv_sec)
}

/// Moves the clock of this machine, and moves it back when it goes out of scope.
#[derive(Debug)]
pub struct MovedClock(i64);

impl MovedClock {
    /// Adds seconds to the time.
    ///
    /// # Errors
    /// The errno that the kernel returned.
    pub fn ahead(seconds: i64) -> io::Result<MovedClock> {
        move_clock(seconds).map(|()| MovedClock(seconds))
    }
}

impl Drop for MovedClock {
    fn drop(&mut self) {
        let _ = move_clock(-self.0); // What the kernel did once it does again.
    }
}

fn move_clock(seconds: i64) -> io::Result<()> {
    let now = clock_gettime(ClockId::Realtime);
    let time = Timespec { tv_sec: now.tv_sec + seconds, ..now };
    clock_settime(ClockId::Realtime, time).map_err(io::Error::from)
}

/// Takes ownership of an fd that [`call`] returned.
#[must_use]
pub fn owned(fd: std::os::fd::RawFd) -> std::os::fd::OwnedFd {
    // SAFETY: a system call has just created the fd, so nothing else owns it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }
}

/// seccomp(2): makes these system calls fail with `errno` in this process and
/// its children, as on an old kernel or inside another container. Linux 3.17.
///
/// # Errors
/// The errno that the kernel returned.
pub fn refuse_calls(numbers: &[u32], errno: u32) -> io::Result<()> {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![instruction(LOAD_WORD, 0, 0, 0)];
    for number in numbers {
        program.push(instruction(JUMP_EQUAL, 0, 1, *number));
        program.push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno));
    }
    program.push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_mut_ptr(),
    };
    let place = (&raw const filter).expose_provenance();
    let mode = libc::SECCOMP_SET_MODE_FILTER as usize;
    call(libc::SYS_seccomp, [mode, 0, place, 0, 0, 0]).map(|_| ())
}

/// Makes a 32-bit x86 system call with one argument, by its i386 number. Returns
/// the result, negative for an errno; None on other architectures.
#[must_use]
pub fn call_i386(number: u32, argument: u64) -> Option<i32> {
    #[cfg(target_arch = "x86_64")]
    {
        let answer: u64;
        // SAFETY: int 0x80 changes only rax and r8 to r11. rbx cannot be named as
        // an operand, so it is swapped with one, and back.
        unsafe {
            std::arch::asm!("xchg rbx, {0}", "int 0x80", "xchg rbx, {0}",
                inout(reg) argument => _,
                inlateout("rax") u64::from(number) => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        Some(answer as i32)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (number, argument);
        None
    }
}

/// fork(2): does a deed in a child, and says how the child ended: "ok", the name of an
/// errno that the deed returned, or a signal.
///
/// # Errors
/// The child cannot be made or waited for.
pub fn in_child(deed: impl FnOnce() -> i32) -> io::Result<String> {
    // SAFETY: the process has one thread, so no lock is held by another in the child.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            let code = deed();
            // SAFETY: _exit(2) ends the child without the parent's exit handlers.
            unsafe { libc::_exit(code) }
        }
        _ => {}
    }
    let mut status = 0;
    // SAFETY: the status is a local that outlives the call.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid {
        return Err(io::Error::last_os_error());
    }
    if libc::WIFSIGNALED(status) {
        return Ok(format!("signal {}", libc::WTERMSIG(status)));
    }
    Ok(match libc::WEXITSTATUS(status) {
        0 => "ok".to_owned(),
        code => errno_name(&io::Error::from_raw_os_error(code)),
    })
}

/// Blocks every signal, so that [`next_signal`] can receive them.
pub fn hold_signals() {
    let all = every_signal();
    // SAFETY: the set is initialised, and a null old mask is allowed.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) };
}

/// sigwait(3): the number of the next signal that [`hold_signals`] blocked.
#[must_use]
pub fn next_signal() -> i32 {
    let all = every_signal();
    let mut number = 0;
    // SAFETY: both point to locals that outlive the call.
    unsafe { libc::sigwait(&raw const all, &raw mut number) };
    number
}

/// Ignores a signal from now on, also after execve(2).
pub fn ignore_signal(number: i32) {
    // SAFETY: SIG_IGN installs no handler, so no code runs in signal context.
    unsafe { libc::signal(number, libc::SIG_IGN) };
}

/// keyctl(2) `KEYCTL_GET_KEYRING_ID`: the session keyring, which the kernel
/// creates if the process has none. Linux 2.6.10.
///
/// # Errors
/// ENOSYS where the kernel has no keyrings.
pub fn session_keyring() -> io::Result<libc::c_long> {
    const KEYCTL_GET_KEYRING_ID: usize = 0;
    const KEY_SPEC_SESSION_KEYRING: usize = 3_usize.wrapping_neg();
    let arguments = [KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0, 0];
    call(libc::SYS_keyctl, arguments)
}

/// keyctl(2) `KEYCTL_DESCRIBE`: "type;uid;gid;perm;description" of a key.
///
/// # Errors
/// ENOKEY or EACCES; ENOSYS where the kernel has no keyrings.
pub fn describe_key(key: libc::c_long) -> io::Result<String> {
    const KEYCTL_DESCRIBE: usize = 6;
    let mut buffer = vec![0_u8; 4096];
    let id = usize::try_from(key).unwrap_or_default();
    let place = buffer.as_mut_ptr().expose_provenance();
    let length = call(libc::SYS_keyctl, [KEYCTL_DESCRIBE, id, place, buffer.len(), 0, 0])?;
    let length = usize::try_from(length).unwrap_or_default().saturating_sub(1);
    buffer.truncate(length);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// ioctl(2) SIOCSIFFLAGS: brings the loopback interface up (netdevice(7)).
///
/// # Errors
/// The errno that the kernel returned.
pub fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    let mut name: [libc::c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    (name[0], name[1]) = (b'l'.cast_signed() as libc::c_char, b'o'.cast_signed() as libc::c_char);
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: the kernel reads one ifreq, a local that outlives the call.
    let answer = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &raw const request) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A call that waits for a seccomp agent's answer.
#[derive(Debug, Clone, Copy)]
pub struct Notification {
    /// Identifies it.
    pub id: u64,
    /// The pid of the caller.
    pub pid: u32,
    /// The call's number.
    pub number: libc::c_long,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// ioctl(2) SECCOMP_IOCTL_NOTIF_RECV: the next call that waits (seccomp_unotify(2)).
///
/// # Errors
/// ENOENT: the caller has ended.
pub fn next_notification(listener: &std::os::fd::OwnedFd) -> io::Result<Notification> {
    const SECCOMP_IOCTL_NOTIF_RECV: libc::c_ulong = 0xc050_2100;
    // SAFETY: every field is a number, for which zeros are valid.
    let mut seen: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    let place = &raw mut seen;
    // SAFETY: the kernel writes one seccomp_notif, a local that outlives the call.
    let answer = unsafe {
        libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(listener), SECCOMP_IOCTL_NOTIF_RECV as _, place)
    };
    if answer == -1 {
        return Err(io::Error::last_os_error());
    }
    let (id, pid, data) = (seen.id, seen.pid, seen.data);
    Ok(Notification { id, pid, number: data.nr.into(), arguments: data.args })
}

/// ioctl(2) SECCOMP_IOCTL_NOTIF_SEND: lets the call return this value, or the negative
/// errno; None lets the kernel make it (Linux 5.5).
///
/// # Errors
/// ENOENT: the caller has ended.
pub fn answer_notification(
    listener: &std::os::fd::OwnedFd,
    id: u64,
    answer: Option<Result<i64, i32>>,
) -> io::Result<()> {
    const SECCOMP_IOCTL_NOTIF_SEND: libc::c_ulong = 0xc018_2101;
    const CONTINUE: u32 = 1;
    let (val, error, flags) = match answer {
        Some(Ok(value)) => (value, 0, 0),
        Some(Err(errno)) => (0, -errno, 0),
        None => (0, 0, CONTINUE),
    };
    let answer = libc::seccomp_notif_resp { id, val, error, flags };
    let place = &raw const answer;
    // SAFETY: the kernel reads one seccomp_notif_resp, a local that outlives the call.
    let sent = unsafe {
        libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(listener), SECCOMP_IOCTL_NOTIF_SEND as _, place)
    };
    if sent == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The name of an errno, as errno(3) spells it.
#[must_use]
pub fn errno_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => known_name(number).unwrap_or_else(|| format!("errno {number}")),
        None => error.to_string(),
    }
}

/// The names of the errnos that tests meet. std and rustix have no such table.
fn known_name(number: i32) -> Option<String> {
    macro_rules! names {
        ($($name:ident)*) => {
            match number { $( libc::$name => Some(stringify!($name).to_owned()), )* _ => None }
        };
    }
    names!(EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES
        EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY
        ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK
        ENOSYS ENOTEMPTY ELOOP ENODATA EOVERFLOW EUSERS ENOTSOCK EPROTONOSUPPORT EOPNOTSUPP
        EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNREFUSED ETIMEDOUT
        ESTALE EDQUOT ENOKEY EKEYEXPIRED EKEYREVOKED)
}

fn every_signal() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset writes the whole set and cannot fail.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: the call above initialised it.
    unsafe { set.assume_init() }
}
