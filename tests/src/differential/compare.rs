//! The differences between what was seen under vial and under another runtime.

use super::normal::{END, Seen};

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    /// The field.
    pub(super) field: String,
    /// Its value under vial; empty if there is none.
    pub(super) ours: String,
    /// Its value under the other runtime.
    pub(super) theirs: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        write!(f, "{}: {} | {}", self.field, show(&self.ours), show(&self.theirs))
    }
}

/// All fields that differ. Two refusals are equal, whatever the messages say. A refusal
/// differs from a container that ran in this alone.
pub(super) fn differences(ours: &Seen, theirs: &Seen) -> Vec<Difference> {
    let value = |seen: &Seen, field: &str| seen.fields.get(field).cloned().unwrap_or_default();
    let refusals = (ours.is_refused(), theirs.is_refused());
    let mut fields: Vec<&String> = ours.fields.keys().chain(theirs.fields.keys()).collect();
    fields.sort();
    fields.dedup();
    let of_end = |field: &&String| match refusals {
        (true, true) => field.starts_with("left"),
        (false, false) => true,
        _ => field.as_str() == END,
    };
    let all = fields.into_iter().filter(of_end).map(|field| Difference {
        field: field.clone(),
        ours: value(ours, field),
        theirs: value(theirs, field),
    });
    all.filter(|difference| difference.ours != difference.theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(fields: &[(&str, &str)]) -> Seen {
        let mut seen = Seen::default();
        fields.iter().for_each(|(field, value)| seen.add(&[field], (*value).to_owned()));
        seen
    }

    #[test]
    fn a_field_that_one_lacks_is_a_difference() {
        let (one, other) = (seen(&[("a", "1"), ("b", "2")]), seen(&[("a", "1"), ("c", "3")]));
        let fields: Vec<String> =
            differences(&one, &other).iter().map(ToString::to_string).collect();
        assert_eq!(fields, ["b: 2 | -", "c: - | 3"]);
        assert_eq!(differences(&one, &one), []);
    }

    #[test]
    fn refusals_are_equal_and_differ_from_a_container() {
        let (one, other) = (Seen::refused("no"), Seen::refused("never"));
        assert_eq!(differences(&one, &other), []);
        let ran = seen(&[("end", "exit status: 0"), ("a", "1")]);
        let fields: Vec<String> = differences(&one, &ran).into_iter().map(|d| d.field).collect();
        assert_eq!(fields, ["end"]);
    }
}
