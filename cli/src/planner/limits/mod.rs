//! linux.resources: each limit as a file of a cgroup and the value to write. Which file
//! it is depends on the hierarchy that holds the controller, cgroup v1's or cgroup2.

mod block_io;
mod cpu;
mod memory;

use std::fmt::Display;

use super::wrong;
use crate::config::resources::{HugepageLimit, Network, Rdma, Resources};
use crate::error::Error;
use crate::host::{Host, Lineage};

/// One write to the container's cgroup.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// The name of the file.
    pub(super) file: String,
    /// The value to write.
    pub(super) value: String,
    /// The field of config.json.
    pub(super) origin: String,
    /// The file and value to write if the kernel does not have the first file. If both
    /// are empty, nothing is written then.
    pub(super) otherwise: Option<(String, String)>,
    /// Whether the parents that are made for the cgroup get it, too.
    pub(super) in_parents: bool,
}

impl Limit {
    /// The controller that the file belongs to.
    pub(super) fn controller(&self) -> &str {
        self.file.split('.').next().unwrap_or_default()
    }
}

/// All limits, in the order of the writes, and what is left out.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) all: Vec<Limit>,
    /// Fields that have no effect, and why.
    pub(super) warnings: Vec<(String, String)>,
}

/// All limits.
pub(super) fn limits(
    resources: &Resources,
    host: &Host,
    lineage: &Lineage,
) -> Result<Limits, Error> {
    let mut limits = Limits::default();
    // A controller that is nowhere is told by its name in v1 if there is only v1.
    let is_v1 = |controller: &str| {
        host.v1_of(controller).is_some() || (host.cgroup.is_none() && !host.cgroup_v1.is_empty())
    };
    memory::memory(&resources.memory, is_v1("memory"), lineage.memory, &mut limits)?;
    let is_new = |controller: &str| {
        let at = host.cgroup_v1.iter().position(|mount| mount.has(controller));
        at.and_then(|at| lineage.v1.get(at)).is_none_or(|there| !there.missing.is_empty())
    };
    cpu::time(&resources.cpu, is_v1("cpu"), is_new("cpu"), &mut limits)?;
    cpu::places(&resources.cpu, &mut limits);
    if let Some(limit) = resources.pids.limit.filter(|limit| *limit != 0) {
        limits.add("pids.max", number_or_max(limit), "pids.limit");
    }
    block_io::block_io(&resources.block_io, is_v1("blkio"), &mut limits)?;
    for (index, huge) in resources.hugepage_limits.iter().enumerate() {
        huge_pages(huge, &format!("hugepageLimits[{index}]"), is_v1("hugetlb"), &mut limits)?;
    }
    for (device, rdma) in &resources.rdma {
        self::rdma(device, rdma, &mut limits)?;
    }
    let has_v1 = !host.cgroup_v1.is_empty();
    network(&resources.network, has_v1 || host.cgroup.is_none(), &mut limits)?;
    for (file, value) in &resources.unified {
        if file.contains('/') || !file.contains('.') || file.starts_with('.') {
            let at = format_args!("linux.resources.unified.{file}");
            return Err(wrong(at, "not the name of a cgroup file"));
        }
        let controller = file.split('.').next().unwrap_or_default();
        if is_v1(controller) {
            let at = format_args!("linux.resources.unified.{file}");
            let what = format_args!("{controller} is in cgroup v1 here, and this field is for v2");
            return Err(wrong(at, what));
        }
        // Files such as io.max take one line a write.
        for line in value.split('\n').filter(|line| !line.is_empty() || value.is_empty()) {
            limits.add(file, line, &format!("unified.{file}"));
        }
    }
    Ok(limits)
}

impl Limits {
    fn add(&mut self, file: &str, value: impl Display, field: &str) {
        self.push(file, &value, field);
    }

