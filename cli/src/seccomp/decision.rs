//! Sorts the rules of a profile into ranges of numbers with the same decision.

use super::arch::Arch;
use super::args::{Condition, Test};
use super::table::{ARM_PRIVATE, X32_BIT};
use super::{Profile, Rule, action};

/// The decisions for all 32-bit numbers of one AUDIT_ARCH_* value. x86_64 and x32
/// share one value.
pub(super) struct Space {
    pub(super) audit: u32,
    /// Sorted; the first starts at 0, and no two neighbours have the same decision.
    pub(super) ranges: Vec<Range>,
}

/// The numbers from `first` up to the next range.
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) decision: Decision,
    /// The weight of the range when the search tree is balanced.
    pub(super) weight: u32,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// This action, whatever the arguments.
    Always(u32),
    /// The action of the first rule that matches, or the default.
    First(Vec<Rule>, u32),
}

/// The action for a call of an architecture that is not in the filter: libseccomp's
/// default for SCMP_FLTATR_ACT_BADARCH, which runc and crun keep.
pub(super) const BAD_ARCH: u32 = action::KILL_THREAD;

/// The number that a tracer sets to skip a call. libseccomp does not count it as a
/// call of another architecture, although it has the bit of x32.
const SKIPPED: u32 = u32::MAX;

/// The number spaces of `archs`, in their order.
pub(super) fn spaces(profile: &Profile, archs: &[Arch]) -> Vec<Space> {
    let mut spaces: Vec<Space> = Vec::new();
    for arch in archs {
        if spaces.iter().any(|space| space.audit == arch.audit()) {
            continue;
        }
        let mut ranges = Ranges(Vec::new());
        if arch.audit() == Arch::X86_64.audit() {
            if archs.contains(&Arch::X86_64) {
                ranges.add(profile, Arch::X86_64, X32_BIT - 1);
            } else {
                ranges.push(0, Decision::Always(BAD_ARCH));
            }
            if archs.contains(&Arch::X32) {
                ranges.add(profile, Arch::X32, u32::MAX);
            } else {
                ranges.push(X32_BIT, Decision::Always(BAD_ARCH));
                ranges.push(SKIPPED, Decision::Always(profile.default));
            }
        } else {
            ranges.add(profile, *arch, u32::MAX);
        }
        ranges.weigh();
        spaces.push(Space { audit: arch.audit(), ranges: ranges.0 });
    }
    spaces
}

/// Whether a call of the native architecture may be made, whatever its arguments.
pub(super) fn may_allow(spaces: &[Space], native: Arch, number: u32) -> bool {
    let bit = if native == Arch::X32 { X32_BIT } else { 0 };
    let space = spaces.iter().find(|space| space.audit == native.audit());
    let ranges = space.map_or(&[][..], |space| &space.ranges);
    let range = ranges.iter().rfind(|range| range.first <= number | bit);
    range.is_some_and(|range| match &range.decision {
        Decision::Always(action) => action::may_allow(*action),
        Decision::First(rules, default) => {
            rules.iter().map(|rule| rule.action).chain([*default]).all(action::may_allow)
        }
    })
}

struct Ranges(Vec<Range>);

impl Ranges {
    /// Adds the decision from `first` on. Adds no range if it is that of the last one.
    fn push(&mut self, first: u32, decision: Decision) {
        if self.0.last().is_none_or(|last| last.decision != decision) {
            self.0.push(Range { first, decision, weight: 1 });
        }
    }

    /// Adds the numbers of `arch`, which end with `last`.
    fn add(&mut self, profile: &Profile, arch: Arch, last: u32) {
        let calls = numbered(profile, arch);
        let unnamed = Unnamed::new(profile, arch, &calls, last);
        let mut next = Some(unnamed.first);
        for group in calls.chunk_by(|a, b| a.number == b.number) {
            let (Some(call), Some(start)) = (group.first(), next) else {
                break;
            };
            let Some(decision) = decide(profile, arch, group) else {
                continue;
            };
            unnamed.fill(start, call.number, self);
            self.push(call.number, decision);
            next = call.number.checked_add(1);
        }
        if let Some(start) = next {
            unnamed.fill(start, last, self);
        }
    }

    /// Sets the weights: calls are more often in long ranges than in short ones, and
    /// hardly any program uses x32.
    fn weigh(&mut self) {
        let mut end = u32::MAX;
        for range in self.0.iter_mut().rev() {
            let len = (end - range.first).clamp(1, 32);
            range.weight = if range.first < X32_BIT { 16 * len } else { len };
            end = range.first;
        }
    }
}

/// A rule's call with its number on one architecture.
#[derive(Clone, Copy)]
struct Numbered {
    number: u32,
    rule: u32,
    /// For a call inside socketcall(2) or ipc(2): its number there.
    multiplexed: Option<u32>,
}

/// The calls of the profile that `arch` has, sorted by number and, for one
/// number, in the order of the profile.
fn numbered(profile: &Profile, arch: Arch) -> Vec<Numbered> {
    let mut calls: Vec<Numbered> = Vec::with_capacity(profile.calls.len());
    for &(call, rule) in &profile.calls {
        if let Some(number) = call.number(arch) {
            calls.push(Numbered { number, rule, multiplexed: None });
        }
        if arch == Arch::X86
            && let Some((number, which)) = call.multiplexed()
        {
            calls.push(Numbered { number, rule, multiplexed: Some(which) });
        }
    }
    sorted(calls, if arch == Arch::X32 { X32_BIT } else { 0 })
}

