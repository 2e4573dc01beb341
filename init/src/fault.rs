//! How a leaf says that it failed: as data.

use core::num::NonZeroU32;

use rustix::io::{Errno, Result};
use vial_plan::Step;

/// What a leaf was doing, and the errno it met. The stage and the item of the
/// Plan are the interpreter's to add.
///
/// The step's code lies above the errno in one number that is never 0, so that a
/// `Result<(), Fault>` is one register: every leaf answers one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault(NonZeroU32);

impl Fault {
    /// The Plan asks for something that an earlier item should have prepared,
    /// or holds a number that means nothing: it was not made by vial.
    pub const PLAN: Fault = Fault::new(Step::DecodePlan, Errno::INVAL);

    /// A step that met this errno.
    pub const fn new(step: Step, errno: Errno) -> Fault {
        let errno = errno.raw_os_error().cast_unsigned() & 0xffff;
        match NonZeroU32::new((step as u32) << 16 | errno) {
            Some(both) => Fault(both),
            None => Fault(NonZeroU32::MIN), // No step has the code 0.
        }
    }

    /// What it was doing.
    pub fn step(self) -> Step {
        Step::from_code(self.0.get() >> 16).unwrap_or(Step::DecodePlan)
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
        f.debug_tuple("Fault").field(&self.step()).field(&self.errno()).finish()
    }
}

/// Names the step that a result belongs to.
pub trait During<T> {
    /// An error becomes a [`Fault`] of this step.
    fn during(self, step: Step) -> core::result::Result<T, Fault>;
}

impl<T> During<T> for Result<T> {
    fn during(self, step: Step) -> core::result::Result<T, Fault> {
        self.map_err(|errno| Fault::new(step, errno))
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
