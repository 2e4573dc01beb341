//! update: changes the limits of a container.

use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use argh::{ArgsInfo, FromArgs};

use crate::config;
use crate::config::resources::Resources;
use crate::container::Container;
use crate::container::status::Status;
use crate::error::Error;
use crate::file::read_kernel;
use crate::flags::Global;
use crate::host::cgroups::Ancestry;
use crate::host::{CgroupMount, Hierarchy, Lineage};
use crate::launch::here;
use crate::plan::Place;
use crate::planner;
use crate::systemd;

/// change the limits of a container
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "update", help_triggers("-h", "--help"))]
#[argh(example = "vial update --memory 64M --pids-limit 50 web")]
pub struct Update {
    /// file with the limits as JSON, as config.json's linux.resources; - is standard
    /// input
    #[argh(option, short = 'r', arg_name = "file")]
    resources: Option<PathBuf>,
    /// weight for block devices, 10 to 1000
    #[argh(option, arg_name = "weight")]
    blkio_weight: Option<u16>,
    /// the period of the CPU quota in microseconds
    #[argh(option, arg_name = "us")]
    cpu_period: Option<u64>,
    /// CPU time in a period in microseconds; -1 is no limit
    #[argh(option, arg_name = "us")]
    cpu_quota: Option<i64>,
    /// CPU time that may be saved up in microseconds
    #[argh(option, arg_name = "us")]
    cpu_burst: Option<u64>,
    /// share of the CPU beside others, 2 to 262144
    #[argh(option, arg_name = "shares")]
    cpu_share: Option<u64>,
    /// the period of the realtime limit in microseconds (cgroup v1)
    #[argh(option, arg_name = "us")]
    cpu_rt_period: Option<u64>,
    /// realtime in a period in microseconds (cgroup v1)
    #[argh(option, arg_name = "us")]
    cpu_rt_runtime: Option<i64>,
    /// CPUs to use, as in 0-2,4
    #[argh(option, arg_name = "list")]
    cpuset_cpus: Option<String>,
    /// memory nodes to use
    #[argh(option, arg_name = "list")]
    cpuset_mems: Option<String>,
    /// has no effect, as memory includes it
    #[argh(option, arg_name = "bytes")]
    kernel_memory: Option<String>,
    /// limit of the kernel's memory for TCP (cgroup v1)
    #[argh(option, arg_name = "bytes")]
    kernel_memory_tcp: Option<String>,
    /// limit of memory, as in 64M; -1 is no limit
    #[argh(option, arg_name = "bytes")]
    memory: Option<String>,
    /// whether it runs only when the CPU is idle: 1 or 0
    #[argh(option, arg_name = "0|1")]
    cpu_idle: Option<i64>,
    /// memory that is not taken back while others have some to give
    #[argh(option, arg_name = "bytes")]
    memory_reservation: Option<String>,
    /// limit of memory and swap together; -1 is no limit
    #[argh(option, arg_name = "bytes")]
    memory_swap: Option<String>,
    /// limit of processes; -1 is no limit
    #[argh(option, arg_name = "n")]
    pids_limit: Option<i64>,
    /// schema of the L3 cache (Intel RDT)
    #[argh(option, arg_name = "line")]
    l3_cache_schema: Option<String>,
    /// schema of memory bandwidth (Intel RDT)
    #[argh(option, arg_name = "line")]
    mem_bw_schema: Option<String>,
    /// the container's id
    #[argh(positional)]
    id: String,
}

