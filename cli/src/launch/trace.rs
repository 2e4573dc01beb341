//! What the processes of vial-init are at, for the debug log.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use vial_plan::Reply;

use super::watch::PERIOD;
use crate::container::progress::{Act, Worker, worker};
use crate::debug;
use crate::plan::Plan;

/// How often to look. What takes less time may not be seen.
const SHORT: std::time::Duration = std::time::Duration::from_millis(1);

/// The processes, and the items that they were at last.
pub(super) struct Trace<'a> {
    plan: &'a Plan,
    dir: &'a Path,
    seen: Vec<Worker>,
}

impl<'a> Trace<'a> {
    /// Says what the Plan holds.
    pub(super) fn begin(plan: &'a Plan, dir: &'a Path, first: u32) -> Trace<'a> {
        if debug::is_on() {
            for (index, item) in (0..).zip(plan.items()) {
                debug::said(format_args!("planned: {}", Act(index, Some(item))));
            }
            debug::said(format_args!(
                "started vial-init, process {first}, with a plan of {} bytes",
                plan.to_bytes().len()
            ));
        }
        Trace { plan, dir, seen: Vec::new() }
    }

    /// Sets how long to wait for a reply.
    pub(super) fn pace(channel: &OwnedFd) -> rustix::io::Result<()> {
        let pause = if debug::is_on() { SHORT } else { PERIOD };
        set_socket_timeout(channel, Timeout::Recv, Some(pause))
    }

    /// Says which items these processes are at now, if they are others.
    pub(super) fn look(&mut self, pids: &[u32]) {
        if !debug::is_on() {
            return;
        }
        for worker in pids.iter().filter_map(|pid| worker(*pid, self.dir)) {
            if !self.seen.contains(&worker) {
                self.seen.retain(|seen| seen.pid != worker.pid);
                let Worker { pid, item } = worker;
                debug::said(format_args!("process {pid} is at {}", Act::of(self.plan, item)));
                self.seen.push(worker);
            }
        }
    }

    /// Says what was heard.
    pub(super) fn heard(&self, reply: &Reply) {
        match reply {
            Reply::Started { pid } => debug::said(format_args!("process {pid} was started")),
            Reply::At { gate, pid } => {
                debug::said(format_args!("process {pid} waits at gate {gate:?}"));
            }
            Reply::Failed(failed) => {
                debug::said(format_args!("failed at {}", Act::of(self.plan, failed.item)));
            }
        }
    }
}
