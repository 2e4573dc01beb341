//! Conditions on arguments.

use super::Error;
use crate::config::seccomp::Arg;

/// A test of an argument. The other operators are these, negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// `argument & mask == value`
    Equal,
    /// `argument > value`
    Greater,
    /// `argument >= value`
    GreaterOrEqual,
}

/// The operators: name, test, whether it is negated.
pub(super) const OPERATORS: [(&str, Test, bool); 7] = [
    ("SCMP_CMP_EQ", Test::Equal, false),
    ("SCMP_CMP_GE", Test::GreaterOrEqual, false),
    ("SCMP_CMP_GT", Test::Greater, false),
    ("SCMP_CMP_LE", Test::Greater, true),
    ("SCMP_CMP_LT", Test::GreaterOrEqual, true),
    ("SCMP_CMP_MASKED_EQ", Test::Equal, false),
    ("SCMP_CMP_NE", Test::Equal, true),
];

/// One condition on one argument, of 64 bits or, after `narrowed`, of 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) index: u32,
    pub(super) test: Test,
    pub(super) negated: bool,
    pub(super) mask: u64,
    pub(super) value: u64,
    /// Whether the high half of the argument is compared.
    pub(super) wide: bool,
}

impl Condition {
    /// Reads the condition in `arg`, whose path below linux.seccomp is `path`.
    fn resolve(arg: &Arg, path: &dyn Fn(&str) -> String) -> Result<Condition, Error> {
        let Some((_, test, negated)) = OPERATORS.iter().find(|(known, ..)| *known == arg.op) else {
            return Err(Error::new(path("op"), format!("unknown operator {:?}", arg.op)));
        };
        let (test, negated) = (*test, *negated);
        if arg.index > 5 {
            return Err(Error::new(
                path("index"),
                format!("{} is above 5, the last argument of a system call", arg.index),
            ));
        }
        // Bits of the value outside the mask are ignored, as in libseccomp.
        let (mask, value) = match arg.op.as_str() {
            "SCMP_CMP_MASKED_EQ" => (arg.value, arg.value_two & arg.value),
            _ => (u64::MAX, arg.value),
        };
        Ok(Condition { index: arg.index, test, negated, mask, value, wide: true })
    }

    /// The same condition on the low half of the argument, for 32-bit architectures.
    /// The high half of the value is dropped, as in libseccomp.
    pub(super) fn narrowed(self) -> Condition {
        const LOW: u64 = 0xffff_ffff;
        Condition { mask: self.mask & LOW, value: self.value & LOW, wide: false, ..self }
    }

    /// Whether every argument matches, because the mask is empty.
    pub(super) fn always_holds(self) -> bool {
        self.mask == 0
    }

    /// Whether it compares all bits with one value.
    pub(super) fn is_plain_equal(self) -> bool {
        let all = if self.wide { u64::MAX } else { 0xffff_ffff };
        self.test == Test::Equal && !self.negated && self.mask == all
    }
}

/// The alternatives of a rule's `args`. Usually there is one, whose conditions must
/// all hold. If two conditions are on the same argument, each condition is an
/// alternative: runc has always read such rules so, and profiles use this to allow
/// one of several values.
pub(super) fn resolve(
    args: &[Arg],
    path: impl Fn(usize, &str) -> String,
) -> Result<Vec<Vec<Condition>>, Error> {
    let conditions = args
        .iter()
        .enumerate()
        .map(|(i, arg)| Condition::resolve(arg, &|field| path(i, field)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut seen = 0u8;
    let mut repeated = false;
    for condition in &conditions {
        repeated |= seen & (1 << condition.index) != 0;
        seen |= 1 << condition.index;
    }
    Ok(if repeated {
        conditions.into_iter().map(|condition| vec![condition]).collect()
    } else {
        vec![conditions]
    })
}
