//! Writes ranges as a BPF program.
//!
//! BPF jumps only forward. The program is written from its end, so that the target
//! of a jump exists already and its distance is known.

use super::Error;
use super::args::{Condition, Test};
use super::decision::{BAD_ARCH, Decision, Range, Space};
use linux_raw_sys::ptrace::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET,
    BPF_W,
};

/// One `struct sock_filter` (linux/filter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The operation, BPF_*.
    pub code: u16,
    /// How many instructions a jump skips if its test holds.
    pub jt: u8,
    /// How many it skips if not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

impl Instruction {
    /// The instruction in these bytes, as the kernel reads it.
    pub(super) fn from_bytes([a, b, jt, jf, w, x, y, z]: [u8; 8]) -> Instruction {
        let (code, k) = (u16::from_ne_bytes([a, b]), u32::from_ne_bytes([w, x, y, z]));
        Instruction { code, jt, jf, k }
    }

    /// Whether it ends the program with this action.
    pub(super) fn returns(self, action: u32) -> bool {
        (self.code, self.k) == (RETURN, action)
    }

    /// The instruction as the kernel reads it, in this machine's byte order.
    pub fn to_bytes(self) -> [u8; 8] {
        let [a, b] = self.code.to_ne_bytes();
        let [w, x, y, z] = self.k.to_ne_bytes();
        [a, b, self.jt, self.jf, w, x, y, z]
    }
}

/// The kernel's limit on instructions (BPF_MAXINSNS).
pub(super) const MAX_LEN: usize = 4096;

/// A conditional jump reaches 255 instructions. Stay a little below, since both
/// jumps of an instruction may need a long jump next to it.
const REACH: usize = 250;

/// Within this distance a return is shared. Beyond it, a copy is made: it takes one
/// instruction, as a jump would.
const SHARED: usize = 200;

const LOAD: u16 = (BPF_LD | BPF_W | BPF_ABS) as u16;
const AND: u16 = (BPF_ALU | BPF_AND | BPF_K) as u16;
const JUMP: u16 = (BPF_JMP | BPF_JA) as u16;
const JUMP_EQUAL: u16 = (BPF_JMP | BPF_JEQ | BPF_K) as u16;
const JUMP_GREATER: u16 = (BPF_JMP | BPF_JGT | BPF_K) as u16;
const JUMP_GREATER_OR_EQUAL: u16 = (BPF_JMP | BPF_JGE | BPF_K) as u16;
const RETURN: u16 = (BPF_RET | BPF_K) as u16;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// The program: it finds the space of the call's architecture, then the decision
/// for its number. The first space, the native one, is tested first.
pub(super) fn program(spaces: &[Space]) -> Result<Vec<Instruction>, Error> {
    let mut writer = Writer::default();
    let mut entries = Vec::new();
    for space in spaces.iter().rev() {
        let tree = writer.tree(&space.ranges);
        entries.push((space.audit, writer.load(NUMBER, tree)));
    }
    let mut next = writer.ret(BAD_ARCH);
    for (audit, entry) in entries {
        next = writer.branch(JUMP_EQUAL, audit, entry, next);
    }
    writer.load(ARCH, next);
    if writer.backward.len() > MAX_LEN {
        let len = writer.backward.len();
        let message =
            format!("the filter has {len} instructions, and the kernel takes at most {MAX_LEN}");
        return Err(Error::new(String::new(), message));
    }
    writer.backward.reverse();
    Ok(writer.backward)
}

/// An instruction that is already written, by its distance from the end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

#[derive(Default)]
struct Writer<'a> {
    backward: Vec<Instruction>,
    /// The last written return of each action.
    returns: Vec<(u32, Label)>,
    /// The code that was written for decisions with conditions.
    checks: Vec<(&'a Decision, Label)>,
}

