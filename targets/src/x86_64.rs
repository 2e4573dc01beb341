//! PCs, gateways and industrial computers, and most developers' machines.

use crate::{Budget, KIB, Qemu, Target, elf};

pub(crate) const TARGET: Target = Target {
    name: "x86_64",
    triple: "x86_64-unknown-linux-musl",
    debian: "amd64",
    musl: "x86_64-linux-musl",
    elf: elf::Identity { bits: 64, machine: 62 },
    features: "",
    budget: Budget { init: 56 * KIB, cli: 640 * KIB },
    kernel: "linux-image-cloud-amd64",
    full_kernel: "linux-image-amd64",
    qemu: Qemu {
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        machine: "q35",
        cpu: "max",
        console: "ttyS0",
    },
};
