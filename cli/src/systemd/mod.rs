//! systemd as the maker of cgroups: a container's is that of a scope, a unit of
//! systemd that holds processes which systemd has not started.
//!
//! Only a few calls are needed, and only the part of D-Bus that they use is here:
//!
//! ```text
//! StartTransientUnit     makes a scope of a process; the signal JobRemoved ends it
//! GetUnit, StopUnit      removes it
//! ResetFailedUnit        forgets that it failed, which would keep its name in use
//! SetUnitProperties      changes its limits
//! AttachProcessesToUnit  moves a process into it
//! ```

mod bus;
mod message;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::bus::{Address, Bus, Check, Told};
use self::message::{Body, Message, Method};
use crate::error::Error;
use crate::host::{cgroup_of, in_user_namespace};
use crate::plan::scope::{Property, Scope, Value, Way};

/// How long systemd may take for one call and its job.
const PATIENCE: Duration = Duration::from_secs(30);

const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

const MANAGER: Method<'_> = Method {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "",
};

/// Whether systemd is the machine's init (sd_booted(3)).
pub fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether the user's systemd is meant, and not the machine's. Root of a user namespace
/// has a directory for its runtime files if a user made the namespace.
pub fn is_of_user() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    !is_root || (in_user_namespace() && runtime_directory().is_some())
}