    fn push(&mut self, file: &str, value: &dyn Display, field: &str) {
        self.all.push(Limit {
            file: file.to_owned(),
            value: value.to_string(),
            origin: format!("linux.resources.{field}"),
            otherwise: None,
            in_parents: false,
        });
    }

    /// Sets what to write instead of the last one if its file is missing.
    fn otherwise(&mut self, file: &str, value: impl Display) {
        if let Some(limit) = self.all.last_mut() {
            limit.otherwise = Some((file.to_owned(), value.to_string()));
        }
    }

    /// Sets the last one in the parents that are made, too.
    fn also_in_parents(&mut self) {
        if let Some(limit) = self.all.last_mut() {
            limit.in_parents = true;
        }
    }

    fn warn(&mut self, field: &str, what: impl Display) {
        self.warnings.push((format!("linux.resources.{field}"), what.to_string()));
    }
}

/// Limits the pages in use, and those that a process has reserved by mmap(2).
fn huge_pages(
    huge: &HugepageLimit,
    field: &str,
    is_v1: bool,
    limits: &mut Limits,
) -> Result<(), Error> {
    let size = &huge.page_size;
    let digits = size.bytes().take_while(u8::is_ascii_digit).count();
    let unit = size.as_bytes().get(digits..).unwrap_or_default();
    if digits == 0 || !matches!(unit, b"KB" | b"MB" | b"GB") {
        let at = format_args!("linux.resources.{field}.pageSize");
        return Err(wrong(at, format_args!("\"{size}\" is not a size such as 2MB")));
    }
    let file = if is_v1 { "limit_in_bytes" } else { "max" };
    limits.add(&format!("hugetlb.{size}.{file}"), huge.limit, field);
    // KERNEL(5.7): without a limit on reservations.
    limits.add(&format!("hugetlb.{size}.rsvd.{file}"), huge.limit, field);
    limits.otherwise("", "");
    Ok(())
}

fn rdma(device: &str, rdma: &Rdma, limits: &mut Limits) -> Result<(), Error> {
    let mut value = device.to_owned();
    for (name, limit) in [("hca_handle", rdma.hca_handles), ("hca_object", rdma.hca_objects)] {
        if let Some(limit) = limit {
            value.push_str(&format!(" {name}={limit}"));
        }
    }
    let field = format!("rdma.{device}");
    if value == device {
        let at = format_args!("linux.resources.{field}");
        return Err(wrong(at, "neither hcaHandles nor hcaObjects is set"));
    }
    limits.add("rdma.max", value, &field);
    Ok(())
}

fn network(network: &Network, is_v1: bool, limits: &mut Limits) -> Result<(), Error> {
    if let Some(class) = network.class_id {
        if !is_v1 {
            return Err(only_v1("network.classID"));
        }
        limits.add("net_cls.classid", class, "network.classID");
    }
    for (index, priority) in network.priorities.iter().enumerate() {
        let field = format!("network.priorities[{index}]");
        if !is_v1 {
            return Err(only_v1(&field));
        }
        let (name, priority) = (&priority.name, priority.priority);
        if name.is_empty() || name.contains(char::is_whitespace) {
            let at = format_args!("linux.resources.{field}.name");
            return Err(wrong(at, format_args!("\"{name}\" is not the name of an interface")));
        }
        limits.add("net_prio.ifpriomap", format_args!("{name} {priority}"), &field);
    }
    Ok(())
}

/// Refuses a negative limit. -1 means none.
fn negative(limit: Option<i64>, field: &str) -> Result<(), Error> {
    match limit {
        Some(limit) if limit < -1 => {
            let field = format_args!("linux.resources.{field}");
            Err(wrong(field, format_args!("{limit} is negative; -1 means no limit")))
        }
        _ => Ok(()),
    }
}

fn number_or_max(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

fn only_v1(field: &str) -> Error {
    wrong(format_args!("linux.resources.{field}"), "cgroup v2 has nothing like it, only v1")
        .hint("leave it out")
}
