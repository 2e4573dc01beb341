//! Signals by name and number.

use rustix::process::Signal;

use crate::error::Error;

/// The names of signal(7), ordered by their numbers on x86, arm and riscv.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// SIGRTMIN as libc counts it, for names like RTMIN+3.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Reads `9`, `KILL` or `SIGKILL`, in any case. None: `0`, which sends nothing and
/// only asks whether the process exists (kill(2)).
pub fn parse(text: &str) -> Result<Option<Signal>, Error> {
    if text == "0" {
        return Ok(None);
    }
    let unknown = || Error::new(format_args!("unknown signal \"{text}\""));
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = |base: i32, sign: i32, rest: &str| {
        let digits = rest.trim_start_matches(['+', '-']);
        if rest.is_empty() {
            Some(base)
        } else {
            digits.parse::<i32>().ok().map(|n| base + sign * n)
        }
    };
    let number = if let Ok(number) = text.parse::<i32>() {
        Some(number)
    } else if let Some(rest) = bare.strip_prefix("RTMIN") {
        realtime(RTMIN, 1, rest)
    } else if let Some(rest) = bare.strip_prefix("RTMAX") {
        realtime(RTMAX, -1, rest)
    } else {
        let bare = match bare {
            "IOT" => "ABRT",
            "CLD" => "CHLD",
            "POLL" => "IO",
            other => other,
        };
        NAMES.iter().position(|name| *name == bare).map(|at| at as i32 + 1)
    };
    let number = number.filter(|number| (1..=RTMAX).contains(number)).ok_or_else(unknown)?;
    from_number(number).map(Some).ok_or_else(unknown)
}

/// A signal's name.
pub fn name(signal: Signal) -> &'static str {
    let at = usize::try_from(signal.as_raw() - 1).unwrap_or(usize::MAX);
    NAMES.get(at).copied().unwrap_or("RT")
}

/// The signal with this number.
pub fn from_number(number: i32) -> Option<Signal> {
    Signal::from_named_raw(number).or_else(|| vial_init::sys::signal::realtime(number))
}
