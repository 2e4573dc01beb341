//! Links vial-init without libc, start files or a dynamic loader, by whichever
//! linker there is.

use std::env;
use std::path::Path;

/// What GNU ld, lld and mold understand alike. -static and -no-pie come after
/// what rustc and a compiler say, and win: the program does not relocate itself.
const OPTIONS: &[&str] = &[
    "-static",
    "-no-pie",
    "--no-dynamic-linker",
    // The start files of a libc, which rustc links to static programs of musl,
    // have _start; without being the entry, they go with what nothing refers to.
    "--entry=vial_init_start",
    "--gc-sections",
    // No section that a debugger or an unwinder would read. One segment less is a
    // page less of memory and of file.
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
        link("-nostdlib"); // Nor start files.
    }
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bin=vial-init={argument}");
}

/// What links, by the rules of rustc: its flavor if one is named, else the
/// name of the program, else a C compiler, as every target with Linux has it.
struct Linker {
    /// It takes a linker's options behind -Wl alone.
    is_compiler: bool,
    /// It is lld itself; a compiler does not tell what it calls.
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
        // As in ld.lld-19.
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        let is_lld = matches!(name, "lld" | "rust-lld" | "ld.lld");
        let is_ld = name == "ld" || name.starts_with("ld.") || name.ends_with("-ld");
        Linker { is_compiler: !is_lld && !is_ld, is_lld }
    }
}

/// The value of `-C name=value`, in any of the ways to write it; the last counts.
fn codegen_option<'a>(flags: &'a str, name: &str) -> Option<&'a str> {
    let flags = flags.split('\x1f').filter(|flag| !matches!(*flag, "-C" | "--codegen"));
    let mut values = flags.filter_map(|flag| {
        let flag = flag.strip_prefix("--codegen=").or(flag.strip_prefix("-C")).unwrap_or(flag);
        flag.strip_prefix(name)?.strip_prefix('=')
    });
    values.next_back()
}
