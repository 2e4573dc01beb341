//! cgroup v1 and hybrid hosts: the same limits, in the files of v1.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};
use serde_json::{Value, json};

use super::chroot::mounts_of_its_own;
use super::container::{self, v1_cgroup_of, v1_hierarchies, v1_root, wait_until, words};
use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "cgroup_v1",
    process_is_in_every_hierarchy [Root, CgroupV1],
    limits_are_in_the_files_of_v1 [Root, CgroupV1],
    throttles_are_in_the_files_of_v1 [Root, CgroupV1],
    cpus_of_the_parents_are_copied_down [Root, CgroupV1],
    limits_of_an_existing_cgroup_are_raised_and_lowered [Root, CgroupV1],
    usage_of_an_existing_cgroup_is_checked_on_request [Root, CgroupV1],
    lists_of_devices_are_those_of_v1 [Root, CgroupV1],
    verbs_work_without_cgroup2 [Root, CgroupV1],
    pause_freezes_by_the_freezer_of_v1 [Root, CgroupV1],
    frozen_container_can_be_killed_and_deleted [Root, CgroupV1],
    frozen_parent_of_v1_is_refused [Root, CgroupV1],
    processes_end_with_a_container_of_v1_without_a_pid_namespace [Root, CgroupV1],
    exec_enters_a_cgroup_of_one_controller_on_request [Root, CgroupV1],
    container_sees_its_own_cgroups [Root, CgroupV1],
    container_with_a_cgroup_namespace_sees_its_cgroups_as_roots [Root, CgroupV1],
    failed_create_leaves_no_cgroup_in_any_hierarchy [Root, CgroupV1],
    controller_that_v1_lacks_is_named_with_its_limit [Root, CgroupV1],
    wrong_limits_of_v1_are_refused [Root, CgroupV1],
);

/// Hides cgroup2 from this process, so that only v1 is left.
fn without_cgroup2() -> Result<(), String> {
    mounts_of_its_own()?;
    let _ = unmount("/sys/fs/cgroup/unified", UnmountFlags::DETACH); // EINVAL: there is none.
    Ok(())
}

/// The value of a file of the container's cgroup.
fn value(pid: u32, file: &str) -> Result<String, String> {
    let controller = file.split('.').next().unwrap_or_default();
    let path = v1_cgroup_of(pid, controller)?.join(file);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn sleeping<'a>(
    context: &'a Context,
    edit: impl FnOnce(&mut Value),
) -> Result<Container<'a>, String> {
    Container::start(context, &["sleep", "3600"], edit)
}

/// The cgroup of a process in each hierarchy of v1, without the parents.
fn names(pid: u32) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(words)?;
    let v1 = text.lines().filter(|line| !line.starts_with("0::"));
    Ok(v1.filter_map(|line| line.rsplit('/').next().map(str::to_owned)).collect())
}

fn process_is_in_every_hierarchy(context: &Context) -> Outcome {
    for hides_v2 in [false, true] {
        if hides_v2 {
            without_cgroup2()?;
        }
        let container = sleeping(context, |_| {})?;
        let wanted = vec![format!("vial-{}", container.id); names(container.pid)?.len()];
        same("its cgroups", names(container.pid)?, wanted.clone())?;
        same("whether there are several", wanted.len() > 5, true)?;
        let said = container.exec(&[], &["cat", "/proc/self/cgroup"])?.success()?.stdout;
        let of_exec = said.lines().filter(|line| !line.starts_with("0::"));
        let of_exec: Vec<_> = of_exec.filter_map(|line| line.rsplit('/').next()).collect();
        same("the exec's cgroups", of_exec, wanted)?;
    }
    Ok(())
}

