//! How a leaf says that it failed: as data.

use rustix::io::{Errno, Result};
use vial_plan::Step;

/// What a leaf was doing, and the errno it met. The stage and the item of the
/// Plan are the interpreter's to add.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What it was doing.
    pub step: Step,
    /// What the kernel answered.
    pub errno: Errno,
}

impl Fault {
    /// The Plan asks for something that an earlier item should have prepared,
    /// or holds a number that means nothing: it was not made by vial.
    pub const PLAN: Fault = Fault { step: Step::DecodePlan, errno: Errno::INVAL };
}

/// Names the step that a result belongs to.
pub trait During<T> {
    /// An error becomes a [`Fault`] of this step.
    fn during(self, step: Step) -> core::result::Result<T, Fault>;
}

impl<T> During<T> for Result<T> {
    fn during(self, step: Step) -> core::result::Result<T, Fault> {
        self.map_err(|errno| Fault { step, errno })
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
