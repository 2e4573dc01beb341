//! The Plan's bytes: the reader returns what the writer wrote, and refuses
//! everything else.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use vial_plan::{
    Call, Failed, Gate, Header, Item, Items, NamespaceItem, ProcessItem, Refused, Reply,
    RootfsItem, Stage, Stage1, Step, Strings, item_size, write_item,
};

use common::{namespace, process, random_numbers, rootfs};

/// Some items of stage 2, with every kind of field.
fn samples() -> Vec<Item<'static>> {
    let args = Strings::new(b"sh\0-c\0\0x\0").unwrap();
    let env = Strings::new(b"").unwrap();
    vec![
        namespace(NamespaceItem::Session {}),
        namespace(NamespaceItem::Hostname { name: c"board" }),
        namespace(NamespaceItem::Sysctl { path: c"kernel/msgmax", value: c"" }),
        namespace(NamespaceItem::BecomeRoot { groups: true }),
        rootfs(RootfsItem::Bind {
            source: c"/host",
            target: c"/inside",
            set: 1,
            clear: u64::MAX,
            id_map: 5,
            recursive: false,
            bare_source: false,
            bare_target: true,
            copy_link: false,
            maps_below: true,
        }),
        process(ProcessItem::Rlimit { resource: 7, soft: 1, hard: u64::MAX }),
        process(ProcessItem::Program { args, env, path: c"/bin:/usr/bin" }),
        process(ProcessItem::User { uid: 1, gid: 2, groups: &[3, 0, 0, 0], set_groups: true }),
        process(ProcessItem::Seccomp { flags: 1, filter: &[0, 1, 2, 0xff] }),
        process(ProcessItem::Execute {}),
    ]
}

fn bytes(items: &[Item<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        let before = bytes.len();
        write_item(item.encode(), &mut |part| bytes.extend_from_slice(part));
        assert_eq!(bytes.len() - before, item_size(item.encode()), "{item:?}");
    }
    bytes
}

#[test]
fn items_are_read_as_they_were_written() {
    let samples = samples();
    let bytes = bytes(&samples);
    let read: Vec<_> = Items::new(Stage::Two, &bytes, 5).collect();
    assert_eq!(read.len(), samples.len());
    for ((at, item), (index, sample)) in read.into_iter().zip((5..).zip(samples)) {
        assert_eq!((at, item), (index, Ok(sample)));
    }
}

#[test]
fn number_of_items_has_no_limit() {
    let many: Vec<_> = (0..200_000).map(|uid| process(ProcessItem::OwnStdio { uid })).collect();
    let bytes = bytes(&many);
    assert_eq!(
        Items::new(Stage::Two, &bytes, 0).filter(|(_, item)| item.is_ok()).count(),
        many.len()
    );
}

#[test]
fn truncated_section_ends_in_an_error() {
    let whole = bytes(&samples());
    let ends: Vec<usize> = samples()
        .iter()
        .scan(0, |end, item| {
            *end += item_size(item.encode());
            Some(*end)
        })
        .collect();
    for length in (0..whole.len()).filter(|length| *length != 0 && !ends.contains(length)) {
        let last = Items::new(Stage::Two, &whole[..length], 0).last().unwrap();
        assert!(last.1.is_err(), "cut at {length}");
    }
}

#[test]
fn a_text_needs_its_one_nul() {
    let mut cut = bytes(&[namespace(NamespaceItem::Hostname { name: c"board" })]);
    *cut.last_mut().unwrap() = b'x';
    assert!(Items::new(Stage::Two, &cut, 0).next().unwrap().1.is_err());
    let mut twice = bytes(&[namespace(NamespaceItem::Hostname { name: c"board" })]);
    let at = twice.len() - 3;
    twice[at] = 0;
    assert!(Items::new(Stage::Two, &twice, 0).next().unwrap().1.is_err());
}

#[test]
fn an_item_is_read_in_its_own_stage_only() {
    let of_stage_2 = bytes(&samples());
    for stage in [Stage::Zero, Stage::One] {
        let read: Vec<_> = Items::new(stage, &of_stage_2, 0).collect();
        assert_eq!(read.len(), 1);
        assert!(read[0].1.is_err(), "{stage:?}");
    }
    let item = Item::Stage1(Stage1::AwaitMapping { pipe: 0 });
    let of_stage_1 = bytes(&[item]);
    assert_eq!(Items::new(Stage::One, &of_stage_1, 0).next(), Some((0, Ok(item))));
    assert!(Items::new(Stage::Two, &of_stage_1, 0).next().unwrap().1.is_err());
}