/// Writes all that this kernel has: cpu.cfs_burst_us is of Linux 5.14, cpu.idle of 5.15.
fn limits_are_in_the_files_of_v1(context: &Context) -> Outcome {
    let has = |controller: &str, file: &str| {
        v1_root(controller).is_some_and(|root| root.join(file).exists())
    };
    let (has_swap, has_burst) =
        (has("memory", "memory.memsw.limit_in_bytes"), has("cpu", "cpu.cfs_burst_us"));
    let has_realtime = has("cpu", "cpu.rt_runtime_us");
    let container = sleeping(context, |config| {
        let resources = &mut config["linux"]["resources"];
        resources["memory"] = json!({ "limit": 64 << 20, "reservation": 32 << 20,
            "swappiness": 7, "disableOOMKiller": true, "kernelTCP": 16 << 20,
            "useHierarchy": true });
        if has_swap {
            resources["memory"]["swap"] = json!(96 << 20);
        }
        resources["cpu"] = json!({ "shares": 512, "quota": 20_000, "period": 50_000,
            "cpus": "0", "mems": "0" });
        if has_burst {
            resources["cpu"]["burst"] = json!(10_000);
        }
        if has_realtime {
            resources["cpu"]["realtimeRuntime"] = json!(9_000);
            resources["cpu"]["realtimePeriod"] = json!(900_000);
        }
        resources["pids"] = json!({ "limit": 77 });
    })?;
    let check = |file: &str, wanted: &str| same(file, value(container.pid, file)?.as_str(), wanted);
    check("memory.limit_in_bytes", "67108864")?;
    check("memory.soft_limit_in_bytes", "33554432")?;
    check("memory.swappiness", "7")?;
    check("memory.use_hierarchy", "1")?;
    let control = value(container.pid, "memory.oom_control")?;
    same("memory.oom_control", control.lines().next(), Some("oom_kill_disable 1"))?;
    check("memory.kmem.tcp.limit_in_bytes", "16777216")?;
    check("cpu.shares", "512")?;
    check("cpu.cfs_quota_us", "20000")?;
    check("cpu.cfs_period_us", "50000")?;
    check("cpuset.cpus", "0")?;
    check("cpuset.mems", "0")?;
    check("pids.max", "77")?;
    if has_swap {
        check("memory.memsw.limit_in_bytes", "100663296")?;
    }
    if has_burst {
        check("cpu.cfs_burst_us", "10000")?;
    }
    if has_realtime {
        check("cpu.rt_runtime_us", "9000")?;
        check("cpu.rt_period_us", "900000")?;
    }
    let report = container.exec_report(&[])?;
    same("the exec's CPUs", report["affinity"].as_str(), Some("0"))?;
    drop(container);
    let class = v1_root("net_cls").is_some();
    let container = sleeping(context, |config| {
        let resources = &mut config["linux"]["resources"];
        if class {
            resources["network"] = json!({ "classID": 0x0010_0001,
                "priorities": [{ "name": "lo", "priority": 5 }] });
        }
        if v1_root("hugetlb").is_some() {
            resources["hugepageLimits"] = json!([{ "pageSize": "2MB", "limit": 4 << 20 }]);
        }
    })?;
    let check = |file: &str, wanted: &str| same(file, value(container.pid, file)?.as_str(), wanted);
    if class {
        check("net_cls.classid", &0x0010_0001.to_string())?;
        let map = value(container.pid, "net_prio.ifpriomap")?;
        same("lo's priority", map.lines().any(|line| line == "lo 5"), true)?;
    }
    if v1_root("hugetlb").is_some() {
        check("hugetlb.2MB.limit_in_bytes", "4194304")?;
        check("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")?;
    }
    Ok(())
}

