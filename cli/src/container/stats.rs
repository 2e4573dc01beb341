//! What a container uses, as `runc events` tells it in JSON. Engines and exporters read
//! these names, which are those of cgroup v1.

use std::fs::read_dir;
use std::path::PathBuf;

use super::record::Record;
use crate::cgroup::{MAX, number, pair};
use crate::file::read_kernel;
use crate::host::Hierarchy;

/// All that is known, as a JSON object.
pub fn stats(record: &Record) -> String {
    let of = |controller: &str| Files::of(record, controller);
    let mut json = Json::default();
    json.open("");
    cpu(&mut json, &of("cpu"), &of("cpuacct"));
    cpuset(&mut json, &of("cpuset"));
    memory(&mut json, &of("memory"));
    pids(&mut json, &of("pids"));
    block_io(&mut json, &of("blkio"));
    huge_pages(&mut json, &of("hugetlb"));
    json.raw("intel_rdt", "{}");
    json.raw("network_interfaces", &network(record.pid));
    json.close();
    json.0
}

/// JSON text, member by member. The names need no escapes.
#[derive(Default)]
struct Json(String);

impl Json {
    fn name(&mut self, name: &str) {
        if !self.0.is_empty() && !self.0.ends_with('{') {
            self.0.push(',');
        }
        if !name.is_empty() {
            self.0.push_str(&["\"", name, "\":"].concat());
        }
    }

    fn open(&mut self, name: &str) {
        self.name(name);
        self.0.push('{');
    }

    fn close(&mut self) {
        self.0.push('}');
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    fn number(&mut self, name: &str, number: Option<u64>) {
        self.raw(name, &number.unwrap_or(0).to_string());
    }

    /// Leaves the member out if the number is unknown or 0.
    fn some(&mut self, name: &str, number: Option<u64>) {
        if number.is_some_and(|number| number != 0) {
            self.number(name, number);
        }
    }

    /// Leaves the member out if the list is empty.
    fn list(&mut self, name: &str, list: &[String]) {
        if !list.is_empty() {
            self.raw(name, &["[", &list.join(","), "]"].concat());
        }
    }
}

/// The files of one controller.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    is_v1: bool,
}

impl Files {
    /// Those of a container.
    pub fn of(record: &Record, controller: &str) -> Files {
        match record.places().iter().find(|place| place.has(controller)) {
            Some(place) => Files { directory: place.root.join(&place.path), is_v1: true },
            None => Files {
                directory: match (&record.cgroup, record.hierarchy()) {
                    (Some(path), Hierarchy::V2 | Hierarchy::Hybrid) => {
                        record.cgroup_root.join(path)
                    }
                    _ => PathBuf::new(),
                },
                is_v1: false,
            },
        }
    }

