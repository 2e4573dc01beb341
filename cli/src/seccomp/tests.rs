//! What a compiled profile decides, held against an evaluator written from the
//! spec, against libseccomp and against seccompiler.

mod containers;
mod headers;
mod libseccomp;
mod machine;
mod naive;
mod seccompiler;

use super::{Arch, Error, Filter, compile, table};
use crate::config::seccomp::{Arg, Seccomp, Syscall};
pub(crate) use containers::default_profile;
use machine::{Data, run};

const EVERY: [Arch; 6] =
    [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm, Arch::Riscv64];

const NAMES: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

/// A profile that says everything: every action, operator and kind of call.
fn broad_profile() -> Seccomp {
    profile(
        r#"{
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_MIPS",
                          "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_RISCV64"],
        "syscalls": [
            {"names": ["read", "write", "openat", "exit_group", "ioctl", "readv"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["kexec_load"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["reboot"], "action": "SCMP_ACT_KILL"},
            {"names": ["swapon"], "action": "SCMP_ACT_KILL_THREAD"},
            {"names": ["swapoff"], "action": "SCMP_ACT_TRAP"},
            {"names": ["ptrace"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
            {"names": ["mount"], "action": "SCMP_ACT_TRACE"},
            {"names": ["umount2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 133},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["kill"], "action": "SCMP_ACT_LOG"},
            {"names": ["bpf"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["set_tls", "cacheflush", "s390_pci_mmio_read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22,
             "args": [{"index": 0, "value": 4294967305, "op": "SCMP_CMP_EQ"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["socket", "accept"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_NE"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22,
             "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"},
                      {"index": 2, "value": 9, "op": "SCMP_CMP_EQ"}]},
            {"names": ["semop"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["lseek"], "action": "SCMP_ACT_LOG",
             "args": [{"index": 1, "value": 5, "op": "SCMP_CMP_GT"},
                      {"index": 1, "value": 3, "op": "SCMP_CMP_EQ"},
                      {"index": 2, "value": 1, "op": "SCMP_CMP_LT"}]},
            {"names": ["prctl"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 4294967295, "op": "SCMP_CMP_GE"},
                      {"index": 1, "value": 8589934592, "op": "SCMP_CMP_LE"},
                      {"index": 5, "value": 3, "op": "SCMP_CMP_NE"}]},
            {"names": ["fcntl"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 3, "value": 0, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["fcntl"], "action": "SCMP_ACT_TRAP"}
        ]}"#,
    )
}

pub(crate) fn profile(json: &str) -> Seccomp {
    crate::config::parse(json.as_bytes()).unwrap()
}

fn compiled(profile: &Seccomp, native: Arch) -> Filter {
    compile(profile, native).unwrap_or_else(|error| panic!("{error}: {profile:?}"))
}

/// Numbers that a filter may be asked about: all that exist, and more.
fn numbers() -> impl Iterator<Item = u32> {
    (0..=600)
        .chain(0xf_0000 - 1..0xf_0000 + 9)
        .chain((0..=600).map(|number| 0x4000_0000 + number))
        .chain([601, 4095, 0xffff, 0x3fff_ffff, 0x4000_ffff, 0x7fff_ffff, 0x8000_0000])
        .chain([0x8000_0001, 0xffff_fffe, 0xffff_ffff])
}

/// Arguments near the values that the profile compares with.
fn arguments(profile: &Seccomp, index: u32) -> Vec<u64> {
    let mut values = vec![0, u64::MAX];
    for arg in profile.syscalls.iter().flat_map(|syscall| &syscall.args) {
        if arg.index == index {
            for value in [arg.value, arg.value_two, arg.value & arg.value_two] {
                values.extend([
                    value.wrapping_sub(1),
                    value,
                    value.wrapping_add(1),
                    value ^ 1 << 32,
                    value.wrapping_sub(1 << 32),
                    value & 0xffff_ffff,
                    !value,
                ]);
            }
        }
    }
    values.extend(1..=20);
    values.sort_unstable();
    values.dedup();
    // A profile of hundreds of rules tests other things than comparisons.
    let most = (2000 / (1 + profile.syscalls.len())).clamp(8, 60);
    let step = values.len().div_ceil(most);
    values.into_iter().step_by(step).collect()
}

/// Numbers whose decision may depend on arguments.
fn conditional(profile: &Seccomp, arch: Arch) -> Vec<u32> {
    let mut numbers: Vec<u32> = profile
        .syscalls
        .iter()
        .filter(|syscall| !syscall.args.is_empty())
        .flat_map(|syscall| &syscall.names)
        .filter_map(|name| table::Call::named(name)?.number(arch))
        .collect();
    if arch == Arch::X86 {
        numbers.extend([102, 117]);
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Runs `check` on every number of every architecture, and on many arguments
/// where they matter.
fn for_every_call(profile: &Seccomp, random: &mut Random, mut check: impl FnMut(&Data)) {
    let audits = EVERY.iter().map(|arch| arch.audit()).chain([0, 0x8000_0016, u32::MAX]);
    for arch in audits {
        for number in numbers() {
            check(&Data { number, arch, args: [0; 6] });
        }
    }
    let values: Vec<Vec<u64>> = (0..6).map(|index| arguments(profile, index)).collect();
    for arch in EVERY {
        for number in conditional(profile, arch) {
            for index in 0..6 {
                for &value in &values[index] {
                    let mut args = [0; 6];
                    for (other, arg) in args.iter_mut().enumerate() {
                        *arg = *random.pick(&values[other]);
                    }
                    args[index] = value;
                    check(&Data { number, arch: arch.audit(), args });
                }
            }
        }
    }
}

fn check_against_spec(profile: &Seccomp, native: Arch, random: &mut Random) {
    let filter = compiled(profile, native);
    let meaning = naive::Meaning::new(profile, native);
    for_every_call(profile, random, |data| {
        let (decision, _) = run(&filter.program, data);
        let expected = meaning.decide(data);
        assert_eq!(
            decision, expected,
            "{decision:#x} instead of {expected:#x} for {data:x?} on {native:?} with {profile:?}"
        );
    });
}

/// xorshift64*, seeded: a failure is there again in the next run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 32) % limit
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

const ACTIONS: [&str; 7] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_LOG",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
];

/// How random profiles are restricted where libseccomp cannot be the measure.
#[derive(Clone, Copy, PartialEq)]
enum Measure {
    Spec,
    /// One action for all rules with conditions, and none that hold where a
    /// comparison fails: libseccomp errs when it merges these with others.
    LibseccompMany,
    /// Each call in one rule only; no LE, where libseccomp errs on 32 bits.
    LibseccompOne,
}

fn random_profile(random: &mut Random, measure: Measure) -> Seccomp {
    const CALLS: [&str; 24] = [
        "read",
        "write",
        "ioctl",
        "readv",
        "execveat",
        "socket",
        "accept",
        "semop",
        "shmget",
        "socketcall",
        "ipc",
        "set_tls",
        "usr26",
        "personality",
        "clone",
        "clone3",
        "openat2",
        "chown32",
        "_llseek",
        "arch_prctl",
        "sync_file_range",
        "io_setup",
        "restart_syscall",
        "s390_sthyi",
    ];
    const VALUES: [u64; 10] =
        [0, 1, 2, 16, 0x7fff_ffff, 0xffff_ffff, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX];
    let action = |random: &mut Random| {
        let action = *random.pick(&ACTIONS);
        let errno = matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE") && !random.one_in(3);
        (action.to_owned(), errno.then(|| random.below(5) as u32))
    };
    let operators: &[&str] = match measure {
        Measure::Spec => &NAMES,
        Measure::LibseccompMany => {
            &["SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT"]
        }
        Measure::LibseccompOne => {
            &["SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_GE", "SCMP_CMP_NE", "SCMP_CMP_LT"]
        }
    };
    let mut unused = CALLS.to_vec();
    let (default_action, default_errno_ret) = action(random);
    let with_args = action(random);
    let syscalls = (0..random.below(9))
        .map(|_| {
            let mut args: Vec<Arg> = Vec::new();
            if random.one_in(2) {
                for i in 0..=random.below(3) {
                    let repeatable = measure != Measure::LibseccompOne;
                    args.push(Arg {
                        index: if repeatable { random.below(3) } else { i } as u32,
                        value: *random.pick(&VALUES),
                        value_two: *random.pick(&VALUES),
                        op: random.pick(operators).to_string(),
                    });
                }
            }
            let mut names = Vec::new();
            for _ in 0..=random.below(3) {
                let i = random.below(unused.len() as u64) as usize;
                names.push(unused[i].to_owned());
                if measure == Measure::LibseccompOne && unused.len() > 1 {
                    unused.remove(i);
                }
            }
            let (action, errno_ret) = match measure {
                Measure::Spec => action(random),
                _ if args.is_empty() => action(random),
                _ => with_args.clone(),
            };
            Syscall { names, action, errno_ret, args }
        })
        .collect();
    let architectures = ["X86_64", "X86", "X32", "AARCH64", "ARM", "RISCV64", "MIPS64"]
        .into_iter()
        .filter(|_| random.one_in(2))
        .map(|name| format!("SCMP_ARCH_{name}"))
        .collect();
    Seccomp { default_action, default_errno_ret, architectures, syscalls, ..Seccomp::default() }
}

#[test]
fn a_filter_decides_as_the_spec_says() {
    let mut random = Random(1);
    for native in EVERY {
        check_against_spec(&broad_profile(), native, &mut random);
        let mut without_archs = broad_profile();
        without_archs.architectures.clear();
        check_against_spec(&without_archs, native, &mut random);
        if let Some(profile) = default_profile(native, &[]) {
            check_against_spec(&profile, native, &mut random);
        }
    }
}

#[test]
fn random_profiles_decide_as_the_spec_says() {
    let mut random = Random(20261123);
    for round in 0..60 {
        let profile = random_profile(&mut random, Measure::Spec);
        check_against_spec(&profile, EVERY[round % EVERY.len()], &mut random);
    }
}

/// A profile of single numbers far apart, so that nothing is shared and jumps
/// are long.
#[test]
fn long_programs_decide_as_the_spec_says() {
    let names: Vec<&str> = table::all_names().collect();
    let mut profile = Seccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        architectures: ["X86_64", "X86", "X32"].map(|name| format!("SCMP_ARCH_{name}")).into(),
        ..Seccomp::default()
    };
    for (i, name) in names.iter().enumerate() {
        profile.syscalls.push(Syscall {
            names: vec![name.to_string()],
            action: "SCMP_ACT_ERRNO".into(),
            errno_ret: Some(i as u32),
            args: match i % 4 {
                0 => vec![Arg { value: i as u64, op: "SCMP_CMP_GT".into(), ..Arg::default() }],
                _ => Vec::new(),
            },
        });
    }
    let filter = compiled(&profile, Arch::X86_64);
    assert!(filter.program.len() > 2500, "{} instructions", filter.program.len());
    check_against_spec(&profile, Arch::X86_64, &mut Random(7));
}

#[test]
fn a_program_too_long_for_the_kernel_is_refused() {
    let mut profile = profile(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#);
    for i in 0..1000 {
        profile.syscalls.push(Syscall {
            names: vec!["read".into()],
            action: "SCMP_ACT_ALLOW".into(),
            errno_ret: None,
            args: vec![Arg { value: i << 20, op: "SCMP_CMP_GT".into(), ..Arg::default() }],
        });
    }
    let error = compile(&profile, Arch::X86_64).unwrap_err();
    assert_eq!(error.path, "linux.seccomp");
    assert!(error.message.ends_with("the kernel takes at most 4096"), "{error}");
}

fn check_decision(json: &str, native: Arch, number: u32, args: [u64; 6], expected: u32) {
    let filter = compiled(&profile(json), native);
    let (decision, _) = run(&filter.program, &Data { number, arch: native.audit(), args });
    assert_eq!(decision, expected, "{decision:#x} for {number} {args:?} with {json}");
}

/// The rules of precedence, each in the smallest profile that shows it, apart
/// from the evaluator: that one was written by the same hand as the compiler.
#[test]
fn rules_for_one_call_have_a_precedence() {
    let decides = |rules: &str, first: u64, expected: u32| {
        let json = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#);
        check_decision(&json, Arch::X86_64, 0, [first, 2, 0, 0, 0, 0], expected);
    };
    let allow = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW"}"#;
    let trap = r#"{"names": ["read"], "action": "SCMP_ACT_TRAP"}"#;
    let if_one = r#"{"names": ["read"], "action": "SCMP_ACT_LOG",
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}"#;
    let if_one_two = r#"{"names": ["read"], "action": "SCMP_ACT_KILL",
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                 {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]}"#;
    let default_if_one = r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}"#;
    let one_or_five = r#"{"names": ["read"], "action": "SCMP_ACT_LOG",
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                 {"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}]}"#;
    decides(&format!("{allow}, {trap}"), 1, 0x7fff_0000);
    decides(&format!("{trap}, {allow}"), 1, 0x0003_0000);
    decides(&format!("{if_one}, {allow}"), 1, 0x7fff_0000);
    decides(&format!("{if_one}, {if_one_two}"), 1, 0x7ffc_0000);
    decides(&format!("{if_one_two}, {if_one}"), 1, 0x7ffc_0000);
    decides(&format!("{default_if_one}, {if_one}"), 1, 0x7ffc_0000);
    decides(if_one, 2, 0x0005_0001);
    decides(one_or_five, 1, 0x7ffc_0000);
    decides(one_or_five, 5, 0x7ffc_0000);
    decides(one_or_five, 4, 0x0005_0001);
}

/// What an architecture of 32 bits cannot compare does not tell rules apart.
#[test]
fn only_the_low_half_counts_on_32_bits() {
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_KILL",
         "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                  {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]},
        {"names": ["read"], "action": "SCMP_ACT_LOG",
         "args": [{"index": 0, "value": 4294967297, "op": "SCMP_CMP_EQ"}]},
        {"names": ["write"], "action": "SCMP_ACT_LOG",
         "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                  {"index": 1, "value": 2, "op": "SCMP_CMP_LE"}]}]}"#;
    let high = 1 << 32;
    for native in [Arch::X86, Arch::Arm] {
        check_decision(json, native, 3, [1, 2, 0, 0, 0, 0], 0x7ffc_0000);
        check_decision(json, native, 3, [high + 1, 0, 0, 0, 0, 0], 0x7ffc_0000);
        check_decision(json, native, 4, [1, 2, 0, 0, 0, 0], 0x7ffc_0000);
        check_decision(json, native, 4, [1, 3, 0, 0, 0, 0], 0x0005_0001);
    }
    check_decision(json, Arch::X86_64, 0, [1, 2, 0, 0, 0, 0], 0);
    check_decision(json, Arch::X86_64, 0, [1, 3, 0, 0, 0, 0], 0x0005_0001);
    check_decision(json, Arch::X86_64, 0, [high + 1, 2, 0, 0, 0, 0], 0x7ffc_0000);
    check_decision(json, Arch::X86_64, 1, [1, high + 1, 0, 0, 0, 0], 0x0005_0001);
}

/// The direct call and the one inside socketcall(2) or ipc(2).
#[test]
fn multiplexed_calls_of_x86_get_the_rule_of_the_direct_call() {
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["socket"], "action": "SCMP_ACT_LOG",
         "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"},
                  {"index": 1, "value": 7, "op": "SCMP_CMP_EQ"}]},
        {"names": ["semget", "accept"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let decides = |number: u32, args: [u64; 2], expected: u32| {
        check_decision(json, Arch::X86, number, [args[0], args[1], 0, 0, 0, 0], expected);
    };
    decides(359, [2, 7], 0x7ffc_0000);
    decides(359, [3, 7], 0x0005_0001);
    decides(102, [1, 7], 0x7ffc_0000);
    decides(102, [1, 8], 0x0005_0001);
    decides(102, [2, 7], 0x0005_0001);
    decides(102, [5, 0], 0x7fff_0000);
    decides(393, [0, 0], 0x7fff_0000);
    decides(117, [2, 0], 0x7fff_0000);
    decides(117, [3, 0], 0x0005_0001);
}

#[test]
fn calls_newer_than_the_profile_get_enosys() {
    const ENOSYS: u32 = 0x0005_0026;
    let json = |default: &str, names: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_{default}", "architectures": ["SCMP_ARCH_ARM", "SCMP_ARCH_X32"],
                "syscalls": [{{"names": [{names}], "action": "SCMP_ACT_TRAP"}}]}}"#
        )
    };
    let decides = |default: &str, names: &str, native: Arch, number: u32, expected: u32| {
        check_decision(&json(default, names), native, number, [0; 6], expected);
    };
    let names = r#""read", "close_range""#;
    for native in [Arch::X86_64, Arch::Aarch64, Arch::Arm, Arch::Riscv64] {
        decides("ERRNO", names, native, 435, 0x0005_0001);
        decides("ERRNO", names, native, 437, ENOSYS);
        decides("KILL_PROCESS", names, native, 437, ENOSYS);
        decides("TRAP", r#""read", "close_range", "clone""#, native, 437, ENOSYS);
        decides("ALLOW", names, native, 437, 0x7fff_0000);
        decides("LOG", names, native, 437, 0x7ffc_0000);
        decides("TRACE", names, native, 437, 0x7ff0_0001);
    }
    // A rule that is skipped shows all the same that the profile knows the call.
    decides("TRAP", names, Arch::X86_64, 435, 0x0003_0000);
    // The private calls of arm and the legacy ones of x32 do not count.
    let names = r#""close_range", "set_tls", "execveat""#;
    decides("ERRNO", names, Arch::Arm, 437, ENOSYS);
    decides("ERRNO", names, Arch::Arm, 0xf_0005, 0x0003_0000);
    decides("ERRNO", names, Arch::Arm, 0xf_0002, 0x0005_0001);
    decides("ERRNO", names, Arch::X86_64, 0x4000_0000 + 437, ENOSYS);
    decides("ERRNO", names, Arch::X86_64, 0x4000_0000 + 544, 0x0005_0001);
    decides("ERRNO", names, Arch::X86_64, 0x4000_0000 + 545, 0x0003_0000);
    decides("ERRNO", names, Arch::X86_64, 545, ENOSYS);
    // Nothing named, nothing known.
    decides("ERRNO", r#""s390_sthyi""#, Arch::X86_64, 437, 0x0005_0001);
}

#[test]
fn listener_has_the_flags_that_go_with_it() {
    let flags = |action: &str| {
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW",
                "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
                "syscalls": [{{"names": ["mkdir"], "action": "{action}"}}]}}"#
        );
        let filter = compile(&profile(&text), Arch::X86_64).unwrap();
        (filter.flags, filter.notifies, filter.warnings.len())
    };
    assert_eq!(flags("SCMP_ACT_NOTIFY"), (1 << 3 | 1 << 5, true, 0));
    assert_eq!(flags("SCMP_ACT_LOG"), (1, false, 1));
}

#[test]
fn waitid_must_be_possible_beside_notify() {
    let compiled = |default: &str, rules: &str| {
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_{default}", "syscalls": [
                {{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}}{rules}]}}"#
        );
        compile(&profile(&text), Arch::X86_64)
            .map(|filter| filter.notifies)
            .map_err(|error| error.path)
    };
    let rule = |action: &str, args: &str| {
        format!(r#", {{"names": ["waitid"], "action": "SCMP_ACT_{action}"{args}}}"#)
    };
    let condition = r#", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]"#;
    for action in ["ALLOW", "LOG", "NOTIFY"] {
        assert_eq!(compiled("ERRNO", &rule(action, "")), Ok(true), "{action}");
        assert_eq!(compiled("ALLOW", &rule(action, condition)), Ok(true), "{action}");
        let path = Err("linux.seccomp.syscalls".to_owned());
        assert_eq!(compiled("ERRNO", &rule(action, condition)), path, "{action}");
    }
    assert!(compiled("ERRNO", "").is_err());
    assert!(compiled("ALLOW", &rule("KILL", condition)).is_err());
}

