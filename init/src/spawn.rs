//! Host programs that vial-init runs.

use core::ffi::CStr;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use vial_plan::{Call, Step, Strings};

use crate::Life;
use crate::fault::{During, Fault, Prepared};
use crate::path::PathBuffer;
use crate::sys::clone3::{Side, clone3};
use crate::sys::execve::{Vector, execve};
use crate::sys::exit;

/// Runs newuidmap or newgidmap: PROGRAM PID MAP.., where MAP is a list of triples.
pub fn map_helper(
    program: &'static CStr,
    child: u32,
    map: Strings<'static>,
    life: &mut Life,
) -> Result<(), Fault> {
    match clone3(0, None).during(Call::Clone3, Step::StartMapHelper)? {
        Side::Child { .. } => {
            let (args, env) = core::mem::take(&mut life.memory.pointers)
                .split_at_mut_checked(map.len().saturating_add(3))
                .unwrap_or_default();
            let (mut args, env) = (Vector::new(args), Vector::new(env));
            let mut text: PathBuffer<16> = PathBuffer::empty();
            let built = text.push_number(child).is_ok()
                && args.push(program).is_some()
                && life.memory.keep(text.as_bytes()).and_then(|pid| args.push(pid)).is_some()
                && map.iter().all(|number| args.push(number).is_some());
            if built {
                let _ = execve(program, &args, &env); // The exit status reports the failure.
            }
            exit::exit(127)
        }
        Side::Parent { child } => {
            let pid = Pid::from_raw(child.cast_signed()).prepared()?;
            let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED)
                .during(Call::Waitid, Step::MapHelper)?;
            match status.and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                Some(127) => Err(Fault::new(Call::Execve, Step::StartMapHelper, Errno::NOENT)),
                // Not an errno, but the exit status; 0 if a signal ended the program.
                status => {
                    let status = Errno::from_raw_os_error(status.unwrap_or_default());
                    Err(Fault::new(Call::None, Step::MapHelper, status))
                }
            }
        }
    }
}