/// Throttles need a block device, and weights a scheduler that has them.
fn throttles_are_in_the_files_of_v1(context: &Context) -> Outcome {
    let devices = fs::read_dir("/sys/class/block").map_err(words)?.flatten();
    let mut numbers = devices.filter_map(|device| {
        let text = fs::read_to_string(device.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    if let Some((major, minor)) = numbers.next() {
        let rate = |rate: u64| json!([{ "major": major, "minor": minor, "rate": rate }]);
        let container = sleeping(context, |config| {
            config["linux"]["resources"]["blockIO"] = json!({
                "throttleReadBpsDevice": rate(1 << 20), "throttleWriteBpsDevice": rate(2 << 20),
                "throttleReadIOPSDevice": rate(300), "throttleWriteIOPSDevice": rate(400),
            });
        })?;
        for (file, rate) in
            [("read_bps", 1 << 20), ("write_bps", 2 << 20), ("read_iops", 300), ("write_iops", 400)]
        {
            let file = format!("blkio.throttle.{file}_device");
            let seen = value(container.pid, &file)?;
            same(&file, seen, format!("{major}:{minor} {rate}"))?;
        }
    }
    // Linux 5.0 removed the scheduler that had this file.
    let root = v1_root("blkio").ok_or("no blkio")?;
    if !root.join("blkio.leaf_weight").exists() {
        let text = ["linux.resources.blockIO.leafWeight", "openat(2): ENOENT", "\nhint: "];
        edit::refused(context, &text, |config| {
            config["linux"]["resources"]["blockIO"] = json!({ "leafWeight": 100 });
        })?;
    }
    Ok(())
}

/// A linux.cgroupsPath below the cgroup of this test in each hierarchy; dropping it
/// removes what is left there.
struct Below(String);

impl Below {
    fn new(context: &Context, path: &str) -> Self {
        Self(format!("{}-v1/{path}", context.tag))
    }

    /// Each directory of it that exists.
    fn directories(&self, context: &Context) -> Vec<PathBuf> {
        let top = format!("{}-v1", context.tag);
        let mut found = Vec::new();
        let roots = v1_hierarchies().into_iter().map(|(root, _)| root);
        let v2 = PathBuf::from("/sys/fs/cgroup/unified");
        for root in roots.chain([v2]) {
            let mut todo: Vec<PathBuf> = vec![root];
            while let Some(directory) = todo.pop() {
                let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
                for entry in entries.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())) {
                    if entry.path().to_string_lossy().contains(&top) {
                        found.push(entry.path());
                    }
                    todo.push(entry.path());
                }
            }
        }
        found.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        found
    }

    fn remove(&self, context: &Context) -> Result<(), String> {
        self.directories(context).iter().try_for_each(|path| fs::remove_dir(path).map_err(words))
    }

    fn set(&self, config: &mut Value) {
        config["linux"]["cgroupsPath"] = json!(self.0);
    }
}

fn cpus_of_the_parents_are_copied_down(context: &Context) -> Outcome {
    let place = Below::new(context, "a/b");
    let container = sleeping(context, |config| place.set(config))?;
    let root = v1_root("cpuset").ok_or("no cpuset")?;
    let own = v1_cgroup_of(container.pid, "cpuset")?;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let wanted = fs::read_to_string(root.join(file)).map_err(words)?;
        for level in own.ancestors().take_while(|level| *level != root) {
            let seen = fs::read_to_string(level.join(file)).map_err(words)?;
            same(&level.join(file).to_string_lossy(), seen.as_str(), wanted.as_str())?;
        }
    }
    drop(container);
    Ok(place.remove(context)?)
}

fn limits_of_an_existing_cgroup_are_raised_and_lowered(context: &Context) -> Outcome {
    let place = Below::new(context, "it");
    let run = |memory: Value, cpu: Value| {
        let container = sleeping(context, |config| {
            place.set(config);
            config["linux"]["resources"] = json!({ "memory": memory, "cpu": cpu });
        })?;
        let all = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cpu.cfs_quota_us"];
        let seen = all.map(|file| value(container.pid, file).unwrap_or_default());
        let mut own: Vec<PathBuf> = Vec::new();
        for controller in ["memory", "cpu"] {
            own.push(v1_cgroup_of(container.pid, controller)?);
        }
        drop(container);
        // As an engine does that makes the cgroup for the next container.
        for path in own {
            fs::create_dir(path).map_err(words)?;
        }
        Ok::<_, String>(seen)
    };
    let has_swap =
        v1_root("memory").is_some_and(|root| root.join("memory.memsw.limit_in_bytes").exists());
    let bytes = |mib: i64| if mib < 0 { mib } else { mib << 20 };
    for (limit, swap, quota, period) in [
        (64, 96, 5000, 10_000),
        (256, 300, 90_000, 100_000),
        (32, 32, 1000, 2000),
        (512, -1, -1, 0),
    ] {
        let mut memory = json!({ "limit": bytes(limit) });
        if has_swap {
            memory["swap"] = json!(bytes(swap));
        }
        let seen = run(memory, json!({ "quota": quota, "period": period }))?;
        same("the limit", seen[0].as_str(), bytes(limit).to_string().as_str())?;
        if has_swap && swap > 0 {
            same("with swap", seen[1].as_str(), bytes(swap).to_string().as_str())?;
        }
        same("the quota", seen[2].as_str(), quota.to_string().as_str())?;
    }
    Ok(place.remove(context)?)
}

