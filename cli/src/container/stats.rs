//! What a container uses, as `runc events` tells it in JSON. Engines and exporters read
//! these names, which are those of cgroup v1.

use std::fs::read_dir;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::record::Record;
use crate::file::read_kernel;
use crate::host::Hierarchy;

/// The files of one controller.
struct Files {
    directory: PathBuf,
    is_v1: bool,
}

/// A number of a file that says `max`.
const MAX: u64 = u64::MAX;

/// All that is known. `pid`: its process, in whose network namespace it is counted.
pub fn stats(record: &Record) -> Value {
    let places = record.places();
    let of = |controller: &str| match places.iter().find(|place| place.has(controller)) {
        Some(place) => Files { directory: place.root.join(&place.path), is_v1: true },
        None => Files {
            directory: match (&record.cgroup, record.hierarchy()) {
                (Some(path), Hierarchy::V2 | Hierarchy::Hybrid) => record.cgroup_root.join(path),
                _ => PathBuf::new(),
            },
            is_v1: false,
        },
    };
    json!({
        "cpu": cpu(&of("cpu"), &of("cpuacct")),
        "cpuset": cpuset(&of("cpuset")),
        "memory": memory(&of("memory")),
        "pids": pids(&of("pids")),
        "blkio": block_io(&of("blkio")),
        "hugetlb": huge_pages(&of("hugetlb")),
        "intel_rdt": {},
        "network_interfaces": network(record.pid),
    })
}

impl Files {
    fn text(&self, file: &str) -> Option<String> {
        let bytes = read_kernel(self.directory.join(file)).ok()?;
        (!self.directory.as_os_str().is_empty()).then_some(())?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn number(&self, file: &str) -> Option<u64> {
        number(&self.text(file)?)
    }

    /// Of several names, the first that the kernel has.
    fn first(&self, files: &[&str]) -> Option<String> {
        files.iter().find_map(|file| self.text(file))
    }
}

fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(MAX),
        text => text.parse().ok(),
    }
}

/// The number after a name, in a file of such lines.
fn pair(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    number(value?)
}

fn pairs(text: &str) -> Map<String, Value> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), number(value)?.into()))
    };
    text.lines().filter_map(pair).collect()
}

/// Sets a member, unless the number is unknown or 0.
fn set(object: &mut Value, name: &str, number: Option<u64>) {
    if let Some(number) = number.filter(|number| *number != 0) {
        object[name] = number.into();
    }
}

fn cpu(cpu: &Files, account: &Files) -> Value {
    let mut usage = json!({ "kernel": 0, "user": 0 });
    let stat = cpu.text("cpu.stat").unwrap_or_default();
    let of_stat = |name: &str| pair(&stat, name);
    let nanoseconds = |us: u64| us.saturating_mul(1000);
    if account.is_v1 {
        let ticks = account.text("cpuacct.stat").unwrap_or_default();
        // USER_HZ is 100 on every architecture.
        let time = |name| pair(&ticks, name).unwrap_or(0).saturating_mul(10_000_000);
        usage = json!({ "kernel": time("system"), "user": time("user") });
        set(&mut usage, "total", account.number("cpuacct.usage"));
        let each = account.text("cpuacct.usage_percpu").unwrap_or_default();
        usage["percpu"] = each.split_whitespace().filter_map(number).collect();
    } else {
        for (name, file) in [("kernel", "system_usec"), ("user", "user_usec")] {
            usage[name] = of_stat(file).map_or(0, nanoseconds).into();
        }
        set(&mut usage, "total", of_stat("usage_usec").map(nanoseconds));
    }
    let mut throttling = json!({});
    set(&mut throttling, "periods", of_stat("nr_periods"));
    set(&mut throttling, "throttledPeriods", of_stat("nr_throttled"));
    let time = of_stat("throttled_usec").map(nanoseconds).or_else(|| of_stat("throttled_time"));
    set(&mut throttling, "throttledTime", time);
    let mut all = json!({ "usage": usage, "throttling": throttling });
    pressure(&mut all, cpu, "cpu.pressure");
    all
}

