//! The options of a mount: flags of mount(2), attributes of mount_setattr(2),
//! propagation, and what is the filesystem's own.

use super::wrong;
use crate::error::Error;

/// MS_* of mount(2).
pub(super) mod ms {
    pub(crate) const RDONLY: u32 = 1;
    pub(crate) const REMOUNT: u32 = 0x20;
    pub(crate) const BIND: u32 = 0x1000;
    pub(crate) const REC: u32 = 0x4000;
    pub(crate) const UNBINDABLE: u32 = 0x2_0000;
    pub(crate) const PRIVATE: u32 = 0x4_0000;
    pub(crate) const SLAVE: u32 = 0x8_0000;
    pub(crate) const SHARED: u32 = 0x10_0000;
}

/// A mount's options, sorted by what they mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// MS_* flags for mount(2).
    pub(super) flags: u32,
    /// MOUNT_ATTR_* to set and to clear.
    pub(super) set: u64,
    /// As set.
    pub(super) clear: u64,
    /// The same for the mounts below too.
    pub(super) recursive_set: u64,
    /// As recursive_set.
    pub(super) recursive_clear: u64,
    /// The propagation, and whether it reaches below.
    pub(super) propagation: Option<(u32, bool)>,
    /// Whether what is covered is copied into it.
    pub(super) copy_up: bool,
    /// What is left, for the filesystem, by commas.
    pub(super) data: String,
}

enum Kind {
    /// Sets a flag: MS_*, MOUNT_ATTR_*.
    Set(u32, u64),
    /// Clears it.
    Clear(u32, u64),
    /// A flag of mount(2) that is no attribute of a mount.
    Flag(u32),
    NoFlag(u32),
    /// The access time: one of several values in the place of flags.
    Time(u32, u64),
    Propagation(u32),
    Nothing,
    CopyUp,
}

const ATIME: u64 = 0x70;

const OPTIONS: &[(&str, Kind)] = &[
    ("async", Kind::NoFlag(16)),
    ("atime", Kind::Clear(0x400, 0x10)),
    ("bind", Kind::Flag(ms::BIND)),
    ("defaults", Kind::Nothing),
    ("dev", Kind::Clear(4, 4)),
    ("diratime", Kind::Clear(0x800, 0x80)),
    ("dirsync", Kind::Flag(128)),
    ("exec", Kind::Clear(8, 8)),
    ("iversion", Kind::Flag(0x80_0000)),
    ("lazytime", Kind::Flag(0x200_0000)),
    ("loud", Kind::NoFlag(0x8000)),
    ("mand", Kind::Flag(64)),
    ("noatime", Kind::Time(0x400, 0x10)),
    ("nodev", Kind::Set(4, 4)),
    ("nodiratime", Kind::Set(0x800, 0x80)),
    ("noexec", Kind::Set(8, 8)),
    ("noiversion", Kind::NoFlag(0x80_0000)),
    ("nolazytime", Kind::NoFlag(0x200_0000)),
    ("nomand", Kind::NoFlag(64)),
    ("norelatime", Kind::Nothing),
    ("nostrictatime", Kind::Clear(0x100_0000, 0x20)),
    ("nosuid", Kind::Set(2, 2)),
    ("nosymfollow", Kind::Set(256, 0x20_0000)),
    ("private", Kind::Propagation(ms::PRIVATE)),
    ("rbind", Kind::Flag(ms::BIND | ms::REC)),
    ("relatime", Kind::Time(0x20_0000, 0)),
    ("remount", Kind::Flag(ms::REMOUNT)),
    ("ro", Kind::Set(1, 1)),
    ("rprivate", Kind::Propagation(ms::PRIVATE | ms::REC)),
    ("rshared", Kind::Propagation(ms::SHARED | ms::REC)),
    ("rslave", Kind::Propagation(ms::SLAVE | ms::REC)),
    ("runbindable", Kind::Propagation(ms::UNBINDABLE | ms::REC)),
    ("rw", Kind::Clear(1, 1)),
    ("shared", Kind::Propagation(ms::SHARED)),
    ("silent", Kind::Flag(0x8000)),
    ("slave", Kind::Propagation(ms::SLAVE)),
    ("strictatime", Kind::Time(0x100_0000, 0x20)),
    ("suid", Kind::Clear(2, 2)),
    ("symfollow", Kind::Clear(256, 0x20_0000)),
    ("sync", Kind::Flag(16)),
    ("tmpcopyup", Kind::CopyUp),
    ("unbindable", Kind::Propagation(ms::UNBINDABLE)),
];

