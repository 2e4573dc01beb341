//! start: lets the process of a created container execute its program.

use argh::{ArgsInfo, FromArgs};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::Signal;
use vial_plan::Reply;

use crate::container::Container;
use crate::container::status::Status;
use crate::error::Error;
use crate::file::write_all;
use crate::flags::Global;
use crate::launch::{await_reply, failure, listener};
use crate::sd_notify::Proxy;

/// start the process of a created container
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "start", help_triggers("-h", "--help"))]
#[argh(example = "vial start web")]
pub struct Start {
    /// the container's id
    #[argh(positional)]
    id: String,
}

impl Start {
    /// Runs the verb. Returns once execve(2) has succeeded, and if the container has a
    /// notify socket, once it has said that it is ready.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let container = Container::open(&global.root, &self.id)?;
        must_be_created(&container)?;
        let proxy = Proxy::open(container.dir())?;
        let channel = container
            .connect()
            .map_err(|errno| Error::errno("tell the process to start: connect(2)", errno))?;
        // The process waits for this byte: a connection alone only asks whether it waits.
        write_all(&channel, b"g")
            .map_err(|errno| Error::errno("tell the process to start: write(2)", errno))?;
        if container.record.awaits_agent {
            set_socket_timeout(&channel, Timeout::Recv, Some(listener::PATIENCE))
                .map_err(|errno| Error::errno("tell the process to start: setsockopt(2)", errno))?;
        }
        let reply = match await_reply(&channel) {
            Err(Errno::AGAIN) => {
                container.signal(Signal::KILL)?;
                return Err(listener::silent());
            }
            reply => reply.ok().flatten(),
        };
        container.dir().forget_socket();
        match reply {
            // EOF: execve closed the connection.
            None => match failure::silence(container.record.pid) {
                Some(error) => Err(error),
                None => {
                    container.poststart(&|| Ok(()), &global.log)?;
                    if let Some(proxy) = proxy {
                        proxy.await_ready(&container, &global.log)?;
                    }
                    Ok(0)
                }
            },
            Some(Reply::Failed(failed)) => Err(match container.dir().plan() {
                Ok(plan) => {
                    if failure::is_of_hook(&plan, &failed) {
                        // Only the hook's failure is told.
                        let _ = container.kill().and_then(|()| container.destroy(&global.log));
                    }
                    failure::words(&plan, &failed)
                }
                Err(error) => failure::without_plan(&failed, &error),
            }),
            Some(Reply::At { .. } | Reply::Started { .. }) => {
                Err(Error::new("vial-init replied twice"))
            }
        }
    }
}

/// Fails unless the container waits for start.
fn must_be_created(container: &Container) -> Result<(), Error> {
    match container.status()? {
        Status::Created if container.record.no_process => {
            let error = Error::new("cannot start a container without a process");
            Err(error.hint("config.json had no process when it was created"))
        }
        Status::Created => Ok(()),
        Status::Stopped => Err(Error::new("cannot start a container that has stopped")),
        Status::Creating => Err(Error::new("cannot start a container that is being created")),
        Status::Running | Status::Paused => {
            Err(Error::new("cannot start an already running container"))
        }
    }
}