impl<'a> Writer<'a> {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        let label = Label(self.backward.len());
        self.backward.push(Instruction { code, jt, jf, k });
        label
    }

    /// How many instructions the next one must skip to reach `to`.
    fn distance(&self, to: Label) -> usize {
        self.backward.len().saturating_sub(to.0 + 1)
    }

    /// An instruction within reach that leads to `to`: `to` itself, a copy if it is a
    /// return, or a jump.
    fn near(&mut self, to: Label) -> Label {
        if self.distance(to) <= REACH { to } else { self.adjacent(to) }
    }

    /// An instruction directly after the next one that leads to `to`.
    fn adjacent(&mut self, to: Label) -> Label {
        match (self.distance(to), self.backward.get(to.0)) {
            (0, _) => to,
            (_, Some(&Instruction { code: RETURN, k, .. })) => self.push(RETURN, 0, 0, k),
            // It fits 32 bits: the program would be refused for its length before.
            (distance, _) => self.push(JUMP, 0, 0, distance as u32),
        }
    }

    fn ret(&mut self, action: u32) -> Label {
        let known = self.returns.iter().position(|known| known.0 == action);
        if let Some((_, label)) = known.and_then(|known| self.returns.get(known))
            && self.distance(*label) <= SHARED
        {
            return *label;
        }
        let label = self.push(RETURN, 0, 0, action);
        match known.and_then(|known| self.returns.get_mut(known)) {
            Some(known) => known.1 = label,
            None => self.returns.push((action, label)),
        }
        label
    }

    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.adjacent(next);
        self.push(LOAD, 0, 0, offset)
    }

    fn and(&mut self, mask: u32, next: Label) -> Label {
        self.adjacent(next);
        self.push(AND, 0, 0, mask)
    }

    fn branch(&mut self, code: u16, k: u32, holds: Label, fails: Label) -> Label {
        if holds == fails {
            return holds;
        }
        let holds = self.near(holds);
        let fails = self.near(fails);
        // `near` has made sure that both fit.
        let jt = self.distance(holds) as u8;
        let jf = self.distance(fails) as u8;
        self.push(code, jt, jf, k)
    }

    /// Writes the search for the loaded number among `ranges`.
    fn tree(&mut self, ranges: &'a [Range]) -> Label {
        match ranges {
            [] => self.ret(BAD_ARCH),
            [range] => self.decision(&range.decision),
            // A single number between equal neighbours needs one comparison.
            [before, one, after]
                if before.decision == after.decision && one.first + 1 == after.first =>
            {
                let others = self.decision(&before.decision);
                let one_decision = self.decision(&one.decision);
                self.branch(JUMP_EQUAL, one.first, one_decision, others)
            }
            _ => {
                let (left, right) = ranges.split_at(middle(ranges));
                let first = right.first().map_or(0, |range| range.first);
                let right = self.tree(right);
                let left = self.tree(left);
                self.branch(JUMP_GREATER_OR_EQUAL, first, right, left)
            }
        }
    }

    fn decision(&mut self, decision: &'a Decision) -> Label {
        let (rules, default) = match decision {
            Decision::Always(action) => return self.ret(*action),
            Decision::First(rules, default) => (rules, *default),
        };
        if let Some((_, label)) = self.checks.iter().find(|(known, _)| *known == decision) {
            return *label;
        }
        let mut next = self.ret(default);
        let mut rest = rules.as_slice();
        while let Some(last) = rest.last() {
            if let [condition] = last.conditions.as_slice()
                && condition.is_plain_equal()
            {
                // If rules compare one argument with several values, as for
                // personality(2), load it once.
                let alike = rest
                    .iter()
                    .rev()
                    .take_while(|rule| {
                        matches!(rule.conditions.as_slice(), [other]
                        if other.is_plain_equal()
                            && other.index == condition.index
                            && high(other.value) == high(condition.value))
                    })
                    .count();
                let (before, values) = rest.split_at(rest.len() - alike);
                let mut low_half = next;
                for rule in values.iter().rev() {
                    let action = self.ret(rule.action);
                    let value = rule.conditions.first().map_or(0, |condition| condition.value);
                    low_half = self.branch(JUMP_EQUAL, low(value), action, low_half);
                }
                let loaded = self.load(low_offset(condition), low_half);
                next = if condition.wide {
                    let equal = self.branch(JUMP_EQUAL, high(condition.value), loaded, next);
                    self.load(high_offset(condition), equal)
                } else {
                    loaded
                };
                rest = before;
                continue;
            }
            let mut holds = self.ret(last.action);
            for condition in last.conditions.iter().rev() {
                holds = self.condition(condition, holds, next);
            }
            next = holds;
            rest = rest.get(..rest.len() - 1).unwrap_or_default();
        }
        self.checks.push((decision, next));
        next
    }

    fn condition(&mut self, condition: &Condition, holds: Label, fails: Label) -> Label {
        let (holds, fails) = if condition.negated { (fails, holds) } else { (holds, fails) };
        let (mask, value) = (condition.mask, condition.value);
        let code = match condition.test {
            Test::Equal => {
                let next = self.half(low_offset(condition), low(mask), low(value), holds, fails);
                return if condition.wide {
                    self.half(high_offset(condition), high(mask), high(value), next, fails)
                } else {
                    next
                };
            }
            Test::Greater => JUMP_GREATER,
            Test::GreaterOrEqual => JUMP_GREATER_OR_EQUAL,
        };
        let compared = self.branch(code, low(value), holds, fails);
        let next = self.load(low_offset(condition), compared);
        if !condition.wide {
            return next;
        }
        let equal = self.branch(JUMP_EQUAL, high(value), next, fails);
        let compared = self.branch(JUMP_GREATER, high(value), holds, equal);
        self.load(high_offset(condition), compared)
    }

    /// Writes the comparison of one half of an argument under a mask. Nothing, if the
    /// mask is empty.
    fn half(&mut self, offset: u32, mask: u32, value: u32, holds: Label, fails: Label) -> Label {
        if mask == 0 {
            return holds;
        }
        let mut next = self.branch(JUMP_EQUAL, value, holds, fails);
        if mask != u32::MAX {
            next = self.and(mask, next);
        }
        self.load(offset, next)
    }
}

/// Where to cut `ranges` into two parts of about the same weight.
fn middle(ranges: &[Range]) -> usize {
    let total: u64 = ranges.iter().map(|range| u64::from(range.weight)).sum();
    let mut before = 0;
    for (i, range) in ranges.iter().enumerate() {
        let weight = u64::from(range.weight);
        // Cut before or after the range that holds the middle, whichever is nearer.
        if 2 * before + weight >= total {
            return i.clamp(1, ranges.len() - 1);
        }
        before += weight;
    }
    ranges.len() / 2
}

fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

/// The offset of the low half of the argument. Every architecture here is
/// little-endian.
fn low_offset(condition: &Condition) -> u32 {
    ARGS + 8 * condition.index
}

fn high_offset(condition: &Condition) -> u32 {
    low_offset(condition) + 4
}
