//! vial-init: carries out a Plan and becomes the container.
#![cfg_attr(not(feature = "beside-std"), no_std, no_main)]

#[cfg(not(feature = "beside-std"))]
mod entry;

/// Never called. rustix asserts that an fd is not -1 and that an errno is in range. The
/// compiler cannot prove that, so a link error for an undefined panic symbol cannot be
/// the check here. Instead, a build with the feature `panic-places` keeps the location
/// of every remaining panic, and the proof reads them from the binary: all are in
/// rustix.
#[cfg(not(feature = "beside-std"))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "panic-places")]
    if let Some(place) = _info.location() {
        let [_, _, stderr] = vial_init::sys::stdio::streams();
        let _ = rustix::io::write(stderr, place.file().as_bytes()); // There is nobody to tell.
    }
    vial_init::sys::exit::exit(101)
}

/// core refers to this symbol when it is linked without link-time optimization. With
/// panic = "abort" nothing calls it.
#[cfg(not(feature = "beside-std"))]
#[allow(unsafe_code, reason = "the name is the linker's")]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// An empty program. Together with the tests, rustix is built with std, which has a
/// panic handler of its own. A plain `cargo build` builds the real vial-init.
#[cfg(feature = "beside-std")]
fn main() {}