fn usage_of_an_existing_cgroup_is_checked_on_request(context: &Context) -> Outcome {
    let place = Below::new(context, "it");
    let own = v1_cgroup_of(std::process::id(), "memory")?.join(&place.0);
    fs::create_dir_all(&own).map_err(words)?;
    // Its page cache stays charged to it.
    let file = context.directory.join("cached");
    let tasks = own.join("tasks");
    let mut write = std::process::Command::new(&context.probe);
    let enter = |path: &Path, pid: u32| fs::write(path, pid.to_string()).map_err(words);
    enter(&tasks, std::process::id())?;
    let done = fs::write(&file, vec![1_u8; 8 << 20]).map_err(words);
    let home = own.ancestors().nth(2).ok_or("no parent")?;
    enter(&home.join("tasks"), std::process::id())?;
    done?;
    let _ = write.arg("exit");
    let used = fs::read_to_string(own.join("memory.usage_in_bytes")).map_err(words)?;
    let used: u64 = used.trim().parse().map_err(words)?;
    same("whether it uses some", used > 4 << 20, true)?;
    let small = |config: &mut Value, checks: bool| {
        place.set(config);
        config["linux"]["resources"]["memory"] =
            json!({ "limit": 4 << 20, "checkBeforeUpdate": checks });
    };
    let bundle = context.bundle(|config| small(config, true))?;
    let done = context.run_bundle(&bundle)?;
    edit::words_of_refusal(&done, &["linux.resources.memory.limit", "uses", "bytes already"])?;
    fs::remove_file(&file).map_err(words)?; // On a tmpfs its pages cannot be reclaimed.
    drop(sleeping(context, |config| small(config, false))?);
    Ok(place.remove(context)?)
}

fn lists_of_devices_are_those_of_v1(context: &Context) -> Outcome {
    let container = sleeping(context, |config| {
        config["linux"]["resources"]["devices"] = json!([
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw" },
        ]);
    })?;
    let list = value(container.pid, "devices.list")?;
    for (line, wanted) in
        [("c 10:200 rw", true), ("c 1:3 rwm", true), ("b *:* m", true), ("a *:* rwm", false)]
    {
        same(line, list.lines().any(|one| one == line), wanted)
            .map_err(|why| format!("{why}: {list}"))?;
    }
    let text = "linux.resources.devices[1]: cgroup v1 cannot make an exception";
    Ok(edit::refused(context, &[text], |config| {
        config["linux"]["resources"]["devices"] = json!([
            { "allow": true, "type": "c", "major": 10, "access": "rwm" },
            { "allow": false, "type": "c", "major": 10, "minor": 200, "access": "rwm" },
        ]);
    })?)
}

fn verbs_work_without_cgroup2(context: &Context) -> Outcome {
    without_cgroup2()?;
    let before = context.leftovers();
    let container = container::Container::started(context, &["fork", "2", "+", "sleep", "3600"])?;
    container.printed(1)?;
    wait_until("its processes", || container.pids().is_ok_and(|pids| pids.len() == 3))?;
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    Ok(container::nothing_left(context, &before)?)
}

fn pause_freezes_by_the_freezer_of_v1(context: &Context) -> Outcome {
    without_cgroup2()?;
    let container = container::Container::started(context, &["sleep", "3600"])?;
    let pid = u32::try_from(container.pid()?).map_err(words)?;
    container.vial("pause", &[])?.success()?;
    container.is("paused")?;
    same("freezer.state", value(pid, "freezer.state")?.as_str(), "FROZEN")?;
    container.vial("exec", &["/probe", "exit", "0"])?.failure()?;
    container.vial("resume", &[])?.success()?;
    container.is("running")?;
    same("freezer.state", value(pid, "freezer.state")?.as_str(), "THAWED")?;
    Ok(container.remove()?)
}

