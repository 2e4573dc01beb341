//! Links vial-init without libc, start files or a dynamic loader.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Only with the gcc driver of the gnu targets; a target linked by ld.lld
    // itself gets what it needs from the one who calls cargo (see targets/).
    let gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if gnu {
        for argument in [
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,--build-id=none",
            "-Wl,-z,norelro",
            "-Wl,--gc-sections",
            "-Wl,-z,noseparate-code",
            "-Wl,--no-eh-frame-hdr",
        ] {
            println!("cargo::rustc-link-arg-bin=vial-init={argument}");
        }
    }
}