/// How long processes waited (Linux, "PSI - Pressure Stall Information"), if the kernel
/// counts it.
fn pressure(object: &mut Value, files: &Files, file: &str) {
    let Some(text) = files.text(file) else { return };
    let mut all = Map::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some(kind) = words.next() else { continue };
        let member = |word: &str| {
            let (name, value) = word.split_once('=')?;
            let value = match name {
                "total" => Value::from(value.parse::<u64>().ok()?),
                _ => Value::from(value.parse::<f64>().ok()?),
            };
            Some((name.to_owned(), value))
        };
        all.insert(kind.to_owned(), words.filter_map(member).collect::<Map<_, _>>().into());
    }
    object["psi"] = all.into();
}

fn cpuset(files: &Files) -> Value {
    let list = |names: &[&str]| {
        let text = files.first(names).unwrap_or_default();
        text.trim().split(',').filter_map(range).flatten().collect::<Vec<u16>>()
    };
    let mut all = json!({});
    for (name, number) in [
        ("cpu_exclusive", 0),
        ("mem_hardwall", 0),
        ("mem_exclusive", 0),
        ("memory_migrate", 0),
        ("memory_spread_page", 0),
        ("memory_spread_slab", 0),
        ("memory_pressure", 0),
        ("sched_load_balance", 0),
        ("sched_relax_domain_level", 0_i64),
    ] {
        let text = files.text(&format!("cpuset.{name}")).unwrap_or_default();
        all[name] = text.trim().parse().unwrap_or(number).into();
    }
    for (name, list) in [
        ("cpus", list(&["cpuset.cpus.effective", "cpuset.cpus"])),
        ("mems", list(&["cpuset.mems.effective", "cpuset.mems"])),
    ] {
        if !list.is_empty() {
            all[name] = list.into();
        }
    }
    all
}

/// As in 0-2 or 5.
fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

fn memory(files: &Files) -> Value {
    let entry = |[usage, limit, max]: [&str; 3], failures: Option<u64>| {
        let usage = files.number(usage)?;
        let mut entry = json!({
            "limit": files.number(limit).unwrap_or(0),
            "failcnt": failures.unwrap_or(0),
        });
        set(&mut entry, "usage", Some(usage));
        set(&mut entry, "max", files.number(max));
        Some(entry)
    };
    let stat = files.text("memory.stat").unwrap_or_default();
    let mut all = json!({ "raw": pairs(&stat) });
    if files.is_v1 {
        for (name, part) in
            [("usage", ""), ("swap", ".memsw"), ("kernel", ".kmem"), ("kernelTCP", ".kmem.tcp")]
        {
            let file = |end: &str| format!("memory{part}.{end}");
            let files_of = ["usage_in_bytes", "limit_in_bytes", "max_usage_in_bytes"].map(file);
            let failures = files.number(&file("failcnt"));
            if let Some(entry) = entry(files_of.each_ref().map(String::as_str), failures) {
                all[name] = entry;
            }
        }
        set(&mut all, "cache", pair(&stat, "cache"));
        return all;
    }
    let failures = |file: &str| files.text(file).and_then(|text| pair(&text, "max"));
    let own = ["memory.current", "memory.max", "memory.peak"];
    if let Some(usage) = entry(own, failures("memory.events")) {
        // As in cgroup v1, swap is the sum of both.
        let of = |name: &str| usage[name].as_u64().unwrap_or(0);
        let swap = ["memory.swap.current", "memory.swap.max", ""];
        if let Some(mut swap) = entry(swap, failures("memory.swap.events")) {
            let used = swap["usage"].as_u64().unwrap_or(0);
            set(&mut swap, "usage", Some(used.saturating_add(of("usage"))));
            let limit = swap["limit"].as_u64().unwrap_or(0);
            swap["limit"] = limit.saturating_add(of("limit")).into();
            all["swap"] = swap;
        }
        all["usage"] = usage;
    }
    set(&mut all, "cache", pair(&stat, "file"));
    pressure(&mut all, files, "memory.pressure");
    all
}

