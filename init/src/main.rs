//! vial-init: carries a Plan out and becomes the container.
#![cfg_attr(not(feature = "beside-std"), no_std, no_main)]

#[cfg(not(feature = "beside-std"))]
mod entry;

/// Nothing reaches this. rustix asserts that an fd is not -1 and that an errno
/// is one, which the compiler cannot prove, so that it cannot be the linker's to
/// refuse a panic by an undefined symbol here. Instead a build with the feature
/// `panic-places` names the place of every panic that is left in it, and the
/// proof reads them from the binary: they are those of rustix alone.
#[cfg(not(feature = "beside-std"))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "panic-places")]
    if let Some(place) = _info.location() {
        let [_, _, stderr] = vial_init::sys::stdio::streams();
        let _ = rustix::io::write(stderr, place.file().as_bytes()); // Nobody is left to tell.
    }
    vial_init::sys::exit::exit(101)
}

/// core refers to it where it is linked as it comes, without link-time
/// optimization; with panic = "abort" nobody calls it.
#[cfg(not(feature = "beside-std"))]
#[allow(unsafe_code, reason = "the name is the linker's")]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Built together with the tests, for which rustix has a panic handler, this is
/// no vial-init: a plain `cargo build` makes one.
#[cfg(feature = "beside-std")]
fn main() {}