fn runtime_directory() -> Option<PathBuf> {
    env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// Where systemd can be reached. Its own socket is first, as for systemctl(1): a board
/// may have no bus, and a session's bus may be one without systemd.
fn addresses(is_of_user: bool) -> Vec<Address> {
    let listed = |name: &str| env::var_os(name).map(|list| Address::listed(&list));
    if !is_of_user {
        let bus = || vec![Address::path("/run/dbus/system_bus_socket".into(), true)];
        let own = Address::path("/run/systemd/private".into(), false);
        let bus = listed("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(bus);
        return [own].into_iter().chain(bus).collect();
    }
    let directory = runtime_directory();
    let own = directory.iter().map(|dir| Address::path(dir.join("systemd/private"), false));
    let bus = listed("DBUS_SESSION_BUS_ADDRESS").unwrap_or_else(|| {
        directory.iter().map(|dir| Address::path(dir.join("bus"), true)).collect()
    });
    own.chain(bus).collect()
}

fn connect(check: Check<'_>) -> Result<Bus<'_>, Error> {
    let is_of_user = is_of_user();
    Bus::connect(&addresses(is_of_user), PATIENCE, check).map_err(|error| match is_of_user {
        true if error.what_to_do().is_none() => {
            error.hint("a user's containers need the user's systemd: log in, or have root run `loginctl enable-linger`, and set XDG_RUNTIME_DIR to /run/user/UID")
        }
        _ => error,
    })
}

/// The path of the cgroup that holds all units of the user's systemd, without the
/// leading slash.
pub fn cgroup_of_manager() -> Result<PathBuf, Error> {
    let mut bus = connect(&|| Ok(()))?;
    let path = get(&mut bus, MANAGER.path, MANAGER.interface, "ControlGroup")
        .map_err(|error| error.context("ask systemd for its cgroup"))?;
    Ok(PathBuf::from(path.trim_start_matches('/')))
}

/// Has systemd put this process into a scope, and waits until it is in the cgroup.
pub fn adopt(scope: &Scope, pid: u32, check: &dyn Fn() -> Result<(), Error>) -> Result<(), Error> {
    let (name, way) = (&scope.name, &scope.way);
    let verb = if matches!(way, Way::Make(_)) { "make" } else { "add a process to" };
    let adopted = connect(check).and_then(|mut bus| match way {
        Way::Make(properties) => make(&mut bus, name, properties, pid),
        Way::Join(below) => join(&mut bus, name, below, pid),
    });
    adopted.map_err(|error| error.context(format_args!("have systemd {verb} {name}")))?;
    // Whatever went wrong, limits are never set for another cgroup.
    let path = cgroup_of(&pid, scope.hierarchy);
    match path.filter(|path| *path != scope.path) {
        None => Ok(()),
        Some(other) => Err(Error::new(format_args!(
            "systemd has put {name} into cgroup /{}, not /{}",
            other.display(),
            scope.path.display()
        ))),
    }
}

fn make(bus: &mut Bus<'_>, name: &str, properties: &[Property], pid: u32) -> Result<(), Error> {
    let mut properties: Vec<&Property> = properties.iter().collect();
    let mut has_reset = false;
    loop {
        let mut body = Body::default();
        body.text(name);
        body.text("fail");
        body.properties(properties.iter().copied().chain([&pids(pid)]));
        body.array(8, |_| {}); // No other units.
        match job(bus, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body)? {
            Ok(result) if result == "done" => return Ok(()),
            Ok(result) => {
                let _ = reset_failed(bus, name); // Only the error below is told.
                return Err(Error::new(format_args!("its job ended with \"{result}\""))
                    .hint("see `journalctl -b _PID=1`"));
            }
            // A scope that has failed keeps its name.
            Err(told) if told.name == UNIT_EXISTS && !has_reset => {
                let _ = reset_failed(bus, name); // The next try tells if it helped.
                has_reset = true;
            }
            Err(told) => {
                if !told.drop_from(&mut properties) {
                    return Err(told.into());
                }
            }
        }
    }
}

/// Unlike a write to cgroup.procs by this user, this works from a login session, too: its
/// cgroup and the scope's have a parent that belongs to root (cgroups(7), "Delegation").
fn join(bus: &mut Bus<'_>, name: &str, below: &Path, pid: u32) -> Result<(), Error> {
    let mut body = Body::default();
    body.text(name);
    body.text(&format!("/{}", below.display()));
    body.array(4, |pids| pids.number(4, u64::from(pid)));
    bus.ask(Method { member: "AttachProcessesToUnit", ..MANAGER }, "ssau", &body)?.value()?;
    Ok(())
}

fn pids(pid: u32) -> Property {
    Property::new("PIDs", Value::Array("u".into(), vec![Value::Number(b'u', u64::from(pid))]))
}

/// Calls a method that starts a job, and waits for the job's end. Returns its result.
fn job(
    bus: &mut Bus<'_>,
    member: &str,
    signature: &str,
    body: &Body,
) -> Result<Result<String, Told>, Error> {
    let mut reply = bus.ask(Method { member, ..MANAGER }, signature, body)?;
    let before = std::mem::take(&mut reply.signals);
    let job = match reply.value() {
        Ok(job) => job,
        Err(told) => return Ok(Err(told)),
    };
    if let Some(result) = before.iter().find_map(|signal| result_of(signal, &job)) {
        return Ok(Ok(result));
    }
    loop {
        if let Some(result) = result_of(&bus.receive()?, &job) {
            return Ok(Ok(result));
        }
    }
}

/// The result of a job, if this message says that it has ended.
fn result_of(message: &Message, job: &str) -> Option<String> {
    if message.kind != message::SIGNAL || message.member != "JobRemoved" {
        return None;
    }
    match message.texts()[..] {
        [ended, _, result, ..] if ended == job => Some(result.to_owned()),
        _ => None,
    }
}

/// Removes a scope, whose processes have ended, also if it has failed. No error if there
/// is none. One of this name with another cgroup than this is somebody else's, and
/// stays.
pub fn stop(name: &str, cgroup: &Path) -> Result<(), Error> {
    stop_by(name, cgroup).map_err(|error| error.context(format_args!("have systemd stop {name}")))
}

fn stop_by(name: &str, cgroup: &Path) -> Result<(), Error> {
    let mut bus = connect(&|| Ok(()))?;
    let mut body = Body::default();
    body.text(name);
    let unit = match bus.ask(Method { member: "GetUnit", ..MANAGER }, "s", &body)?.value() {
        Err(told) if told.name == NO_SUCH_UNIT => return Ok(()),
        unit => unit?,
    };
    // Empty if it has none any more.
    let path = get(&mut bus, &unit, "org.freedesktop.systemd1.Scope", "ControlGroup")?;
    if !cgroup.ends_with(path.trim_start_matches('/')) {
        return Ok(());
    }
    body.text("replace");
    let stopped = job(&mut bus, "StopUnit", "ss", &body)?;
    let _ = reset_failed(&mut bus, name); // It has not failed, or is gone.
    match stopped {
        Err(told) if told.name != NO_SUCH_UNIT => Err(told.into()),
        _ => Ok(()),
    }
}

/// A property of an object of systemd, a text.
fn get(bus: &mut Bus<'_>, path: &str, interface: &str, name: &str) -> Result<String, Error> {
    let mut body = Body::default();
    body.text(interface);
    body.text(name);
    let interface = "org.freedesktop.DBus.Properties";
    let method = Method { path, interface, member: "Get", ..MANAGER };
    Ok(bus.ask(method, "ss", &body)?.value()?)
}

fn reset_failed(bus: &mut Bus<'_>, name: &str) -> Result<(), Error> {
    let mut body = Body::default();
    body.text(name);
    bus.ask(Method { member: "ResetFailedUnit", ..MANAGER }, "s", &body)?.value()?;
    Ok(())
}

/// Changes properties of a scope, until it ends.
pub fn set_properties(name: &str, properties: &[Property]) -> Result<(), Error> {
    let mut bus = connect(&|| Ok(()))?;
    let mut left: Vec<&Property> = properties.iter().collect();
    loop {
        let mut body = Body::default();
        body.text(name);
        body.number(4, 1); // In /run only.
        body.properties(left.iter().copied());
        let method = Method { member: "SetUnitProperties", ..MANAGER };
        match bus.ask(method, "sba(sv)", &body)?.value() {
            Ok(_) => return Ok(()),
            Err(told) if told.drop_from(&mut left) => {}
            Err(told) => {
                let what = format_args!("have systemd limit {name}");
                return Err(Error::from(told).context(what));
            }
        }
    }
}

impl Told {
    /// Drops the property that this error names, if it repeats a limit: this systemd is
    /// too old for it. False: it names none.
    fn drop_from(&self, properties: &mut Vec<&Property>) -> bool {
        let is_named = |property: &&Property| {
            let mut words = self.says.split(|c: char| !c.is_ascii_alphanumeric());
            property.repeats_limit && words.any(|word| word == property.name)
        };
        match properties.iter().position(is_named) {
            Some(at) => _ = properties.remove(at),
            None => return false,
        }
        true
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