fn check_error(json: &str, path: &str, message: &str) {
    let expected = Error { path: path.into(), message: message.into() };
    assert_eq!(compile(&profile(json), Arch::X86_64), Err(expected), "{json}");
}

#[test]
fn errors_name_the_value_and_its_path() {
    let rule = |rule: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {{"names": ["read"], "action": "SCMP_ACT_KILL"}}, {rule}]}}"#
        )
    };
    check_error(
        r#"{"defaultAction": "SCMP_ACT_DENY"}"#,
        "linux.seccomp.defaultAction",
        r#"unknown action "SCMP_ACT_DENY""#,
    );
    check_error(
        r#"{"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1}"#,
        "linux.seccomp.defaultErrnoRet",
        "SCMP_ACT_KILL has no errno to return",
    );
    check_error(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X", "SCMP_ARCH_VAX"]}"#,
        "linux.seccomp.architectures[1]",
        r#"unknown architecture "SCMP_ARCH_VAX""#,
    );
    check_error(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG", "LOUD"]}"#,
        "linux.seccomp.flags[1]",
        r#"unknown flag "LOUD""#,
    );
    check_error(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}"#,
        "linux.seccomp.listenerMetadata",
        "must not be set without listenerPath",
    );
    check_error(
        &rule(r#"{"names": ["write", "raed"], "action": "SCMP_ACT_KILL"}"#),
        "linux.seccomp.syscalls[1].names[1]",
        r#"no architecture of Linux has a system call "raed""#,
    );
    check_error(
        &rule(r#"{"names": [], "action": "SCMP_ACT_KILL"}"#),
        "linux.seccomp.syscalls[1].names",
        "must name at least one system call",
    );
    check_error(
        &rule(r#"{"names": ["read"], "action": "kill"}"#),
        "linux.seccomp.syscalls[1].action",
        r#"unknown action "kill""#,
    );
    check_error(
        &rule(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}"#),
        "linux.seccomp.syscalls[1].errnoRet",
        "4096 is above 4095, the greatest errno for SCMP_ACT_ERRNO",
    );
    check_error(
        &rule(r#"{"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 65536}"#),
        "linux.seccomp.syscalls[1].errnoRet",
        "65536 is above 65535, the greatest errno for SCMP_ACT_TRACE",
    );
    check_error(
        &rule(
            r#"{"names": ["read"], "action": "SCMP_ACT_KILL",
                "args": [{"index": 0, "value": 0, "op": "EQ"}]}"#,
        ),
        "linux.seccomp.syscalls[1].args[0].op",
        r#"unknown operator "EQ""#,
    );
    check_error(
        &rule(
            r#"{"names": ["read"], "action": "SCMP_ACT_KILL",
                "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}"#,
        ),
        "linux.seccomp.syscalls[1].args[0].index",
        "6 is above 5, the last argument of a system call",
    );
}

#[test]
fn an_unknown_call_is_skipped_where_nothing_is_lost() {
    let filter = |default: &str, action: &str| {
        let json = format!(
            r#"{{"defaultAction": "SCMP_ACT_{default}", "syscalls": [
                {{"names": ["read", "raed", "unknown"], "action": "SCMP_ACT_{action}"}}]}}"#
        );
        compile(&profile(&json), Arch::X86_64)
    };
    let order = ["KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "LOG", "ALLOW"];
    for (strict, default) in order.iter().enumerate() {
        for (rank, action) in order.iter().enumerate() {
            match filter(default, action) {
                Ok(filter) => {
                    assert!(rank >= strict, "{action} under {default}");
                    let path = "linux.seccomp.syscalls[0].names".into();
                    let message = "skipped, as no architecture of Linux has it: raed, unknown";
                    assert_eq!(filter.warnings, [Error { path, message: message.into() }]);
                    let json = r#"{"defaultAction": "SCMP_ACT_DEFAULT", "syscalls": [
                        {"names": ["read"], "action": "SCMP_ACT_ACTION"}]}"#;
                    let json = json.replace("DEFAULT", default).replace("ACTION", action);
                    let without = compiled(&profile(&json), Arch::X86_64);
                    assert_eq!(filter.program, without.program, "{action} under {default}");
                }
                Err(error) => {
                    assert!(rank < strict, "{action} under {default}");
                    assert_eq!(error.path, "linux.seccomp.syscalls[0].names[1]");
                }
            }
        }
    }
}

