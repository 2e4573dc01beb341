//! Carries out the items of a Plan that only write to cgroups, in this process: an
//! update needs no vial-init. If one fails, what was written is taken back.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use vial_init::cgroup::{
    enable, filter_devices, give, make, open, open_root, write_either, write_file,
};
use vial_init::fault::{Fault, Prepared};
use vial_plan::{CgroupItem, Failed, Item, Stage, Stage0};

use super::failure;
use crate::container::progress::Act;
use crate::debug;
use crate::error::Error;
use crate::file::read_rest;
use crate::plan::Plan;
use crate::systemd;

/// Carries them out, in order.
pub fn carry_out(plan: &Plan) -> Result<(), Error> {
    let mut here = Here::default();
    for (number, (stage, item, origin)) in plan.items().enumerate() {
        let Item::Stage0(Stage0::Cgroup(of_cgroup)) = &item else { continue };
        let done = here.item(of_cgroup);
        debug::said(format_args!("{}", Act(number as u32, Some((stage, item, origin)))));
        done.map_err(|fault| {
            here.take_back();
            words(plan, number, fault)
        })?;
    }
    Ok(())
}

/// Makes the container's cgroups as create does, and puts this process into them, which
/// has one thread.
pub fn enter(plan: &Plan, pid: u32, check: &dyn Fn() -> Result<(), Error>) -> Result<(), Error> {
    let mut here = Here::default();
    let id = pid.to_string();
    for (number, (_, item, _)) in plan.items().enumerate() {
        let Item::Stage0(Stage0::Cgroup(item)) = item else { continue };
        if let (CgroupItem::AwaitScope { .. }, Some(scope)) = (&item, &plan.scope) {
            systemd::adopt(scope, pid, check)?;
        }
        here.new_item(&item, &id).map_err(|fault| words(plan, number, fault))?;
    }
    // Of the last hierarchy, cgroup2, this is how create's process gets there.
    let entered = here.own.map(|own| write_file(own.as_fd(), c"cgroup.procs", id.as_bytes()));
    entered.transpose().map(drop).map_err(|fault| words(plan, plan.count(), fault))
}

fn words(plan: &Plan, number: usize, fault: Fault) -> Error {
    let (call, step) = (fault.call(), fault.step());
    let errno = fault.errno().raw_os_error().unsigned_abs();
    let failed = Failed { stage: Stage::Zero, call, step, item: number as u32, errno };
    failure::words(plan, &failed)
}

#[derive(Default)]
struct Here {
    root: Option<OwnedFd>,
    own: Option<OwnedFd>,
    /// Whether the cgroup did not exist before.
    is_new: bool,
    /// What the files held that were written: the cgroup, the name, and the value.
    before: Vec<(OwnedFd, std::ffi::CString, String)>,
}

impl Here {
    fn item(&mut self, item: &CgroupItem<'_>) -> Result<(), Fault> {
        match item {
            CgroupItem::Root { path, magic } => self.root = Some(open_root(path, *magic)?),
            CgroupItem::Open { directory } => {
                self.own = Some(open(self.root.as_ref().prepared()?.as_fd(), directory)?);
            }
            CgroupItem::Controllers { directory, controllers, required } => {
                enable(self.root.as_ref().prepared()?.as_fd(), directory, controllers, required)?;
            }
            CgroupItem::Write { file, value } => {
                self.remember(file, value);
                write_file(self.own()?, file, value.to_bytes())?;
            }
            CgroupItem::WriteEither { file, value, other, other_value } => {
                self.remember(file, value);
                write_either(self.own()?, [file, value], [other, other_value])?;
            }
            CgroupItem::Devices { program } => filter_devices(self.own()?, self.is_new, program)?,
            _ => {}
        }
        Ok(())
    }

    /// Carries out one for a process that is to enter the cgroup.
    fn new_item(&mut self, item: &CgroupItem<'_>, pid: &str) -> Result<(), Fault> {
        match item {
            CgroupItem::Mkdir { directory } => {
                self.is_new = make(self.root.as_ref().prepared()?.as_fd(), directory)?;
            }
            CgroupItem::Tasks { .. } => {
                let own = self.own.take().prepared()?;
                write_file(own.as_fd(), c"tasks", pid.as_bytes())?;
            }
            CgroupItem::Owner { file, uid, gid } => give(self.own()?, file, *uid, *gid)?,
            item => self.item(item)?,
        }
        Ok(())
    }

    fn own(&self) -> Result<BorrowedFd<'_>, Fault> {
        Ok(self.own.as_ref().prepared()?.as_fd())
    }

    fn remember(&mut self, file: &std::ffi::CStr, value: &std::ffi::CStr) {
        let Some(own) = &self.own else { return };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut bytes = Vec::new();
        let read = openat(own, file, flags, Mode::empty())
            .and_then(|fd| read_rest(&fd, &mut bytes, 1 << 16));
        let text = String::from_utf8_lossy(&bytes);
        let name = file.to_string_lossy();
        let before = before(&name, &value.to_string_lossy(), &text);
        if let (Ok(()), Some(before), Ok(own)) = (read, before, own.try_clone()) {
            self.before.push((own, file.to_owned(), before));
        }
    }

    fn take_back(&self) {
        for (cgroup, file, value) in self.before.iter().rev() {
            let _ = write_file(cgroup.as_fd(), file, value.as_bytes()); // It is told what failed first.
        }
    }
}

/// What to write to a file to take a write back. `now`: what it held before. None: it is
/// not known.
fn before(file: &str, value: &str, now: &str) -> Option<String> {
    // A line for each device, or interface.
    let key = value.split_once(' ').map(|(key, _)| key).filter(|key| key.contains(':'));
    if let Some(key) = key {
        let line = now.lines().find(|line| line.split(' ').next() == Some(key));
        return match (line, file) {
            (Some(line), _) => Some(line.to_owned()),
            (None, "io.max") => Some(format!("{key} rbps=max wbps=max riops=max wiops=max")),
            (None, "io.weight" | "io.bfq.weight") => Some(format!("{key} default")),
            (None, file) if file.starts_with("blkio.") => Some(format!("{key} 0")),
            _ => None,
        };
    }
    let mut lines = now.lines();
    let (first, rest) = (lines.next()?, lines.next());
    let is_switch = file == "memory.oom_control";
    match rest {
        None => Some(first.strip_prefix("default ").unwrap_or(first).to_owned()),
        _ if is_switch => first.rsplit(' ').next().map(str::to_owned),
        Some(_) if first.starts_with("default ") => Some(first.to_owned()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::before;

    #[test]
    fn a_write_is_taken_back_by_what_was_there() {
        for (file, value, now, wanted) in [
            ("memory.max", "5", "max\n", Some("max")),
            ("cpu.max", "1 2", "max 100000\n", Some("max 100000")),
            ("io.weight", "70", "default 100\n8:0 50\n", Some("default 100")),
            ("io.weight", "8:16 70", "default 100\n8:0 50\n", Some("8:16 default")),
            ("io.weight", "8:0 70", "default 100\n8:0 50\n", Some("8:0 50")),
            ("io.max", "8:0 rbps=1", "", Some("8:0 rbps=max wbps=max riops=max wiops=max")),
            ("blkio.throttle.read_bps_device", "8:0 5", "", Some("8:0 0")),
            ("memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\n", Some("0")),
            ("devices.allow", "c 1:3 r", "", None),
        ] {
            assert_eq!(before(file, value, now).as_deref(), wanted, "{file} {value}");
        }
    }
}