    /// Empty if the kernel does not have the file.
    fn text(&self, file: &str) -> String {
        let is_there = !self.directory.as_os_str().is_empty();
        let bytes = is_there.then(|| read_kernel(self.directory.join(file)).ok()).flatten();
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    fn number(&self, file: &str) -> Option<u64> {
        number(&self.text(file))
    }

    /// The number after a name in a file.
    fn pair(&self, file: &str, name: &str) -> Option<u64> {
        pair(&self.text(file), name)
    }

    /// Of several names, the first that the kernel has.
    pub fn first(&self, files: &[&str]) -> String {
        let mut texts = files.iter().map(|file| self.text(file));
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    }
}

fn cpu(json: &mut Json, cpu: &Files, account: &Files) {
    let stat = cpu.text("cpu.stat");
    let nanoseconds = |name: &str| pair(&stat, name).map(|us| us.saturating_mul(1000));
    json.open("cpu");
    json.open("usage");
    if account.is_v1 {
        let ticks = account.text("cpuacct.stat");
        // USER_HZ is 100 on every architecture.
        let time = |name| pair(&ticks, name).map(|ticks| ticks.saturating_mul(10_000_000));
        json.number("kernel", time("system"));
        json.number("user", time("user"));
        json.some("total", account.number("cpuacct.usage"));
        let each = account.text("cpuacct.usage_percpu");
        let each: Vec<String> = each.split_whitespace().map(str::to_owned).collect();
        json.list("percpu", &each);
    } else {
        json.number("kernel", nanoseconds("system_usec"));
        json.number("user", nanoseconds("user_usec"));
        json.some("total", nanoseconds("usage_usec"));
    }
    json.close();
    json.open("throttling");
    json.some("periods", pair(&stat, "nr_periods"));
    json.some("throttledPeriods", pair(&stat, "nr_throttled"));
    let time = nanoseconds("throttled_usec").or_else(|| pair(&stat, "throttled_time"));
    json.some("throttledTime", time);
    json.close();
    pressure(json, cpu, "cpu.pressure");
    json.close();
}

/// How long processes waited (Linux, "PSI - Pressure Stall Information"), if the kernel
/// counts it.
fn pressure(json: &mut Json, files: &Files, file: &str) {
    let text = files.text(file);
    if text.is_empty() {
        return;
    }
    json.open("psi");
    for line in text.lines() {
        let mut words = line.split(' ');
        json.open(words.next().unwrap_or_default());
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            json.raw(name, value);
        }
        json.close();
    }
    json.close();
}

fn cpuset(json: &mut Json, files: &Files) {
    json.open("cpuset");
    for (name, kind) in [("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")] {
        let effective = [kind, ".effective"].concat();
        let text = files.first(&[&effective, kind]);
        let all: Vec<String> = text.trim().split(',').filter_map(range).flatten().collect();
        json.list(name, &all);
    }
    for name in [
        "cpu_exclusive",
        "mem_hardwall",
        "mem_exclusive",
        "memory_migrate",
        "memory_spread_page",
        "memory_spread_slab",
        "memory_pressure",
        "sched_load_balance",
        "sched_relax_domain_level",
    ] {
        let text = files.text(&["cpuset.", name].concat());
        json.raw(name, if text.is_empty() { "0" } else { text.trim() });
    }
    json.close();
}

/// The numbers in a text as 0-2 or 5.
fn range(text: &str) -> Option<impl Iterator<Item = String>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    Some((first..=last).map(|number| number.to_string()))
}

/// One usage: the values that it has, as runc names them.
fn entry(
    json: &mut Json,
    name: &str,
    usage: Option<u64>,
    [limit, max, failures]: [Option<u64>; 3],
) {
    if usage.is_some() {
        json.open(name);
        json.number("limit", limit);
        json.some("usage", usage);
        json.some("max", max);
        json.number("failcnt", failures);
        json.close();
    }
}

fn memory(json: &mut Json, files: &Files) {
    let stat = files.text("memory.stat");
    json.open("memory");
    if files.is_v1 {
        for (name, part) in
            [("usage", ""), ("swap", ".memsw"), ("kernel", ".kmem"), ("kernelTCP", ".kmem.tcp")]
        {
            let of = |end: &str| files.number(&["memory", part, end].concat());
            let others = [of(".limit_in_bytes"), of(".max_usage_in_bytes"), of(".failcnt")];
            entry(json, name, of(".usage_in_bytes"), others);
        }
        json.some("cache", pair(&stat, "cache"));
    } else {
        let (usage, limit) = (files.number("memory.current"), files.number("memory.max"));
        let failures = files.pair("memory.events", "max");
        entry(json, "usage", usage, [limit, files.number("memory.peak"), failures]);
        // As in cgroup v1, swap is the sum of both.
        let sum = |file: &str, own: Option<u64>| Some(files.number(file)?.saturating_add(own?));
        let both = sum("memory.swap.max", limit);
        let failures = files.pair("memory.swap.events", "max");
        entry(json, "swap", sum("memory.swap.current", usage), [both, None, failures]);
        json.some("cache", pair(&stat, "file"));
    }
    json.open("raw");
    for (name, value) in stat.lines().filter_map(|line| line.split_once(' ')) {
        json.raw(name, value);
    }
    json.close();
    pressure(json, files, "memory.pressure");
    json.close();
}

