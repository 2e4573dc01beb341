//! Links vial-init without libc, start files or a dynamic loader, with any linker.

use std::env;
use std::path::Path;

/// Options that GNU ld, lld and mold all understand. -static and -no-pie come after
/// those of rustc and of a compiler, so they win: the program cannot relocate itself.
const OPTIONS: &[&str] = &[
    "-static",
    "-no-pie",
    "--no-dynamic-linker",
    // For static musl programs, rustc links the start files of musl, which define
    // _start. With another entry, --gc-sections drops them.
    "--entry=vial_init_start",
    "--gc-sections",
    // No sections for debuggers and unwinders. One segment less saves a page of memory
    // and of the file.
    "--build-id=none",
    "--no-eh-frame-hdr",
    "-znorelro",
    "-znoseparate-code",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BESIDE_STD").is_some() {
        return;
    }
    let linker = Linker::of_this_build();
    let own = if linker.is_lld { &["--no-rosegment"][..] } else { &[] };
    for option in OPTIONS.iter().chain(own) {
        if linker.is_compiler {
            link(&format!("-Wl,{option}"));
        } else {
            link(option);
        }
    }
    if linker.is_compiler {
        link("-nostdlib"); // And no start files.
    }
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bin=vial-init={argument}");
}

/// The linker, found by rustc's rules: the linker flavor if one is set, else the name
/// of the program, else a C compiler, the default of every Linux target.
struct Linker {
    /// It is a C compiler, which takes linker options behind -Wl.
    is_compiler: bool,
    /// It is lld itself. A compiler does not show which linker it runs.
    is_lld: bool,
}

impl Linker {
    fn of_this_build() -> Linker {
        let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        if let Some(flavor) = codegen_option(&flags, "linker-flavor") {
            let is_compiler = flavor.split('-').any(|part| part == "gcc" || part == "cc");
            return Linker { is_compiler, is_lld: !is_compiler && flavor.contains("lld") };
        }
        let configured = env::var("RUSTC_LINKER").ok();
        let program = codegen_option(&flags, "linker").map(str::to_owned).or(configured);
        Linker::named(Path::new(&program.unwrap_or_default()))
    }

    fn named(program: &Path) -> Linker {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        // For example ld.lld-19.
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        let is_lld = matches!(name, "lld" | "rust-lld" | "ld.lld");
        let is_ld = name == "ld" || name.starts_with("ld.") || name.ends_with("-ld");
        Linker { is_compiler: !is_lld && !is_ld, is_lld }
    }
}

/// The value of `-C name=value` in any of its spellings. The last one counts.
fn codegen_option<'a>(flags: &'a str, name: &str) -> Option<&'a str> {
    let flags = flags.split('\x1f').filter(|flag| !matches!(*flag, "-C" | "--codegen"));
    let mut values = flags.filter_map(|flag| {
        let flag = flag.strip_prefix("--codegen=").or(flag.strip_prefix("-C")).unwrap_or(flag);
        flag.strip_prefix(name)?.strip_prefix('=')
    });
    values.next_back()
}
