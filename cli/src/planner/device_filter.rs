//! linux.resources.devices: compiles the rules to an eBPF program. The kernel runs
//! it for each open(2) and mknod(2) of a device in the cgroup.

use linux_raw_sys::ptrace::{
    BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LDX, BPF_LSH, BPF_MEM, BPF_OR, BPF_RSH, BPF_W,
    BPF_X,
};

use super::wrong;
use crate::config::resources::DeviceRule;
use crate::error::Error;
use crate::host::sources::Device;

/// A checked rule. None matches anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) allow: bool,
    /// BPF_DEVCG_DEV_BLOCK or _CHAR.
    pub(super) kind: Option<i32>,
    pub(super) major: Option<i32>,
    pub(super) minor: Option<i32>,
    /// BPF_DEVCG_ACC_MKNOD, _READ and _WRITE, as bits.
    pub(super) access: i32,
}

pub(super) const BLOCK: i32 = 1;
pub(super) const CHAR: i32 = 2;
pub(super) const MKNOD: i32 = 1;
pub(super) const READ: i32 = 2;
pub(super) const WRITE: i32 = 4;
pub(super) const ALL: i32 = MKNOD | READ | WRITE;
/// The kernel's dev_t has 12 bits for the major and 20 bits for the minor number.
const MINOR_BITS: i32 = 20;

/// What every container may do: make nodes, which grants no access, and use the
/// default devices and terminals.
const DEFAULT: [(Option<i32>, Option<i32>, i32); 8] = [
    (Some(1), Some(3), ALL), // null
    (Some(1), Some(5), ALL), // zero
    (Some(1), Some(7), ALL), // full
    (Some(1), Some(8), ALL), // random
    (Some(1), Some(9), ALL), // urandom
    (Some(5), Some(0), ALL), // tty
    (Some(5), Some(2), ALL), // ptmx
    (Some(136), None, ALL),  // pts
];

/// The program, 8 bytes for each instruction. It denies what no rule allows. None:
/// everything is allowed, so no program is needed.
pub(super) fn filter(rules: &[DeviceRule]) -> Result<Option<Vec<u8>>, Error> {
    let mut decided = decided(rules)?;
    if allows_all(&decided) {
        return Ok(None);
    }
    add_default(&mut decided);
    Ok(Some(compile(&decided)))
}

fn allows_all(decided: &[Rule]) -> bool {
    decided.last().is_some_and(|rule| rule.allow && rule.is_terminal())
}

/// The rules, and after them those for what every container may do.
pub(super) fn rules(rules: &[DeviceRule]) -> Result<Vec<Rule>, Error> {
    let mut decided = decided(rules)?;
    if !allows_all(&decided) {
        add_default(&mut decided);
    }
    Ok(decided)
}

/// The access that the rules give to a device: `rw`, `r`, `w` or empty.
pub(super) fn access(rules: &[DeviceRule], device: Device) -> Result<&'static str, Error> {
    let mut decided = decided(rules)?;
    add_default(&mut decided);
    let kind = if device.is_block { BLOCK } else { CHAR };
    let covers = |rule: &Rule, access: i32| {
        let same = |wanted: Option<i32>, number: u32| {
            wanted.is_none_or(|wanted| i64::from(wanted) == i64::from(number))
        };
        rule.kind.is_none_or(|wanted| wanted == kind)
            && same(rule.major, device.major)
            && same(rule.minor, device.minor)
            && rule.access & access != 0
    };
    let may = |access| decided.iter().rfind(|rule| covers(rule, access)).is_some_and(|r| r.allow);
    Ok(match (may(READ), may(WRITE)) {
        (true, true) => "rw",
        (true, false) => "r",
        (false, true) => "w",
        (false, false) => "",
    })
}

