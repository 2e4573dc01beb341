//! PCs, gateways and industrial computers, and most developers' machines.

use crate::{Budget, KIB, Qemu, Target, elf, kernel};

pub(crate) const TARGET: Target = Target {
    name: "x86_64",
    triple: "x86_64-unknown-linux-musl",
    debian: "amd64",
    musl: "x86_64-linux-musl",
    musl_suite: None,
    elf: elf::Identity { bits: 64, machine: 62 },
    features: "",
    budget: Budget { init: 56 * KIB, cli: 768 * KIB },
    kernel_debian: "amd64",
    kernel: "linux-image-cloud-amd64",
    full_kernel: "linux-image-amd64",
    usual_kernel: kernel::USUAL,
    qemu: Qemu {
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        machine: "q35",
        cpu: "max",
        console: "ttyS0",
    },
};
