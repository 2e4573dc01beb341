//! Stage 2, inside: the container's first process, or the process of an exec.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use vial_plan::{Fields, Stage2};

use crate::fault::{Fault, Prepared};
use crate::process::program::Program;
use crate::process::rlimit::RESOURCES;
use crate::rootfs::Rootfs;
use crate::sys::setrlimit::Limit;
use crate::{Life, namespace, process, rootfs};

/// What only stage 2 holds.
#[derive(Debug, Default)]
pub struct Inside {
    /// The rootfs, while it is being set up.
    pub rootfs: Option<Rootfs>,
    /// The pseudo-terminal, until it becomes the standard streams.
    pub terminal: Option<OwnedFd>,
    /// The working directory that root could not enter; the container's user tries
    /// again.
    pub retry_directory: Option<&'static CStr>,
    /// The program to execute.
    pub program: Option<Program>,
    /// The limits of its hooks, by the number of the resource.
    pub hook_limits: [Option<Limit>; RESOURCES],
}

/// Carries out one item of stage 2.
pub fn carry_out(
    life: &mut Life,
    inside: &mut Inside,
    code: u16,
    fields: &Fields<'static>,
) -> Result<(), Fault> {
    match Stage2::from_fields(code, fields).prepared()? {
        // First the namespaces, while /proc is the host's. This includes becoming root
        // of the user namespace, who owns everything that is made from then on.
        Stage2::Namespace(item) => namespace::carry_out(life, item),
        // Then the rootfs. When it has become the root, nothing of the host is visible.
        Stage2::Rootfs(item) => rootfs::carry_out(life, inside, item),
        // Last the process: each step takes away what the earlier steps need.
        Stage2::Process(item) => process::carry_out(life, inside, item),
    }
}

impl Inside {
    /// The rootfs that an earlier item opened.
    pub fn rootfs(&self) -> Result<&Rootfs, Fault> {
        self.rootfs.as_ref().prepared()
    }

    /// The same, to change it.
    pub fn rootfs_mut(&mut self) -> Result<&mut Rootfs, Fault> {
        self.rootfs.as_mut().prepared()
    }

    /// The rootfs, for an item that may mount something over the remembered directory.
    pub fn rootfs_for_mount(&mut self) -> Result<&mut Rootfs, Fault> {
        let rootfs = self.rootfs_mut()?;
        rootfs.forget_nodes();
        Ok(rootfs)
    }
}
