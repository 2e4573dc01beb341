//! 64-bit ARM boards: i.MX 8, Raspberry Pi 3 and later, Jetson and similar.

use crate::{Budget, KIB, Qemu, Target, elf, kernel};

pub(crate) const TARGET: Target = Target {
    name: "aarch64",
    triple: "aarch64-unknown-linux-musl",
    debian: "arm64",
    musl: "aarch64-linux-musl",
    musl_suite: None,
    elf: elf::Identity { bits: 64, machine: 183 },
    features: "",
    budget: Budget { init: 56 * KIB, cli: 768 * KIB },
    kernel_debian: "arm64",
    kernel: "linux-image-cloud-arm64",
    full_kernel: "linux-image-arm64",
    usual_kernel: kernel::USUAL,
    qemu: Qemu {
        program: "qemu-system-aarch64",
        package: "qemu-system-arm",
        machine: "virt",
        cpu: "cortex-a57",
        console: "ttyAMA0",
    },
};
