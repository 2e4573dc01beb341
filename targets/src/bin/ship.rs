//! `cargo ship [TARGET...]`: builds both shipped binaries for these targets, or for
//! all, and prints their sizes. Manual pages and shell completions are written beside
//! them.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use vial_targets::ship::{self, Bin, Weight};
use vial_targets::{ALL, Error, Target};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ship: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let mut weights = Vec::new();
    for target in wanted()? {
        let directory = ship::build(target, Bin::SHIPPED)?;
        let of_target = ship::weigh(target, Bin::SHIPPED, &directory)?;
        weights.extend(of_target.into_iter().map(|weight| (target, weight)));
    }
    let share = ship::pages()?;
    println!("target    binary        bytes    budget  file");
    for (target, weight) in &weights {
        println!("{}", row(target, weight));
    }
    let shown = share.strip_prefix(ship::workspace()).unwrap_or(&share).display();
    println!("manual pages and completions: {shown}");
    match weights.iter().filter(|(_, weight)| !weight.fits()).count() {
        0 => Ok(()),
        count => Err(Error::new(format!("{count} over budget"))),
    }
}

/// The targets on the command line, or all if there are none.
fn wanted() -> Result<Vec<&'static Target>, Error> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let known = || ALL.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    names
        .iter()
        .map(|name| {
            vial_targets::by_name(name).ok_or_else(|| {
                Error::new(format!("{name} is not a target; the targets are {}", known()))
            })
        })
        .collect()
}

fn row(target: &Target, weight: &Weight) -> String {
    let Weight { bin, path, bytes, .. } = weight;
    let budget = weight.budget.unwrap_or_default();
    let shown = path.strip_prefix(ship::workspace()).unwrap_or(path).display();
    let over = if weight.fits() { "" } else { "  OVER BUDGET" };
    format!("{:<9} {:<9} {bytes:>9} {budget:>9}  {shown}{over}", target.name, bin.name())
}
