//! Untrusted text for a terminal: one line, no escape sequences.

/// Escapes control characters (C0 and C1), line and paragraph separators, and the
/// marks of bidirectional text (CVE-2021-42574).
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                safe.extend(letter.escape_unicode());
            }
            letter if letter.is_control() => safe.extend(letter.escape_debug()),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn an_error_is_one_line() {
        assert_eq!(printable("a\nb\u{1b}[2Jc\0 \u{e9}"), "a\\nb\\u{1b}[2Jc\\0 \u{e9}");
        assert_eq!(
            printable("\u{9b}2J\u{2028}\u{202e}x\u{2069}"),
            "\\u{9b}2J\\u{2028}\\u{202e}x\\u{2069}"
        );
    }
}
