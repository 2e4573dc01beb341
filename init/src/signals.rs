//! Signal actions: an ignored signal stays ignored across execve(2).

use rustix::fs::OFlags;
use rustix::io::{Errno, read};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault, Of};
use crate::procfs::Procfs;
use crate::sys::signal::set_default;

/// Resets every signal that the caller ignores to its default action. A shell ignores
/// INT and QUIT in what it starts with `&`; nohup ignores HUP.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
pub fn reset(procfs: &Procfs) -> Result<(), Fault> {
    // Asking for each of 64 signals would take 64 calls.
    let mut left = ignored(procfs)?;
    while left != 0 {
        set_default(left.trailing_zeros().saturating_add(1))
            .during(Call::RtSigaction, Step::ResetSignal)?;
        left &= left.wrapping_sub(1);
    }
    Ok(())
}

/// Reads SigIgn of proc_pid_status(5), where bit n - 1 stands for signal n. Before it
/// comes the list of groups, which may have any length.
fn ignored(procfs: &Procfs) -> Result<u64, Fault> {
    const FIELD: &[u8] = b"SigIgn:\t";
    let file = procfs.open_file(c"self/status", OFlags::RDONLY).of(Step::ReadSignals)?;
    let mut buffer = [0; 2048];
    let (mut index, mut matches, mut signals) = (0_usize, true, 0_u64);
    loop {
        let count = read(&file, &mut buffer[..]).during(Call::Read, Step::ReadSignals)?;
        if count == 0 {
            return Err(Fault::new(Call::Read, Step::ReadSignals, Errno::INVAL));
        }
        for byte in buffer.iter().take(count) {
            match (*byte, FIELD.get(index)) {
                (b'\n', None) if matches => return Ok(signals),
                (b'\n', _) => (index, matches) = (0, true),
                (byte, Some(wanted)) => {
                    matches &= byte == *wanted;
                    index = index.saturating_add(1);
                }
                (digit, None) if matches => {
                    let value = match digit {
                        b'0'..=b'9' => digit.wrapping_sub(b'0'),
                        _ => digit.wrapping_sub(b'a').wrapping_add(10),
                    };
                    signals = (signals << 4) | u64::from(value);
                }
                _ => {}
            }
        }
    }
}