impl Update {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let mut resources = self.resources()?;
        let container = Container::open(&global.root, &self.id)?;
        if container.status()? == Status::Stopped {
            return Err(Error::new("container not running"));
        }
        let host = container.record.host();
        let places = container.record.places();
        let own = container.record.cgroup.clone();
        let cgroup = own.filter(|_| container.record.hierarchy() != Hierarchy::V1);
        let of_memory = match places.iter().find(|place| place.has("memory")) {
            Some(place) => {
                let mount = CgroupMount { root: place.root.clone(), is_v1: true, ..<_>::default() };
                mount.memory(&place.path)
            }
            None => host.cgroup.iter().zip(&cgroup).find_map(|(mount, path)| mount.memory(path)),
        };
        let in_v2 = container.cgroup().filter(|_| cgroup.is_some());
        complete(&mut resources, of_memory, in_v2.as_ref().map(|cgroup| cgroup.path()));
        let update = planner::Update {
            resources: &resources,
            schemata: &[self.l3_cache_schema, self.mem_bw_schema]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>(),
            device_list: device_list(&places),
            lineage: Lineage {
                v1: vec![Ancestry::default(); host.cgroup_v1.len()],
                memory: of_memory,
                ..Lineage::default()
            },
            cgroup,
            is_in_scope: !container.record.scope.is_empty(),
            places,
        };
        let (plan, properties) = planner::update(&update, &host).map_err(told)?;
        global.log.warn(&plan.warnings);
        if !properties.is_empty() {
            // First: systemd writes what it knows, and vial the exact values after it.
            systemd::set_properties(&container.record.scope, &properties)?;
        }
        here::carry_out(&plan).map_err(told)?;
        Ok(0)
    }

    /// The new limits: those of the file, and those of the flags.
    fn resources(&self) -> Result<Resources, Error> {
        let mut all = match self.resources.as_deref() {
            None => Resources::default(),
            Some(file) => {
                let (bytes, name) = match file.as_os_str() == "-" {
                    true => (standard_input()?, Path::new("standard input")),
                    false => (config::read(file)?, file),
                };
                config::parse(&bytes).map_err(|error| error.context(name.display()))?
            }
        };
        let set = |place: &mut Option<i64>, text: &Option<String>, flag: &str| {
            if let Some(text) = text {
                *place = Some(bytes(text, flag)?);
            }
            Ok::<(), Error>(())
        };
        let memory = &mut all.memory;
        set(&mut memory.limit, &self.memory, "--memory")?;
        set(&mut memory.reservation, &self.memory_reservation, "--memory-reservation")?;
        set(&mut memory.swap, &self.memory_swap, "--memory-swap")?;
        set(&mut memory.kernel, &self.kernel_memory, "--kernel-memory")?;
        set(&mut memory.kernel_tcp, &self.kernel_memory_tcp, "--kernel-memory-tcp")?;
        let cpu = &mut all.cpu;
        cpu.shares = self.cpu_share.or(cpu.shares);
        cpu.quota = self.cpu_quota.or(cpu.quota);
        cpu.period = self.cpu_period.or(cpu.period);
        cpu.burst = self.cpu_burst.or(cpu.burst);
        cpu.idle = self.cpu_idle.or(cpu.idle);
        cpu.realtime_period = self.cpu_rt_period.or(cpu.realtime_period);
        cpu.realtime_runtime = self.cpu_rt_runtime.or(cpu.realtime_runtime);
        for (place, flag) in
            [(&mut cpu.cpus, &self.cpuset_cpus), (&mut cpu.mems, &self.cpuset_mems)]
        {
            if let Some(list) = flag {
                place.clone_from(list);
            }
        }
        all.pids.limit = self.pids_limit.or(all.pids.limit);
        all.block_io.weight = self.blkio_weight.or(all.block_io.weight);
        Ok(all)
    }
}

fn standard_input() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut input = stdin().lock().take(1 << 20);
    input.read_to_end(&mut bytes).map_err(|e| Error::io("read standard input", &e))?;
    Ok(bytes)
}

/// A number of bytes, as in 1000 or 64M. -1 is no limit.
fn bytes(text: &str, flag: &str) -> Result<i64, Error> {
    let wrong = || {
        Error::new(format_args!("{flag} {text}: not a number of bytes"))
            .hint("as in 1000000, 512K, 64M or 2G; -1 is no limit")
    };
    if text == "-1" {
        return Ok(-1);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.to_ascii_lowercase();
    let shift = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Adds what one file of cgroup2 holds beside a limit that is set, and the limit that
/// one on memory and swap includes.
fn complete(resources: &mut Resources, of_memory: Option<[u64; 2]>, in_v2: Option<&Path>) {
    let Resources { memory, cpu, .. } = resources;
    if memory.swap.is_some_and(|both| both > 0) && memory.limit.is_none() {
        memory.limit = of_memory.map(|[limit, _]| i64::try_from(limit).unwrap_or(-1));
    }
    if let Some(cgroup) = in_v2.filter(|_| cpu.quota.is_some() != cpu.period.is_some()) {
        let text = read_kernel(cgroup.join("cpu.max")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut now = text.split_whitespace();
        let (quota, period) = (now.next(), now.next());
        cpu.quota = cpu.quota.or(quota.map(|quota| quota.parse().unwrap_or(-1)));
        cpu.period = cpu.period.or(period.and_then(|period| period.parse().ok()));
    }
}

fn device_list(places: &[Place]) -> String {
    let Some(place) = places.iter().find(|place| place.has("devices")) else {
        return String::new();
    };
    let text = read_kernel(place.root.join(&place.path).join("devices.list"));
    String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
}

/// The limits are not those of config.json.
fn told(error: Error) -> Error {
    error.without("config.json linux.")
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_may_have_a_unit() {
        for (text, number) in [
            ("0", 0),
            ("-1", -1),
            ("1000", 1000),
            ("1b", 1),
            ("512K", 512 << 10),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("2GiB", 2 << 30),
            ("1t", 1 << 40),
        ] {
            assert_eq!(bytes(text, "--memory").ok(), Some(number), "{text}");
        }
        for text in
            ["", "-2", "m", "1x", "1 m", "9223372036854775808", "9223372036854775807k", "0x1"]
        {
            assert!(bytes(text, "--memory").is_err(), "{text}");
        }
    }
}