fn pids(json: &mut Json, files: &Files) {
    json.open("pids");
    let listed = || Some(files.text("cgroup.procs").lines().count() as u64);
    json.some("current", files.number("pids.current").or_else(listed));
    json.some("limit", files.number("pids.max").filter(|limit| *limit != MAX));
    json.close();
}

fn block_io(json: &mut Json, files: &Files) {
    let (mut bytes, mut count) = (Vec::new(), Vec::new());
    let entry = |device: &str, operation: &str, value: &str| {
        let (major, minor) = device.split_once(':')?;
        let mut json = Json::default();
        json.open("");
        json.raw("major", major);
        json.raw("minor", minor);
        json.raw("op", &["\"", operation, "\""].concat());
        json.raw("value", value);
        json.close();
        Some(json.0)
    };
    if files.is_v1 {
        for (list, name) in [(&mut bytes, "io_service_bytes"), (&mut count, "io_serviced")] {
            let names = ["bfq.", "", "throttle."];
            let names = names.map(|kind| ["blkio.", kind, name, "_recursive"].concat());
            let text = files.first(&names.each_ref().map(String::as_str));
            list.extend(text.lines().filter_map(|line| {
                let mut words = line.split(' ');
                entry(words.next()?, words.next()?, words.next()?)
            }));
        }
    } else {
        for line in files.text("io.stat").lines() {
            let (device, values) = line.split_once(' ').unwrap_or_default();
            for (name, value) in values.split(' ').filter_map(|word| word.split_once('=')) {
                let (list, operation) = match name {
                    "rbytes" => (&mut bytes, "Read"),
                    "wbytes" => (&mut bytes, "Write"),
                    "rios" => (&mut count, "Read"),
                    "wios" => (&mut count, "Write"),
                    _ => continue,
                };
                list.extend(entry(device, operation, value));
            }
        }
    }
    json.open("blkio");
    json.list("ioServiceBytesRecursive", &bytes);
    json.list("ioServicedRecursive", &count);
    pressure(json, files, "io.pressure");
    json.close();
}

fn huge_pages(json: &mut Json, files: &Files) {
    json.open("hugetlb");
    let end = if files.is_v1 { ".usage_in_bytes" } else { ".current" };
    let found = read_dir(&files.directory).into_iter().flatten().flatten();
    for name in found.filter_map(|file| file.file_name().into_string().ok()) {
        let size = name.strip_prefix("hugetlb.").and_then(|name| name.strip_suffix(end));
        let Some(size) = size.filter(|size| !size.contains('.')) else { continue };
        let file = |name: &str| ["hugetlb.", size, name].concat();
        let failures = match files.is_v1 {
            true => files.number(&file(".failcnt")),
            false => files.pair(&file(".events"), "max"),
        };
        json.open(size);
        json.some("usage", files.number(&name));
        json.some("max", files.number(&file(".max_usage_in_bytes")));
        json.number("failcnt", failures);
        json.close();
    }
    json.close();
}

/// What the network namespace of a process has received and sent by each interface.
fn network(pid: u32) -> String {
    let text = read_kernel(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut all = Vec::new();
    for (name, numbers) in text.lines().filter_map(|line| line.split_once(':')) {
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        let mut json = Json::default();
        json.open("");
        json.raw("Name", &serde_json::Value::from(name.trim()).to_string());
        for (direction, first) in [("Rx", 0), ("Tx", 8)] {
            for (index, what) in ["Bytes", "Packets", "Errors", "Dropped"].into_iter().enumerate() {
                let number = numbers.get(first + index).copied().unwrap_or("0");
                json.raw(&[direction, what].concat(), number);
            }
        }
        json.close();
        all.push(json.0);
    }
    ["[", &all.join(","), "]"].concat()
}
