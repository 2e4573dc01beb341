//! The table of intended differences. Each row is as narrow as its reason: a runtime,
//! its versions, the field, both values, and the documents that it is about.
//!
//! A row that matches nothing in a long run is out of date, and the run says so, but for
//! those about races.

use serde_json::Value;

use super::compare::Difference;
use super::glob::matches;
use super::runtime::Runtime;
use super::when::Condition;

/// Rows that differ in the runtime alone.
macro_rules! rows {
    ($( [$($runtime:literal),+] $field:literal : $ours:literal, $theirs:literal, $when:expr, $why:literal; )*) => {
        &[ $( $( Row {
            runtime: $runtime, field: $field, ours: $ours, theirs: $theirs, when: $when, why: $why,
        }, )+ )* ]
    };
}

mod extensions;
mod hooks;
mod races;
mod rare;
mod terminal;
mod usual;

/// A difference that is no fault of vial.
pub(super) struct Row {
    /// The other runtime, and the start of its version: "crun 1.8".
    runtime: &'static str,
    /// The field, where `*` stands for any text.
    field: &'static str,
    /// The value under vial.
    ours: &'static str,
    /// The value under the other runtime.
    theirs: &'static str,
    /// What else must be true of the document and of the two values.
    when: Condition,
    /// Why it is no fault of vial: the specification, a bug of the other, or an intention.
    why: &'static str,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { runtime, field, ours, theirs, why, .. } = self;
        write!(f, "{runtime}, {field}: {ours} | {theirs} ({why})")
    }
}

impl Row {
    /// Whether the row is about this runtime.
    pub(super) fn is_about(&self, runtime: &Runtime) -> bool {
        format!("{} {}", runtime.name, runtime.version).starts_with(self.runtime)
    }

    /// Whether a long run must have met it.
    pub(super) fn is_certain(&self) -> bool {
        !races::ROWS.iter().any(|race| std::ptr::eq(race, self))
    }

    fn explains(&self, difference: &Difference, runtime: &Runtime, config: &Value) -> bool {
        self.is_about(runtime)
            && matches(self.field, &difference.field)
            && matches(self.ours, &difference.ours)
            && matches(self.theirs, &difference.theirs)
            && (self.when)(config, difference)
    }
}

/// The number of the row that explains a difference.
pub(super) fn explanation(
    difference: &Difference,
    runtime: &Runtime,
    config: &Value,
) -> Option<usize> {
    rows().position(|row| row.explains(difference, runtime, config))
}

/// The whole table.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [usual::ROWS, hooks::ROWS, terminal::ROWS, extensions::ROWS, rare::ROWS, races::ROWS]
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn races_alone_need_not_be_met() {
        let uncertain = rows().filter(|row| !row.is_certain()).count();
        assert_eq!(uncertain, races::ROWS.len());
        assert!(uncertain > 0);
    }
}
