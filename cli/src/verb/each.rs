//! --regex: a verb for every container whose id matches an expression.

use crate::container::dir::ids;
use crate::error::Error;
use crate::flags::Global;
use crate::pattern::Pattern;

/// Works on each of them, also if it fails for some.
pub(super) fn each(
    global: &Global,
    pattern: &str,
    work: &dyn Fn(&str) -> Result<(), Error>,
) -> Result<u8, Error> {
    let pattern = Pattern::new(pattern)?;
    let mut failures: Vec<Error> = Vec::new();
    for id in ids(global)?.iter().filter(|id| pattern.matches(id)) {
        if let Err(error) = work(id) {
            failures.push(match error.to_string().contains(id) {
                true => error,
                false => error.context(format_args!("container {id}")),
            });
        }
    }
    match failures.pop() {
        None => Ok(0),
        Some(last) => {
            failures.iter().for_each(|failure| global.log.tell(&failure.to_string()));
            Err(last)
        }
    }
}
