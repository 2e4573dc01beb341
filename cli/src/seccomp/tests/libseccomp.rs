//! libseccomp as the measure: python3-seccomp builds the same filter, and both
//! programs are run.

use super::containers::skip;
use super::machine::{Data, run};
use super::{
    EVERY, Measure, Random, broad_profile, compiled, default_profile, for_every_call,
    naive::{self, Meaning},
    profile, random_profile,
};
use crate::config::seccomp::{Seccomp, Syscall};
use crate::seccomp::{Arch, Instruction, table, table::Call};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Answers `{"numbers": [name, ...]}` with the numbers of each name on each
/// architecture, and a filter with its program in hex and the names that
/// libseccomp does not know.
const SCRIPT: &str = r#"
import json, os, sys, seccomp
seccomp.set_api(6)
ops = {op: getattr(seccomp, op[9:]) for op in
       ["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
        "SCMP_CMP_MASKED_EQ"]}
arch = lambda name: getattr(seccomp.Arch, name)
signed = lambda action: action - (action >> 31 << 32)
def program(request):
    filter = seccomp.SyscallFilter(signed(request["default"]))
    if "X86_64" not in request["archs"]:
        filter.remove_arch(seccomp.Arch.NATIVE)
    for name in request["archs"]:
        if name != "X86_64":
            filter.add_arch(arch(name))
    unknown = []
    for name, action, args in request["rules"]:
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) == -1:
            unknown.append(name)
            continue
        try:
            filter.add_rule(signed(action), name, *[
                seccomp.Arg(i, ops[op], a, b) if op == "SCMP_CMP_MASKED_EQ" else seccomp.Arg(i, ops[op], a)
                for i, op, a, b in args])
        except RuntimeError as error:
            sys.exit(f"{error}: {name} {action:#x} {args} in {request}")
    out = os.memfd_create("bpf")
    filter.export_bpf(os.fdopen(os.dup(out), "wb"))
    return {"unknown": unknown, "program": os.pread(out, 1 << 20, 0).hex()}
for line in sys.stdin:
    request = json.loads(line)
    if "numbers" in request:
        answer = [[seccomp.resolve_syscall(arch(name), call) for name in request["archs"]]
                  for call in request["numbers"]]
    else:
        answer = program(request)
    print(json.dumps(answer), flush=True)
"#;

/// The answers of libseccomp, or none where it is not installed, or installed
/// on a machine for which `SCRIPT` was not written.
fn ask(requests: &[Value]) -> Option<Vec<Value>> {
    let python = "/usr/bin/python3";
    let mut probe = Command::new(python);
    probe.args(["-c", "import seccomp"]).stderr(Stdio::null());
    if cfg!(not(target_arch = "x86_64")) || !probe.status().is_ok_and(|status| status.success()) {
        skip("python3-seccomp on x86_64");
        return None;
    }
    let mut child = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), requests.len());
    Some(answers)
}

fn name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "X86_64",
        Arch::X86 => "X86",
        Arch::X32 => "X32",
        Arch::Aarch64 => "AARCH64",
        Arch::Arm => "ARM",
        Arch::Riscv64 => "RISCV64",
    }
}

/// The architectures of the filter that we make.
fn archs(profile: &Seccomp, native: Arch) -> Vec<Arch> {
    crate::seccomp::arch::listed(&profile.architectures, native).unwrap()
}

/// What runc asks of libseccomp for this profile.
fn request(profile: &Seccomp, native: Arch) -> Value {
    let default = naive::action(&profile.default_action, profile.default_errno_ret);
    let mut rules = Vec::new();
    for syscall in &profile.syscalls {
        let action = naive::action(&syscall.action, syscall.errno_ret);
        if action == default {
            continue;
        }
        for name in &syscall.names {
            for args in naive::split(&syscall.args) {
                let args: Vec<Value> = args
                    .iter()
                    .map(|arg| json!([arg.index, arg.op, arg.value, arg.value_two]))
                    .collect();
                rules.push(json!([name, action, args]));
            }
        }
    }
    let archs: Vec<&str> = archs(profile, native).into_iter().map(name).collect();
    json!({"default": default, "archs": archs, "rules": rules})
}

fn check(cases: &[(Seccomp, Arch)]) {
    let requests: Vec<Value> =
        cases.iter().map(|(profile, native)| request(profile, *native)).collect();
    let Some(answers) = ask(&requests) else {
        return;
    };
    let mut compared = 0;
    for ((profile, native), answer) in cases.iter().zip(answers) {
        compared += check_one(profile, *native, &answer);
    }
    println!("{} filters and {compared} calls compared with libseccomp", cases.len());
}

