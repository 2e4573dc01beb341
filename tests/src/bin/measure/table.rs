//! The table for README.md, and whether the targets are met.

use crate::bundles::Seccomp;
use crate::results::{Results, Time};
use crate::rows;
use crate::runtime::{BEFORE, CRUN, FLOOR, VIAL};

/// Formats a number.
type Show = fn(u64) -> String;

/// Prints the results of a machine.
pub(crate) fn print(title: &str, results: &Results) {
    let there = |name: &&str| results.version(name).is_some();
    let runtimes: Vec<&str> = crate::runtime::ALL.into_iter().filter(there).collect();
    println!("\n### {title}\n\n{}; {} rounds\n", results.machine, results.rounds());
    let names: Vec<String> = runtimes
        .iter()
        .map(|name| format!("{name} {}", results.version(name).unwrap_or_default()))
        .map(|name| name.trim().to_owned())
        .collect();
    let before = if runtimes.contains(&BEFORE) { " vial / before |" } else { "" };
    println!("| | {} | vial / floor | vial / crun |{before}", names.join(" | "));
    let columns = names.len() + 2 + usize::from(!before.is_empty());
    println!("|---|{}", "---:|".repeat(columns));
    for seccomp in Seccomp::BOTH {
        times("`run /bin/true`", rows::run(seccomp), seccomp, results, &runtimes);
    }
    for seccomp in Seccomp::BOTH {
        times("create, start, delete", rows::lifecycle(seccomp), seccomp, results, &runtimes);
    }
    for seccomp in Seccomp::BOTH {
        times("`exec /bin/true`", rows::exec(seccomp), seccomp, results, &runtimes);
    }
    for seccomp in Seccomp::BOTH {
        let both = |what: &str| format!("{what}{}", seccomp.words());
        let rows: [(String, &str, Show); 5] = [
            (both("system calls of run"), rows::calls(seccomp), plain),
            (both("of these, the CLI's"), rows::calls_of_cli(seccomp), plain),
            (both("CLI peak RSS, KiB"), rows::peak(seccomp), plain),
            (both("waiting for start, RSS KiB"), rows::rss(seccomp), plain),
            (both("waiting for start, PSS KiB"), rows::pss(seccomp), plain),
        ];
        for (words, row, show) in rows {
            numbers(&words, row, show, results, &runtimes);
        }
    }
    numbers("least memory limit, KiB", rows::MEMORY, plain, results, &runtimes);
    numbers("program files, bytes", rows::SIZE, plain, results, &runtimes);
    numbers("libraries they load, bytes", rows::LIBRARIES, plain, results, &runtimes);
    println!("\nTimes are medians ± half the interquartile range, in milliseconds.");
    for missing in &results.missing {
        println!("Not measured: {missing}");
    }
}

fn times(what: &str, row: &str, seccomp: Seccomp, results: &Results, runtimes: &[&str]) {
    for (time, unit) in [(Time::Wall, "wall"), (Time::Cpu, "CPU")] {
        let cell = |name: &&str| match results.time(row, time, name) {
            Some(found) => format!("{:.2} ±{:.2}", found.median, found.spread),
            None => "-".to_owned(),
        };
        let cells: Vec<String> = runtimes.iter().map(cell).collect();
        let ratio = |to| match ratio(results, row, time, to) {
            Some((ratio, _)) => format!("{ratio:.2}"),
            None => "-".to_owned(),
        };
        println!(
            "| {what}{}, {unit} | {} | {} | {} |{}",
            seccomp.words(),
            cells.join(" | "),
            ratio(FLOOR),
            ratio(CRUN),
            if runtimes.contains(&BEFORE) {
                format!(" {} |", ratio(BEFORE))
            } else {
                String::new()
            }
        );
    }
}

fn numbers(what: &str, row: &str, show: Show, results: &Results, runtimes: &[&str]) {
    let cell = |name: &&str| results.number(row, name).map_or_else(|| "-".to_owned(), show);
    let cells: Vec<String> = runtimes.iter().map(cell).collect();
    if cells.iter().all(|cell| cell == "-") {
        return; // Not measured on this machine.
    }
    let ratio = |to| match (results.number(row, VIAL), results.number(row, to)) {
        (Some(ours), Some(theirs @ 1..)) => format!("{:.2}", ours as f64 / theirs as f64),
        _ => "-".to_owned(),
    };
    let before =
        if runtimes.contains(&BEFORE) { format!(" {} |", ratio(BEFORE)) } else { String::new() };
    println!("| {what} | {} | - | {} |{before}", cells.join(" | "), ratio(CRUN));
}

/// Formats 1234567 as 1,234,567.
fn plain(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// vial's time divided by the other's: of the medians, and of the minimums.
fn ratio(results: &Results, row: &str, time: Time, to: &str) -> Option<(f64, f64)> {
    let (ours, theirs) = (results.time(row, time, VIAL)?, results.time(row, time, to)?);
    Some((ours.median / theirs.median, ours.least / theirs.least))
}

/// Prints each target and whether it is met. Leaves out targets for a runtime that
/// was not measured.
pub(crate) fn targets(title: &str, results: &Results) -> bool {
    println!("\nTargets, {title}:");
    let mut all = true;
    for seccomp in Seccomp::BOTH {
        let (run, cycle) = (rows::run(seccomp), rows::lifecycle(seccomp));
        for (time, unit) in [(Time::Wall, "wall"), (Time::Cpu, "CPU")] {
            for (what, row, to, most) in [
                ("run", run, FLOOR, 2.0),
                ("run", run, CRUN, 0.25),
                ("create, start, delete", cycle, CRUN, 0.25),
                ("exec", rows::exec(seccomp), CRUN, 0.25),
            ] {
                if let Some((median, least)) = ratio(results, row, time, to) {
                    let words = format!("{what}{}, {unit} / {to}", seccomp.words());
                    all &= say(&format!("{words} ({least:.2} at the quietest)"), median, most);
                }
            }
        }
        for (what, row, most) in [
            ("waiting for start, RSS", rows::rss(seccomp), 64.0),
            ("CLI peak RSS", rows::peak(seccomp), 1536.0),
        ] {
            if let Some(kib) = results.number(row, VIAL) {
                all &= say(&format!("{what}{}, KiB", seccomp.words()), kib as f64, most);
            }
        }
    }
    all
}

fn say(words: &str, seen: f64, most: f64) -> bool {
    let met = seen <= most;
    println!("- {} {words}: {seen:.2}, at most {most}", if met { "met    " } else { "NOT met" });
    met
}
