//! A cgroup that existed before its container, with a device filter that is still
//! attached.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::container::{cgroup_root, v1_hierarchies, v1_root, words};
use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome, sys};

topic!(
    "cgroup_reuse",
    earlier_filter_is_replaced_however_it_was_attached [Root, Cgroup2Mount],
    earlier_filter_is_removed_if_all_devices_are_allowed [Root, Cgroup2Mount],
    new_filter_denies_what_the_earlier_allowed [Root, Cgroup2Mount],
    filter_of_the_parent_cgroup_stays_in_force [Root, Cgroup2Mount],
);

// linux/bpf.h
const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_QUERY: usize = 16;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_OVERRIDE: u32 = 1;
const ALLOW_MULTI: u32 = 2;

/// A cgroup of this test. Dropping it removes it.
struct Made(PathBuf);

impl Made {
    fn new(context: &Context, name: &str) -> Result<Self, String> {
        let path = cgroup_root().join(format!("{}-{name}", context.tag));
        fs::create_dir(&path).map_err(words)?;
        Ok(Self(path))
    }

    /// Its linux.cgroupsPath.
    fn path(&self) -> String {
        let below = self.0.strip_prefix(cgroup_root()).unwrap_or(&self.0);
        format!("/{}", below.display())
    }

    /// Attaches a filter that returns `allow` when /dev/kmsg is opened.
    fn attach(&self, allow: bool, flags: u32) -> Result<(), String> {
        let answer = u8::from(allow);
        let instructions: [[u8; 8]; 8] = [
            [0x61, 0x12, 8, 0, 0, 0, 0, 0],   // r2 = minor
            [0x61, 0x13, 0, 0, 0, 0, 0, 0],   // r3 = access << 16 | type
            [0x77, 3, 0, 0, 16, 0, 0, 0],     // r3 >>= 16
            [0xb7, 0, 0, 0, answer, 0, 0, 0], // r0 = answer
            [0x15, 3, 1, 0, 1, 0, 0, 0],      // if r3 == mknod, jump to r0 = 1
            [0x15, 2, 1, 0, 11, 0, 0, 0],     // if r2 == 11, jump to exit
            [0xb7, 0, 0, 0, 1, 0, 0, 0],      // r0 = 1
            [0x95, 0, 0, 0, 0, 0, 0, 0],      // exit
        ];
        let place = |pointer: *const u8| pointer.expose_provenance() as u64;
        let mut load = [
            15 | 8 << 32,
            place(instructions.as_ptr().cast()),
            place(c"Apache".as_ptr().cast()),
            0,
            0,
            0,
        ];
        let program = bpf(PROG_LOAD, &mut load)?;
        let program: OwnedFd = sys::owned(i32::try_from(program).map_err(words)?);
        let cgroup = File::open(&self.0).map_err(words)?;
        let mut attach = [
            pair(cgroup.as_raw_fd().unsigned_abs(), program.as_raw_fd().unsigned_abs()),
            pair(CGROUP_DEVICE, flags),
        ];
        bpf(PROG_ATTACH, &mut attach).map(drop)
    }

    /// The number of filters that are attached to it.
    fn filters(&self) -> Result<u64, String> {
        let cgroup = File::open(&self.0).map_err(words)?;
        let mut query = [pair(cgroup.as_raw_fd().unsigned_abs(), CGROUP_DEVICE), 0, 0, 0];
        // There is no room for ids; the kernel still returns the count.
        bpf(PROG_QUERY, &mut query)?;
        Ok(query[3] & 0xffff_ffff)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0); // Gone if the runtime removed it.
        // Of a container's cgroup below it, create has made the parents in v1 too.
        let below = self.0.strip_prefix(cgroup_root()).unwrap_or(Path::new(""));
        for (root, _) in v1_hierarchies() {
            let _ = fs::remove_dir(root.join(below)); // ENOENT: it was not made there.
        }
    }
}

const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

fn bpf(command: usize, attributes: &mut [u64]) -> Result<libc::c_long, String> {
    let place = attributes.as_mut_ptr().expose_provenance();
    sys::call(libc::SYS_bpf, [command, place, size_of_val(attributes), 0, 0, 0]).map_err(words)
}

/// What a container in this cgroup prints when it opens /dev/kmsg for writing.
fn opens(context: &Context, path: &str, rules: &Value) -> Result<String, String> {
    let done = edit::run(context, &["open-device", "/dev/kmsg", "w"], |config| {
        let device = json!({ "type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11 });
        edit::add(&mut config["linux"]["devices"], device);
        config["linux"]["resources"]["devices"] = rules.clone();
        config["linux"]["cgroupsPath"] = json!(path);
    })?;
    match done.stdout.trim() {
        "" => Err(done.to_string()),
        said => Ok(said.to_owned()),
    }
}

fn allowed() -> Value {
    json!([{ "allow": false, "access": "rwm" },
        { "allow": true, "type": "c", "major": 1, "minor": 11, "access": "w" }])
}

fn earlier_filter_is_replaced_however_it_was_attached(context: &Context) -> Outcome {
    for (flags, count) in [(ALLOW_MULTI, 1), (ALLOW_MULTI, 3), (ALLOW_OVERRIDE, 1), (0, 1)] {
        let cgroup = Made::new(context, &format!("{flags}-{count}"))?;
        for _ in 0..count {
            cgroup.attach(false, flags)?;
        }
        let what = format!("{count} with flags {flags}");
        same(&what, opens(context, &cgroup.path(), &allowed())?.as_str(), "opened")?;
    }
    Ok(())
}

fn earlier_filter_is_removed_if_all_devices_are_allowed(context: &Context) -> Outcome {
    let all = json!([{ "allow": true, "access": "rwm" }]);
    for flags in [ALLOW_MULTI, ALLOW_OVERRIDE, 0] {
        let cgroup = Made::new(context, &format!("all-{flags}"))?;
        cgroup.attach(false, flags)?;
        let said = opens(context, &cgroup.path(), &all)?;
        same(&format!("flags {flags}"), said.as_str(), "opened")?;
    }
    Ok(())
}

fn new_filter_denies_what_the_earlier_allowed(context: &Context) -> Outcome {
    let none = json!([{ "allow": false, "access": "rwm" }]);
    for flags in [ALLOW_MULTI, ALLOW_OVERRIDE, 0] {
        let cgroup = Made::new(context, &format!("deny-{flags}"))?;
        cgroup.attach(true, flags)?;
        let container = Container::start(context, &["sleep", "60"], |config| {
            config["linux"]["cgroupsPath"] = json!(cgroup.path());
        })?;
        // The devices controller of cgroup v1 takes a filter's place.
        let wanted = if v1_root("devices").is_some() { 0 } else { 1 };
        same(&format!("filters, flags {flags}"), cgroup.filters()?, wanted)?;
        drop(container);
        let cgroup = Made::new(context, &format!("deny-again-{flags}"))?;
        cgroup.attach(true, flags)?;
        let said = opens(context, &cgroup.path(), &none)?;
        same(&format!("flags {flags}"), said.as_str(), "EPERM")?;
    }
    Ok(())
}

fn filter_of_the_parent_cgroup_stays_in_force(context: &Context) -> Outcome {
    let above = Made::new(context, "above")?;
    above.attach(false, ALLOW_MULTI)?;
    let below = Made(above.0.join("below"));
    fs::create_dir(&below.0).map_err(words)?;
    for path in [below.path(), format!("{}/new", above.path())] {
        same(&path, opens(context, &path, &allowed())?.as_str(), "EPERM")?;
    }
    Ok(same("filters above", above.filters()?, 1)?)
}