fn check_one(profile: &Seccomp, native: Arch, answer: &Value) -> usize {
    let ours = compiled(profile, native).program;
    let theirs = program(answer["program"].as_str().unwrap());
    let archs = archs(profile, native);
    let meaning = Meaning::new(profile, native);
    let unknown: Vec<Call> = answer["unknown"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|name| Call::named(name.as_str().unwrap()))
        .chain(Call::named("sync_file_range2"))
        .collect();
    let mut compared = 0;
    for_every_call(profile, &mut Random(3), |data| {
        let Data { number, .. } = *data;
        // libseccomp makes rules for the negative numbers by which it knows
        // calls that an architecture does not have.
        if (0x8000_0002..u32::MAX).contains(&number) {
            return;
        }
        for arch in archs.iter().copied().filter(|arch| arch.audit() == data.arch) {
            if (arch == Arch::X32) != (data.arch == Arch::X32.audit() && number >= 0x4000_0000) {
                continue;
            }
            // ENOSYS for newer calls is runc's, and newer calls are ours.
            let newest = meaning.newest(arch);
            if newest.is_some_and(|newest| number > newest)
                || unknown.iter().any(|call| call.number(arch) == Some(number))
            {
                return;
            }
        }
        let (decision, _) = run(&ours, data);
        let (expected, _) = run(&theirs, data);
        assert_eq!(
            decision, expected,
            "{decision:#x}, in libseccomp {expected:#x}, for {data:x?} on {native:?} with {profile:?}"
        );
        compared += 1;
    });
    compared
}

fn program(hex: &str) -> Vec<Instruction> {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
        .collect();
    bytes
        .chunks_exact(8)
        .map(|b| Instruction {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        })
        .collect()
}

#[test]
fn profiles_decide_as_in_libseccomp() {
    let mut cases = Vec::new();
    for native in [Arch::X86_64, Arch::Aarch64, Arch::Arm, Arch::Riscv64] {
        // LE after another condition is where libseccomp errs on 32 bits.
        let mut broad = broad_profile();
        for arg in broad.syscalls.iter_mut().flat_map(|syscall| &mut syscall.args) {
            if arg.op == "SCMP_CMP_LE" {
                arg.op = "SCMP_CMP_LT".into();
            }
        }
        let mut without_archs = broad.clone();
        without_archs.architectures.clear();
        cases.extend([(broad, native), (without_archs, native)]);
        for caps in [&[] as &[&str], &["CAP_SYS_ADMIN", "CAP_AUDIT_WRITE"]] {
            cases.extend(default_profile(native, caps).map(|profile| (profile, native)));
        }
    }
    check(&cases);
}

#[test]
fn random_profiles_decide_as_in_libseccomp() {
    let mut random = Random(99);
    let natives = [Arch::X86_64, Arch::Aarch64, Arch::Arm, Arch::Riscv64];
    let cases: Vec<(Seccomp, Arch)> = (0..80)
        .map(|i| {
            let measure = [Measure::LibseccompMany, Measure::LibseccompOne][i / 4 % 2];
            let mut profile = random_profile(&mut random, measure);
            // Without a plain rule libseccomp 2.5 forgets to load the number.
            profile.syscalls.push(Syscall {
                names: vec!["getpid".into()],
                action: match profile.default_action.as_str() {
                    "SCMP_ACT_ALLOW" => "SCMP_ACT_KILL".into(),
                    _ => "SCMP_ACT_ALLOW".into(),
                },
                ..Syscall::default()
            });
            (profile, natives[i % 4])
        })
        .collect();
    check(&cases);
}

#[test]
fn precedence_is_that_of_libseccomp() {
    let allow = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW"}"#;
    let trap = r#"{"names": ["read"], "action": "SCMP_ACT_TRAP"}"#;
    let if_one = r#"{"names": ["read"], "action": "SCMP_ACT_LOG",
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}"#;
    let if_one_two = r#"{"names": ["read"], "action": "SCMP_ACT_KILL",
        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                 {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]}"#;
    let cases: Vec<(Seccomp, Arch)> = [
        format!("{allow}, {trap}"),
        format!("{trap}, {allow}"),
        format!("{if_one}, {allow}"),
        format!("{allow}, {if_one}"),
        // The other way round libseccomp refuses the second rule.
        format!("{if_one}, {if_one_two}"),
    ]
    .into_iter()
    .map(|rules| {
        let json = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#);
        (profile(&json), Arch::X86_64)
    })
    .collect();
    check(&cases);
}

#[test]
fn the_table_has_the_numbers_of_libseccomp() {
    let names: Vec<&str> = table::all_names().collect();
    let archs: Vec<&str> = EVERY.into_iter().map(name).collect();
    let Some(answers) = ask(&[json!({"numbers": names, "archs": archs})]) else {
        return;
    };
    let mut known = 0;
    for (call_name, numbers) in names.iter().zip(answers[0].as_array().unwrap()) {
        let call = Call::named(call_name).unwrap();
        for (arch, number) in EVERY.into_iter().zip(numbers.as_array().unwrap()) {
            let number = number.as_i64().unwrap();
            let multiplexed = call.multiplexed().map(|(number, _)| i64::from(number));
            if number == -1
                || (arch, *call_name) == (Arch::Arm, "sync_file_range2")
                || (arch, *call_name) == (Arch::X32, "map_shadow_stack")
                || arch == Arch::X86 && Some(number) == multiplexed
            {
                continue;
            }
            known += 1;
            let expected = u32::try_from(number).ok();
            assert_eq!(call.number(arch), expected, "{call_name} on {arch:?}");
        }
    }
    println!("{known} of {} numbers are known to libseccomp", names.len() * EVERY.len());
    assert!(known > 2500);
}
