//! restore: has criu make a container's processes again, from the files of checkpoint.

use std::path::PathBuf;

use super::checkpointing::checkpointing;
use super::run::{attend, end_with};
use crate::creation::{Console, Options, prepare};
use crate::criu::images::Images;
use crate::criu::{self, option};
use crate::error::Error;
use crate::flags::Global;

checkpointing! {
    /// make a container's processes again, by criu, and wait for the end of the first
    #[argh(subcommand, name = "restore", help_triggers("-h", "--help"))]
    #[argh(example = "vial restore --image-path /images/web --bundle /containers/web web")]
    pub struct Restore {
        /// the bundle's directory (default .)
        #[argh(option, short = 'b', arg_name = "dir")]
        bundle: Option<PathBuf>,
        /// socket to which the terminal's master is sent
        #[argh(option, arg_name = "socket")]
        console_socket: Option<PathBuf>,
        /// return once the process is started
        #[argh(switch, short = 'd')]
        detach: bool,
        /// file to which the process's pid is written
        #[argh(option, arg_name = "file")]
        pid_file: Option<PathBuf>,
        /// accepted; vial is never a subreaper
        #[argh(switch)]
        #[allow(dead_code, reason = "what it asks for is always so")]
        no_subreaper: bool,
        /// move the root instead of pivoting it, for a ramdisk
        #[argh(switch)]
        no_pivot: bool,
        /// close TCP connections that were established
        #[argh(switch)]
        tcp_close: bool,
        /// security profile in place of the one before, as in apparmor:web
        #[argh(option, arg_name = "type:name")]
        lsm_profile: Option<String>,
        /// SELinux context of mounts in place of the one before
        #[argh(option, arg_name = "context")]
        lsm_mount_context: Option<String>,
    }
}

impl Restore {
    /// Runs the verb; in the foreground its result is the process's own.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        if self.no_pivot {
            return Err(Error::new(
                "--no-pivot is not possible: criu changes the root by pivot_root(2)",
            ));
        }
        let program = criu::program::find()?;
        let options = Options {
            bundle: self.bundle.clone(),
            console_socket: self.console_socket.clone(),
            pid_file: self.pid_file.clone(),
            cgroups: global.cgroups,
            ..Options::default()
        };
        let shared = self.shared();
        let prepared = prepare(global, &self.id, &options)?;
        let mut request = shared.message(&prepared.config.annotations)?;
        let images = Images::of_restore(shared.images, shared.work)?;
        request.switch(option::TCP_CLOSE, self.tcp_close);
        if let Some(profile) = &self.lsm_profile {
            request.text(option::LSM_PROFILE, profile.as_bytes());
        }
        if let Some(context) = &self.lsm_mount_context {
            request.text(option::LSM_MOUNT_CONTEXT, context.as_bytes());
        }
        global.log.warn(&prepared.plan.warnings);
        let (foreground, console) = attend(&prepared.config, &options, self.detach)?;
        // The terminal that vial itself serves.
        let is_served = matches!(console, Console::Socket(_));
        let restored = prepared.restore(
            global,
            &options,
            console,
            foreground.as_ref(),
            criu::Restore { program, images, options: request },
        )?;
        let (container, proxy) = restored;
        let Some(mut foreground) = foreground else { return Ok(0) };
        if is_served {
            foreground.take_terminal()?;
        }
        end_with(container, foreground, proxy.as_ref(), false, global)
    }
}
