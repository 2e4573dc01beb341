//! linux.mountLabel: the SELinux label of new filesystems.

use std::ffi::CString;

use vial_plan::RootfsItem;

use super::mount_options::Options;
use super::{text, wrong};
use crate::config::{Config, Mount};
use crate::error::Error;
use crate::plan::Plan;

/// The options that give a filesystem a label (mount(8)). The annotation, which is
/// crun's, names one.
const KINDS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// The option for the covers of masked paths: a program may look at them.
pub(super) fn of_covers(config: &Config) -> Result<CString, Error> {
    let label = MountLabel::from_config(config)?;
    text(label.map_or_else(String::new, |label| label.option()), "linux.mountLabel")
}

/// The label of the new filesystems of a container.
#[derive(Debug)]
pub(super) struct MountLabel<'a> {
    kind: &'a str,
    label: &'a str,
}

impl<'a> MountLabel<'a> {
    /// None: config.json has none.
    pub(super) fn from_config(config: &'a Config) -> Result<Option<MountLabel<'a>>, Error> {
        let label = &*config.linux.mount_label;
        if label.is_empty() {
            return Ok(None);
        }
        if label.contains('"') {
            return Err(wrong(
                "linux.mountLabel",
                "has a quotation mark, at which mount(2) ends it",
            ));
        }
        let kind =
            config.annotations.get("run.oci.mount_context_type").map_or(KINDS[0], String::as_str);
        if !KINDS.contains(&kind) {
            let what =
                format_args!("\"{kind}\" is not context, fscontext, defcontext or rootcontext");
            return Err(wrong("annotations[\"run.oci.mount_context_type\"]", what));
        }
        Ok(Some(MountLabel { kind, label }))
    }

    /// Adds the label to the options of a new filesystem, unless the user gave it one. In
    /// mqueue the kernel takes no such option; proc, sysfs and cgroups have labels of
    /// their own. runc and crun do the same.
    pub(super) fn add_to(&self, mount: &Mount, options: &mut Options) {
        let has_own = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue"].contains(&&*mount.kind);
        let is_given = |option: &str| {
            option.split_once('=').is_some_and(|(name, _)| name == self.kind || name == KINDS[0])
        };
        if has_own || options.data.split(',').any(is_given) {
            return;
        }
        let comma = if options.data.is_empty() { "" } else { "," };
        options.data.push_str(&format!("{comma}{}", self.option()));
    }

    fn option(&self) -> String {
        format!("{}=\"{}\"", self.kind, self.label)
    }

    /// Gives the root of a new mqueue the label.
    pub(super) fn plan(&self, plan: &mut Plan, mount: &Mount) -> Result<(), Error> {
        if mount.kind == "mqueue" {
            let field = "linux.mountLabel";
            let (target, label) = (text(&*mount.destination, field)?, text(self.label, field)?);
            plan.push(&RootfsItem::LabelMount { target: &target, label: &label }, field);
        }
        Ok(())
    }
}
