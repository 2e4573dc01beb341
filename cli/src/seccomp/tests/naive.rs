//! What a profile means, call by call, without a thought for speed.

use super::machine::Data;
use crate::config::seccomp::{Arg, Seccomp, Syscall};
use crate::seccomp::{Arch, table::Call};

const KILL: u32 = 0;
const ENOSYS: u32 = 0x0005_0026;

/// A profile with its names looked up once, since tests ask a million times.
pub(super) struct Meaning<'a> {
    profile: &'a Seccomp,
    native: Arch,
    calls: Vec<(Call, &'a Syscall)>,
}

impl<'a> Meaning<'a> {
    pub(super) fn new(profile: &'a Seccomp, native: Arch) -> Meaning<'a> {
        let calls = profile.syscalls.iter().flat_map(|syscall| {
            syscall.names.iter().map(move |name| (Call::named(name).unwrap(), syscall))
        });
        Meaning { profile, native, calls: calls.collect() }
    }

    /// The decision for one call.
    pub(super) fn decide(&self, data: &Data) -> u32 {
        decide(self, data)
    }

    /// The greatest number of `arch` that the profile names.
    pub(super) fn newest(&self, arch: Arch) -> Option<u32> {
        let numbers = self.calls.iter().flat_map(|(call, _)| {
            let multiplexed = call.multiplexed().filter(|_| arch == Arch::X86);
            [call.number(arch), multiplexed.map(|(number, _)| number)]
        });
        numbers.flatten().filter(|&number| !is_reserved(arch, number)).max()
    }
}

fn decide(meaning: &Meaning<'_>, data: &Data) -> u32 {
    let (profile, native) = (meaning.profile, meaning.native);
    let default = action(&profile.default_action, profile.default_errno_ret);
    let x86_64 = data.arch == 0xc000_003e;
    let arch = match data.arch {
        0xc000_003e if data.number >= 0x4000_0000 => Arch::X32,
        0xc000_003e => Arch::X86_64,
        0x4000_0003 => Arch::X86,
        0xc000_00b7 => Arch::Aarch64,
        0x4000_0028 => Arch::Arm,
        0xc000_00f3 => Arch::Riscv64,
        _ => return KILL,
    };
    if !speaks_of(profile, native, arch) {
        // The number of a call that a tracer skips has the bit of x32.
        let skipped = x86_64 && data.number == u32::MAX;
        return if skipped && speaks_of(profile, native, Arch::X86_64) { default } else { KILL };
    }
    if let Some(newest) = meaning.newest(arch)
        && data.number > newest
        && !is_reserved(arch, data.number)
        && !matches!(
            profile.default_action.as_str(),
            "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" | "SCMP_ACT_TRACE"
        )
    {
        return ENOSYS;
    }
    // Every alternative for the call: its conditions, whether they hold, and
    // its action.
    let mut alternatives: Vec<(Vec<Comparison>, u32)> = Vec::new();
    for (call, syscall) in &meaning.calls {
        let direct = call.number(arch) == Some(data.number);
        let multiplexed = call
            .multiplexed()
            .filter(|multiplexed| arch == Arch::X86 && multiplexed.0 == data.number);
        if !direct && multiplexed.is_none() {
            continue;
        }
        let action = action(&syscall.action, syscall.errno_ret);
        if action == default {
            continue;
        }
        for args in split(&syscall.args) {
            let wanted = args.iter().map(|arg| Comparison::new(arg, arch));
            if direct {
                alternatives.push((wanted.clone().collect(), action));
            }
            if let Some((_, which)) = multiplexed {
                let op = "SCMP_CMP_EQ".into();
                let first = Arg { index: 0, value: which.into(), value_two: 0, op };
                let others = wanted.filter(|comparison| comparison.index != 0);
                let all = [Comparison::new(&first, arch)].into_iter().chain(others);
                alternatives.push((all.collect(), action));
            }
        }
    }
    for (comparisons, _) in &mut alternatives {
        comparisons.retain(|comparison| comparison.op != "any");
    }
    let is_part = |a: &[Comparison], b: &[Comparison]| a.iter().all(|one| b.contains(one));
    for (i, (comparisons, action)) in alternatives.iter().enumerate() {
        let loses = alternatives.iter().enumerate().any(|(j, (other, _))| {
            is_part(other, comparisons) && (j < i || !is_part(comparisons, other))
        });
        if !loses && comparisons.iter().all(|comparison| comparison.holds(data)) {
            return *action;
        }
    }
    default
}

fn speaks_of(profile: &Seccomp, native: Arch, arch: Arch) -> bool {
    let listed = |name: &str| profile.architectures.iter().any(|listed| listed == name);
    let name = match arch {
        Arch::X86_64 => "SCMP_ARCH_X86_64",
        Arch::X86 => "SCMP_ARCH_X86",
        Arch::X32 => "SCMP_ARCH_X32",
        Arch::Aarch64 => "SCMP_ARCH_AARCH64",
        Arch::Arm => "SCMP_ARCH_ARM",
        Arch::Riscv64 => "SCMP_ARCH_RISCV64",
    };
    let is_x86 = |arch| matches!(arch, Arch::X86_64 | Arch::X86 | Arch::X32);
    let is_arm = |arch| matches!(arch, Arch::Aarch64 | Arch::Arm);
    arch == native
        || listed(name) && (is_x86(arch) && is_x86(native) || is_arm(arch) && is_arm(native))
}

fn is_reserved(arch: Arch, number: u32) -> bool {
    match arch {
        Arch::Arm => (0xf_0000..=0xf_0006).contains(&number),
        Arch::X32 => (0x4000_0000 + 512..=0x4000_0000 + 547).contains(&number),
        _ => false,
    }
}

pub(super) fn action(name: &str, errno: Option<u32>) -> u32 {
    match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 + errno.unwrap_or(1),
        "SCMP_ACT_TRACE" => 0x7ff0_0000 + errno.unwrap_or(1),
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => 0x7fff_0000,
        _ => panic!("action {name}"),
    }
}

