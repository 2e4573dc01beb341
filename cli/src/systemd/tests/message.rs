//! Messages against the bytes of another implementation, and damaged ones.

use super::*;

/// A call by busctl(1) of systemd 252, captured from its socket:
/// `StartTransientUnit ssa(sv)a(sa(sv)) vial-web.scope fail 7 Slice s system.slice
/// Delegate b true MemoryMax t 67108864 AllowedCPUs ay 2 5 1 After as 1 a.service
/// DeviceAllow a(ss) 1 /dev/char/1:3 rwm PIDs au 1 4711 0`.
const REFERENCE: &str = "\
    6c0104013001000002000000b600000001016f00190000002f6f72672f667265656465736b746f702f73 \
    797374656d643100000000000000030173001200000053746172745472616e7369656e74556e69740000 \
    0000000002017300200000006f72672e667265656465736b746f702e73797374656d64312e4d616e6167 \
    6572000000000000000006017300180000006f72672e667265656465736b746f702e73797374656d6431 \
    00000000000000000801670010737361287376296128736128737629290000000e0000007669616c2d77 \
    65622e73636f70650000040000006661696c00000000000100000000000005000000536c696365000173 \
    000000000c00000073797374656d2e736c69636500000000000000000800000044656c65676174650001 \
    62000100000000000000090000004d656d6f72794d617800017400000000000000000000000400000000 \
    0b000000416c6c6f77656443505573000261790002000000050100000000000005000000416674657200 \
    0261730000000e00000009000000612e73657276696365000000000000000b000000446576696365416c \
    6c6f770005612873732900001c000000000000000d0000002f6465762f636861722f313a330000000300 \
    000072776d00000000000400000050494473000261750000000004000000671200000000000000000000 \
    ";

fn reference() -> Vec<u8> {
    let digits: String = REFERENCE.split_whitespace().collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn array(of: &str, values: Vec<Value>) -> Value {
    Value::Array(of.to_owned(), values)
}

#[test]
fn a_call_has_the_bytes_that_another_implementation_sends() {
    let byte = |byte| Value::Number(b'y', byte);
    let device = Value::Struct(vec![Value::text("/dev/char/1:3"), Value::text("rwm")]);
    let properties = [
        ("Slice", Value::text("system.slice")),
        ("Delegate", Value::boolean(true)),
        ("MemoryMax", Value::u64(67_108_864)),
        ("AllowedCPUs", array("y", vec![byte(5), byte(1)])),
        ("After", array("s", vec![Value::text("a.service")])),
        ("DeviceAllow", array("(ss)", vec![device])),
        ("PIDs", array("u", vec![Value::Number(b'u', 4711)])),
    ]
    .map(|(name, value)| Property::new(name, value));
    let mut body = Body::default();
    body.text("vial-web.scope");
    body.text("fail");
    body.properties(properties.iter());
    body.array(8, |_| {});
    let method = Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "StartTransientUnit",
    };
    let mut sent = call(2, method, "ssa(sv)a(sa(sv))", &body);
    sent[2] |= 4; // busctl lets polkit ask a person for a password; vial does not.
    assert_eq!(sent, reference());
}

#[test]
fn what_is_sent_can_be_read() {
    let sent = reference();
    assert_eq!(length(sent.first_chunk().unwrap()), Some(sent.len()));
    let message = Message::read(&sent).unwrap();
    assert_eq!((message.kind, message.member.as_str()), (CALL, "StartTransientUnit"));
    assert_eq!(message.texts(), ["vial-web.scope", "fail"]);
}

/// JobRemoved, as systemd 252 sends it on its own socket.
fn signal() -> Vec<u8> {
    let mut body = Body::default();
    body.number(4, 77);
    body.text("/org/freedesktop/systemd1/job/77");
    body.text("vial-web.scope");
    body.text("done");
    let method = Method { destination: ":1.2", path: "/x", interface: "y", member: "JobRemoved" };
    let mut bytes = call(9, method, "uoss", &body);
    bytes[1] = SIGNAL;
    bytes
}

#[test]
fn numbers_between_texts_are_skipped() {
    let message = Message::read(&signal()).unwrap();
    assert_eq!(message.texts(), ["/org/freedesktop/systemd1/job/77", "vial-web.scope", "done"]);
}

#[test]
fn damaged_messages_do_no_harm() {
    let whole = signal();
    for length in 0..whole.len() {
        if let Some(message) = Message::read(&whole[..length]) {
            message.texts();
        }
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            if let Some(length) = length(bytes.first_chunk().unwrap()) {
                assert!(length < 3 * LONGEST);
            }
            if let Some(message) = Message::read(&bytes) {
                message.texts();
            }
        }
    }
    for wrong in [*b"B\x02\0\x01", *b"l\x02\0\x02", *b"HTTP"] {
        let mut fixed = [0; FIXED];
        fixed[..4].copy_from_slice(&wrong);
        assert_eq!(length(&fixed), None, "{wrong:?}");
    }
    let mut huge = [0xff; FIXED];
    huge[..4].copy_from_slice(b"l\x02\0\x01");
    assert_eq!(length(&huge), None);
}
