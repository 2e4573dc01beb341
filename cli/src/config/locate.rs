//! From a place in a JSON text to the path of the field that lies there.
//!
//! serde_json says where a value is wrong by line and column. The path is found
//! by reading the text once more up to there, which costs nothing where there
//! is no error, and a hundredth of what a path kept while reading takes in code.

/// The path at a line and column, both from 1: `process.args[2]`; empty at the
/// top. The text up to there is known to be JSON.
pub(super) fn path_at(text: &[u8], line: usize, column: usize) -> String {
    let starts = text.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let offset = starts.map(<[u8]>::len).sum::<usize>() + column.saturating_sub(1);
    let mut frames: Vec<Frame> = Vec::new();
    let mut bytes = text.iter().copied().enumerate().take_while(|(at, _)| *at < offset);
    let mut key = None;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' => frames.push(Frame::Key(String::new())),
            b'[' => frames.push(Frame::Index(0)),
            b'}' | b']' => {
                frames.pop();
            }
            b',' => {
                if let Some(Frame::Index(index)) = frames.last_mut() {
                    *index += 1;
                }
            }
            b':' => {
                if let (Some(Frame::Key(current)), Some(key)) = (frames.last_mut(), key.take()) {
                    *current = key;
                }
            }
            b'"' => {
                let mut escaped = false;
                let ends = |(_, byte): &(usize, u8)| {
                    let end = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    end
                };
                let end = bytes.find(ends).map_or(offset, |(end, _)| end);
                let raw = text.get(at + 1..end).unwrap_or_default();
                key = Some(String::from_utf8_lossy(raw).into_owned());
            }
            _ => {}
        }
    }
    write(&frames)
}

enum Frame {
    Key(String),
    Index(usize),
}

fn write(frames: &[Frame]) -> String {
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Key(key) if key.is_empty() => {}
            Frame::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Frame::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// The path of the object or list that holds the field.
pub(super) fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).map_or("", |end| path.get(..end).unwrap_or_default())
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
    }

    #[test]
    fn a_missing_field_is_named_with_what_should_hold_it() {
        check("{}", "missing field `ociVersion`");
        check(r#"{"ociVersion": "1.0", "root": {"readonly": true}}"#, "root: missing field `path`");
        check(
            r#"{"ociVersion": "1.0", "process": {"rlimits": [{"type": "x", "soft": 1}]}}"#,
            "process.rlimits[0]: missing field `hard`",
        );
    }

    #[test]
    fn what_is_no_json_is_named_by_line_and_column() {
        check("{\n  x}", "key must be a string at line 2 column 3");
        check("", "EOF while parsing a value at line 1 column 0");
        check(&"[".repeat(50_000), "invalid type");
        check(&format!("{{\"x\": {}", "[".repeat(50_000)), "EOF while parsing a list at line 1");
        check("{\"ociVersion\": \"1.0\"} x", "trailing characters at line 1 column 23");
    }
}
