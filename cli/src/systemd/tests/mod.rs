//! What is made of the answers of systemd.

use super::*;

fn told(says: &str) -> Told {
    Told { name: "org.freedesktop.DBus.Error.PropertyReadOnly".to_owned(), says: says.to_owned() }
}

#[test]
fn only_properties_that_repeat_a_limit_are_dropped() {
    let own = [
        Property::limit("MemoryMax", Value::u64(1)),
        Property::limit("MemoryZSwapMax", Value::u64(1)),
        Property::new("Slice", Value::text("a.slice")),
    ];
    let mut left: Vec<&Property> = own.iter().collect();
    let error = told("Cannot set property MemoryZSwapMax, or unknown property.");
    assert!(error.drop_from(&mut left));
    assert_eq!(left, [&own[0], &own[2]]);
    assert!(!error.drop_from(&mut left));
    assert!(!told("Cannot set property Slice, or unknown property.").drop_from(&mut left));
    assert!(!told("Unit MemoryMaximum.scope was already loaded.").drop_from(&mut left));
    assert_eq!(left.len(), 2);
}

#[test]
fn only_the_end_of_the_own_job_counts() {
    let body = |job: &str, result: &str| {
        let mut body = Body::default();
        body.number(4, 5);
        body.text(job);
        body.text("x.scope");
        body.text(result);
        let method = Method { member: "JobRemoved", ..MANAGER };
        let mut bytes = message::call(1, method, "uoss", &body);
        bytes[1] = message::SIGNAL;
        Message::read(&bytes).unwrap()
    };
    assert_eq!(result_of(&body("/job/5", "failed"), "/job/5").as_deref(), Some("failed"));
    assert_eq!(result_of(&body("/job/55", "done"), "/job/5"), None);
    let mut other = body("/job/5", "done");
    other.kind = message::RETURN;
    assert_eq!(result_of(&other, "/job/5"), None);
}
