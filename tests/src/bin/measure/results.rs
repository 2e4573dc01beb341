//! Collects the lines that the measurements print.

use std::collections::BTreeMap;

use vial_targets::Error;

use crate::statistics::Summary;

/// All results of one machine.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// Wall and CPU times in milliseconds, by row and runtime.
    samples: BTreeMap<(String, String), (Vec<f64>, Vec<f64>)>,
    facts: BTreeMap<(String, String), u64>,
    versions: BTreeMap<String, String>,
    /// The runtimes that were left out, and why.
    pub(crate) missing: Vec<String>,
    /// The machine, its kernel and its processor.
    pub(crate) machine: String,
}

/// Which time of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// Wall-clock time.
    Wall,
    /// User and system time.
    Cpu,
}

impl Results {
    /// Parses one line. Prints a line of another kind to stderr.
    pub(crate) fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "sample" => {
                if self.sample(rest).is_none() {
                    println!("{line}");
                }
            }
            "fact" => {
                let mut words = rest.split(' ');
                if let (Some(row), Some(runtime), Some(Ok(value))) =
                    (words.next(), words.next(), words.next().map(str::parse))
                {
                    self.fact(row, runtime, value);
                }
            }
            "version" => {
                let (runtime, version) = rest.split_once(' ').unwrap_or((rest, ""));
                self.versions.insert(runtime.to_owned(), version.to_owned());
            }
            "missing" => self.missing.push(rest.to_owned()),
            "machine" => self.machine = rest.to_owned(),
            "progress" => eprintln!("{rest}"),
            // Kernel messages: the OOM killer reports each kill at too low a limit.
            _ if line.starts_with('[') => {}
            _ => eprintln!("{line}"),
        }
    }

    fn sample(&mut self, rest: &str) -> Option<()> {
        let mut words = rest.split(' ');
        let key = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut milliseconds = || Some(words.next()?.parse::<f64>().ok()? / 1e3);
        let (wall, cpu) = (milliseconds()?, milliseconds()?);
        let (walls, cpus) = self.samples.entry(key).or_default();
        walls.push(wall);
        cpus.push(cpu);
        Some(())
    }

    /// Adds a single number.
    pub(crate) fn fact(&mut self, row: &str, runtime: &str, value: u64) {
        self.facts.insert((row.to_owned(), runtime.to_owned()), value);
    }

    /// Checks that something was measured.
    ///
    /// # Errors
    /// There is no sample.
    pub(crate) fn whole(self) -> Result<Self, Error> {
        match self.samples.is_empty() {
            true => Err(Error::new("the measurements ended without a sample")),
            false => Ok(self),
        }
    }

    /// The summary of a row of times, in milliseconds.
    pub(crate) fn time(&self, row: &str, time: Time, runtime: &str) -> Option<Summary> {
        let (walls, cpus) = self.samples.get(&(row.to_owned(), runtime.to_owned()))?;
        Summary::of(if time == Time::Wall { walls } else { cpus })
    }

    /// A number that [`Results::fact`] added.
    pub(crate) fn number(&self, row: &str, runtime: &str) -> Option<u64> {
        self.facts.get(&(row.to_owned(), runtime.to_owned())).copied()
    }

    /// The version of a runtime; None if it was not measured.
    pub(crate) fn version(&self, runtime: &str) -> Option<&str> {
        self.versions.get(runtime).map(String::as_str)
    }

    /// How many rounds were measured.
    pub(crate) fn rounds(&self) -> usize {
        self.samples.values().map(|(walls, _)| walls.len()).max().unwrap_or(0)
    }
}
