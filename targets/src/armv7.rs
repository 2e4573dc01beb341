//! 32-bit ARM boards with hardware floating point: i.MX 6, AM335x, Raspberry Pi 2 and
//! similar.

use crate::{Budget, KIB, Qemu, Target, elf, kernel};

pub(crate) const TARGET: Target = Target {
    name: "armv7",
    triple: "armv7-unknown-linux-musleabihf",
    debian: "armhf",
    musl: "arm-linux-musleabihf",
    musl_suite: None,
    elf: elf::Identity { bits: 32, machine: 40 },
    // Every ARMv7 processor has it, and its code is a third smaller.
    features: ",+thumb-mode",
    budget: Budget { init: 56 * KIB, cli: 768 * KIB },
    kernel_debian: "armhf",
    kernel: "linux-image-armmp",
    full_kernel: "linux-image-armmp",
    usual_kernel: kernel::USUAL,
    qemu: Qemu {
        program: "qemu-system-arm",
        package: "qemu-system-arm",
        machine: "virt,highmem=off",
        cpu: "cortex-a15",
        console: "ttyAMA0",
    },
};
