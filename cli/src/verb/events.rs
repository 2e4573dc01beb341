//! events: prints what a container uses, from time to time, and when the kernel has
//! killed one of its processes for want of memory.

use std::time::{Duration, Instant};

use argh::{ArgsInfo, FromArgs};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{Errno, pread};

use super::state::print;
use crate::cgroup::oom::kills;
use crate::container::stats::stats;
use crate::container::status::Status;
use crate::container::{Container, Init};
use crate::error::Error;
use crate::file::open;
use crate::flags::Global;

/// print what a container uses, and when it runs out of memory, as lines of JSON
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "events", help_triggers("-h", "--help"))]
#[argh(example = "vial events --interval 10s web\nvial events --stats web")]
pub struct Events {
    /// how often to print what it uses, as in 500ms, 5s or 1m30s (default 5s)
    #[argh(option, arg_name = "time", default = "String::from(\"5s\")")]
    interval: String,
    /// print what it uses now, and exit
    #[argh(switch)]
    stats: bool,
    /// the container's id
    #[argh(positional)]
    id: String,
}

/// How often a process without a pidfd is looked at.
const PERIOD: Duration = Duration::from_millis(100);

impl Events {
    /// Runs the verb, until the container ends. It takes no lock: it may run for long.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let interval = interval(&self.interval)?;
        let container = Container::look(&global.root, &self.id)?.whole(&self.id)?;
        if container.status()? == Status::Stopped {
            return Err(Error::new("container not running"));
        }
        if container.record.cgroup.is_none() {
            return Err(Error::new("this container has no cgroup, which would count what it uses"));
        }
        if self.stats {
            return self.print_stats(&container).map(|()| 0);
        }
        self.watch(&container, interval)
    }

    fn watch(&self, container: &Container, interval: Duration) -> Result<u8, Error> {
        let init = container.init()?;
        let pidfd = init.as_ref().and_then(Init::pidfd);
        let mut killer = Killer::of(container);
        let mut next = Instant::now() + interval;
        loop {
            let has_ended = !container.is_alive()?;
            // Its end may be what the killer did.
            for _ in 0..killer.count() {
                self.print("oom", None)?;
            }
            if has_ended {
                return Ok(0);
            }
            let now = Instant::now();
            if now >= next {
                self.print_stats(container)?;
                // Not those that were missed.
                next = (next + interval).max(now);
            }
            // KERNEL(5.3): without a pidfd, look from time to time. cgroup v1 tells of the
            // killer only through an eventfd that other programs may use up.
            let is_told = pidfd.is_some() && killer.tells;
            let most = if is_told { interval } else { PERIOD };
            let pause = next.saturating_duration_since(Instant::now()).min(most);
            let pause = Timespec {
                tv_sec: pause.as_secs().cast_signed(),
                tv_nsec: pause.subsec_nanos().into(),
            };
            let mut fds = Vec::new();
            fds.extend(pidfd.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
            let of_killer = killer.file.as_ref().filter(|_| killer.tells);
            fds.extend(of_killer.map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::PRI)));
            match poll(&mut fds, Some(&pause)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::errno("poll(2)", errno)),
            }
        }
    }

    fn print_stats(&self, container: &Container) -> Result<(), Error> {
        self.print("stats", Some(stats(&container.record)))
    }

    fn print(&self, kind: &str, data: Option<String>) -> Result<(), Error> {
        // An id needs no escapes.
        let data = data.map(|data| [",\"data\":", &data].concat()).unwrap_or_default();
        print(&["{\"type\":\"", kind, "\",\"id\":\"", &self.id, "\"", &data, "}"].concat())
    }
}

/// The kernel's killer of processes, as it tells of its deeds in one cgroup.
struct Killer {
    file: Option<OwnedFd>,
    /// Whether poll(2) tells that there is something new.
    tells: bool,
    seen: u64,
}

impl Killer {
    fn of(container: &Container) -> Killer {
        let (path, tells) = match container.record.memory_files() {
            Some((directory, true)) => (directory.join("memory.oom_control"), false),
            Some((directory, false)) => (directory.join("memory.events"), true),
            None => Default::default(),
        };
        let mut killer = Killer { file: open(path, OFlags::RDONLY).ok(), tells, seen: 0 };
        killer.seen = killer.all().unwrap_or(0);
        killer
    }

    fn all(&self) -> Option<u64> {
        let mut bytes = [0; 1024];
        // ENODEV: the cgroup is gone.
        let length = pread(self.file.as_ref()?, &mut bytes[..], 0).ok()?;
        Some(kills(&String::from_utf8_lossy(bytes.get(..length)?)))
    }

    /// How many processes it has killed since the last call.
    fn count(&mut self) -> u64 {
        let Some(all) = self.all() else { return 0 };
        let new = all.saturating_sub(self.seen);
        self.seen = all;
        new
    }
}

/// A time as Go writes it, as in 1m30s. A number alone is seconds.
fn interval(text: &str) -> Result<Duration, Error> {
    let wrong = || {
        Error::new(format_args!("--interval {text}: not a time above 0"))
            .hint("as in 500ms, 5s or 1m30s")
    };
    let mut rest = text;
    let mut all = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "" if digits == text.len() => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err(wrong()),
        };
        all = unit.checked_mul(number).and_then(|part| all.checked_add(part)).ok_or_else(wrong)?;
        rest = after;
    }
    if all.is_zero() || all > Duration::from_secs(1 << 31) { Err(wrong()) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::interval;

    #[test]
    fn an_interval_is_a_time_of_go() {
        for (text, ms) in
            [("5s", 5000), ("500ms", 500), ("1m30s", 90_000), ("2h", 7_200_000), ("7", 7000)]
        {
            assert_eq!(interval(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in ["", "0", "0s", "-1s", "s", "1x", "1s2", "1.5s", "99999999999s", "1m30"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
