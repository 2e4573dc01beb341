//! How far a create has come. vial-init keeps the number of the present item in its
//! own arguments, next to the state dir that it works for, and other verbs read
//! them from /proc. That works even if the process is stopped or hangs in the
//! kernel.

use std::fmt::{self, Write};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use vial_plan::{Item, NamespaceItem, Stage, Stage1, Stage2};

use super::dir::Dir;
use super::status::Process;
use crate::file::read_kernel;
use crate::plan::Plan;

/// A process of vial-init.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its pid.
    pub pid: u32,
    /// The item that it is at, counted over all stages.
    pub item: u32,
}

/// The processes of vial-init that work for a state dir, the furthest first. Any
/// process can write such arguments, so do not trust more than their presence.
pub fn workers(dir: &Path) -> Vec<Worker> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut workers: Vec<Worker> = pids.filter_map(|pid| worker(pid, dir)).collect();
    workers.sort_by_key(|worker| std::cmp::Reverse(worker.item));
    workers
}

/// The item that a process is at, if it is one of vial-init that works for a state dir.
pub fn worker(pid: u32, dir: &Path) -> Option<Worker> {
    let line = read_kernel(format!("/proc/{pid}/cmdline")).ok()?;
    let item = item(&line, dir.as_os_str().as_bytes())?;
    Some(Worker { pid, item })
}

/// Reads the item from `vial-init CHANNEL ITEM STATE-DIR FD..`.
fn item(line: &[u8], dir: &[u8]) -> Option<u32> {
    let mut words = line.split(|byte| *byte == 0);
    let name = words.next()?;
    let item = words.nth(1)?;
    let is_right = name == b"vial-init" && words.next()? == dir;
    std::str::from_utf8(item).ok()?.parse().ok().filter(|_| is_right)
}

/// The pid of the process at work, or 0, and what it is at, in words. If the
/// creator is known, only its children count.
pub fn of(dir: &Dir, plan: &Plan, creator: Option<Pid>) -> (u32, String) {
    let creator = creator.map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    let mut workers = workers(&dir.path);
    if let Some(creator) = creator {
        let parent = |pid| Process::read(pid).ok().flatten().map(|process| process.parent);
        workers.retain(|worker| parent(worker.pid) == Some(creator));
    }
    let worker = at_work(&workers, plan);
    let (pid, mut words) = match worker {
        Some(worker) => (worker.pid, Act::of(plan, worker.item).to_string()),
        None => (0, "no process of vial-init is at work".into()),
    };
    for pid in [pid].into_iter().chain(creator) {
        let state = Process::read(pid).ok().flatten().map_or(0, |process| process.state);
        let _ = match state {
            b'T' | b't' => write!(words, "; process {pid} is stopped"),
            b'D' => write!(words, "; process {pid} waits in the kernel"),
            _ => Ok(()),
        }; // To a String: cannot fail.
    }
    (pid, words)
}

/// The process that others wait for: one that waits to be mapped waits for another
/// of them.
fn at_work<'a>(workers: &'a [Worker], plan: &Plan) -> Option<&'a Worker> {
    let waits = |worker: &&Worker| plan.item(worker.item).is_some_and(|(item, _)| awaits(&item));
    workers.iter().find(|worker| !waits(worker)).or(workers.first())
}

fn awaits(item: &Item<'_>) -> bool {
    matches!(
        item,
        Item::Stage1(Stage1::AwaitMapping { .. })
            | Item::Stage2(Stage2::Namespace(NamespaceItem::AwaitMapping { .. }))
    )
}

/// An item of a Plan, to be put into words: what it does, and which one it is.
#[derive(Debug)]
pub struct Act<'a>(pub u32, pub Option<(Stage, Item<'a>, &'a str)>);

impl<'a> Act<'a> {
    /// The item with this number.
    pub fn of(plan: &'a Plan, index: u32) -> Act<'a> {
        Act(index, plan.items().nth(index as usize))
    }
}

impl fmt::Display for Act<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Act(index, item) = self;
        let Some((stage, item, origin)) = item else { return write!(f, "item {index}") };
        let act = crate::words::describe(item);
        write!(f, "stage {}, item {index}: {act}", *stage as u8)?;
        match *origin {
            "" => Ok(()),
            origin => write!(f, " (config.json {origin})"),
        }
    }
}

/// Kills the processes of vial-init that work for a state dir, and their children.
/// Returns one that was still there.
pub fn kill(dir: &Path) -> Option<u32> {
    let workers = workers(dir);
    for worker in &workers {
        if let Some(pid) = Pid::from_raw(worker.pid.cast_signed()) {
            children(pid).into_iter().chain([pid]).for_each(end);
        }
    }
    workers.first().map(|worker| worker.pid)
}

/// Kills a process.
pub fn end(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL); // ESRCH: it has ended, as wanted.
}

/// The children of a process, if the kernel lists them (CONFIG_PROC_CHILDREN).
pub fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_nonzero();
    let text = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use vial_plan::SetupItem;

    use super::*;

    #[test]
    fn a_process_of_vial_init_tells_its_item() {
        let of = |line: &str| item(line.replace(' ', "\0").as_bytes(), b"/run/vial/web");
        assert_eq!(of("vial-init 7 037 /run/vial/web - 9 "), Some(37));
        for other in [
            "vial-init 7 037 /run/vial/we ",
            "vial-init 7 x /run/vial/web ",
            "vial-init 7 037",
            "vial-init /run/vial/web ",
            "init 7 037 /run/vial/web ",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn who_waits_to_be_mapped_is_not_at_work() {
        let mut plan = Plan::default();
        plan.push(&SetupItem::Procfs {}, "");
        plan.push(&SetupItem::EndOpener { socket: 0 }, "");
        plan.push(&NamespaceItem::AwaitMapping { pipe: 1 }, "");
        plan.push(&NamespaceItem::Session {}, "");
        let pid = |items: [u32; 2]| {
            let workers = items.map(|item| Worker { pid: 100 + item, item });
            at_work(&workers, &plan).map(|worker| worker.pid)
        };
        assert_eq!(pid([2, 1]), Some(101));
        assert_eq!(pid([3, 1]), Some(103));
        assert_eq!(pid([2, 2]), Some(102));
    }
}
