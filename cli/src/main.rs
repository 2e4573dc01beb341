//! vial: an OCI container runtime for embedded and edge Linux.

use std::process::ExitCode;

use rustix::process::Signal;

fn main() -> ExitCode {
    // If SIGCHLD is ignored, the kernel reaps children by itself and their exit
    // status is lost (wait(2)).
    let _ = vial_init::sys::signal::set_default(Signal::CHILD.as_raw().unsigned_abs()); // EINVAL is not possible.
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match vial::flags::parse(arguments) {
        Ok(vial::flags::Parsed::Run(run, id)) => {
            let log = run.log();
            match run.run(id.as_deref()) {
                Ok(code) => ExitCode::from(code),
                Err(error) => {
                    log.error(&error);
                    ExitCode::from(error.code())
                }
            }
        }
        Ok(vial::flags::Parsed::Print(text)) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err((log, error)) => {
            log.error(&error);
            ExitCode::FAILURE
        }
    }
}