/// Sorts by number and keeps the order of equal ones. A counting sort: all numbers
/// but those of arm's private calls are close to `base`.
fn sorted(calls: Vec<Numbered>, base: u32) -> Vec<Numbered> {
    const SMALL: usize = 1024;
    let mut places = [0_u32; SMALL + 1];
    // One bucket for all great numbers, after the small ones.
    let bucket = |call: &Numbered| ((call.number - base) as usize).min(SMALL);
    for call in &calls {
        places[bucket(call)] += 1;
    }
    let mut start = 0;
    for place in &mut places {
        start += std::mem::replace(place, start);
    }
    let mut sorted = calls.clone();
    for call in &calls {
        let place = &mut places[bucket(call)];
        sorted[*place as usize] = *call;
        *place += 1;
    }
    // Sort the great numbers, which are few.
    let great = places[SMALL - 1] as usize;
    sorted[great..].sort_by_key(|call| call.number);
    sorted
}

/// The actions for numbers that the profile does not name.
struct Unnamed {
    first: u32,
    /// The first number of each action, sorted.
    actions: [(u32, u32); 4],
}

impl Unnamed {
    fn new(profile: &Profile, arch: Arch, calls: &[Numbered], last: u32) -> Unnamed {
        let first = if arch == Arch::X32 { X32_BIT } else { 0 };
        // Numbers that are not assigned in order: they do not tell how new the profile
        // is, and no new call gets one.
        let (reserved, resumed) = match arch {
            Arch::Arm => (ARM_PRIVATE, ARM_PRIVATE + 7),
            Arch::X32 => (X32_BIT + 512, X32_BIT + 548),
            _ => (last, last),
        };
        let newest = calls
            .iter()
            .map(|call| call.number)
            .filter(|number| !(reserved..resumed).contains(number))
            .max();
        let default = profile.default;
        let actions = match newest {
            Some(newest) if action::denies(default) => {
                let new = newest.saturating_add(1);
                let beyond = action::NO_SUCH_CALL;
                if resumed < last && new <= reserved {
                    [(first, default), (new, beyond), (reserved, default), (resumed, beyond)]
                } else {
                    [(first, default), (new, beyond), (last, beyond), (last, beyond)]
                }
            }
            // As in runc: a profile that names no call of this architecture does not
            // tell how new it is.
            _ => [(first, default); 4],
        };
        Unnamed { first, actions }
    }

    /// Adds the actions for the numbers from `start` up to `end`. May add one for `end`
    /// too, which the caller replaces or does not need.
    fn fill(&self, start: u32, end: u32, ranges: &mut Ranges) {
        if start >= end {
            return;
        }
        for (i, &(first, action)) in self.actions.iter().enumerate() {
            let next = self.actions.get(i + 1).map_or(u32::MAX, |next| next.0);
            if first < end && next > start && next > first {
                ranges.push(first.max(start), Decision::Always(action));
            }
        }
    }
}

/// The decision of the rules for one number. None if all of them were skipped.
fn decide(profile: &Profile, arch: Arch, group: &[Numbered]) -> Option<Decision> {
    let mut rules: Vec<Rule> = Vec::new();
    for call in group {
        let rule = profile.rules.get(call.rule as usize)?;
        if rule.action == profile.default {
            continue;
        }
        // The quick path: most rules have no conditions.
        if rule.conditions.is_empty() && call.multiplexed.is_none() {
            return Some(Decision::Always(rule.action));
        }
        let conditions = conditions(rule, arch, call.multiplexed);
        if conditions.is_empty() {
            return Some(Decision::Always(rule.action));
        }
        add_rule(&mut rules, Rule { action: rule.action, conditions });
    }
    (!rules.is_empty()).then_some(Decision::First(rules, profile.default))
}

/// The conditions of a rule on `arch`.
fn conditions(rule: &Rule, arch: Arch, multiplexed: Option<u32>) -> Vec<Condition> {
    let which = multiplexed.map(|which| Condition {
        index: 0,
        test: Test::Equal,
        negated: false,
        mask: u64::MAX,
        value: which.into(),
        wide: true,
    });
    let others =
        rule.conditions.iter().copied().filter(|condition| which.is_none() || condition.index != 0);
    which
        .into_iter()
        .chain(others)
        .map(|condition| if arch.is_64_bit() { condition } else { condition.narrowed() })
        .filter(|condition| !condition.always_holds())
        .collect()
}

/// Adds a rule, unless there is a wider one. Removes narrower ones.
fn add_rule(rules: &mut Vec<Rule>, rule: Rule) {
    fn is_wider(a: &Rule, b: &Rule) -> bool {
        a.conditions.iter().all(|condition| b.conditions.contains(condition))
    }
    if !rules.iter().any(|other| is_wider(other, &rule)) {
        rules.retain(|other| !is_wider(&rule, other));
        rules.push(rule);
    }
}
