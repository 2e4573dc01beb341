//! linux.seccomp in the kernel: how real system calls end under a filter.

use serde_json::{Value, json};

use super::edit::{self, Container};
use crate::context::same;
use crate::runner::{Failure, topic};
use crate::{Context, Outcome};

topic!(
    "seccomp",
    errno_is_the_given_one[Root],
    kill_process_and_trap_end_with_sigsys[Root],
    log_allows_the_call[Root],
    every_operator_compares_64_bits[Root],
    conditions_of_one_rule_must_all_hold[Root],
    filter_is_seen_in_status[Root],
    filter_works_without_no_new_privs[Root],
    filter_works_for_a_user_that_is_not_root[Root],
    filter_is_loaded_by_exec_too[Root],
    unknown_call_of_a_newer_kernel_is_enosys[Root],
    i386_calls_are_refused_unless_listed[Root],
    precompiled_filter_is_loaded[Root],
    precompiled_filter_that_is_none_is_refused[Root],
    unknown_call_fails_if_an_annotation_says_so[Root],
    unknown_action_operator_and_architecture_are_refused[Root],
);

/// The architecture of this machine's programs.
pub(super) const ARCH: &str = if cfg!(target_arch = "x86_64") {
    "SCMP_ARCH_X86_64"
} else if cfg!(target_arch = "x86") {
    "SCMP_ARCH_X86"
} else if cfg!(target_arch = "arm") {
    "SCMP_ARCH_ARM"
} else if cfg!(target_arch = "riscv64") {
    "SCMP_ARCH_RISCV64"
} else {
    "SCMP_ARCH_AARCH64"
};

fn profile(config: &mut Value, rules: &Value) {
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": [ARCH], "syscalls": rules
    });
}

/// Calls getpriority(2), which only the test makes, under this rule.
fn call(context: &Context, arguments: &[&str], rule: &Value) -> Result<String, String> {
    let number = libc::SYS_getpriority.to_string();
    let mut words = vec!["call", &number];
    words.extend(arguments);
    let done = edit::run(context, &words, |config| profile(config, &json!([rule])))?;
    Ok(match done.code {
        0 | 1 => done.stdout.trim().to_owned(),
        code => code.to_string(),
    })
}

fn errno_is_the_given_one(context: &Context) -> Outcome {
    for (errno, name) in [(1, "EPERM"), (38, "ENOSYS"), (2, "ENOENT")] {
        let rule = json!({
            "names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno
        });
        same("getpriority", call(context, &["0", "0"], &rule)?.as_str(), name)?;
    }
    let rule = json!({ "names": ["getpriority"], "action": "SCMP_ACT_ERRNO" });
    Ok(same("getpriority", call(context, &["0", "0"], &rule)?.as_str(), "EPERM")?)
}

fn kill_process_and_trap_end_with_sigsys(context: &Context) -> Outcome {
    for action in
        ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"]
    {
        let rule = json!({ "names": ["getpriority"], "action": action });
        let wanted = (128 + libc::SIGSYS).to_string();
        same(action, call(context, &["0", "0"], &rule)?, wanted)?;
    }
    Ok(())
}

fn log_allows_the_call(context: &Context) -> Outcome {
    let rule = json!({ "names": ["getpriority"], "action": "SCMP_ACT_LOG" });
    Ok(same("getpriority", call(context, &["0", "0"], &rule)?.as_str(), "20")?)
}

fn with_condition(op: &str, value: u64, value_two: u64) -> Value {
    json!({
        "names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33,
        "args": [{ "index": 1, "value": value, "valueTwo": value_two, "op": op }]
    })
}

fn every_operator_compares_64_bits(context: &Context) -> Outcome {
    if cfg!(target_pointer_width = "32") {
        return Err(Failure::Skipped("arguments of 64 bits on this architecture".into()));
    }
    const BIG: u64 = 0x1_0000_0005;
    const MASK: u64 = 0xf_0000_000f;
    for (op, value, two, arguments) in [
        ("SCMP_CMP_EQ", BIG, 0, ["0x100000005", "0x5"]),
        ("SCMP_CMP_NE", BIG, 0, ["0x100000005", "0x200000005"]),
        ("SCMP_CMP_LT", BIG, 0, ["0x100000004", "0x100000005"]),
        ("SCMP_CMP_LE", BIG, 0, ["0x100000005", "0x100000006"]),
        ("SCMP_CMP_GE", BIG, 0, ["0x100000005", "0xffffffff"]),
        ("SCMP_CMP_GT", BIG, 0, ["0x200000000", "0x100000005"]),
        ("SCMP_CMP_MASKED_EQ", MASK, BIG, ["0xa100000fa5", "0xa200000fa5"]),
    ] {
        for argument in arguments {
            let holds = holds(op, value, two, argument)?;
            let answer = call(context, &["0", argument], &with_condition(op, value, two))?;
            same(&format!("{op} {value:#x} {argument}: {answer}"), answer == "EDOM", holds)?;
        }
    }
    Ok(())
}

