//! How a leaf says that it failed: as data.

use core::num::NonZeroU32;

use rustix::io::{Errno, Result};
use vial_plan::{Call, Step};

/// The call that failed, what it was for, and the errno it met. The stage and the
/// item of the Plan are the interpreter's to add.
///
/// Call and step lie above the errno in one number that is never 0, so that a
/// `Result<(), Fault>` is one register: every leaf answers one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault(NonZeroU32);

impl Fault {
    /// The Plan asks for something that an earlier item should have prepared,
    /// or holds a number that means nothing: it was not made by vial.
    pub const PLAN: Fault = Fault::new(Call::None, Step::DecodePlan, Errno::INVAL);

    /// A call that met this errno at this step.
    pub const fn new(call: Call, step: Step, errno: Errno) -> Fault {
        let errno = errno.raw_os_error().cast_unsigned() & 0xffff;
        match NonZeroU32::new((call as u32) << 24 | (step as u32) << 16 | errno) {
            Some(both) => Fault(both),
            None => Fault(NonZeroU32::MIN), // No errno is 0.
        }
    }

    /// The call.
    pub fn call(self) -> Call {
        let [.., call] = self.0.get().to_le_bytes();
        Call::from_number(call).unwrap_or(Call::None)
    }

    /// What it was for.
    pub fn step(self) -> Step {
        let [_, _, step, _] = self.0.get().to_le_bytes();
        Step::from_number(step).unwrap_or(Step::DecodePlan)
    }

    /// The same call and errno, of another step.
    pub const fn of(self, step: Step) -> Fault {
        match NonZeroU32::new(self.0.get() & 0xff00_ffff | (step as u32) << 16) {
            Some(all) => Fault(all),
            None => self,
        }
    }

    /// What the kernel answered.
    pub const fn errno(self) -> Errno {
        Errno::from_raw_os_error((self.0.get() & 0xffff).cast_signed())
    }

    /// Both as one number, for another process of vial-init.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// What such a number says: 0 is no fault.
    pub fn from_number(number: u32) -> Option<Fault> {
        NonZeroU32::new(number).map(Fault)
    }
}

impl core::fmt::Debug for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Fault({:#x}: {:?} {:?})", self.0, self.step(), self.errno())
    }
}

/// Names the call that a result is of, and what it was for.
pub trait During<T> {
    /// An error becomes a [`Fault`] of this call and step.
    fn during(self, call: Call, step: Step) -> core::result::Result<T, Fault>;
}

impl<T> During<T> for Result<T> {
    fn during(self, call: Call, step: Step) -> core::result::Result<T, Fault> {
        self.map_err(|errno| Fault::new(call, step, errno))
    }
}

/// Says what a leaf's work was for, where the leaf cannot know.
pub trait Of<T> {
    /// A [`Fault`] becomes one of this step.
    fn of(self, step: Step) -> core::result::Result<T, Fault>;
}

impl<T> Of<T> for core::result::Result<T, Fault> {
    fn of(self, step: Step) -> core::result::Result<T, Fault> {
        self.map_err(|fault| fault.of(step))
    }
}

/// What an earlier item should have prepared.
pub trait Prepared<T> {
    /// It, or the fault of a Plan that has no such item.
    fn prepared(self) -> core::result::Result<T, Fault>;
}

impl<T> Prepared<T> for Option<T> {
    fn prepared(self) -> core::result::Result<T, Fault> {
        self.ok_or(Fault::PLAN)
    }
}
