//! linux.cgroupsPath for systemd, `slice:prefix:name`: the scope, and its cgroup's path.

use std::path::PathBuf;

use super::super::wrong;
use crate::error::Error;

const FIELD: &str = "linux.cgroupsPath";

/// The longest name of a unit (systemd.unit(5)).
const LONGEST: usize = 255;

/// A scope in a slice.
#[derive(Debug)]
pub(super) struct Unit {
    /// The slice, as in `a-b.slice`.
    pub(super) slice: String,
    /// The scope, as in `docker-web.scope`.
    pub(super) scope: String,
}

impl Unit {
    /// The one that config.json names, or the default one.
    pub(super) fn from_config(configured: &str, id: &str, is_of_user: bool) -> Result<Unit, Error> {
        let parts: Vec<&str> = configured.split(':').collect();
        let (slice, prefix, name) = match parts[..] {
            [""] => ("", "vial", id),
            [slice, prefix, name] => (slice, prefix, name),
            _ => {
                let what = "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups";
                return Err(wrong(FIELD, format_args!("{what}, got \"{configured}\" instead"))
                    .hint("as in \"system.slice:vial:web\", or leave it out"));
            }
        };
        let slice = match slice {
            "" if is_of_user => "user.slice",
            "" => "system.slice",
            slice => slice,
        };
        if name.is_empty() {
            return Err(wrong(
                FIELD,
                format_args!("\"{configured}\" has no name after the prefix"),
            ));
        }
        let unit = Unit { slice: slice.to_owned(), scope: format!("{prefix}-{name}.scope") };
        for name in [&unit.slice, &unit.scope] {
            check(name)?;
        }
        Ok(unit)
    }

    /// The path of its cgroup, from the one of systemd's units. A dash in a slice's name
    /// leads to its parent: `a-b.slice` is in `a.slice` (systemd.slice(5)).
    pub(super) fn path(&self) -> Result<PathBuf, Error> {
        let refused = |what: &str| {
            Err(wrong(FIELD, format_args!("\"{}\" {what}", self.slice))
                .hint("as in \"machine.slice\", or \"a-b.slice\" for one in \"a.slice\""))
        };
        let Some(name) = self.slice.strip_suffix(".slice") else {
            return refused("is no slice: its name does not end with .slice");
        };
        let mut path = PathBuf::new();
        if name != "-" {
            if name.split('-').any(str::is_empty) {
                return refused("is no slice: there is nothing beside a dash in its name");
            }
            let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
            path.extend(ends.filter_map(|end| Some(format!("{}.slice", name.get(..end)?))));
        }
        Ok(path.join(&self.scope))
    }
}

/// Checks that systemd takes the name, to say which part of it is wrong.
fn check(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\');
    let what = match name.chars().find(|c| !allowed(*c)) {
        Some(c) => format!("it has '{}'", c.escape_debug()),
        None if name.len() > LONGEST => {
            format!("it has {} bytes, and may have {LONGEST}", name.len())
        }
        None => return Ok(()),
    };
    let shown: String = name.chars().take(80).collect();
    Err(wrong(FIELD, format_args!("\"{shown}\" is no name of a unit: {what}"))
        .hint("systemd takes letters, digits and : - _ . \\ in a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(configured: &str, is_of_user: bool) -> Result<String, String> {
        let unit = Unit::from_config(configured, "web", is_of_user);
        let path = unit.and_then(|unit| unit.path()).map_err(|error| error.to_string())?;
        Ok(path.to_string_lossy().into_owned())
    }

    #[test]
    fn a_slice_lies_in_its_parents() {
        for (configured, is_of_user, wanted) in [
            ("", false, "system.slice/vial-web.scope"),
            ("", true, "user.slice/vial-web.scope"),
            (":p:n", false, "system.slice/p-n.scope"),
            ("a.slice:p:n", true, "a.slice/p-n.scope"),
            ("a-b-c.slice:p:n", false, "a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
            ("-.slice:p:n", false, "p-n.scope"),
            ("a.slice::n", false, "a.slice/-n.scope"),
            ("a_b.slice:x.y:0\\x2d1", false, "a_b.slice/x.y-0\\x2d1.scope"),
        ] {
            assert_eq!(path(configured, is_of_user).as_deref(), Ok(wanted), "{configured}");
        }
    }

    #[test]
    fn a_wrong_name_is_told_by_what_is_wrong() {
        let long = format!("a.slice:p:{}", "x".repeat(248));
        for (configured, words) in [
            ("/a/b", "format \"slice:prefix:name\""),
            ("a.slice:p", "format \"slice:prefix:name\""),
            ("a:b:c:d", "format \"slice:prefix:name\""),
            ("a.slice:p:", "has no name"),
            ("a:p:n", "does not end with .slice"),
            (".slice:p:n", "nothing beside a dash"),
            ("-a.slice:p:n", "nothing beside a dash"),
            ("a-.slice:p:n", "nothing beside a dash"),
            ("a--b.slice:p:n", "nothing beside a dash"),
            ("a/b.slice:p:n", "it has '/'"),
            ("a.slice:p:../n", "it has '/'"),
            ("a.slice:p:a b", "it has ' '"),
            ("a.slice:p:\u{e4}", "it has '\u{e4}'"),
            (&long, "it has 256 bytes"),
        ] {
            let error = path(configured, false).unwrap_err();
            assert!(error.contains(words) && error.contains(FIELD), "{configured}: {error}");
        }
    }
}
