//! 32-bit PCs with SSE2, and 32-bit systems under a 64-bit kernel. The tests run under
//! the kernel of x86_64.

use crate::{Budget, KIB, Qemu, Target, elf, kernel};

pub(crate) const TARGET: Target = Target {
    name: "i686",
    triple: "i686-unknown-linux-musl",
    debian: "i386",
    musl: "i386-linux-musl",
    musl_suite: None,
    elf: elf::Identity { bits: 32, machine: 3 },
    features: "",
    // Larger than elsewhere: the ABI aligns the stack to 16 bytes for each call.
    budget: Budget { init: 60 * KIB, cli: 768 * KIB },
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
