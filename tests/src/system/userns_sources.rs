//! User namespaces made by root: what lies on the host where the mapped root
//! may not go, or is locked, or is not there at all.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::Value;

use super::edit::{self, bind, has, mount_at, user_namespace};
use super::userns::own;
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "userns_sources",
    flags_that_the_host_locks_stay [Root, UserNamespaces],
    recursive_flags_that_the_host_locks_stay [Root, UserNamespaces],
);

const FIRST: u32 = 100_000;

/// A bundle in a user namespace, whose files belong to the mapped root.
fn bundle(context: &Context, edit: impl FnOnce(&mut Value)) -> Result<Bundle, String> {
    let bundle = context.bundle(|config| {
        user_namespace(config, FIRST);
        edit(config);
    })?;
    own(&bundle, FIRST)?;
    Ok(bundle)
}

/// A read-only tmpfs of the host with every flag that can be locked, and a file
/// in it; it goes with this.
struct Locked(PathBuf);

impl Locked {
    fn new(context: &Context) -> Result<Self, String> {
        let locked = Self(context.folder.join("locked"));
        fs::create_dir(&locked.0).map_err(|e| e.to_string())?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
        mount("x", &locked.0, "tmpfs", flags, None).map_err(|e| e.to_string())?;
        fs::write(locked.0.join("file"), "of the host").map_err(|e| e.to_string())?;
        chown(locked.0.join("file"), Some(FIRST), Some(FIRST)).map_err(|e| e.to_string())?;
        let flags = flags | MountFlags::RDONLY;
        rustix::mount::mount_remount(&locked.0, flags, "").map_err(|e| e.to_string())?;
        Ok(locked)
    }

    fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH); // It may not have been mounted.
    }
}

/// Binds it with these options, and looks at it from inside.
fn stays_locked(context: &Context, path: &str, options: &[&str]) -> Outcome {
    let report = edit::report_of(context, &bundle(context, |c| bind(c, path, "/tmp/x", options))?)?;
    let seen = &mount_at(&report, "/tmp/x")?["options"];
    for flag in ["ro", "nosuid", "nodev", "noatime", "noexec"] {
        same(flag, has(seen, flag), flag != "noexec" || options.contains(&"noexec"))?;
    }
    let writing = bundle(context, |config| {
        bind(config, path, "/tmp/x", options);
        edit::deeds(config, &["cat", "/tmp/x/file", "+", "write", "/tmp/x/file", "y"]);
    })?;
    let done = context.run_bundle(&writing)?.failure()?;
    Ok(same("what was read, and the errno", done.stdout.trim(), "of the hostEROFS")?)
}

fn flags_that_the_host_locks_stay(context: &Context) -> Outcome {
    let locked = Locked::new(context)?;
    for options in [
        &["bind"][..],
        &["bind", "rw"],
        &["rbind", "rw", "suid", "dev", "exec"],
        &["bind", "rw", "noexec"],
        &["bind", "relatime"],
        &["bind", "strictatime", "rw", "noexec"],
    ] {
        stays_locked(context, &locked.path(), options)
            .map_err(|why| format!("{options:?}: {why:?}"))?;
    }
    Ok(())
}

fn recursive_flags_that_the_host_locks_stay(context: &Context) -> Outcome {
    let locked = Locked::new(context)?;
    for options in [&["rbind", "rrw"][..], &["rbind", "rdev", "rnoexec", "noexec"]] {
        stays_locked(context, &locked.path(), options)
            .map_err(|why| format!("{options:?}: {why:?}"))?;
    }
    Ok(())
}