/// Whether the condition holds, by seccomp_rule_add(3).
fn holds(op: &str, value: u64, two: u64, argument: &str) -> Result<bool, String> {
    let digits = argument.trim_start_matches("0x");
    let argument = u64::from_str_radix(digits, 16).map_err(|e| e.to_string())?;
    Ok(match op {
        "SCMP_CMP_EQ" => argument == value,
        "SCMP_CMP_NE" => argument != value,
        "SCMP_CMP_LT" => argument < value,
        "SCMP_CMP_LE" => argument <= value,
        "SCMP_CMP_GE" => argument >= value,
        "SCMP_CMP_GT" => argument > value,
        _ => argument & value == two,
    })
}

fn conditions_of_one_rule_must_all_hold(context: &Context) -> Outcome {
    let rule = json!({
        "names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33,
        "args": [
            { "index": 0, "value": 0, "op": "SCMP_CMP_EQ" },
            { "index": 1, "value": 1, "op": "SCMP_CMP_EQ" }
        ]
    });
    same("both", call(context, &["0", "1"], &rule)?.as_str(), "EDOM")?;
    same("one", call(context, &["0", "0"], &rule)?.as_str(), "20")?;
    Ok(())
}

fn any_filter(config: &mut Value) {
    profile(config, &json!([{ "names": ["getpriority"], "action": "SCMP_ACT_ERRNO" }]));
}

fn filter_is_seen_in_status(context: &Context) -> Outcome {
    let report = context.report(any_filter)?;
    same("Seccomp", report["seccomp"].as_str(), Some("2"))?;
    let plain = context.report(|_| {})?;
    Ok(same("Seccomp without", plain["seccomp"].as_str(), Some("0"))?)
}

fn filter_works_without_no_new_privs(context: &Context) -> Outcome {
    let report = context.report(|config| {
        any_filter(config);
        config["process"]["noNewPrivileges"] = false.into();
    })?;
    same("Seccomp", report["seccomp"].as_str(), Some("2"))?;
    same("NoNewPrivs", report["no_new_privs"].as_str(), Some("0"))?;
    // CAP_SYS_ADMIN, which loading a filter needs, is gone.
    let wanted = Some("0000000020000420");
    Ok(same("CapEff", report["capabilities"]["CapEff"].as_str(), wanted)?)
}

fn filter_works_for_a_user_that_is_not_root(context: &Context) -> Outcome {
    for no_new_privs in [true, false] {
        let report = context.report(|config| {
            any_filter(config);
            config["process"]["noNewPrivileges"] = no_new_privs.into();
            config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        })?;
        same("Seccomp", report["seccomp"].as_str(), Some("2"))?;
        let none = Some("0000000000000000");
        same("CapPrm", report["capabilities"]["CapPrm"].as_str(), none)?;
    }
    Ok(())
}

fn filter_is_loaded_by_exec_too(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], any_filter)?;
    let number = libc::SYS_getpriority.to_string();
    let done = container.exec(&[], &["call", &number, "0", "0"])?.failure()?;
    Ok(same("getpriority", done.stdout.trim(), "EPERM")?)
}

/// What the probe calls to start and to print; musl and glibc differ.
const OF_THE_PROBE: &[&str] = &[
    "_llseek",
    "arch_prctl",
    "brk",
    "close",
    "execve",
    "exit_group",
    "fcntl",
    "fcntl64",
    "fstat",
    "fstat64",
    "fstatat64",
    "getrandom",
    "gettid",
    "mmap",
    "mmap2",
    "mprotect",
    "munmap",
    "newfstatat",
    "openat",
    "poll",
    "ppoll",
    "prlimit64",
    "read",
    "readlinkat",
    "readlink",
    "rseq",
    "rt_sigaction",
    "set_tls",
    "rt_sigprocmask",
    "sched_getaffinity",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "sigaltstack",
    "write",
    "writev",
];

/// Programs take EPERM for a refusal and not for a missing call. So calls that are newer
/// than every call in the profile fail with ENOSYS, also if the profile denies by default.
fn unknown_call_of_a_newer_kernel_is_enosys(context: &Context) -> Outcome {
    for (number, name) in [("9999", "ENOSYS"), (&libc::SYS_getpriority.to_string(), "EPERM")] {
        let done = edit::run(context, &["call", number, "0", "0"], |config| {
            config["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ERRNO", "architectures": [ARCH],
                "syscalls": [{ "names": OF_THE_PROBE, "action": "SCMP_ACT_ALLOW" }]
            });
        })?;
        same(&format!("call {number}"), done.failure()?.stdout.trim(), name)?;
    }
    Ok(())
}

