//! A filter that was compiled before: the annotation run.oci.seccomp_bpf_data, as crun
//! knows it. It is base64 of what seccomp(2) gets, in the machine's byte order. The
//! kernel checks the instructions.

use super::Instruction;
use super::emit::MAX_LEN;

/// Decodes the text. The error says what is wrong with it.
pub(super) fn program(text: &str) -> Result<Vec<Instruction>, String> {
    let bytes = base64(text.as_bytes()).ok_or("not base64")?;
    let (instructions, rest) = bytes.as_chunks::<8>();
    match instructions.len() {
        _ if !rest.is_empty() => {
            Err(format!("{} bytes are no list of instructions of 8 bytes", bytes.len()))
        }
        0 => Err("no instructions".into()),
        length if length > MAX_LEN => {
            Err(format!("{length} instructions, and the kernel takes at most {MAX_LEN}"))
        }
        _ => Ok(instructions.iter().copied().map(Instruction::from_bytes).collect()),
    }
}

/// Decodes base64 (RFC 4648, section 4), with or without padding. Spaces and line ends
/// between the letters are skipped, as base64(1) writes them.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
    let length = letters.iter().rposition(|c| *c != b'=').map_or(0, |last| last + 1);
    let (letters, padding) = letters.split_at(length);
    if padding.len() > 2 || !padding.is_empty() && (letters.len() + padding.len()) % 4 != 0 {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    // What is left holds no bit of another byte.
    (count < 6 && bits & ((1 << count) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_or_refused() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zg", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9v\nYmFy", b"foobar"),
            ("+/+/", b"\xfb\xff\xbf"),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes), "{text:?}");
        }
        for wrong in ["Z", "Zg=", "Zg===", "Zm9vY", "Zh==", "Z=g=", "Zm-_", "Zm9v====", "\u{e9}"] {
            assert_eq!(base64(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn program_has_whole_instructions() {
        let wrong = |text: &str| program(text).unwrap_err();
        assert_eq!(wrong("?"), "not base64");
        assert_eq!(wrong(""), "no instructions");
        assert_eq!(wrong("Zm9v"), "3 bytes are no list of instructions of 8 bytes");
        // 8 instructions are 64 bytes, 86 letters: 3 * 512 instructions are 16384 letters.
        let text = "A".repeat(16384);
        assert_eq!(program(&text).unwrap().len(), 1536);
        assert!(wrong(&text.repeat(3)).starts_with("4608 instructions"));
    }
}
