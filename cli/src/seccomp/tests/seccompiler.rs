//! seccompiler as the measure, for what it can express: one architecture of 64
//! bits, one action.

use super::machine::{Data, run};
use super::{NAMES, Random, arguments, compiled, conditional};
use crate::config::seccomp::{Arg, Seccomp, Syscall};
use crate::seccomp::{Arch, Instruction, table::Call};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

fn program(profile: &Seccomp, native: Arch) -> Vec<Instruction> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for syscall in &profile.syscalls {
        for name in &syscall.names {
            let Some(number) = Call::named(name).unwrap().number(native) else {
                continue;
            };
            let rules = rules.entry(number.into()).or_default();
            if !syscall.args.is_empty() {
                let conditions = syscall.args.iter().map(condition).collect();
                rules.push(SeccompRule::new(conditions).unwrap());
            }
        }
    }
    let target = match native {
        Arch::X86_64 => TargetArch::x86_64,
        Arch::Aarch64 => TargetArch::aarch64,
        _ => TargetArch::riscv64,
    };
    let program: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(7), target)
            .unwrap()
            .try_into()
            .unwrap();
    let instruction =
        |i: &seccompiler::sock_filter| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k };
    program.iter().map(instruction).collect()
}

fn condition(arg: &Arg) -> SeccompCondition {
    let (op, value) = match arg.op.as_str() {
        "SCMP_CMP_NE" => (SeccompCmpOp::Ne, arg.value),
        "SCMP_CMP_LT" => (SeccompCmpOp::Lt, arg.value),
        "SCMP_CMP_LE" => (SeccompCmpOp::Le, arg.value),
        "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, arg.value),
        "SCMP_CMP_GE" => (SeccompCmpOp::Ge, arg.value),
        "SCMP_CMP_GT" => (SeccompCmpOp::Gt, arg.value),
        _ => (SeccompCmpOp::MaskedEq(arg.value), arg.value_two & arg.value),
    };
    SeccompCondition::new(arg.index as u8, SeccompCmpArgLen::Qword, op, value).unwrap()
}

#[test]
fn profiles_decide_as_in_seccompiler() {
    const CALLS: [&str; 6] = ["read", "write", "openat", "clone", "personality", "close_range"];
    const VALUES: [u64; 8] = [0, 1, 8, 0xffff_ffff, 1 << 32, (1 << 32) + 8, 1 << 63, u64::MAX];
    let mut random = Random(5);
    for round in 0..40 {
        let native = [Arch::X86_64, Arch::Aarch64, Arch::Riscv64][round % 3];
        // Each call once without conditions or several times with them:
        // seccompiler has no precedence between the two.
        let mut syscalls = Vec::new();
        for name in CALLS {
            for _ in 0..random.below(4) {
                let first = random.below(4) as u32;
                let args = (0..=random.below(2)).map(|i| Arg {
                    index: first + i as u32,
                    value: *random.pick(&VALUES),
                    value_two: *random.pick(&VALUES),
                    op: random.pick(&NAMES).to_string(),
                });
                syscalls.push(Syscall {
                    names: vec![name.into()],
                    action: "SCMP_ACT_ERRNO".into(),
                    errno_ret: Some(7),
                    args: args.collect(),
                });
            }
        }
        let profile =
            Seccomp { default_action: "SCMP_ACT_ALLOW".into(), syscalls, ..Seccomp::default() };
        let ours = compiled(&profile, native).program;
        let theirs = program(&profile, native);
        let check = |data: &Data| {
            let (decision, expected) = (run(&ours, data).0, run(&theirs, data).0);
            assert_eq!(
                decision, expected,
                "{decision:#x}, in seccompiler {expected:#x}, for {data:x?} on {native:?} with {profile:?}"
            );
        };
        for number in 0..=600 {
            check(&Data { number, arch: native.audit(), args: [0; 6] });
        }
        for number in conditional(&profile, native) {
            for index in 0..6 {
                for value in arguments(&profile, index) {
                    let mut args = [0; 6].map(|_: u64| *random.pick(&VALUES));
                    args[index as usize] = value;
                    check(&Data { number, arch: native.audit(), args });
                }
            }
        }
    }
}
