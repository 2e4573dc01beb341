//! The options of a mount: flags of mount(2), attributes of mount_setattr(2),
//! propagation, and data for the filesystem.

use linux_raw_sys::general::{
    MOUNT_ATTR__ATIME as ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_RELATIME, MOUNT_ATTR_STRICTATIME, MS_BIND, MS_DIRSYNC, MS_I_VERSION, MS_LAZYTIME,
    MS_MANDLOCK, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_NOSYMFOLLOW,
    MS_PRIVATE, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT, MS_SHARED, MS_SILENT, MS_SLAVE,
    MS_STRICTATIME, MS_SYNCHRONOUS, MS_UNBINDABLE,
};

use super::wrong;
use crate::error::Error;

/// A mount's options, sorted by their meaning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// MS_* flags for mount(2).
    pub(super) flags: u32,
    /// MOUNT_ATTR_* to set.
    pub(super) set: u64,
    /// MOUNT_ATTR_* to clear.
    pub(super) clear: u64,
    /// MOUNT_ATTR_* to set on this mount and those below.
    pub(super) recursive_set: u64,
    /// MOUNT_ATTR_* to clear on this mount and those below.
    pub(super) recursive_clear: u64,
    /// The propagation, and whether it is recursive.
    pub(super) propagation: Option<(u32, bool)>,
    /// Whether the files that it covers are copied into it (tmpcopyup).
    pub(super) copy_up: bool,
    /// How the ends of a bind treat a symbolic link, and how its ids are mapped.
    pub(super) bind: BindOptions,
    /// All other options, for the filesystem, separated by commas.
    pub(super) data: String,
}

/// The options of a bind alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BindOptions {
    /// A symbolic link at the source is not followed (src-nofollow).
    pub(super) bare_source: bool,
    /// A symbolic link at the target is not followed (dest-nofollow).
    pub(super) bare_target: bool,
    /// A symbolic link at the source is copied (copy-symlink).
    pub(super) copy_link: bool,
    /// Its ids are mapped (idmap); true: those of the mounts below, too (ridmap).
    pub(super) maps_ids: Option<bool>,
}

enum Kind {
    /// Sets MS_* and MOUNT_ATTR_*.
    Set(u32, u32),
    /// Clears MS_* and MOUNT_ATTR_*.
    Clear(u32, u32),
    /// Sets MS_* which is not an attribute of a mount.
    Flag(u32),
    NoFlag(u32),
    /// One of the values of the access time.
    Time(u32, u32),
    Propagation(u32),
    Nothing,
    CopyUp,
    BareSource,
    BareTarget,
    CopyLink,
    /// Maps ids; true: recursively.
    MapIds(bool),
}