fn frozen_container_can_be_killed_and_deleted(context: &Context) -> Outcome {
    without_cgroup2()?;
    let before = context.leftovers();
    let container = container::Container::started(context, &["sleep", "3600"])?;
    container.vial("pause", &[])?.success()?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    let container = container::Container::started(context, &["sleep", "3600"])?;
    container.vial("pause", &[])?.success()?;
    container.remove()?;
    Ok(container::nothing_left(context, &before)?)
}

fn frozen_parent_of_v1_is_refused(context: &Context) -> Outcome {
    without_cgroup2()?;
    let place = Below::new(context, "it");
    let own = v1_cgroup_of(std::process::id(), "freezer")?.join(&place.0);
    let parent = own.parent().ok_or("no parent")?;
    fs::create_dir_all(parent).map_err(words)?;
    fs::write(parent.join("freezer.state"), "FROZEN").map_err(words)?;
    let text = ["is frozen, so that no process starts in it", "freezer.state"];
    let refused = edit::refused(context, &text, |config| place.set(config));
    fs::write(parent.join("freezer.state"), "THAWED").map_err(words)?;
    place.remove(context)?;
    Ok(refused?)
}

fn processes_end_with_a_container_of_v1_without_a_pid_namespace(context: &Context) -> Outcome {
    without_cgroup2()?;
    let before = context.leftovers();
    let container = Container::start(context, &["fork", "4", "+", "sleep", "60"], |config| {
        edit::without_namespace(config, "pid");
    })?;
    let procs = v1_cgroup_of(container.pid, "freezer")?.join("cgroup.procs");
    wait_until("its processes", || {
        fs::read_to_string(&procs).is_ok_and(|text| text.lines().count() == 5)
    })?;
    drop(container);
    Ok(container::nothing_left(context, &before)?)
}

fn exec_enters_a_cgroup_of_one_controller_on_request(context: &Context) -> Outcome {
    let container = sleeping(context, |_| {})?;
    let below = v1_cgroup_of(container.pid, "pids")?.join("below");
    fs::create_dir(&below).map_err(words)?;
    let words = ["cat", "/proc/self/cgroup"];
    let said = container.exec(&["--cgroup", "pids:below"], &words)?.success()?.stdout;
    let inside = said.lines().filter(|line| line.ends_with("/below")).count();
    same("in how many cgroups below", inside, 1).map_err(|why| format!("{why}: {said}"))?;
    let done = container.exec(&["--cgroup", "nonsense:below"], &words)?;
    edit::words_of_refusal(&done, &["unknown controller nonsense"])?;
    let done = container.exec(&["--cgroup", "pids:../.."], &words)?;
    Ok(edit::words_of_refusal(&done, &["bad sub cgroup path"])?)
}

/// What the container sees at /sys/fs/cgroup.
fn seen(context: &Context, has_namespace: bool, options: &[&str]) -> Result<Value, String> {
    context.report(|config| {
        edit::mount(config, "cgroup", "cgroup", "/sys/fs/cgroup", options);
        if has_namespace {
            edit::namespace(config, "cgroup");
        }
        config["linux"]["resources"]["pids"] = json!({ "limit": 66 });
        edit::deeds(config, &["report"]);
    })
}

fn check_seen(context: &Context, has_namespace: bool) -> Result<(), String> {
    let names: Vec<String> = v1_hierarchies()
        .iter()
        .filter_map(|(root, _)| Some(root.file_name()?.to_string_lossy().into_owned()))
        .collect();
    for options in [&["ro"][..], &[]] {
        let report = seen(context, has_namespace, options)?;
        for name in &names {
            let mount = edit::mount_at(&report, &format!("/sys/fs/cgroup/{name}"))?;
            same("the type", mount["type"].as_str(), Some("cgroup"))?;
            let root = mount["root"].as_str().unwrap_or_default();
            let is_own = if has_namespace { root == "/" } else { root.contains(&context.tag) };
            same(&format!("whether {root} is its own"), is_own, true)?;
            let readonly = edit::has(&mount["options"], "ro");
            same(&format!("ro of {name}"), readonly, options.contains(&"ro"))?;
        }
        let top = edit::mount_at(&report, "/sys/fs/cgroup")?;
        same("the type", top["type"].as_str(), Some("tmpfs"))?;
        same("ro", edit::has(&top["options"], "ro"), options.contains(&"ro"))?;
    }
    let said = edit::said(context, &["cat", "/sys/fs/cgroup/pids/pids.max"], |config| {
        edit::mount(config, "cgroup", "cgroup", "/sys/fs/cgroup", &["ro"]);
        if has_namespace {
            edit::namespace(config, "cgroup");
        }
        config["linux"]["resources"]["pids"] = json!({ "limit": 66 });
    })?;
    same("pids.max", said.as_str(), "66")
}

