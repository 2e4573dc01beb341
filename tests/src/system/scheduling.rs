//! When and where the process runs: its scheduler, I/O priority, CPUs, memory policy
//! and execution domain.

use serde_json::{Value, json};

use super::container::v1_root;
use super::edit::{self, Container};
use crate::context::same;
use crate::runner::{Failure, topic};
use crate::{Context, Outcome};

topic!(
    "scheduling",
    scheduling_policies_are_set [Root],
    deadline_policy_is_set [Root],
    policy_is_set_in_a_user_namespace [Root, UserNamespaces],
    policy_that_no_child_inherits_is_set_there_too [Root, UserNamespaces],
    policy_that_cannot_be_set_there_is_told_with_its_field [Root, UserNamespaces],
    wrong_schedulers_are_refused [Root],
    io_priority_is_set [Root],
    execution_domain_is_set [Root],
    memory_policy_is_set [Root],
    cpus_of_the_caller_do_not_limit_the_container [Root],
    exec_runs_on_its_cpus [Root],
);

fn scheduled(config: &mut Value, scheduler: Value) {
    config["process"]["scheduler"] = scheduler;
    // A cgroup of v1 has no time for such processes unless it gets some.
    if v1_root("cpu").is_some_and(|cpu| cpu.join("cpu.rt_runtime_us").exists()) {
        config["linux"]["resources"]["cpu"] = json!({ "realtimeRuntime": 10_000 });
    }
}

/// Policy, real-time priority and nice value, as proc_pid_stat(5) shows them.
fn seen(report: &Value) -> Value {
    let of = &report["scheduler"];
    json!([of["policy"], of["priority"], of["nice"]])
}

