//! HPACK (RFC 7541), the compression of HTTP/2's headers, for a peer that was told to
//! use no dynamic table. The headers that gRPC's trailers are about are in no static
//! table either, so their names and values are literals, mostly in Huffman's code.

/// The most that a number takes in the first byte of a string: 7 bits.
const STRING_PREFIX: u32 = 7;

/// A header's name and value.
pub(super) type Header = (String, String);

/// Appends a header as a literal that no table keeps. Both parts are shorter than 127
/// bytes.
pub(super) fn write(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for part in [name, value] {
        block.push(part.len() as u8);
        block.extend(part.as_bytes());
    }
}

/// The headers of a block whose names are literals.
///
/// # Errors
/// The block is malformed.
pub(super) fn read(mut block: &[u8]) -> Result<Vec<Header>, String> {
    let mut headers = Vec::new();
    while let Some(first) = block.first().copied() {
        // The first byte tells the kind of the entry. Its other bits begin the index of
        // the name in a table, or else the name follows.
        let (index, has_value) = match first {
            0x80.. => (number(&mut block, STRING_PREFIX)?, false),
            0x40.. => (number(&mut block, 6)?, true),
            0x20.. => {
                number(&mut block, 5)?; // The new size of the dynamic table.
                continue;
            }
            _ => (number(&mut block, 4)?, true),
        };
        let name = if has_value && index == 0 { Some(string(&mut block)?) } else { None };
        let value = if has_value { Some(string(&mut block)?) } else { None };
        headers.extend(name.zip(value));
    }
    Ok(headers)
}

/// A number whose first byte has this many bits for it (RFC 7541, 5.1).
fn number(block: &mut &[u8], bits: u32) -> Result<usize, String> {
    let mask = (1_usize << bits) - 1;
    let mut value = usize::from(byte(block)?) & mask;
    if value < mask {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let next = byte(block)?;
        value += usize::from(next & 0x7f) << shift;
        if next < 0x80 {
            return Ok(value);
        }
    }
    Err("HPACK: a number is too large".into())
}

fn string(block: &mut &[u8]) -> Result<String, String> {
    let is_huffman = block.first().is_some_and(|first| *first >= 0x80);
    let length = number(block, STRING_PREFIX)?;
    let (bytes, rest) = block.split_at_checked(length).ok_or(CUT_OFF)?;
    *block = rest;
    let bytes = if is_huffman { decode(bytes)? } else { bytes.to_vec() };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn byte(block: &mut &[u8]) -> Result<u8, String> {
    let (first, rest) = block.split_first().ok_or(CUT_OFF)?;
    *block = rest;
    Ok(*first)
}

const CUT_OFF: &str = "HPACK: the block is cut off";

/// Decodes Huffman's code. The code is canonical: codes of one length count up in the
/// order of their symbols, and longer codes go on from shorter ones. So the lengths tell
/// the codes.
fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::new();
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    'symbols: loop {
        // `code` is the bits so far, and `first` the first code of that length.
        let (mut code, mut first) = (0_u32, 0_u32);
        for length in 1..=30 {
            // The rest of the last byte is filled up with 1s.
            let Some(bit) = bits.next() else { return Ok(decoded) };
            (code, first) = (code << 1 | u32::from(bit), first << 1);
            let mut symbols = (0_u8..=255).filter(|symbol| LENGTHS[usize::from(*symbol)] == length);
            if let Some(symbol) = symbols.nth((code - first) as usize) {
                decoded.push(symbol);
                continue 'symbols;
            }
            first += LENGTHS.iter().filter(|other| **other == length).count() as u32;
        }
        return Err("HPACK: no such code".into());
    }
}

/// The length of each byte's code (RFC 7541, appendix B).
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of RFC 7541, C.4.1 and C.6.1.
    #[test]
    fn huffmans_code_is_decoded() {
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decode(&coded), Ok(b"www.example.com".to_vec()));
        let coded = [0xae, 0xc3, 0x77, 0x1a, 0x4b];
        assert_eq!(decode(&coded), Ok(b"private".to_vec()));
    }

    /// The codes fill the space of codes but for those that begin like the end's, which
    /// has 30 bits.
    #[test]
    fn lengths_are_those_of_a_whole_code() {
        let filled: u64 = LENGTHS.iter().map(|length| 1 << (30 - length)).sum();
        assert_eq!(filled + 1, 1 << 30);
    }

    #[test]
    fn literals_are_read_among_other_entries() {
        let mut block = vec![0x3f, 0x00, 0x88]; // A table of 31 bytes, and `:status: 200`.
        write(&mut block, "grpc-status", "4");
        block.extend([0x5f, 0x01, b'x']); // The static table's `content-type`.
        write(&mut block, "grpc-message", "a b");
        let wanted = [("grpc-status", "4"), ("grpc-message", "a b")];
        assert_eq!(read(&block), Ok(wanted.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec()));
    }
}
