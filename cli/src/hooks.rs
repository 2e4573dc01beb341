//! The hooks that vial runs itself, in its own namespaces: prestart, createRuntime,
//! poststart and poststop. vial-init runs the others, as items of the Plan.

use std::ffi::CString;
use std::path::Path;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use vial_init::fault::{During, Fault};
use vial_init::procfs::Procfs;
use vial_init::spawn::{run, state, take_input};
use vial_init::sys::execve::{Vector, execve};
use vial_init::sys::signal::block_only;
use vial_plan::{Call, Step};

use crate::config::Config;
use crate::config::hooks::Hook;
use crate::debug;
use crate::error::Error;
use crate::file::c_path;
use crate::log::Log;
use crate::planner::state_for_hooks;
use crate::spawn::{cause, environment, list, texts};
use crate::words;

/// The container whose hooks are run.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its config.json.
    pub config: &'a Config,
    /// Its id.
    pub id: &'a str,
    /// Its bundle, which may be gone.
    pub bundle: &'a Path,
}

/// An error if vial should not wait for a hook any longer.
pub type Check<'a> = &'a dyn Fn() -> Result<(), Error>;

impl Subject<'_> {
    /// Runs the hooks between the making of the filesystem and the change of the root.
    pub fn before_pivot(&self, pid: u32, check: Check<'_>) -> Result<(), Error> {
        let hooks = &self.config.hooks;
        self.run("prestart", &hooks.prestart, ("creating", pid), check)?;
        self.run("createRuntime", &hooks.create_runtime, ("creating", pid), check)
    }

    /// Runs the hooks after the program was executed.
    pub fn poststart(&self, pid: u32, check: Check<'_>) -> Result<(), Error> {
        self.run("poststart", &self.config.hooks.poststart, ("running", pid), check)
    }

    /// Runs the hooks after the container was destroyed. Each failure is a warning
    /// (runtime.md, "Lifecycle").
    pub fn poststop(&self, log: &Log) {
        let state = self.state(("stopped", 0));
        for (index, hook) in self.config.hooks.poststop.iter().enumerate() {
            let field = format!("hooks.poststop[{index}]");
            if let Err(error) = self.run_one(hook, &field, &state, &|| Ok(())) {
                log.warn(&[error.to_string()]);
            }
        }
    }

    /// Runs hooks in order, until one fails.
    fn run(
        &self,
        point: &str,
        hooks: &[Hook],
        status: (&str, u32),
        check: Check<'_>,
    ) -> Result<(), Error> {
        let state = self.state(status);
        let mut hooks = hooks.iter().enumerate();
        hooks.try_for_each(|(index, hook)| {
            self.run_one(hook, &format!("hooks.{point}[{index}]"), &state, check)
        })
    }

    fn state(&self, (status, pid): (&str, u32)) -> [String; 3] {
        state_for_hooks(self.config, self.id, self.bundle, status, &pid.to_string())
    }

    fn run_one(
        &self,
        hook: &Hook,
        field: &str,
        state_parts: &[String; 3],
        check: Check<'_>,
    ) -> Result<(), Error> {
        let failed = |why: &str| {
            let what = words::hook(&hook.path);
            Error::new(format_args!("{what} (config.json {field}): {why}"))
        };
        let of = |fault: Fault| {
            let number = fault.errno().raw_os_error().unsigned_abs();
            failed(&cause(fault.call(), fault.step(), number, hook.seconds()))
        };
        let program = Program::of(hook, self.bundle)
            .map_err(|errno| of(Fault::new(Call::None, Step::StartProgram, errno)))?;
        let input = state(&state_parts.each_ref().map(|part| part.as_bytes())).map_err(of)?;
        let mut stopped = Ok(());
        let mut goes_on = || {
            stopped = check();
            stopped.is_ok()
        };
        let ended =
            run(&mut |pipe| Err(program.execute(&input, pipe)), hook.seconds(), &mut goes_on);
        debug::said(format_args!("ran {} ({field})", words::hook(&hook.path)));
        stopped?;
        ended.map_err(of)
    }
}

/// What a child needs to execute a hook.
struct Program {
    path: CString,
    args: Vector,
    env: Vector,
    directory: CString,
}

impl Program {
    fn of(hook: &Hook, bundle: &Path) -> Result<Program, Errno> {
        let bytes = |words: &[String]| {
            let words = words.iter().map(|word| word.as_bytes().to_vec());
            texts(words).map(list).map_err(|_| Errno::INVAL)
        };
        let env = match &hook.env {
            Some(env) => bytes(env)?,
            None => environment().map_err(|_| Errno::INVAL)?,
        };
        Ok(Program {
            path: c_path(Path::new(&hook.path))?,
            args: bytes(hook.arguments())?,
            env,
            directory: c_path(bundle)?,
        })
    }

    /// Becomes the hook. Returns only if that failed.
    fn execute(&self, input: &OwnedFd, pipe: BorrowedFd<'_>) -> Fault {
        let become_hook = || {
            // A signal that is blocked or ignored stays so across execve(2): vial blocks
            // those that it passes on, and Rust ignores SIGPIPE.
            block_only(0).during(Call::RtSigaction, Step::StartProgram)?;
            vial_init::signals::reset(&Procfs::open()?)?;
            // The bundle may be gone by now.
            rustix::process::chdir(&*self.directory)
                .or_else(|_| rustix::process::chdir(c"/"))
                .during(Call::Chdir, Step::StartProgram)?;
            take_input(input, pipe)
        };
        match become_hook() {
            Ok(()) => {
                let errno = execve(&self.path, &self.args, &self.env);
                Fault::new(Call::Execve, Step::StartProgram, errno)
            }
            Err(fault) => fault,
        }
    }
}
