//! Finds the path of the field at a position in a JSON text.
//!
//! serde_json gives the line and column of a wrong value. Reading the text once more
//! up to there costs nothing if there is no error, and takes a hundredth of the code
//! that tracking the path while reading would.

use super::tokens::{Token, Tokens};

/// The path of the value that ends at a line and column, counted from 1, as in
/// `process.args[2]`. Empty at the top. With `of_list`, the path of a list that begins
/// there, or ends. The text up to there must be JSON.
pub(super) fn path_at(text: &[u8], line: usize, column: usize, of_list: bool) -> String {
    let starts = text.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let offset = starts.map(<[u8]>::len).sum::<usize>() + column;
    let text = text.get(..offset).unwrap_or(text);
    let mut frames = scan(text);
    if of_list && !text.ends_with(b"]") {
        frames.pop();
    }
    write(&frames)
}

/// Returns the objects and lists that are open at the end of the text.
fn scan(text: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    let mut string = 0..0_usize;
    for (token, place) in Tokens::new(text) {
        match (token, frames.last_mut()) {
            (Token::Object, _) => frames.push(Frame::Key(&[])),
            (Token::List, _) => frames.push(Frame::Index(0)),
            (Token::End, _) => _ = frames.pop(),
            (Token::Comma, Some(Frame::Index(index))) => *index += 1,
            (Token::Colon, Some(Frame::Key(key))) => {
                *key = text.get(string.start + 1..string.end.saturating_sub(1)).unwrap_or_default();
            }
            (Token::String, _) => string = place,
            _ => {}
        }
    }
    frames
}

enum Frame<'a> {
    Key(&'a [u8]),
    Index(usize),
}

fn write(frames: &[Frame<'_>]) -> String {
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Key([]) => {}
            Frame::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(key));
            }
            Frame::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::{Config, parse};

    fn check(json: &str, start: &str) {
        let error = parse::<Config>(json.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn a_wrong_type_is_named_by_its_path() {
        check(r#"{"ociVersion": 5}"#, "ociVersion: invalid type");
        check(r#"{"ociVersion": "1.0", "process": {"args": "sh"}}"#, "process.args: invalid type");
        check(r#"{"ociVersion": "1.0", "process": {"args": ["sh", 5]}}"#, "process.args[1]: inv");
        check(
            "{\"ociVersion\": \"1.0\",\n \"mounts\": [{\"options\": [\"a,]}\\\"\"]},\n {\"type\": {}}]}",
            "mounts[1].type: invalid type",
        );
        check(
            r#"{"ociVersion": "1.0", "linux": {"resources": {"pids": {"limit": 1.5}}}}"#,
            "linux.resources.pids.limit: invalid type",
        );
        check(
            r#"{"ociVersion": "1.0", "process": {"user": {"uid": -1}}}"#,
            "process.user.uid: inv",
        );
        check(r#"{"ociVersion": "1.0", "hostname": true}"#, "hostname: invalid type");
        check(r#"{"ociVersion": "1.0", "root": ["rootfs", true]}"#, "root: invalid type: sequence");
        check(r#"{"ociVersion": "1.0", "root": []}"#, "root: invalid type: sequence");
        check(r#"{"ociVersion": "1.0", "mounts": [{}, ["/x"]]}"#, "mounts[1]: invalid type: seq");
        check("[]", "invalid type: sequence");
    }

    #[test]
    fn a_missing_field_is_named_with_what_should_hold_it() {
        check("{}", "missing field `ociVersion`");
        check(r#"{"ociVersion": "1.0", "root": {"readonly": true}}"#, "root: missing field `path`");
        check(
            r#"{"ociVersion": "1.0", "process": {"rlimits": [{"type": "x", "soft": 1}]}}"#,
            "process.rlimits[0]: missing field `hard`",
        );
        check(
            r#"{"ociVersion": "1.0", "linux": {"namespaces": [{"type": "pid"}, {}]}}"#,
            "linux.namespaces[1]: missing field `type`",
        );
    }

    #[test]
    fn what_is_no_json_is_named_by_line_and_column() {
        check("{\n  x}", "key must be a string at line 2 column 3");
        check("", "EOF while parsing a value at line 1 column 0");
        check(&"[".repeat(50_000), "invalid type: sequence");
        check(&format!("{{\"x\": {}", "[".repeat(50_000)), "EOF while parsing a list at line 1");
        check("{\"ociVersion\": \"1.0\"} x", "trailing characters at line 1 column 23");
    }
}
