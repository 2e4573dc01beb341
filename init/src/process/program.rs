//! The program: finds it in PATH, builds argv and envp, and executes it.

use core::ffi::CStr;

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;
use vial_plan::{Call, Step, Strings};

use crate::channel::Memory;
use crate::fault::{During, Fault, Prepared};
use crate::path::PathBuffer;
use crate::sys::execve::{Vector, execve};

/// Everything that execve needs.
#[derive(Debug)]
pub struct Program {
    path: &'static CStr,
    args: Vector,
    env: Vector,
}

impl Program {
    /// Finds the program as the container's user sees it, and builds the lists for
    /// execve. Searches PATH if its name has no slash.
    pub fn find(
        args: Strings<'static>,
        env: Strings<'static>,
        path: &CStr,
        memory: &mut Memory,
    ) -> Result<Program, Fault> {
        let name = args.iter().next().prepared()?;
        let path = match name.to_bytes().contains(&b'/') {
            true => executable(name).map(|()| name),
            false => search(name.to_bytes(), path.to_bytes(), memory),
        }?;
        let room = core::mem::take(&mut memory.pointers);
        let length = args.len().saturating_add(1);
        let (front, back) = room.split_at_mut_checked(length).prepared()?;
        let (mut arg_list, mut env_list) = (Vector::new(front), Vector::new(back));
        let step = Step::BuildArguments;
        for text in args.iter() {
            arg_list.push(text).ok_or(Fault::new(Call::None, step, Errno::INVAL))?;
        }
        for text in env.iter() {
            env_list.push(text).ok_or(Fault::new(Call::None, step, Errno::INVAL))?;
        }
        Ok(Program { path, args: arg_list, env: env_list })
    }

    /// Adds a variable. `entry` is None if there was no room to build it.
    pub fn add_variable(&mut self, entry: Option<&'static CStr>) -> Result<(), Fault> {
        let full = Fault::new(Call::None, Step::BuildArguments, Errno::INVAL);
        entry.and_then(|entry| self.env.push(entry)).ok_or(full)
    }

    /// Its environment.
    pub fn environment(&self) -> &Vector {
        &self.env
    }

    /// execve(2). Returns only if it failed.
    pub fn execute(&self) -> Fault {
        Fault::new(Call::Execve, Step::Execute, execve(self.path, &self.args, &self.env))
    }
}

#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
fn search(name: &[u8], path: &[u8], memory: &mut Memory) -> Result<&'static CStr, Fault> {
    let mut failure = Fault::new(Call::None, Step::FindProgram, Errno::NOENT);
    if name.is_empty() {
        return Err(failure);
    }
    for directory in path.split(|b| *b == b':') {
        let mut place: PathBuffer = PathBuffer::empty();
        let directory = if directory.is_empty() { b"." } else { directory };
        place
            .push(directory)
            .and_then(|place| place.push(b"/"))
            .and_then(|place| place.push(name))
            .during(Call::None, Step::FindProgram)?;
        match executable(place.as_c_str()) {
            Ok(()) => {
                let too_long = Fault::new(Call::None, Step::FindProgram, Errno::NAMETOOLONG);
                return memory.keep(place.as_bytes()).ok_or(too_long);
            }
            // It exists but may not be executed: reported if no other directory has it.
            Err(fault) if fault.errno() == Errno::ACCESS => failure = fault,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// Whether this user may execute the file. A directory is EISDIR.
fn executable(place: &CStr) -> Result<(), Fault> {
    let step = Step::FindProgram;
    let found = stat(place).during(Call::Stat, step)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Err(Fault::new(Call::Stat, step, Errno::ISDIR));
    }
    match accessat(CWD, place, Access::EXEC_OK, AtFlags::EACCESS) {
        // KERNEL(5.8): without faccessat2. Real and effective ids are equal.
        Err(Errno::NOSYS | Errno::PERM) => accessat(CWD, place, Access::EXEC_OK, AtFlags::empty()),
        result => result,
    }
    .during(Call::Faccessat, step)
}
