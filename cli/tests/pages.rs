//! The manual pages and the shell completions hold every verb and every flag, and the
//! shells understand them.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use vial::flags::described;

/// Writes all of them into a directory of this test.
fn pages(test: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("examples/pages");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&directory); // It may not exist.
    assert!(Command::new(program).arg(&directory).status().unwrap().success());
    directory
}

fn read(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).unwrap()
}

/// Runs a program of a shell, if it is installed. Returns what it prints.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let Ok(output) = command.args(arguments).stdin(Stdio::null()).output() else {
        println!("skipped: {program} is missing");
        assert!(env::var("VIAL_MUST_WORK").is_err(), "{program} is missing");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

const BASH: &str = "bash-completion/completions/vial";
const ZSH: &str = "zsh/site-functions/_vial";
const FISH: &str = "fish/vendor_completions.d/vial.fish";

#[test]
fn every_verb_and_flag_is_in_all_of_them() {
    let directory = pages("all");
    let (bash, zsh, fish) = (read(&directory, BASH), read(&directory, ZSH), read(&directory, FISH));
    let main = read(&directory, "man/man8/vial.8");
    for verb in described().commands {
        let name = verb.name;
        let page = read(&directory, &format!("man/man8/vial-{name}.8"));
        assert!(main.contains(&format!("vial\\-{name}")), "{name}");
        let case = bash.lines().find(|line| line.trim_start().starts_with(&format!("{name})")));
        let of_fish = format!("'__fish_seen_subcommand_from {name}' -l ");
        for flag in verb.command.flags {
            let long = flag.long;
            assert!(page.contains(&long.replace('-', "\\-")), "{name} {long}");
            assert!(case.unwrap().contains(long), "{name} {long}");
            assert!(zsh.contains(&format!("'*{long}[")), "{name} {long}");
            assert!(fish.contains(&format!("{of_fish}{}", &long[2..])), "{name} {long}");
        }
        for argument in verb.command.positionals {
            assert!(page.contains(&format!("\\fI{}\\fR", argument.name)), "{name}");
        }
    }
}

#[test]
fn bash_completes_verbs_flags_values_and_ids() {
    let script = pages("bash").join(BASH);
    let complete = |words: &str| {
        let line = format!(
            "vial() {{ echo web; echo db-1; }}; source {}; COMP_WORDS=({words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _vial; echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        output("bash", &["--norc", "-c", &line]).map(|text| text.trim_end().to_owned())
    };
    for (words, wanted) in [
        ("vial st", "start state"),
        ("vial --root /x --debug ki", "kill"),
        ("vial kill ''", "web db-1"),
        ("vial kill w", "web"),
        ("vial kill --all d", "db-1"),
        ("vial kill web ''", ""),
        ("vial create ''", ""),
        ("vial list --for", "--format"),
        ("vial list --format ''", "table json"),
        ("vial exec --user 5 w", "web"),
        ("vial exec --user ''", ""),
        ("vial --cgroup-manager s", "systemd"),
        ("vial nosuch ''", ""),
    ] {
        if let Some(reply) = complete(words) {
            assert_eq!(reply, wanted, "{words}");
        }
    }
}

#[test]
fn other_shells_and_man_read_them_without_a_complaint() {
    let directory = pages("others");
    let path = |file: &str| directory.join(file).to_string_lossy().into_owned();
    output("zsh", &["-f", "-n", &path(ZSH)]);
    output("fish", &["--no-execute", &path(FISH)]);
    if let Some(said) = output(
        "fish",
        &["--no-config", "-c", &format!("source {}; complete -C 'vial sta'", path(FISH))],
    ) {
        assert!(said.contains("start") && said.contains("state"), "{said}");
    }
    for page in fs::read_dir(directory.join("man/man8")).unwrap() {
        let page = page.unwrap().path();
        output("groff", &["-man", "-ww", "-z", &page.to_string_lossy()]);
    }
}