fn i386_calls_are_refused_unless_listed(context: &Context) -> Outcome {
    if !cfg!(target_arch = "x86_64") {
        return Err(Failure::Skipped("32-bit entry on this architecture".into()));
    }
    // i386's getpid(2), under a filter for x86_64 alone.
    let done = edit::run(context, &["call-i386", "20"], any_filter)?;
    let refused = done.code == 128 + libc::SIGSYS || done.stdout.starts_with("Some(-");
    same(&format!("refused: {done}"), refused, true)?;
    let both = edit::run(context, &["call-i386", "20"], |config| {
        any_filter(config);
        edit::add(&mut config["linux"]["seccomp"]["architectures"], json!("SCMP_ARCH_X86"));
    })?
    .success()?;
    // Without CONFIG_IA32_EMULATION this would end with a signal.
    Ok(same("getpid of i386", both.stdout.trim(), "Some(1)")?)
}

fn unknown_action_operator_and_architecture_are_refused(context: &Context) -> Outcome {
    let refused = |word: &str, edit: fn(&mut Value)| {
        edit::refused(context, &["linux.seccomp", word], |config| {
            any_filter(config);
            edit(&mut config["linux"]["seccomp"]);
        })
    };
    refused("SCMP_ACT_X", |s| s["defaultAction"] = "SCMP_ACT_X".into())?;
    refused("SCMP_ACT_Y", |s| s["syscalls"][0]["action"] = "SCMP_ACT_Y".into())?;
    refused("SCMP_ARCH_Z", |s| s["architectures"][0] = "SCMP_ARCH_Z".into())?;
    Ok(refused("SCMP_CMP_W", |s| {
        s["syscalls"][0]["args"] = json!([{ "index": 0, "value": 0, "op": "SCMP_CMP_W" }]);
    })?)
}

/// Base64 of a program that makes getpriority(2) fail with EDOM.
fn precompiled() -> String {
    let number = u32::try_from(libc::SYS_getpriority).unwrap_or_default();
    let instructions = [
        (0x20_u16, 0_u8, 0_u8, 0_u32), // Load the number.
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x0005_0000 | 33), // SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7fff_0000),      // SECCOMP_RET_ALLOW
    ];
    let bytes = instructions.iter().flat_map(|(code, jt, jf, k)| {
        code.to_ne_bytes().into_iter().chain([*jt, *jf]).chain(k.to_ne_bytes())
    });
    base64(&bytes.collect::<Vec<u8>>())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > chunk.len() { '=' } else { letter.into() });
        }
    }
    text
}

fn annotate(config: &mut Value, name: &str, value: &str) {
    config["annotations"][format!("run.oci.{name}")] = json!(value);
}

fn precompiled_filter_is_loaded(context: &Context) -> Outcome {
    let number = libc::SYS_getpriority.to_string();
    for with_profile in [false, true] {
        let edit = |config: &mut Value| {
            annotate(config, "seccomp_bpf_data", &precompiled());
            if with_profile {
                // The annotation wins.
                profile(config, &json!([{ "names": ["getpriority"], "action": "SCMP_ACT_TRAP" }]));
            }
        };
        let done = edit::run(context, &["call", &number, "0", "0"], edit)?;
        same("getpriority", done.stdout.trim(), "EDOM")?;
    }
    let container = Container::start(context, &["sleep", "60"], |config| {
        annotate(config, "seccomp_bpf_data", &precompiled());
    })?;
    let done = container.exec(&[], &["call", &number, "0", "0"])?;
    Ok(same("getpriority of an exec", done.stdout.trim(), "EDOM")?)
}

fn precompiled_filter_that_is_none_is_refused(context: &Context) -> Outcome {
    for (text, why) in [
        ("%", "not base64"),
        ("AAAA", "3 bytes are no list"),
        ("", "no instructions"),
        ("AAAAAAAAAAA=", "seccomp(2): EINVAL"), // It has no return.
    ] {
        let bundle = context.bundle(|config| annotate(config, "seccomp_bpf_data", text))?;
        let done = context.run_bundle(&bundle)?;
        super::container::refused(&done, why)?;
        super::container::refused(&done, "config.json annotations[\"run.oci.seccomp_bpf_data\"]")?;
    }
    Ok(())
}

fn unknown_call_fails_if_an_annotation_says_so(context: &Context) -> Outcome {
    for (value, fails) in [("1", true), ("0", false)] {
        let bundle = context.bundle(|config| {
            profile(config, &json!([{ "names": ["raed"], "action": "SCMP_ACT_LOG" }]));
            config["linux"]["seccomp"]["defaultAction"] = json!("SCMP_ACT_LOG");
            annotate(config, "seccomp_fail_unknown_syscall", value);
        })?;
        let done = context.run_bundle(&bundle)?;
        match fails {
            true => super::container::refused(
                &done,
                "syscalls[0].names: no architecture of Linux has it: raed",
            )?,
            false => _ = done.success()?,
        }
    }
    Ok(())
}
