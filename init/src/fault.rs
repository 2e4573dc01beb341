//! Failures as data: how a function reports which call failed.

use core::num::NonZeroU32;

use rustix::io::{Errno, Result};
use vial_plan::{Call, Step};

/// The call that failed, the step that it was for, and its errno. `Life` adds the stage
/// and the item of the Plan.
///
/// The three are packed into one number that is never 0, so that a `Result<(), Fault>`,
/// which most functions return, fits into one register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault(NonZeroU32);

impl Fault {
    /// An item needs something that no earlier item prepared, or holds an unknown
    /// number: vial did not make this Plan.
    pub const PLAN: Fault = Fault::new(Call::None, Step::DecodePlan, Errno::INVAL);

    /// A failure of `call` at `step` with `errno`.
    pub const fn new(call: Call, step: Step, errno: Errno) -> Fault {
        let errno = errno.raw_os_error().cast_unsigned() & 0xffff;
        match NonZeroU32::new((call as u32) << 24 | (step as u32) << 16 | errno) {
            Some(both) => Fault(both),
            None => Fault(NonZeroU32::MIN), // No errno is 0.
        }
    }

    /// The call that failed.
    pub fn call(self) -> Call {
        let [.., call] = self.0.get().to_le_bytes();
        Call::from_number(call).unwrap_or(Call::None)
    }

    /// The step that the call was for.
    pub fn step(self) -> Step {
        let [_, _, step, _] = self.0.get().to_le_bytes();
        Step::from_number(step).unwrap_or(Step::DecodePlan)
    }

    /// The same call and errno, with another step.
    pub const fn of(self, step: Step) -> Fault {
        match NonZeroU32::new(self.0.get() & 0xff00_ffff | (step as u32) << 16) {
            Some(all) => Fault(all),
            None => self,
        }
    }

    /// The errno of the call.
    pub const fn errno(self) -> Errno {
        Errno::from_raw_os_error((self.0.get() & 0xffff).cast_signed())
    }

    /// The fault as one number, to send to another process of vial-init.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// Decodes such a number. 0 means no fault.
    pub fn from_number(number: u32) -> Option<Fault> {
        NonZeroU32::new(number).map(Fault)
    }
}

impl core::fmt::Debug for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Fault({:#x}: {:?} {:?})", self.0, self.step(), self.errno())
    }
}

/// Names the call that an errno came from, and its step.
pub trait During<T> {
    /// Turns an errno into a [`Fault`] of this call and step.
    fn during(self, call: Call, step: Step) -> core::result::Result<T, Fault>;
}

impl<T> During<T> for Result<T> {
    fn during(self, call: Call, step: Step) -> core::result::Result<T, Fault> {
        self.map_err(|errno| Fault::new(call, step, errno))
    }
}

/// Names the step, where the function that made the call cannot know it.
pub trait Of<T> {
    /// Replaces the step of a [`Fault`].
    fn of(self, step: Step) -> core::result::Result<T, Fault>;
}

impl<T> Of<T> for core::result::Result<T, Fault> {
    fn of(self, step: Step) -> core::result::Result<T, Fault> {
        self.map_err(|fault| fault.of(step))
    }
}

/// Something that an earlier item should have prepared.
pub trait Prepared<T> {
    /// The value, or [`Fault::PLAN`] if no item prepared it.
    fn prepared(self) -> core::result::Result<T, Fault>;
}

impl<T> Prepared<T> for Option<T> {
    fn prepared(self) -> core::result::Result<T, Fault> {
        self.ok_or(Fault::PLAN)
    }
}