fn pids(files: &Files) -> Value {
    let mut all = json!({});
    let listed = || files.text("cgroup.procs").map(|text| text.lines().count() as u64);
    set(&mut all, "current", files.number("pids.current").or_else(listed));
    set(&mut all, "limit", files.number("pids.max").filter(|limit| *limit != MAX));
    all
}

fn block_io(files: &Files) -> Value {
    let (mut bytes, mut count) = (Vec::new(), Vec::new());
    let entry = |device: &str, operation: &str, value: u64| {
        let (major, minor) = device.split_once(':')?;
        let (major, minor): (u64, u64) = (major.parse().ok()?, minor.parse().ok()?);
        Some(json!({ "major": major, "minor": minor, "op": operation, "value": value }))
    };
    if files.is_v1 {
        for (list, name) in [(&mut bytes, "io_service_bytes"), (&mut count, "io_serviced")] {
            let names =
                ["bfq.", "", "throttle."].map(|kind| format!("blkio.{kind}{name}_recursive"));
            let text = files.first(&names.each_ref().map(String::as_str)).unwrap_or_default();
            list.extend(text.lines().filter_map(|line| {
                let mut words = line.split(' ');
                entry(words.next()?, words.next()?, words.next()?.parse().ok()?)
            }));
        }
    } else {
        let text = files.text("io.stat").unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let device = words.next().unwrap_or_default();
            for (name, value) in words.filter_map(|word| word.split_once('=')) {
                let (list, operation) = match name {
                    "rbytes" => (&mut bytes, "Read"),
                    "wbytes" => (&mut bytes, "Write"),
                    "rios" => (&mut count, "Read"),
                    "wios" => (&mut count, "Write"),
                    _ => continue,
                };
                list.extend(number(value).and_then(|value| entry(device, operation, value)));
            }
        }
    }
    let mut all = json!({});
    for (name, list) in [("ioServiceBytesRecursive", bytes), ("ioServicedRecursive", count)] {
        if !list.is_empty() {
            all[name] = list.into();
        }
    }
    pressure(&mut all, files, "io.pressure");
    all
}

fn huge_pages(files: &Files) -> Value {
    let mut all = json!({});
    let end = if files.is_v1 { ".usage_in_bytes" } else { ".current" };
    let found = read_dir(&files.directory).into_iter().flatten().flatten();
    for name in found.filter_map(|file| file.file_name().into_string().ok()) {
        let size = name.strip_prefix("hugetlb.").and_then(|name| name.strip_suffix(end));
        let Some(size) = size.filter(|size| !size.contains('.')) else { continue };
        let file = |name: &str| format!("hugetlb.{size}.{name}");
        let failures = match files.is_v1 {
            true => files.number(&file("failcnt")),
            false => files.text(&file("events")).and_then(|text| pair(&text, "max")),
        };
        let mut entry = json!({ "failcnt": failures.unwrap_or(0) });
        set(&mut entry, "usage", files.number(&name));
        set(&mut entry, "max", files.number(&file("max_usage_in_bytes")));
        all[size] = entry;
    }
    all
}

/// What its network namespace has received and sent by each interface, as it counts.
fn network(pid: u32) -> Value {
    let text = read_kernel(Path::new("/proc").join(pid.to_string()).join("net/dev"));
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    let interface = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(number).collect();
        let of = |index: usize| numbers.get(index).copied();
        Some(json!({
            "Name": name.trim(),
            "RxBytes": of(0)?, "RxPackets": of(1)?, "RxErrors": of(2)?, "RxDropped": of(3)?,
            "TxBytes": of(8)?, "TxPackets": of(9)?, "TxErrors": of(10)?, "TxDropped": of(11)?,
        }))
    };
    text.lines().filter_map(interface).collect::<Vec<_>>().into()
}
