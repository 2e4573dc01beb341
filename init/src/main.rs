//! vial-init: carries a Plan out and becomes the container.
#![no_std]
#![no_main]

mod entry;

/// Nothing reaches this: a test reads the release binary for the source places
/// that panics carry, and finds only the two in which rustix asserts that an
/// fd of the kernel's is not -1. An undefined symbol here, which would make it
/// the linker's to refuse, is refused for those two already.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    vial_init::sys::exit::exit(101)
}

/// The core of a debug build refers to it; with panic = "abort" nobody calls it.
#[cfg(debug_assertions)]
#[allow(unsafe_code, reason = "the name is the linker's")]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
