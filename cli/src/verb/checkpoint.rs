//! checkpoint: has criu write the container's processes to files.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::checkpointing::checkpointing;
use crate::container::Container;
use crate::container::status::Status;
use crate::creation::prepare_again;
use crate::criu::images::Images;
use crate::criu::{self, Criu, Feature, Kind, Message, option};
use crate::error::Error;
use crate::flags::Global;
use crate::launch::watch::Watch;
use crate::plan::Plan;

checkpointing! {
    /// write a container's processes to files, by criu; restore makes them again
    #[argh(subcommand, name = "checkpoint", help_triggers("-h", "--help"))]
    #[argh(example = "vial checkpoint --image-path /images/web web")]
    pub struct Checkpoint {
        /// directory of an earlier --pre-dump, from that of the images
        #[argh(option, arg_name = "dir")]
        parent_path: Option<PathBuf>,
        /// let the container run on
        #[argh(switch)]
        leave_running: bool,
        /// leave out TCP connections that are being made
        #[argh(switch)]
        tcp_skip_in_flight: bool,
        /// give files that were unlinked a name again
        #[argh(switch)]
        link_remap: bool,
        /// with --lazy-pages: file descriptor that gets a NUL once pages are served
        #[argh(option, arg_name = "fd")]
        status_fd: Option<u32>,
        /// send memory to criu's page server at this address
        #[argh(option, arg_name = "address:port")]
        page_server: Option<String>,
        /// write only the memory, and let the container run on
        #[argh(switch)]
        pre_dump: bool,
    }
}

impl Checkpoint {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let mut status_fd = self.status_fd.map(|number| self.status_file(number)).transpose()?;
        let program = criu::program::find()?;
        let container = Container::open(&global.root, &self.id)?;
        match container.status()? {
            Status::Running | Status::Paused => {}
            status => {
                return Err(Error::new(format_args!(
                    "container {} cannot be checkpointed: it is {status}",
                    self.id
                )));
            }
        }
        let plan = match container.dir().plan() {
            Ok(plan) => plan,
            Err(_) => prepare_again(global, &container.record, container.dir())?,
        };
        let kind = if self.pre_dump { Kind::PreDump } else { Kind::Dump };
        let (shared, record) = (self.shared(), &container.record);
        let options = shared.message(&record.annotations)?;
        let mut options = self.options(options, &container, &plan)?;
        let images = Images::make(shared.images, shared.work)?;
        let watch = Watch::default();
        let criu = self.start(&program, &images, &watch).inspect_err(|_| images.undo())?;
        if !self.pre_dump {
            images.leave_out_streams(&mut options, &record.streams, record.pid)?;
        }
        let mut told = |answer: &criu::Answer| {
            if answer.script == "status-ready"
                && let Some(mut file) = status_fd.take()
            {
                let failed = |error| Error::io("--status-fd: write(2)", &error);
                file.write_all(&[0]).map_err(failed)?;
            }
            Ok(())
        };
        criu.carry_out(kind, options, &images, &mut told)?;
        if !self.pre_dump && !self.leave_running {
            // criu has killed its processes.
            container.kill()?;
            container.destroy(&global.log)?;
        }
        Ok(0)
    }

    /// Starts criu, and checks what it can do.
    fn start<'a>(
        &self,
        program: &CStr,
        images: &Images,
        watch: &'a Watch<'a>,
    ) -> Result<Criu<'a>, Error> {
        if let Some(parent) = &self.parent_path {
            images.check_parent(parent)?;
        }
        let criu = criu::program::start(program, images, None, watch)?.go()?;
        criu.check(&self.features())?;
        Ok(criu)
    }

    /// What this kernel must be able to do.
    fn features(&self) -> Vec<Feature> {
        let tracks = self.pre_dump || self.parent_path.is_some();
        let tracking = tracks.then_some(Feature::MemoryTracking);
        tracking.into_iter().chain(self.lazy_pages.then_some(Feature::LazyPages)).collect()
    }

    /// Adds what a restore does not have.
    fn options(
        &self,
        mut options: Message,
        container: &Container,
        plan: &Plan,
    ) -> Result<Message, Error> {
        let (record, options) = (&container.record, &mut options);
        let (rootfs, _) = criu::room::rootfs(plan)?;
        options.text(option::ROOT, rootfs.to_bytes());
        options.number(option::PID, record.pid.into());
        options.switch(option::LEAVE_RUNNING, self.leave_running);
        options.switch(option::TCP_SKIP_IN_FLIGHT, self.tcp_skip_in_flight);
        options.switch(option::LINK_REMAP, self.link_remap);
        // Otherwise criu stops the processes one by one, by ptrace(2).
        if let Ok(freezer) = container.freezer() {
            options.text(option::FREEZE_CGROUP, freezer.path().as_os_str().as_bytes());
        }
        if let Some(server) = &self.page_server {
            let parts = server.rsplit_once(':').and_then(|(address, port)| {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                Some((address, port.parse::<u16>().ok()?)).filter(|_| !address.is_empty())
            });
            let (address, port) = parts.ok_or_else(|| {
                Error::new(format_args!("--page-server {server}: it is no ADDRESS:PORT"))
            })?;
            let mut server = Message::default();
            server.text(1, address.as_bytes());
            server.number(2, port.into());
            options.text(option::PS, server.bytes());
        }
        if let Some(parent) = &self.parent_path {
            options.text(option::PARENT_IMG, parent.as_os_str().as_bytes());
        }
        options.switch(option::TRACK_MEM, self.pre_dump || self.parent_path.is_some());
        if !self.pre_dump {
            criu::external::dump(options, plan, record.pid)?;
        }
        Ok(std::mem::take(options))
    }

    /// The file of --status-fd.
    fn status_file(&self, number: u32) -> Result<File, Error> {
        if !self.lazy_pages {
            return Err(Error::new("--status-fd is only for --lazy-pages"));
        }
        OpenOptions::new()
            .write(true)
            .open(format!("/proc/self/fd/{number}"))
            .map_err(|error| Error::io(format_args!("--status-fd {number}: open(2)"), &error))
    }
}
