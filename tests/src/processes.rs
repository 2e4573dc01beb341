//! The processes of this machine, read from /proc.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

/// The processes that descend from `ancestor`, as (pid, name). Zombies do not
/// count.
#[must_use]
pub fn descendants(ancestor: u32) -> Vec<(u32, String)> {
    let all = all();
    let descends = |mut pid: u32| {
        // Pids wrap, and /proc is read over time, so limit the length of the walk.
        for _ in 0..all.len() {
            match all.get(&pid) {
                Some((parent, ..)) if *parent == ancestor => return true,
                Some((parent, ..)) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    all.iter()
        .filter(|(pid, (_, state, _))| *state != 'Z' && descends(**pid))
        .map(|(pid, (.., name))| (*pid, name.clone()))
        .collect()
}

/// Kills all descendants, and reaps those that are children of this process.
pub fn end_descendants(ancestor: u32) {
    kill_descendants(ancestor);
    reap();
}

/// Kills all descendants, and leaves the exit status of this process's children.
pub fn kill_descendants(ancestor: u32) {
    // Twice, as a process may fork while the list is read.
    for _ in 0..2 {
        for (pid, _) in descendants(ancestor) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // ESRCH: it has exited, which is what was wanted.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// Reaps every child that has ended.
pub fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// Parent, state and name of each process.
fn all() -> BTreeMap<u32, (u32, char, String)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, stat(pid)?)))
        .collect()
}

/// The state of a process, as in proc_pid_stat(5). None if there is no such process.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    stat(pid).map(|(_, state, _)| state)
}

/// proc_pid_stat(5): "pid (name) state parent ...". The name may contain
/// parentheses, so it ends at the last one.
fn stat(pid: u32) -> Option<(u32, char, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (front, back) = text.rsplit_once(") ")?;
    let (_, name) = front.split_once('(')?;
    let mut fields = back.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state, name.to_owned()))
}
