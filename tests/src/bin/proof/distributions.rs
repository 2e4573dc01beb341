//! vial as distributions build it: checks what they would install, and runs it.

use std::fs;
use std::path::{Path, PathBuf};

use vial_targets::command::OnPath;
use vial_targets::distribution::Distribution;
use vial_targets::{Error, KIB, elf, ship};
use vial_tests::runner::Totals;

use crate::checks::check;
use crate::systems;

/// The size limit for vial-init, in bytes. LTO may be off; a binary with a libc is
/// larger still.
const MOST: u64 = 96 * KIB;
/// The tests that show that the two binaries run containers.
const TESTS: &str = "run::container_sees_its_config,run::nothing_is_left";

/// Builds, checks what would be installed, and runs containers with it.
pub(crate) fn chapter(distribution: &Distribution) -> Result<Totals, Error> {
    if !distribution.is_here() {
        println!("skipped: rustup has no std for this target");
        return Ok(Totals { skipped: 1, ..Totals::default() });
    }
    let built = distribution.build()?;
    let mut totals = Totals::default();
    check("it makes vial and vial-init and nothing else", both(&built), &mut totals);
    let init = built.iter().find(|path| path.ends_with("vial-init"));
    let looked = init.map_or_else(|| Err(Error::new("vial-init was not built")), |path| look(path));
    check("vial-init needs no loader and no libc", looked, &mut totals);
    if totals.failed > 0 {
        return Ok(totals);
    }
    let directory = ship::output_directory().join("distributions/beside-tests");
    put_beside_tests(&built, &directory)?;
    totals.add(systems::native(&directory, TESTS)?);
    Ok(totals)
}

fn both(built: &[PathBuf]) -> Result<(), Error> {
    let names: Vec<_> = built.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    if names == ["vial", "vial-init"] { Ok(()) } else { Err(Error::new(format!("{names:?}"))) }
}

fn look(init: &Path) -> Result<(), Error> {
    let file = fs::read(init).on_path("read", init)?;
    let Some(target) = vial_targets::native() else { return Ok(()) };
    elf::check_static(&file, target.elf).map_err(Error::new)?;
    let bytes = file.len() as u64;
    if bytes > MOST { Err(Error::new(format!("{bytes} bytes, of {MOST}"))) } else { Ok(()) }
}

/// Copies the binaries beside the tests, which use those in their own directory.
fn put_beside_tests(built: &[PathBuf], directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).on_path("make", directory)?;
    let shipped = ship::output_directory().join("ship").join(std::env::consts::ARCH);
    let tests = ["guest", "probe"].map(|name| shipped.join(name));
    for path in built.iter().chain(&tests) {
        let place = directory.join(path.file_name().unwrap_or_default());
        fs::copy(path, &place).on_path("write", &place)?;
    }
    Ok(())
}