/// The recursive forms: an `r`, then an option that is an attribute.
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

/// Every option that is not a filesystem's own, for `features`.
pub fn supported() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name).chain(RECURSIVE)
}

/// The options that MS_* flags stand for.
pub fn flag_names(flags: u32) -> Vec<&'static str> {
    let named = OPTIONS.iter().filter(|(_, kind)| match *kind {
        Kind::Set(flag, _) | Kind::Time(flag, _) | Kind::Flag(flag) => flags & flag == flag,
        _ => false,
    });
    named.map(|(name, _)| *name).collect()
}

/// The options that MOUNT_ATTR_* to be set and cleared stand for.
pub fn attribute_names(set: u64, clear: u64) -> Vec<&'static str> {
    let named = OPTIONS.iter().filter(|(_, kind)| match *kind {
        Kind::Set(_, attribute) => set & attribute == attribute,
        Kind::Clear(_, attribute) => attribute & ATIME == 0 && clear & attribute == attribute,
        Kind::Time(_, attribute) => clear & ATIME == ATIME && set & ATIME == attribute,
        _ => false,
    });
    named.map(|(name, _)| *name).collect()
}

/// Sorts the options of a mount; later ones win. As in mount(8) one text may
/// hold several, with commas between them.
pub(super) fn options(list: &[String], field: &str) -> Result<Options, Error> {
    let mut options = Options::default();
    let single =
        list.iter().enumerate().flat_map(|(at, text)| text.split(',').map(move |one| (at, one)));
    for (index, option) in single {
        if matches!(option.split('=').next(), Some("idmap" | "ridmap")) {
            return Err(super::refuse::not_supported(&format!(
                "{field}.options[{index}]: {option}"
            )));
        }
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
    Ok(options)
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
                // One value of the access time is left by clearing the field.
                let field = if attribute & ATIME != 0 { ATIME } else { attribute };
                self.attribute(0, field, recursive);
            }
            Kind::Time(flag, attribute) => {
                const TIMES: u32 = 0x400 | 0x20_0000 | 0x100_0000; // One holds, the last named.
                if !recursive {
                    self.flags = (self.flags & !TIMES) | flag;
                }
                self.attribute(attribute, ATIME, recursive);
            }
            Kind::Flag(flag) => self.flags |= flag,
            Kind::NoFlag(flag) => self.flags &= !flag,
            Kind::Propagation(kind) => {
                self.propagation = Some((kind & !ms::REC, kind & ms::REC != 0));
            }
            Kind::Nothing => {}
            Kind::CopyUp => self.copy_up = true,
        }
    }

    /// mount_setattr(2) wants the whole access time field cleared where one of
    /// its values is set, and a bit in one of both sets only.
    fn attribute(&mut self, set: u64, clear: u64, recursive: bool) {
        let (present_set, present_clear) = match recursive {
            true => (&mut self.recursive_set, &mut self.recursive_clear),
            false => (&mut self.set, &mut self.clear),
        };
        *present_set = (*present_set & !clear) | set;
        *present_clear = (*present_clear & !(set & !ATIME)) | clear;
    }

    pub(super) fn is_bind(&self) -> bool {
        self.flags & ms::BIND != 0
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