#[test]
fn no_item_is_read_after_a_malformed_one() {
    let mut bytes = bytes(&samples());
    bytes[0] = 0xff;
    let read: Vec<_> = Items::new(Stage::Two, &bytes, 0).collect();
    assert_eq!(read.len(), 1);
    assert!(read[0].1.is_err());
}

/// Random bytes, and items with random changes. This shows only that the reader
/// ends and stays within the bytes; hostile.rs, Miri and the fuzz target check
/// more.
#[test]
fn random_bytes_are_survived() {
    let mut random = random_numbers();
    let whole = bytes(&samples());
    for round in 0..20_000 {
        let mut hostile = match round % 2 {
            0 => whole.clone(),
            _ => (0..random() % 200).map(|_| random() as u8).collect(),
        };
        for _ in 0..random() % 4 {
            if let Some(at) = (random() as usize).checked_rem(hostile.len()) {
                hostile[at] = random() as u8;
            }
        }
        let items = Items::new(Stage::Two, &hostile, 0).count();
        assert!(items <= hostile.len() / 8 + 1);
        // No input has the magic.
        assert_eq!(Header::from_bytes(&hostile), Err(Refused::NotAPlan));
    }
}

#[test]
fn header_of_another_build_is_refused() {
    let header = Header { lengths: [8, 0, 16], counts: [1, 0, 2], pointers: 9, slots: 3 };
    let bytes = header.to_bytes();
    assert_eq!(Header::from_bytes(&bytes), Ok(header));
    assert_eq!(header.body(), Some(24));

    let mut stranger = bytes;
    stranger[0] ^= 1;
    assert_eq!(Header::from_bytes(&stranger), Err(Refused::NotAPlan));
    for byte in 8..20 {
        let mut other = bytes;
        other[byte] ^= 1;
        assert_eq!(Header::from_bytes(&other), Err(Refused::OtherBuild), "byte {byte}");
    }
    assert_eq!(Header::from_bytes(&bytes[..40]), Err(Refused::NotAPlan));
}

#[test]
fn sections_lie_within_the_body() {
    let body = bytes(&samples());
    let length = body.len() as u32;
    let header = Header { lengths: [0, 0, length], counts: [0, 0, 10], pointers: 0, slots: 3 };
    assert_eq!(header.items(Stage::Two, &body).unwrap().count(), 10);
    let beyond = Header { lengths: [0, 0, length + 1], ..header };
    assert!(beyond.items(Stage::Two, &body).is_none());
    let overflow = Header { lengths: [u32::MAX, 2, 3], ..header };
    assert_eq!(overflow.body(), None);
    assert!(overflow.items(Stage::Two, &body).is_none());
}

#[test]
fn replies_are_read_as_they_were_written() {
    let calls = Call::ALL.iter().cycle();
    for (step, call) in Step::ALL.iter().zip(calls) {
        let failed = Failed { stage: Stage::One, call: *call, step: *step, item: 7, errno: 22 };
        for reply in [
            Reply::Started { pid: 11 },
            Reply::At { gate: Gate::Start, pid: 12 },
            Reply::Failed(failed),
        ] {
            assert_eq!(Reply::from_bytes(&reply.to_bytes()), Some(reply));
        }
    }
    let mut unknown = Reply::At { gate: Gate::Start, pid: 1 }.to_bytes();
    unknown[0] = 9;
    assert_eq!(Reply::from_bytes(&unknown), None);
}

#[test]
fn every_step_has_words_of_its_own() {
    let mut words: Vec<_> = Step::ALL.iter().map(|step| step.words()).collect();
    assert!(words.iter().all(|what| !what.is_empty()));
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Step::ALL.len());
    let mut names: Vec<_> = Call::ALL.iter().map(|call| call.name()).collect();
    assert!(names.iter().all(|name| name.is_empty() || name.ends_with("(2)")));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Call::ALL.len());
}
