//! A member whose value is null counts as one that is not there, as it does to
//! the Go programs that write most config.json files: a nil list is null to
//! them. Such members are blanked out, so that lines and columns stay.

use std::borrow::Cow;

/// The text without members that are null. What is no JSON stays as it is.
pub(super) fn blanked(json: &str) -> Cow<'_, str> {
    let text = json.as_bytes();
    let mut result = text.to_vec();
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'{' | b'[' => frames.push(Frame::default()),
            b'}' | b']' => {
                frames.pop();
            }
            b',' => {
                if let Some(frame) = frames.last_mut() {
                    *frame = Frame { comma: Some(at), key: None };
                }
            }
            b'"' => {
                let end = end_of_string(text, at);
                let key = next(text, end) == Some(b':');
                if let Some(frame) = frames.last_mut().filter(|_| key) {
                    frame.key = Some(at);
                }
                at = end;
                continue;
            }
            b'n' if text.get(at..at + 4) == Some(b"null") => {
                at = match frames.last_mut() {
                    Some(frame) => blank(&mut result, text, frame, at + 4),
                    None => at + 4,
                };
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    // Whole members were blanked, and so whole characters: it is UTF-8 still.
    String::from_utf8(result).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// An object or list: where its last comma and its present key are.
#[derive(Default)]
struct Frame {
    comma: Option<usize>,
    key: Option<usize>,
}

/// Blanks the member that ends here, with the comma behind it, or else the one
/// before it. An element of a list has no key, and stays. Returns where to read
/// on: behind that comma, so that it is not taken for the last.
fn blank(result: &mut [u8], text: &[u8], frame: &mut Frame, end: usize) -> usize {
    let Some(start) = frame.key.take() else { return end };
    if let Some(member) = result.get_mut(start..end) {
        member.fill(b' ');
    }
    let behind = (end..text.len()).find(|at| !text[*at].is_ascii_whitespace());
    let behind = behind.filter(|at| text[*at] == b',');
    if let Some(place) = behind.or(frame.comma).and_then(|comma| result.get_mut(comma)) {
        *place = b' ';
    }
    behind.map_or(end, |comma| comma + 1)
}

/// Where a string that starts with its quote ends, behind its other quote.
pub(super) fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn next(text: &[u8], from: usize) -> Option<u8> {
    text.get(from..)?.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::blanked;

    fn check(text: &str, expected: &str) {
        let result = blanked(text);
        let compact: String = result.chars().filter(|c| !c.is_whitespace()).collect();
        assert_eq!(compact, expected, "{text}");
        assert_eq!(result.len(), text.len());
    }

    #[test]
    fn a_null_member_is_not_there() {
        check(r#"{"a": null}"#, "{}");
        check(r#"{"a": null, "b": 1}"#, r#"{"b":1}"#);
        check(r#"{"a": 1, "b": null}"#, r#"{"a":1}"#);
        check(r#"{"a": 1, "b": null, "c": null}"#, r#"{"a":1}"#);
        check(r#"{"a": null, "b": null, "c": 2, "d": null}"#, r#"{"c":2}"#);
        check(r#"{"a": {"b": null}, "c": [{"d": null , "e": 1}]}"#, r#"{"a":{},"c":[{"e":1}]}"#);
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        check(r#"{"null": "null", "a": "x\": null"}"#, r#"{"null":"null","a":"x\":null"}"#);
        check("[null, 1]", "[null,1]");
    }
}