fn scheduling_policies_are_set(context: &Context) -> Outcome {
    for (scheduler, wanted) in [
        (json!({"policy": "SCHED_OTHER", "nice": -5}), json!([0, 0, -5])),
        (json!({"policy": "SCHED_FIFO", "priority": 7}), json!([1, 7, 0])),
        (json!({"policy": "SCHED_RR", "priority": 99}), json!([2, 99, 0])),
        (json!({"policy": "SCHED_BATCH", "nice": 19}), json!([3, 0, 19])),
        (json!({"policy": "SCHED_IDLE"}), json!([5, 0, 0])),
        (
            json!({"policy": "SCHED_RR", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
            json!([2, 3, 0]),
        ),
    ] {
        let report = context.report(|config| scheduled(config, scheduler.clone()))?;
        same(&scheduler.to_string(), &seen(&report), &wanted)?;
    }
    Ok(())
}

fn deadline_policy_is_set(context: &Context) -> Outcome {
    let scheduler = json!({
        "policy": "SCHED_DEADLINE", "runtime": 10_000_000, "deadline": 30_000_000,
        "period": 30_000_000, "flags": ["SCHED_FLAG_RECLAIM"],
    });
    let report = context.report(|config| scheduled(config, scheduler))?;
    Ok(same("the policy", &report["scheduler"]["policy"], &json!(6))?)
}

fn policy_is_set_in_a_user_namespace(context: &Context) -> Outcome {
    let report = context.report(|config| {
        edit::user_namespace(config, 100_000);
        scheduled(config, json!({"policy": "SCHED_FIFO", "priority": 7}));
        config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_RT", "priority": 2});
    })?;
    same("the policy", &seen(&report), &json!([1, 7, 0]))?;
    Ok(same("the I/O priority", &report["scheduler"]["io_priority"], &json!(1 << 13 | 2))?)
}

fn policy_that_no_child_inherits_is_set_there_too(context: &Context) -> Outcome {
    let deadline = json!({"policy": "SCHED_DEADLINE", "runtime": 10_000_000,
        "deadline": 30_000_000, "period": 30_000_000, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let reset = |policy: &str, more: &str| {
        let text = format!(
            "{{\"policy\": \"SCHED_{policy}\", {more},
            \"flags\": [\"SCHED_FLAG_RESET_ON_FORK\"]}}"
        );
        serde_json::from_str::<Value>(&text).unwrap_or_default()
    };
    for (scheduler, wanted) in [
        (deadline, json!([6, 0, 0])),
        (reset("RR", "\"priority\": 3"), json!([2, 3, 0])),
        (reset("OTHER", "\"nice\": -5"), json!([0, 0, -5])),
    ] {
        let container = Container::start(context, &["sleep", "60"], |config| {
            edit::user_namespace(config, 100_000);
            scheduled(config, scheduler.clone());
        })?;
        let what = scheduler.to_string();
        same(&what, &seen(&container.exec_report(&[])?), &wanted)?;
        let report = context.report(|config| {
            edit::user_namespace(config, 100_000);
            scheduled(config, scheduler);
        })?;
        same(&what, &seen(&report), &wanted)?;
    }
    Ok(())
}

/// The kernel refuses a runtime above the deadline.
fn policy_that_cannot_be_set_there_is_told_with_its_field(context: &Context) -> Outcome {
    let scheduler = json!({"policy": "SCHED_DEADLINE", "runtime": 40_000_000,
        "deadline": 30_000_000, "period": 30_000_000});
    let texts = ["config.json process.scheduler", "sched_setattr(2): EINVAL"];
    Ok(edit::refused(context, &texts, |config| {
        edit::user_namespace(config, 100_000);
        scheduled(config, scheduler);
    })?)
}

fn wrong_schedulers_are_refused(context: &Context) -> Outcome {
    for (scheduler, field) in [
        (json!({}), "process.scheduler.policy"),
        (json!({"policy": "SCHED_ISO"}), "process.scheduler.policy"),
        (json!({"policy": "SCHED_OTHER", "nice": 20}), "process.scheduler.nice"),
        (json!({"policy": "SCHED_FIFO", "priority": 1, "nice": 1}), "process.scheduler.nice"),
        (json!({"policy": "SCHED_FIFO", "priority": 100}), "process.scheduler.priority"),
        (json!({"policy": "SCHED_FIFO"}), "process.scheduler.priority"),
        (json!({"policy": "SCHED_OTHER", "priority": 1}), "process.scheduler.priority"),
        (json!({"policy": "SCHED_OTHER", "runtime": 1}), "process.scheduler: runtime"),
        (json!({"policy": "SCHED_OTHER", "flags": ["X"]}), "process.scheduler.flags[0]"),
    ] {
        edit::refused(context, &[field], |config| scheduled(config, scheduler))?;
    }
    edit::refused(context, &["process.ioPriority.class"], |config| {
        config["process"]["ioPriority"] = json!({"class": "X", "priority": 1});
    })?;
    edit::refused(context, &["process.ioPriority.priority"], |config| {
        config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 8});
    })?;
    edit::refused(context, &["linux.personality.domain"], |config| {
        config["linux"]["personality"] = json!({"domain": "BSD"});
    })?;
    edit::refused(context, &["linux.memoryPolicy.nodes", "0-"], |config| {
        config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0-"});
    })?;
    Ok(edit::refused(context, &["linux.memoryPolicy.mode"], |config| {
        config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_X"});
    })?)
}

fn io_priority_is_set(context: &Context) -> Outcome {
    for (class, priority, wanted) in [
        ("IOPRIO_CLASS_RT", 0, 1 << 13),
        ("IOPRIO_CLASS_BE", 7, 2 << 13 | 7),
        ("IOPRIO_CLASS_IDLE", 0, 3 << 13),
    ] {
        let report = context.report(|config| {
            config["process"]["ioPriority"] = json!({"class": class, "priority": priority});
        })?;
        same(class, &report["scheduler"]["io_priority"], &json!(wanted))?;
    }
    Ok(())
}

fn execution_domain_is_set(context: &Context) -> Outcome {
    for (domain, wanted) in [("LINUX", "00000000"), ("LINUX32", "00000008")] {
        let report = context.report(|config| {
            config["linux"]["personality"] = json!({"domain": domain});
        })?;
        // execve(2) adds flags on arm, and makes the domain that of the program.
        let wanted = if cfg!(target_arch = "arm") { "00800000" } else { wanted };
        same(domain, report["personality"].as_str(), Some(wanted))?;
    }
    Ok(())
}

fn memory_policy_is_set(context: &Context) -> Outcome {
    if context.report(|_| {})?["scheduler"]["memory_policy"].is_null() {
        return Err(Failure::Skipped("kernel with NUMA".into()));
    }
    for (policy, wanted) in [
        (json!({"mode": "MPOL_BIND", "nodes": "0"}), json!([2, 1])),
        (
            json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
            json!([3 | 1 << 15, 1]),
        ),
        (json!({"mode": "MPOL_DEFAULT"}), json!([0, 0])),
    ] {
        let report = context.report(|config| config["linux"]["memoryPolicy"] = policy.clone())?;
        same(&policy.to_string(), &report["scheduler"]["memory_policy"], &wanted)?;
    }
    Ok(())
}

/// As a service of systemd with CPUAffinity= calls vial.
fn cpus_of_the_caller_do_not_limit_the_container(context: &Context) -> Outcome {
    let all = context.report(|_| {})?["affinity"].clone();
    if all == "0" {
        return Err(Failure::Skipped("second CPU".into()));
    }
    let (bundle, id) = (context.bundle(|_| {})?, context.id());
    let path = bundle.path.to_string_lossy();
    let mut command = context.command_as("pinned:0", &["run", "--bundle", &path, &id]);
    let report = context.run(&mut command)?.success()?.json()?;
    Ok(same("the CPUs", &report["affinity"], &all)?)
}

fn exec_runs_on_its_cpus(context: &Context) -> Outcome {
    let affinity = json!({"initial": "0", "final": "0"});
    let container = Container::start(context, &["sleep", "60"], |config| {
        config["process"]["execCPUAffinity"] = affinity;
    })?;
    same("the CPUs", &container.exec_report(&[])?["affinity"], &json!("0"))?;
    Ok(edit::refused(context, &["process.execCPUAffinity.final", "1-0"], |config| {
        config["process"]["execCPUAffinity"] = json!({"final": "1-0"});
    })?)
}