const OPTIONS: &[(&str, Kind)] = &[
    ("async", Kind::NoFlag(MS_SYNCHRONOUS)),
    ("atime", Kind::Clear(MS_NOATIME, MOUNT_ATTR_NOATIME)),
    ("bind", Kind::Flag(MS_BIND)),
    ("copy-symlink", Kind::CopyLink),
    ("defaults", Kind::Nothing),
    ("dest-nofollow", Kind::BareTarget),
    ("dev", Kind::Clear(MS_NODEV, MOUNT_ATTR_NODEV)),
    ("diratime", Kind::Clear(MS_NODIRATIME, MOUNT_ATTR_NODIRATIME)),
    ("dirsync", Kind::Flag(MS_DIRSYNC)),
    ("exec", Kind::Clear(MS_NOEXEC, MOUNT_ATTR_NOEXEC)),
    ("idmap", Kind::MapIds(false)),
    ("iversion", Kind::Flag(MS_I_VERSION)),
    ("lazytime", Kind::Flag(MS_LAZYTIME)),
    ("loud", Kind::NoFlag(MS_SILENT)),
    ("mand", Kind::Flag(MS_MANDLOCK)),
    ("noatime", Kind::Time(MS_NOATIME, MOUNT_ATTR_NOATIME)),
    ("nodev", Kind::Set(MS_NODEV, MOUNT_ATTR_NODEV)),
    ("nodiratime", Kind::Set(MS_NODIRATIME, MOUNT_ATTR_NODIRATIME)),
    ("noexec", Kind::Set(MS_NOEXEC, MOUNT_ATTR_NOEXEC)),
    ("noiversion", Kind::NoFlag(MS_I_VERSION)),
    ("nolazytime", Kind::NoFlag(MS_LAZYTIME)),
    ("nomand", Kind::NoFlag(MS_MANDLOCK)),
    ("norelatime", Kind::Nothing),
    ("nostrictatime", Kind::Clear(MS_STRICTATIME, MOUNT_ATTR_STRICTATIME)),
    ("nosuid", Kind::Set(MS_NOSUID, MOUNT_ATTR_NOSUID)),
    ("nosymfollow", Kind::Set(MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW)),
    ("private", Kind::Propagation(MS_PRIVATE)),
    ("rbind", Kind::Flag(MS_BIND | MS_REC)),
    ("relatime", Kind::Time(MS_RELATIME, MOUNT_ATTR_RELATIME)),
    ("remount", Kind::Flag(MS_REMOUNT)),
    ("ridmap", Kind::MapIds(true)),
    ("ro", Kind::Set(MS_RDONLY, MOUNT_ATTR_RDONLY)),
    ("rprivate", Kind::Propagation(MS_PRIVATE | MS_REC)),
    ("rshared", Kind::Propagation(MS_SHARED | MS_REC)),
    ("rslave", Kind::Propagation(MS_SLAVE | MS_REC)),
    ("runbindable", Kind::Propagation(MS_UNBINDABLE | MS_REC)),
    ("rw", Kind::Clear(MS_RDONLY, MOUNT_ATTR_RDONLY)),
    ("shared", Kind::Propagation(MS_SHARED)),
    ("silent", Kind::Flag(MS_SILENT)),
    ("slave", Kind::Propagation(MS_SLAVE)),
    ("src-nofollow", Kind::BareSource),
    ("strictatime", Kind::Time(MS_STRICTATIME, MOUNT_ATTR_STRICTATIME)),
    ("suid", Kind::Clear(MS_NOSUID, MOUNT_ATTR_NOSUID)),
    ("symfollow", Kind::Clear(MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW)),
    ("sync", Kind::Flag(MS_SYNCHRONOUS)),
    ("tmpcopyup", Kind::CopyUp),
    ("unbindable", Kind::Propagation(MS_UNBINDABLE)),
];

/// The recursive options: an `r`, then the name of an attribute.
const RECURSIVE: [&str; 18] = [
    "ratime",
    "rdev",
    "rdiratime",
    "rexec",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "rrelatime",
    "rro",
    "rrw",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
];

/// All options that are not for the filesystem, for `features`.
pub fn supported() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name).chain(RECURSIVE)
}

/// The names of MS_* flags.
pub fn flag_names(flags: u32) -> Vec<&'static str> {
    let named = OPTIONS.iter().filter(|(_, kind)| match *kind {
        Kind::Set(flag, _) | Kind::Time(flag, _) | Kind::Flag(flag) => flags & flag == flag,
        _ => false,
    });
    named.map(|(name, _)| *name).collect()
}

/// The names of MOUNT_ATTR_* to set and to clear.
pub fn attribute_names(set: u64, clear: u64) -> Vec<&'static str> {
    let has = |bits: u64, attribute: u32| bits & u64::from(attribute) == u64::from(attribute);
    let named = OPTIONS.iter().filter(|(_, kind)| match *kind {
        Kind::Set(_, attribute) => has(set, attribute),
        Kind::Clear(_, attribute) => attribute & ATIME == 0 && has(clear, attribute),
        Kind::Time(_, attribute) => {
            has(clear, ATIME) && set & u64::from(ATIME) == u64::from(attribute)
        }
        _ => false,
    });
    named.map(|(name, _)| *name).collect()
}

