//! Refuses fields of config.json that vial does not support.

use super::wrong;
use crate::config::Config;
use crate::error::Error;

/// Refuses other major versions of the spec.
pub(super) fn refuse(config: &Config) -> Result<(), Error> {
    version(&config.oci_version)
}

/// Accepts any 1.x: a newer minor version only adds fields.
fn version(version: &str) -> Result<(), Error> {
    let mut parts = version.split(['.', '-', '+']);
    let numbers = [parts.next(), parts.next(), parts.next()];
    let valid = numbers.iter().all(|part| part.is_some_and(|part| part.parse::<u32>().is_ok()));
    match numbers[0] {
        _ if !valid => {
            Err(wrong("ociVersion", format_args!("\"{version}\" is not a version such as 1.3.0")))
        }
        Some("1") => Ok(()),
        _ => Err(wrong("ociVersion", format_args!("{version} is not supported, any 1.x is"))),
    }
}
