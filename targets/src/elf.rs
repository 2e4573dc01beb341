//! Reads from an ELF file what must be known before it ships: its machine, and that it
//! needs no dynamic loader.

/// The kind of machine that an executable is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// 32 or 64.
    pub bits: u8,
    /// `EM_*` of elf.h.
    pub machine: u16,
}

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

/// Checks that a little-endian executable is for that machine and static.
///
/// # Errors
/// How the file differs.
pub fn check_static(file: &[u8], wanted: Identity) -> Result<(), &'static str> {
    let found = identity(file).ok_or("it is not a little-endian ELF file")?;
    if found != wanted {
        return Err("it is for another machine");
    }
    for kind in program_headers(file, found.bits).ok_or("its program headers are cut short")? {
        match kind {
            PT_INTERP => return Err("it needs a dynamic loader (PT_INTERP)"),
            PT_DYNAMIC => return Err("it is not fully static (PT_DYNAMIC)"),
            _ => {}
        }
    }
    Ok(())
}

/// The machine that the file is for. None if it is not a little-endian ELF file.
#[must_use]
pub fn identity(file: &[u8]) -> Option<Identity> {
    let bits = match file.get(..6)? {
        [0x7f, b'E', b'L', b'F', 1, 1] => 32,
        [0x7f, b'E', b'L', b'F', 2, 1] => 64,
        _ => return None,
    };
    Some(Identity { bits, machine: u16::try_from(number(file, 18, 2)?).ok()? })
}

/// The type of each program header.
fn program_headers(file: &[u8], bits: u8) -> Option<Vec<u32>> {
    let (start, size, count) = match bits {
        32 => (number(file, 28, 4)?, number(file, 42, 2)?, number(file, 44, 2)?),
        _ => (number(file, 32, 8)?, number(file, 54, 2)?, number(file, 56, 2)?),
    };
    (0..count)
        .map(|index| {
            let offset = usize::try_from(start.checked_add(index * size)?).ok()?;
            u32::try_from(number(file, offset, 4)?).ok()
        })
        .collect()
}

fn number(file: &[u8], offset: usize, size: usize) -> Option<u64> {
    let bytes = file.get(offset..)?.get(..size)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: Identity = Identity { bits: 64, machine: 62 };

    /// A 64-bit file with one program header of that type.
    fn file(kind: u8) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        (file[18], file[32], file[54], file[56]) = (62, 64, 56, 1);
        file[64] = kind;
        file
    }

    #[test]
    fn a_file_without_a_loader_is_static() {
        assert_eq!(check_static(&file(1), X86_64), Ok(()));
    }

    #[test]
    fn a_loader_or_a_dynamic_section_is_refused() {
        assert!(check_static(&file(3), X86_64).is_err());
        assert!(check_static(&file(2), X86_64).is_err());
    }

    #[test]
    fn another_machine_and_a_cut_file_are_refused() {
        assert!(check_static(&file(1), Identity { bits: 64, machine: 183 }).is_err());
        assert!(check_static(&file(1)[..70], X86_64).is_ok());
        assert!(check_static(&file(1)[..65], X86_64).is_err());
        assert!(check_static(b"#!/bin/sh", X86_64).is_err());
    }
}
