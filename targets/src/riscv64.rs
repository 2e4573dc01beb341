//! 64-bit RISC-V boards: VisionFive 2, Milk-V, LicheeRV and similar. Debian has them
//! since trixie.

use crate::{Budget, KIB, Qemu, Target, elf, kernel};

pub(crate) const TARGET: Target = Target {
    name: "riscv64",
    triple: "riscv64gc-unknown-linux-musl",
    debian: "riscv64",
    musl: "riscv64-linux-musl",
    musl_suite: Some(kernel::OF_DISK.suite),
    elf: elf::Identity { bits: 64, machine: 243 },
    features: "",
    budget: Budget { init: 56 * KIB, cli: 768 * KIB },
    kernel_debian: "riscv64",
    kernel: "linux-image-riscv64",
    full_kernel: "linux-image-riscv64",
    usual_kernel: kernel::OF_DISK,
    qemu: Qemu {
        program: "qemu-system-riscv64",
        package: "qemu-system-misc",
        machine: "virt",
        cpu: "rv64",
        console: "ttyS0",
    },
};
