//! The text form of GVariant, and what is none.

use super::*;

fn one(name: &str, text: &str) -> Result<Property, String> {
    let annotations = BTreeMap::from([(format!("{PREFIX}{name}"), text.to_owned())]);
    let mut properties = properties(&annotations).map_err(|error| error.to_string())?;
    assert_eq!(properties.len(), 1);
    Ok(properties.remove(0))
}

#[test]
fn values_are_read_in_the_text_form() {
    let text = Value::text;
    let array = |of: &str, values: &[Value]| Value::Array(of.to_owned(), values.to_vec());
    for (written, value) in [
        ("true", Value::boolean(true)),
        (" false ", Value::boolean(false)),
        ("boolean true", Value::boolean(true)),
        ("'a b'", text("a b")),
        ("\"it's\"", text("it's")),
        ("'it\\'s \\\\'", text("it's \\")),
        ("5", Value::Number(b'i', 5)),
        ("-5", Value::Number(b'i', (-5_i64).cast_unsigned())),
        ("0x1f", Value::Number(b'i', 31)),
        ("byte 255", Value::Number(b'y', 255)),
        ("uint32 7", Value::Number(b'u', 7)),
        ("int64 -1", Value::Number(b'x', u64::MAX)),
        ("uint64 18446744073709551615", Value::u64(u64::MAX)),
        ("['a', 'b']", array("s", &[text("a"), text("b")])),
        ("@as []", array("s", &[])),
        ("@t 9", Value::u64(9)),
        ("[byte 1, byte 2]", array("y", &[Value::Number(b'y', 1), Value::Number(b'y', 2)])),
        ("@ay [1, 2]", array("y", &[Value::Number(b'y', 1), Value::Number(b'y', 2)])),
        ("[('/dev/x', 'rw')]", array("(ss)", &[Value::Struct(vec![text("/dev/x"), text("rw")])])),
        ("('a',)", Value::Struct(vec![text("a")])),
    ] {
        assert_eq!(one("SomeThing", written), Ok(Property::new("SomeThing", value)), "{written}");
    }
}

#[test]
fn what_is_no_value_is_refused() {
    let deep = "[".repeat(100);
    for written in [
        "",
        " ",
        "nine",
        "'a",
        "'a' b",
        "5 6",
        "byte 256",
        "byte -1",
        "uint32 -1",
        "int32 2147483648",
        "2147483648",
        "uint64 x",
        "uint64",
        "[]",
        "['a', 5]",
        "['a' 'b']",
        "['a',, 'b']",
        "['a'",
        "@s 5",
        "@as 5",
        "@as [5]",
        "@",
        "@x",
        "()",
        "('a'",
        "truely",
        "'\\x'",
        "+5",
        "1.5",
        "- 5",
        "0x",
        "--5",
        "@t",
        &deep,
    ] {
        let error = one("SomeThing", written).unwrap_err();
        assert!(error.contains("is not a value such as"), "{written}: {error}");
        assert!(error.contains("annotations[\"org.systemd.property.SomeThing\"]"), "{error}");
    }
}

#[test]
fn seconds_become_microseconds() {
    for written in ["90", "uint64 90", "int64 90", "byte 90"] {
        let wanted = Property::new("TimeoutStopUSec", Value::u64(90_000_000));
        assert_eq!(one("TimeoutStopSec", written), Ok(wanted), "{written}");
    }
    let same = Property::new("TimeoutStopUSec", Value::Number(b'i', 90));
    assert_eq!(one("TimeoutStopUSec", "90"), Ok(same));
    for written in ["-1", "'90'", "true", "uint64 18446744073709551615"] {
        let error = one("TimeoutStopSec", written).unwrap_err();
        assert!(error.contains("is not a number of seconds"), "{written}: {error}");
    }
}

#[test]
fn names_that_are_none_are_refused() {
    for name in ["", "ab", "Kill-Signal", "A.B", "Kill Signal", "Kill\u{e4}"] {
        let error = one(name, "5").unwrap_err();
        assert!(error.contains("is not the name of a property"), "{name}: {error}");
    }
    for name in FIXED {
        assert!(one(name, "5").unwrap_err().contains("vial sets"), "{name}");
    }
    let other = BTreeMap::from([("org.systemd.Property.x".to_owned(), "?".to_owned())]);
    assert!(properties(&other).unwrap().is_empty());
}