#[test]
fn flags_are_those_of_seccomp_2() {
    let flags = |json: &str| compiled(&profile(json), Arch::X86_64).flags;
    assert_eq!(flags(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#), 4);
    assert_eq!(flags(r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": []}"#), 0);
    assert_eq!(
        flags(
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "unknownField": 1, "flags":
                ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}"#
        ),
        7
    );
}

#[test]
fn the_default_profile_takes_few_instructions_and_little_time() {
    let native = Arch::X86_64;
    let Some(profile) = default_profile(native, &[]) else {
        return;
    };
    let names = profile.syscalls.iter().map(|syscall| syscall.names.len()).sum::<usize>();
    let start = std::time::Instant::now();
    for _ in 0..20 {
        compiled(&profile, native);
    }
    let time = start.elapsed() / 20;
    let filter = compiled(&profile, native);
    assert_eq!(filter.to_bytes().len(), 8 * filter.program.len());
    let mut executed = Vec::new();
    for call in table::all_names().filter_map(table::Call::named) {
        if let Some(number) = call.number(native) {
            let data = Data { number, arch: native.audit(), args: [0; 6] };
            executed.push(run(&filter.program, &data).1);
        }
    }
    let average = executed.iter().sum::<usize>() as f64 / executed.len() as f64;
    let most = executed.iter().max().copied().unwrap();
    println!(
        "default profile, {} rules, {names} names, {} architectures: {} instructions, \
         {average:.1} executed on average and {most} at most, compiled in {time:?}",
        profile.syscalls.len(),
        profile.architectures.len(),
        filter.program.len(),
    );
    assert!(filter.program.len() <= 700, "{} instructions", filter.program.len());
    assert!(average <= 11.0, "{average} instructions executed on average");
    assert!(most <= 24, "{most} instructions executed");
    assert!(time.as_millis() < 50, "compiled in {time:?}");
}