fn decided(rules: &[DeviceRule]) -> Result<Vec<Rule>, Error> {
    let mut decided = Vec::with_capacity(rules.len() + DEFAULT.len() + 1);
    for (index, rule) in rules.iter().enumerate() {
        decided.push(decide(rule, &format!("linux.resources.devices[{index}]"))?);
    }
    Ok(decided)
}

fn add_default(decided: &mut Vec<Rule>) {
    let allow =
        |(major, minor, access)| Rule { allow: true, kind: Some(CHAR), major, minor, access };
    decided.push(Rule { allow: true, kind: None, major: None, minor: None, access: MKNOD });
    decided.extend(DEFAULT.map(allow));
}

fn decide(rule: &DeviceRule, field: &str) -> Result<Rule, Error> {
    let kind = match rule.kind.as_str() {
        "" | "a" => None,
        "b" => Some(BLOCK),
        "c" | "u" => Some(CHAR),
        other => {
            return Err(wrong(
                format_args!("{field}.type"),
                format_args!("\"{other}\" is none of a, b, c"),
            ));
        }
    };
    let mut access = 0;
    for letter in rule.access.chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            other => {
                return Err(wrong(
                    format_args!("{field}.access"),
                    format_args!("\"{other}\" is none of r, w, m"),
                ));
            }
        };
    }
    let number = |value: Option<i64>, name: &str| match value {
        None | Some(-1) => Ok(None),
        Some(value) => i32::try_from(value)
            .ok()
            .filter(|value| *value >= 0)
            .map(Some)
            .ok_or_else(|| wrong(format_args!("{field}.{name}"), "not a device number")),
    };
    let (major, minor) = (number(rule.major, "major")?, number(rule.minor, "minor")?);
    // An empty access means all, as in cgroup v1.
    let access = if access == 0 { ALL } else { access };
    Ok(Rule { allow: rule.allow, kind, major, minor, access })
}

impl Rule {
    /// The number in register 6, if the rule is for one device and any access. Below
    /// 2^31, since the kernel compares signed numbers.
    fn device(&self) -> Option<i32> {
        let (major, minor) = (self.major?, self.minor?);
        let whole = self.kind.is_some() && self.access == ALL;
        let small = (0..1 << 11).contains(&major) && (0..1 << MINOR_BITS).contains(&minor);
        (whole && small).then_some(major << MINOR_BITS | minor)
    }

    /// Whether it matches every request, so that no earlier rule matters.
    pub(super) fn is_terminal(&self) -> bool {
        (self.kind, self.major, self.minor, self.access) == (None, None, None, ALL)
    }
}

// Opcodes of eBPF: an operation, its class, and where its operand is.
const LOAD_WORD: u8 = (BPF_LDX | BPF_W | BPF_MEM) as u8;
const MOVE_REGISTER: u8 = (BPF_ALU | BPF_MOV | BPF_X) as u8;
const MOVE: u8 = (BPF_ALU | BPF_MOV | BPF_K) as u8;
const AND: u8 = (BPF_ALU | BPF_AND | BPF_K) as u8;
const SHIFT_RIGHT: u8 = (BPF_ALU | BPF_RSH | BPF_K) as u8;
const SHIFT_LEFT: u8 = (BPF_ALU | BPF_LSH | BPF_K) as u8;
const OR_REGISTER: u8 = (BPF_ALU | BPF_OR | BPF_X) as u8;
const JUMP_IF_NOT_EQUAL: u8 = (BPF_JMP | BPF_JNE | BPF_K) as u8;
const JUMP_IF_EQUAL: u8 = (BPF_JMP | BPF_JEQ | BPF_K) as u8;
const EXIT: u8 = (BPF_JMP | BPF_EXIT) as u8;

// Of linux/bpf.h; linux-raw-sys has those of classic BPF only.
const BPF_MOV: u32 = 0xb0;
const BPF_JNE: u32 = 0x50;
const BPF_EXIT: u32 = 0x90;