/// The alternatives of a rule, by runc's reading of repeated arguments.
pub(super) fn split(args: &[Arg]) -> Vec<Vec<Arg>> {
    let repeated =
        args.iter().enumerate().any(|(i, arg)| args[..i].iter().any(|a| a.index == arg.index));
    if repeated { args.iter().map(|arg| vec![arg.clone()]).collect() } else { vec![args.to_vec()] }
}

#[derive(Clone, PartialEq)]
struct Comparison {
    index: u32,
    op: &'static str,
    mask: u64,
    value: u64,
    bits: u64,
}

impl Comparison {
    fn new(arg: &Arg, arch: Arch) -> Comparison {
        let bits = match arch {
            Arch::X86_64 | Arch::Aarch64 | Arch::Riscv64 => u64::MAX,
            _ => u32::MAX.into(),
        };
        let (op, mask, value) = match arg.op.as_str() {
            "SCMP_CMP_MASKED_EQ" if arg.value & bits == 0 => ("any", 0, 0),
            "SCMP_CMP_MASKED_EQ" => ("==", arg.value & bits, arg.value & arg.value_two & bits),
            "SCMP_CMP_EQ" => ("==", bits, arg.value & bits),
            "SCMP_CMP_NE" => ("!=", bits, arg.value & bits),
            "SCMP_CMP_LT" => ("<", bits, arg.value & bits),
            "SCMP_CMP_LE" => ("<=", bits, arg.value & bits),
            "SCMP_CMP_GT" => (">", bits, arg.value & bits),
            "SCMP_CMP_GE" => (">=", bits, arg.value & bits),
            op => panic!("operator {op}"),
        };
        Comparison { index: arg.index, op, mask, value, bits }
    }

    fn holds(&self, data: &Data) -> bool {
        let arg = data.args[self.index as usize] & self.bits;
        match self.op {
            "==" => arg & self.mask == self.value,
            "!=" => arg != self.value,
            "<" => arg < self.value,
            "<=" => arg <= self.value,
            ">" => arg > self.value,
            ">=" => arg >= self.value,
            op => panic!("operator {op}"),
        }
    }
}
