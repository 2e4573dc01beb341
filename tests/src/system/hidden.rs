//! The known attacks again, with each system call hidden that a kernel may lack or that
//! a filter around vial may deny: no fallback is weaker than the call it replaces.

use super::escapes;
use super::fallbacks::hidden_with;
use crate::runner::{Failure, in_machine, topic};
use crate::{Context, Outcome};

topic!(
    "hidden",
    attacks_fail_without_clone3[Root],
    attacks_fail_without_openat2[Root],
    attacks_fail_without_open_tree[Root],
    attacks_fail_without_move_mount[Root],
    attacks_fail_without_mount_setattr[Root],
    attacks_fail_without_close_range[Root],
    attacks_fail_without_all_of_them[Root],
);

/// These repeat an attempt many times, which would show nothing more here.
const LONG: [&str; 3] = [
    "runtime_cannot_be_overwritten_by_an_exec",
    "exchanged_mount_target_never_leads_to_the_host",
    "working_directory_in_a_leaked_fd_leads_nowhere",
];

/// Runs every test of escapes with the calls failing with ENOSYS, and then with EPERM.
fn attacks(context: &Context, is_hidden: impl Fn(&str) -> bool) -> Outcome {
    // In an emulated machine one errno must do: all of them take minutes.
    let errnos: &[i32] = if in_machine() { &[libc::ENOSYS] } else { &[libc::ENOSYS, libc::EPERM] };
    let mut failures = Vec::new();
    for errno in errnos {
        let calls: Vec<libc::c_long> = hidden_with(*errno)
            .filter(|(name, _)| is_hidden(name))
            .map(|(_, call)| *call)
            .collect();
        if calls.is_empty() {
            continue; // No call may fail with this errno.
        }
        for test in escapes::TOPIC.tests.iter().filter(|test| !LONG.contains(&test.name)) {
            match (test.run)(&context.hiding(*errno, &calls)?) {
                Err(Failure::Failed(why)) => {
                    failures.push(format!("{}, errno {errno}: {why}", test.name));
                }
                Ok(()) | Err(Failure::Skipped(_)) => {}
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn attacks_fail_without_clone3(context: &Context) -> Outcome {
    attacks(context, |name| name == "clone3")
}

fn attacks_fail_without_openat2(context: &Context) -> Outcome {
    attacks(context, |name| name == "openat2")
}

fn attacks_fail_without_open_tree(context: &Context) -> Outcome {
    attacks(context, |name| name == "open_tree")
}

fn attacks_fail_without_move_mount(context: &Context) -> Outcome {
    attacks(context, |name| name == "move_mount")
}

fn attacks_fail_without_mount_setattr(context: &Context) -> Outcome {
    attacks(context, |name| name == "mount_setattr")
}

fn attacks_fail_without_close_range(context: &Context) -> Outcome {
    attacks(context, |name| name == "close_range")
}

fn attacks_fail_without_all_of_them(context: &Context) -> Outcome {
    attacks(context, |_| true)
}
