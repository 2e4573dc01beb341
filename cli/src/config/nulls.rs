//! Treats a member whose value is null as missing. Go programs write most
//! config.json files, and write a nil list as null. The member is overwritten with
//! spaces, so that lines and columns stay right.

use std::borrow::Cow;

use super::tokens::{Token, Tokens};

/// Blanks the members that are null. Does not change a text that is not JSON.
pub(super) fn blanked(json: &str) -> Cow<'_, str> {
    let text = json.as_bytes();
    let mut result = text.to_vec();
    let mut frames: Vec<Frame> = Vec::new();
    let (mut string, mut blank_comma) = (0, None);
    for (token, place) in Tokens::new(text) {
        match (token, frames.last_mut()) {
            (Token::Object | Token::List, _) => frames.push(Frame::default()),
            (Token::End, _) => _ = frames.pop(),
            (Token::String, _) => string = place.start,
            (Token::Colon, Some(frame)) => frame.key = Some(string),
            // This comma was blanked, so it is not the one before the next member.
            (Token::Comma, _) if blank_comma == Some(place.start) => {}
            (Token::Comma, Some(frame)) => {
                *frame = Frame { comma: Some(place.start), key: None };
            }
            (Token::Null, Some(frame)) => blank_comma = blank(&mut result, text, frame, place.end),
            (_, None) => {}
        }
    }
    // Whole members were blanked, so the text is still UTF-8.
    String::from_utf8(result).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// An open object or list: the places of its last comma and its present key.
#[derive(Default)]
struct Frame {
    comma: Option<usize>,
    key: Option<usize>,
}

/// Blanks the member that ends here, with the comma after it, or else the comma
/// before it. Keeps elements of lists, which have no key. Returns the place of the
/// comma after it.
fn blank(result: &mut [u8], text: &[u8], frame: &mut Frame, end: usize) -> Option<usize> {
    let start = frame.key.take()?;
    if let Some(member) = result.get_mut(start..end) {
        member.fill(b' ');
    }
    let behind = (end..text.len()).find(|at| !text[*at].is_ascii_whitespace());
    let behind = behind.filter(|at| text[*at] == b',');
    if let Some(place) = behind.or(frame.comma).and_then(|comma| result.get_mut(comma)) {
        *place = b' ';
    }
    behind
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
