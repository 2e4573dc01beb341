//! The architectures that a filter can distinguish.

use linux_raw_sys::ptrace;
use serde::{Deserialize, Serialize};

use super::Error;

/// An architecture with a table of system calls.
///
/// x32 counts as one, as in libseccomp, although the kernel reports it as x86_64
/// with a bit set in the call's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Arch {
    /// `SCMP_ARCH_X86_64`
    X86_64,
    /// `SCMP_ARCH_X86`, i386 to the kernel.
    X86,
    /// `SCMP_ARCH_X32`
    X32,
    /// `SCMP_ARCH_AARCH64`
    Aarch64,
    /// `SCMP_ARCH_ARM`, EABI.
    Arm,
    /// `SCMP_ARCH_RISCV64`
    Riscv64,
}

/// Their names.
pub(super) const NAMES: [(&str, Arch); 6] = [
    ("SCMP_ARCH_AARCH64", Arch::Aarch64),
    ("SCMP_ARCH_ARM", Arch::Arm),
    ("SCMP_ARCH_RISCV64", Arch::Riscv64),
    ("SCMP_ARCH_X32", Arch::X32),
    ("SCMP_ARCH_X86", Arch::X86),
    ("SCMP_ARCH_X86_64", Arch::X86_64),
];

/// The architectures of the spec that cannot run on any machine that vial supports.
const FOREIGN: [&str; 17] = [
    "LOONGARCH64",
    "M68K",
    "MIPS",
    "MIPS64",
    "MIPS64N32",
    "MIPSEL",
    "MIPSEL64",
    "MIPSEL64N32",
    "PARISC",
    "PARISC64",
    "PPC",
    "PPC64",
    "PPC64LE",
    "S390",
    "S390X",
    "SH",
    "SHEB",
];

impl Default for Arch {
    fn default() -> Arch {
        Arch::native()
    }
}

impl Arch {
    /// The architecture that vial was built for.
    pub const fn native() -> Arch {
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
        return Arch::X86_64;
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
        return Arch::X32;
        #[cfg(target_arch = "x86")]
        return Arch::X86;
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        return Arch::Aarch64;
        #[cfg(all(target_arch = "arm", target_endian = "little"))]
        return Arch::Arm;
        #[cfg(target_arch = "riscv64")]
        return Arch::Riscv64;
    }

    /// `seccomp_data.arch`: the AUDIT_ARCH_* value, linux/audit.h.
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => ptrace::AUDIT_ARCH_X86_64,
            Arch::X86 => ptrace::AUDIT_ARCH_I386,
            Arch::Aarch64 => ptrace::AUDIT_ARCH_AARCH64,
            Arch::Arm => ptrace::AUDIT_ARCH_ARM,
            Arch::Riscv64 => ptrace::AUDIT_ARCH_RISCV64,
        }
    }

    /// Whether all 64 bits of an argument are compared. On 32-bit architectures the
    /// kernel zeroes the high half. On x32 it does not; libseccomp compares only the low
    /// half there, which is all that the kernel's code reads.
    pub(super) const fn is_64_bit(self) -> bool {
        matches!(self, Arch::X86_64 | Arch::Aarch64 | Arch::Riscv64)
    }

    /// Whether one machine can run both.
    const fn runs_beside(self, other: Arch) -> bool {
        self.family() == other.family()
    }

    const fn family(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X86 | Arch::X32 => 0,
            Arch::Aarch64 | Arch::Arm => 1,
            Arch::Riscv64 => 2,
        }
    }
}

/// The architectures of a filter: `native` first, since most calls are its own, then
/// those that the profile lists and the machine can run.
///
/// The native architecture is in every filter, listed or not, as in libseccomp. One
/// that this machine cannot run is left out, since the kernel never reports it.
/// libseccomp would compile it.
pub(super) fn listed(names: &[String], native: Arch) -> Result<Vec<Arch>, Error> {
    let mut listed = vec![native];
    for (i, name) in names.iter().enumerate() {
        let Some((_, arch)) = NAMES.iter().find(|(known, _)| known == name) else {
            if name.strip_prefix("SCMP_ARCH_").is_some_and(|name| FOREIGN.contains(&name)) {
                continue;
            }
            let message = format!("unknown architecture {name:?}");
            return Err(Error::new(format!("architectures[{i}]"), message));
        };
        let arch = *arch;
        if arch.runs_beside(native) && !listed.contains(&arch) {
            listed.push(arch);
        }
    }
    Ok(listed)
}
