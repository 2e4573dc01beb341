//! Refuses fields of config.json that vial does not support.

use super::wrong;
use crate::config::Config;
use crate::error::Error;

/// Refuses other major versions of the spec, and unsupported fields.
pub(super) fn refuse(config: &Config) -> Result<(), Error> {
    version(&config.oci_version)?;
    let linux = &config.linux;
    let fields = [("linux.mountLabel", !linux.mount_label.is_empty())];
    refuse_present(&fields)?;
    Ok(())
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

fn refuse_present(fields: &[(&str, bool)]) -> Result<(), Error> {
    match fields.iter().find(|(_, present)| *present) {
        Some((field, _)) => Err(not_supported(field)),
        None => Ok(()),
    }
}

pub(super) fn not_supported(field: &str) -> Error {
    wrong(field, "not supported by this version of vial")
}