fn container_sees_its_own_cgroups(context: &Context) -> Outcome {
    check_seen(context, false)?;
    without_cgroup2()?;
    Ok(check_seen(context, false)?)
}

fn container_with_a_cgroup_namespace_sees_its_cgroups_as_roots(context: &Context) -> Outcome {
    check_seen(context, true)?;
    without_cgroup2()?;
    Ok(check_seen(context, true)?)
}

fn failed_create_leaves_no_cgroup_in_any_hierarchy(context: &Context) -> Outcome {
    let place = Below::new(context, "a/b");
    edit::refused(context, &["mounts[", "ENODEV"], |config| {
        place.set(config);
        edit::mount(config, "bogus", "bogus", "/x", &[]);
    })?;
    // A limit that the kernel refuses, after other hierarchies were made.
    edit::refused(context, &["linux.resources.cpu.cpus", "write(2)"], |config| {
        place.set(config);
        config["linux"]["resources"]["cpu"] = json!({ "cpus": "4095" });
    })?;
    same("what is left", place.directories(context), Vec::<PathBuf>::new())?;
    Ok(())
}

fn controller_that_v1_lacks_is_named_with_its_limit(context: &Context) -> Outcome {
    without_cgroup2()?;
    if v1_root("rdma").is_none() {
        let text = ["linux.resources.rdma.mlx5_1: ", "controller rdma"];
        edit::refused(context, &text, |config| {
            config["linux"]["resources"]["rdma"] = json!({ "mlx5_1": { "hcaHandles": 3 } });
        })?;
    }
    let text = ["linux.resources.unified.memory.high: memory is in cgroup v1 here"];
    Ok(edit::refused(context, &text, |config| {
        config["linux"]["resources"]["unified"] = json!({ "memory.high": "1000000" });
    })?)
}

fn wrong_limits_of_v1_are_refused(context: &Context) -> Outcome {
    for (resources, text) in [
        (json!({ "memory": { "limit": -2 } }), "memory.limit: -2 is negative"),
        (json!({ "memory": { "limit": 9 << 20, "swap": 8 << 20 } }), "memory.swap: below"),
        (json!({ "memory": { "swap": 8 << 20 } }), "memory.swap: set without memory.limit"),
        (json!({ "memory": { "swappiness": 101 } }), "memory.swappiness: 101 is not 0 to 100"),
        (json!({ "cpu": { "shares": 1 } }), "cpu.shares: 1 is not 2 to 262144"),
        (json!({ "cpu": { "idle": 2 } }), "cpu.idle: 2 is not 0 or 1"),
        (json!({ "cpu": { "period": 1 } }), "cpu.period): write the cgroup file: write(2): EINVAL"),
        (json!({ "hugepageLimits": [{ "pageSize": "2MB/..", "limit": 1 }] }), "pageSize: "),
        (
            json!({ "blockIO": { "throttleReadBpsDevice": [{ "major": -1, "minor": 0, "rate": 1 }] } }),
            "blockIO.throttleReadBpsDevice[0].major: -1 is not a device number",
        ),
        (json!({ "blockIO": { "weight": 9 } }), "blockIO.weight: a weight of 9"),
        (
            json!({ "network": { "priorities": [{ "name": "a b", "priority": 1 }] } }),
            "network.priorities[0].name: ",
        ),
    ] {
        edit::refused(context, &[text], |config| config["linux"]["resources"] = resources)?;
    }
    Ok(())
}
