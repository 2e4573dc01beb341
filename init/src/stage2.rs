//! Stage 2, inside: the container's first process, or the process of an exec.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use vial_plan::{Fields, Stage2};

use crate::fault::{Fault, Prepared};
use crate::process::program::Program;
use crate::rootfs::Rootfs;
use crate::{Life, namespace, process, rootfs};

/// What stage 2 holds beside what every stage does.
#[derive(Debug, Default)]
pub struct Inside {
    /// The rootfs while it is furnished.
    pub rootfs: Option<Rootfs>,
    /// The pseudo-terminal, until it is the standard streams.
    pub terminal: Option<OwnedFd>,
    /// The working directory that root could not enter, for the user to try.
    pub directory_is_due: Option<&'static CStr>,
    /// What to execute.
    pub program: Option<Program>,
}

/// One item of the section of stage 2.
pub fn act(
    life: &mut Life,
    inside: &mut Inside,
    code: u16,
    fields: &Fields<'static>,
) -> Result<(), Fault> {
    match Stage2::from_fields(code, fields).prepared()? {
        // First, while /proc is the host's: what the namespaces hold, and the root of
        // the user namespace, which owns all that is made from then on.
        Stage2::Namespace(item) => namespace::act(life, item),
        // Then the rootfs, to its end as the root: nothing of the host's is in sight.
        Stage2::Rootfs(item) => rootfs::act(life, inside, item),
        // Last the process, as each step takes away what the ones before it need.
        Stage2::Process(item) => process::act(life, inside, item),
    }
}

impl Inside {
    /// The rootfs, which an earlier item has opened.
    pub fn rootfs(&self) -> Result<&Rootfs, Fault> {
        self.rootfs.as_ref().prepared()
    }

    /// The same, to change it.
    pub fn rootfs_mut(&mut self) -> Result<&mut Rootfs, Fault> {
        self.rootfs.as_mut().prepared()
    }

    /// The rootfs, for what may mount something on the directory of the last node.
    pub fn furnish(&mut self) -> Result<&mut Rootfs, Fault> {
        let rootfs = self.rootfs_mut()?;
        rootfs.forget_nodes();
        Ok(rootfs)
    }
}
