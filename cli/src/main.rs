//! vial: an OCI container runtime for embedded and edge Linux.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match vial::args::parse(arguments) {
        Ok(vial::args::Parsed::Run(run)) => {
            let log = run.log();
            match run.run() {
                Ok(code) => ExitCode::from(code),
                Err(error) => {
                    log.error(&error);
                    ExitCode::FAILURE
                }
            }
        }
        Ok(vial::args::Parsed::Print(text)) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err((log, error)) => {
            log.error(&error);
            ExitCode::FAILURE
        }
    }
}
