//! The table for README.md, and whether the targets are met.

use crate::bundles::Seccomp;
use crate::results::{Results, Time};
use crate::rows;
use crate::runtime::{CRUN, FLOOR, VIAL};

/// How a number is written.
type Show = fn(u64) -> String;

/// Prints all of a machine's results.
pub(crate) fn print(title: &str, results: &Results) {
    let there = |name: &&str| results.version(name).is_some();
    let runtimes: Vec<&str> = crate::runtime::ALL.into_iter().filter(there).collect();
    println!("\n### {title}\n\n{}; {} rounds\n", results.machine, results.rounds());
    let names: Vec<String> = runtimes
        .iter()
        .map(|name| format!("{name} {}", results.version(name).unwrap_or_default()))
        .map(|name| name.trim().to_owned())
        .collect();
    println!("| | {} | vial / floor | vial / crun |", names.join(" | "));
    println!("|---|{}---:|---:|", "---:|".repeat(names.len()));
    for seccomp in Seccomp::BOTH {
        times("`run /bin/true`", rows::run(seccomp), seccomp, results, &runtimes);
    }
    for seccomp in Seccomp::BOTH {
        times("create, start, delete", rows::lifecycle(seccomp), seccomp, results, &runtimes);
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
            Some(ratio) => format!("{ratio:.2}"),
            None => "-".to_owned(),
        };
        println!(
            "| {what}{}, {unit} | {} | {} | {} |",
            seccomp.words(),
            cells.join(" | "),
            ratio(FLOOR),
            ratio(CRUN)
        );
    }
}

fn numbers(what: &str, row: &str, show: Show, results: &Results, runtimes: &[&str]) {
    let cell = |name: &&str| results.number(row, name).map_or_else(|| "-".to_owned(), show);
    let cells: Vec<String> = runtimes.iter().map(cell).collect();
    if cells.iter().all(|cell| cell == "-") {
        return; // Not measured on this machine.
    }
    let ratio = |to| {
        let (ours, theirs) = (results.number(row, VIAL)?, results.number(row, to)?);
        (theirs > 0).then(|| format!("{:.2}", ours as f64 / theirs as f64))
    };
    let or_dash = |ratio: Option<String>| ratio.unwrap_or_else(|| "-".to_owned());
    let (floor, crun) = (or_dash(ratio(FLOOR)), or_dash(ratio(CRUN)));
    println!("| {what} | {} | {floor} | {crun} |", cells.join(" | "));
}

/// 1234567 as 1,234,567.
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

fn ratio(results: &Results, row: &str, time: Time, to: &str) -> Option<f64> {
    let of = |name| results.time(row, time, name).map(|found| found.median);
    Some(of(VIAL)? / of(to)?)
}

/// Prints each target and whether it is met. A target whose peer was not
/// measured here is left out.
pub(crate) fn targets(title: &str, results: &Results) -> bool {
    println!("\nTargets, {title}:");
    let mut all = true;
    let mut say = |words: String, seen: Option<f64>, most: f64| {
        if let Some(seen) = seen {
            let met = seen <= most;
            all &= met;
            let verdict = if met { "met    " } else { "NOT met" };
            println!("- {verdict} {words}: {seen:.2}, at most {most}");
        }
    };
    for seccomp in Seccomp::BOTH {
        let (run, cycle) = (rows::run(seccomp), rows::lifecycle(seccomp));
        for (time, unit) in [(Time::Wall, "wall"), (Time::Cpu, "CPU")] {
            let words = |what: &str, to: &str| format!("{what}{}, {unit} / {to}", seccomp.words());
            say(words("run", FLOOR), ratio(results, run, time, FLOOR), 2.0);
            say(words("run", CRUN), ratio(results, run, time, CRUN), 0.25);
            let what = "create, start, delete";
            say(words(what, CRUN), ratio(results, cycle, time, CRUN), 0.25);
        }
        let number = |row| results.number(row, VIAL).map(|kib| kib as f64);
        let words = |what: &str| format!("{what}{}, KiB", seccomp.words());
        say(words("waiting for start, RSS"), number(rows::rss(seccomp)), 64.0);
        say(words("CLI peak RSS"), number(rows::peak(seccomp)), 1536.0);
    }
    all
}
