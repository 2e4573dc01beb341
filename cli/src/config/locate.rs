//! From a place in a JSON text to the path of the field that lies there.
//!
//! serde_json says where a value is wrong by line and column. The path is found
//! by reading the text once more up to there, which costs nothing where there
//! is no error, and a hundredth of what a path kept while reading takes in code.

/// Members that are objects in every document of the spec. serde would read a
/// list in the place of an object as its members in order.
const OBJECTS: [&str; 17] = [
    "root",
    "process",
    "user",
    "consoleSize",
    "capabilities",
    "hooks",
    "linux",
    "resources",
    "memory",
    "cpu",
    "pids",
    "blockIO",
    "network",
    "seccomp",
    "annotations",
    "timeOffsets",
    "sysctl",
];

/// The path at a line and column, both from 1: `process.args[2]`; empty at the
/// top. With `of_object`, of the object that ends there. The text up to there is
/// known to be JSON.
pub(super) fn path_at(text: &[u8], line: usize, column: usize, of_object: bool) -> String {
    let starts = text.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let offset = starts.map(<[u8]>::len).sum::<usize>() + column.saturating_sub(1);
    let mut frames = scan(text, offset, |_, _| false);
    if of_object {
        frames.pop();
    }
    write(&frames)
}

/// The path of the first list that stands where only an object can, and its line
/// and column.
pub(super) fn misplaced_list(text: &[u8]) -> Option<(String, usize, usize)> {
    let misplaced = |frames: &[Frame]| match frames.last() {
        None => true,
        // No list of the spec's holds lists; what others add may.
        Some(Frame::Index(_)) => {
            let known = ["process", "mounts", "hooks", "linux"];
            matches!(frames.first(), Some(Frame::Key(key)) if known.contains(&key.as_str()))
        }
        Some(Frame::Key(key)) => OBJECTS.contains(&key.as_str()),
    };
    let mut found = None;
    scan(text, text.len(), |frames, at| {
        let stop = misplaced(frames);
        if stop {
            let before = text.get(..at).unwrap_or_default();
            let lines = before.iter().filter(|byte| **byte == b'\n').count();
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            found = Some((write(frames), lines + 1, at - start + 1));
        }
        stop
    });
    found
}

/// Reads up to an offset, and returns the objects and lists that are open there.
/// `list` is asked at each list, before it is opened, whether to stop.
fn scan(text: &[u8], offset: usize, mut list: impl FnMut(&[Frame], usize) -> bool) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut bytes = text.iter().copied().enumerate().take_while(|(at, _)| *at < offset);
    let mut key = None;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' => frames.push(Frame::Key(String::new())),
            b'[' => {
                if list(&frames, at) {
                    return frames;
                }
                frames.push(Frame::Index(0));
            }
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
    frames
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
