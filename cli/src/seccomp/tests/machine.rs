//! The kernel's side: an interpreter for the BPF that seccomp(2) accepts
//! (kernel/seccomp.c, seccomp_check_filter).

use crate::seccomp::Instruction;

/// `struct seccomp_data` without the instruction pointer, which no profile can
/// speak of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    pub(crate) number: u32,
    pub(crate) arch: u32,
    pub(crate) args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 if offset.is_multiple_of(4) => {
                let arg = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
            }
            _ => panic!("a load from {offset} of seccomp_data"),
        }
    }
}

/// What the program returns, and how many instructions it took.
pub(crate) fn run(program: &[Instruction], data: &Data) -> (u32, usize) {
    assert!(!program.is_empty() && program.len() <= 4096);
    let mut accumulator = 0;
    let mut at = 0;
    let mut executed = 0;
    loop {
        let &Instruction { code, jt, jf, k } = program.get(at).expect("a jump out of the program");
        executed += 1;
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = data.word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            0x06 => return (k, executed),
            _ => panic!("instruction {code:#x}"),
        }
    }
}