/// Sorts the options of a mount. Later ones win. As in mount(8), one string may
/// hold several options, separated by commas.
pub(super) fn options(list: &[String]) -> Options {
    let mut options = Options::default();
    let single = list.iter().flat_map(|text| text.split(','));
    for option in single {
        // A mapping may follow (crun.1): it is read with the mapping.
        let option = match option.split_once('=') {
            Some((name @ ("idmap" | "ridmap"), _)) => name,
            _ => option,
        };
        let recursive = RECURSIVE.contains(&option);
        let name = if recursive { &option[1..] } else { option };
        match OPTIONS.iter().find(|(known, _)| *known == name) {
            Some((_, kind)) => options.add(kind, recursive),
            None if option.is_empty() => {}
            None => {
                if !options.data.is_empty() {
                    options.data.push(',');
                }
                options.data.push_str(option);
            }
        }
    }
    options
}

impl Options {
    fn add(&mut self, kind: &Kind, recursive: bool) {
        match *kind {
            Kind::Set(flag, attribute) => {
                self.flags |= if recursive { 0 } else { flag };
                self.attribute(attribute, 0, recursive);
            }
            Kind::Clear(flag, attribute) => {
                self.flags &= if recursive { u32::MAX } else { !flag };
                // An access time is a value of a field, so clear the whole field, unless
                // it has another value by now.
                let set = if recursive { self.recursive_set } else { self.set };
                match attribute & ATIME {
                    0 => self.attribute(0, attribute, recursive),
                    time if ![0, u64::from(time)].contains(&(set & u64::from(ATIME))) => {}
                    _ => self.attribute(0, ATIME, recursive),
                }
            }
            Kind::Time(flag, attribute) => {
                const TIMES: u32 = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;
                if !recursive {
                    self.flags = (self.flags & !TIMES) | flag;
                }
                self.attribute(attribute, ATIME, recursive);
            }
            Kind::Flag(flag) => self.flags |= flag,
            Kind::NoFlag(flag) => self.flags &= !flag,
            Kind::Propagation(kind) => {
                self.propagation = Some((kind & !MS_REC, kind & MS_REC != 0));
            }
            Kind::Nothing => {}
            Kind::CopyUp => self.copy_up = true,
            Kind::BareSource => self.bind.bare_source = true,
            Kind::BareTarget => self.bind.bare_target = true,
            Kind::CopyLink => self.bind.copy_link = true,
            Kind::MapIds(below) => self.bind.maps_ids = Some(below),
        }
    }

    /// Adds attributes. mount_setattr(2) demands that the whole access time field is
    /// cleared if a value of it is set, and that no other bit is in both sets.
    fn attribute(&mut self, set: u32, clear: u32, recursive: bool) {
        let (set, clear) = (u64::from(set), u64::from(clear));
        let (present_set, present_clear) = match recursive {
            true => (&mut self.recursive_set, &mut self.recursive_clear),
            false => (&mut self.set, &mut self.clear),
        };
        *present_set = (*present_set & !clear) | set;
        *present_clear = (*present_clear & !(set & !u64::from(ATIME))) | clear;
    }

    pub(super) fn is_bind(&self) -> bool {
        self.flags & MS_BIND != 0
    }
}

/// linux.rootfsPropagation
pub(super) fn root_propagation(value: &str) -> Result<Option<u32>, Error> {
    let field = "linux.rootfsPropagation";
    if value.is_empty() {
        return Ok(None);
    }
    match OPTIONS.iter().find(|(name, _)| *name == value) {
        Some((_, Kind::Propagation(flags))) => Ok(Some(*flags)),
        _ => Err(wrong(field, format_args!("unknown propagation \"{value}\""))),
    }
}