/// Registers: 0 the result, 1 the context, 2 the type, 3 the access, 4 the major
/// number, 5 the minor number, 6 both in one number, 7 scratch.
fn compile(rules: &[Rule]) -> Vec<u8> {
    let mut program = Program(Vec::new());
    program.add(LOAD_WORD, 2, 1, 0, 0); // access_type: the access in the upper half
    program.add(MOVE_REGISTER, 3, 2, 0, 0);
    program.add(AND, 2, 0, 0, 0xffff);
    program.add(SHIFT_RIGHT, 3, 0, 0, 16);
    program.add(LOAD_WORD, 4, 1, 4, 0);
    program.add(LOAD_WORD, 5, 1, 8, 0);
    program.add(MOVE_REGISTER, 6, 4, 0, 0);
    program.add(SHIFT_LEFT, 6, 0, 0, MINOR_BITS);
    program.add(OR_REGISTER, 6, 5, 0, 0);
    // Later rules win, so test the last one first. Neighbouring rules for single
    // devices with the same result become one group, which is less work for the
    // kernel's verifier.
    let alike = |a: &Rule, b: &Rule| {
        a.device().is_some() && b.device().is_some() && (a.kind, a.allow) == (b.kind, b.allow)
    };
    for rules in rules.chunk_by(alike).rev() {
        match rules {
            [rule] => program.rule(rule),
            rules => program.devices(rules),
        }
        if rules.iter().any(Rule::is_terminal) {
            return program.0;
        }
    }
    program.answer(false);
    program.0
}

struct Program(Vec<u8>);

impl Program {
    fn add(&mut self, opcode: u8, target: u8, source: u8, offset: i16, immediate: i32) {
        self.0.extend_from_slice(&[opcode, source << 4 | target]);
        self.0.extend_from_slice(&offset.to_ne_bytes());
        self.0.extend_from_slice(&immediate.to_ne_bytes());
    }

    fn answer(&mut self, allow: bool) {
        self.add(MOVE, 0, 0, 0, i32::from(allow));
        self.add(EXIT, 0, 0, 0, 0);
    }

    /// Adds rules for single devices of one type, with the same result.
    fn devices(&mut self, rules: &[Rule]) {
        let mut behind = rules.len() as i16 + 3;
        if let Some(kind) = rules.first().and_then(|rule| rule.kind) {
            behind -= 1;
            self.add(JUMP_IF_NOT_EQUAL, 2, 0, behind, kind);
        }
        for device in rules.iter().filter_map(Rule::device) {
            behind -= 1;
            match behind {
                2 => self.add(JUMP_IF_NOT_EQUAL, 6, 0, 2, device),
                _ => self.add(JUMP_IF_EQUAL, 6, 0, behind - 2, device),
            }
        }
        self.answer(rules.iter().any(|rule| rule.allow));
    }

    /// Adds one rule. Each test that fails jumps past the rule's result.
    fn rule(&mut self, rule: &Rule) {
        let numbers = [(2, rule.kind), (4, rule.major), (5, rule.minor)];
        let tests = numbers.iter().filter(|(_, wanted)| wanted.is_some()).count();
        let access = if rule.access == ALL { 0 } else { 3 };
        let mut behind = (tests + access + 2) as i16;
        for (register, wanted) in numbers {
            if let Some(wanted) = wanted {
                behind -= 1;
                self.add(JUMP_IF_NOT_EQUAL, register, 0, behind, wanted);
            }
        }
        if access != 0 {
            // To allow, the rule must cover all of the request; to deny, any part of it.
            let mask = if rule.allow { !rule.access } else { rule.access };
            let leave = if rule.allow { JUMP_IF_NOT_EQUAL } else { JUMP_IF_EQUAL };
            self.add(MOVE_REGISTER, 7, 3, 0, 0);
            self.add(AND, 7, 0, 0, mask & 0xffff);
            self.add(leave, 7, 0, 2, 0);
        }
        self.answer(rule.allow);
    }
}
