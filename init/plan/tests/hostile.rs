//! Corrupted plans and replies. Each input keeps the magic, so that the reader
//! gets past it to the code under test.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use vial_plan::{
    Call, CgroupItem, Failed, Gate, Header, Item, Items, LeaveItem, NamespaceItem, ProcessItem,
    Reply, RootfsItem, SetupItem, Stage, Stage0, Stage1, Step, Strings, item_size, write_item,
};

use common::{namespace, process, random_numbers, rootfs};

/// Values to write over a length or a number: the ends of the ranges, and values
/// that overflow a sum.
const WRONG: [u32; 8] = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, u32::MAX - 8, u32::MAX - 1, u32::MAX];

fn setup(item: SetupItem<'static>) -> Item<'static> {
    Item::Stage0(Stage0::Setup(item))
}

fn cgroup(item: CgroupItem<'static>) -> Item<'static> {
    Item::Stage0(Stage0::Cgroup(item))
}

fn leave(item: LeaveItem<'static>) -> Item<'static> {
    Item::Stage0(Stage0::Leave(item))
}

/// Items for the three sections, with every kind of field.
fn sections() -> [Vec<Item<'static>>; 3] {
    let list = Strings::new(b"sh\0-c\0\0echo x\0").unwrap();
    let none = Strings::new(b"").unwrap();
    [
        vec![
            setup(SetupItem::Procfs {}),
            cgroup(CgroupItem::Controllers {
                directory: c"",
                controllers: c"+cpu +io",
                required: c"",
            }),
            cgroup(CgroupItem::Devices { program: &[0, 1, 2, 0xff, 0, 0, 0, 0] }),
            setup(SetupItem::RaiseRlimit { resource: 7, hard: u64::MAX }),
            leave(LeaveItem::MapHelper { program: c"/usr/bin/newuidmap", map: list }),
            leave(LeaveItem::Clone { stage: 2, kinds: 0x2000_0000, pipe: 3 }),
        ],
        vec![
            Item::Stage1(Stage1::AwaitMapping { pipe: 0 }),
            Item::Stage1(Stage1::BecomeRoot { groups: false }),
        ],
        vec![
            namespace(NamespaceItem::Hostname { name: c"board" }),
            rootfs(RootfsItem::Mount {
                source: c"tmpfs",
                target: c"/tmp",
                fstype: c"tmpfs",
                flags: 6,
                data: c"mode=755",
                strict: true,
                mode: false,
            }),
            process(ProcessItem::User { uid: 1, gid: 2, groups: &[3, 0, 0, 0], set_groups: true }),
            process(ProcessItem::Program { args: list, env: none, path: c"/bin:/usr/bin" }),
            process(ProcessItem::Seccomp { flags: 4, filter: &[6, 0, 0, 0, 0, 0, 0xff, 0x7f] }),
            process(ProcessItem::Execute {}),
        ],
    ]
}

fn write(item: &Item<'_>, to: &mut Vec<u8>) {
    write_item(item.encode(), &mut |part| to.extend_from_slice(part));
}

/// A complete Plan, as the CLI sends it.
fn whole() -> Vec<u8> {
    let mut body = Vec::new();
    let sections = sections();
    let lengths = sections.each_ref().map(|items| {
        let before = body.len();
        items.iter().for_each(|item| write(item, &mut body));
        (body.len() - before) as u32
    });
    let counts = sections.each_ref().map(|items| items.len() as u32);
    let header = Header { lengths, counts, pointers: 7, slots: 3 };
    [&header.to_bytes()[..], &body].concat()
}

/// Reads a Plan as vial-init does. Checks two properties of any input: no item
/// follows a malformed one, and the items that were read encode to the same
/// bytes again. Returns the items that were read, or None if the reader refuses
/// the Plan before the first item.
fn read(plan: &[u8]) -> Option<Vec<Item<'_>>> {
    let (head, body) = plan.split_at_checked(Header::SIZE)?;
    let header = Header::from_bytes(head).ok()?;
    let length = header.body()?;
    let body = body.get(..length)?;
    let mut understood = Vec::new();
    let mut start = 0;
    for (stage, length) in Stage::ALL.into_iter().zip(header.lengths) {
        let items: Vec<_> = header.items(stage, body)?.collect();
        let mut again = Vec::new();
        for (at, (_, item)) in items.iter().enumerate() {
            match item {
                Ok(item) => write(item, &mut again),
                Err(_) => assert_eq!(at + 1, items.len(), "an item is read after a malformed one"),
            }
        }
        let section = &body[start..start + length as usize];
        assert!(section.starts_with(&again), "an item is not what was written");
        let all = items.iter().all(|(_, item)| item.is_ok());
        assert_eq!(all, again.len() == section.len(), "a section is read whole, or is malformed");
        start += section.len();
        understood.extend(items.into_iter().filter_map(|(_, item)| item.ok()));
    }
    Some(understood)
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    assert_eq!(read(&whole()).unwrap(), sections().concat());
}

#[test]
fn truncated_plan_is_refused() {
    let whole = whole();
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length]), None, "cut at {length}");
    }
}

#[test]
fn bytes_after_a_plan_are_ignored() {
    let longer = [&whole()[..], &[0xff; 100]].concat();
    assert_eq!(read(&longer).unwrap(), sections().concat());
}

/// Each item's length field: a wrong value makes that item malformed.
#[test]
fn a_wrong_length_of_an_item_is_found_in_that_item() {
    let plan = whole();
    let (head, body) = plan.split_at(Header::SIZE);
    let header = Header::from_bytes(head).unwrap();
    let mut at = 0;
    for (stage, items) in Stage::ALL.into_iter().zip(sections()) {
        for (index, item) in items.iter().enumerate() {
            let true_length = (item_size(item.encode()) - 8) as u32;
            let near = [true_length.wrapping_sub(1), true_length + 1, true_length + 8];
            for wrong in WRONG.into_iter().chain(near).filter(|wrong| *wrong != true_length) {
                let mut body = body.to_vec();
                body[at + 4..at + 8].copy_from_slice(&wrong.to_le_bytes());
                let read: Vec<_> = header.items(stage, &body).unwrap().collect();
                assert_eq!(read.len(), index + 1, "{item:?} of length {wrong}");
                assert!(read[index].1.is_err(), "{item:?} of length {wrong}");
                assert!(read[..index].iter().all(|(_, item)| item.is_ok()));
            }
            at += item_size(item.encode());
        }
    }
    assert_eq!(at, body.len());
}

/// Each number of the header: lengths, counts, and room for pointers.
#[test]
fn a_wrong_number_in_the_header_reaches_nothing_outside_the_body() {
    let plan = whole();
    let mut refused = 0;
    for place in (20..52).step_by(4) {
        for wrong in WRONG {
            let mut plan = plan.clone();
            plan[place..place + 4].copy_from_slice(&wrong.to_le_bytes());
            match read(&plan) {
                None => refused += 1,
                Some(items) => assert!(items.len() <= sections().concat().len(), "{place} {wrong}"),
            }
        }
    }
    // Five of the eight values are too large for each of the three lengths.
    assert!(refused >= 15, "{refused}");
}

/// Overwrites every four bytes of the body: text lengths, list counts, item
/// codes and numbers.
#[test]
fn wrong_number_in_the_body_is_survived() {
    let plan = whole();
    let mut malformed = 0;
    for place in Header::SIZE..plan.len() - 3 {
        for wrong in WRONG {
            let mut plan = plan.clone();
            plan[place..place + 4].copy_from_slice(&wrong.to_le_bytes());
            let items = read(&plan).unwrap();
            malformed += u32::from(items.len() < sections().concat().len());
        }
    }
    assert!(malformed > 1000, "{malformed}");
}

/// A list is malformed if its count is wrong, or if its last text has no NUL.
#[test]
fn list_with_a_wrong_count_or_end_is_malformed() {
    let list = Strings::new(b"a\0b\0").unwrap();
    let item = leave(LeaveItem::MapHelper { program: c"x", map: list });
    let mut bytes = Vec::new();
    write_item(item.encode(), &mut |part| bytes.extend_from_slice(part));
    // The item's head, then the length of "x\0" and its bytes, then the count.
    let count = 8 + 4 + 2;
    assert_eq!(bytes[count], 2);
    for wrong in WRONG.into_iter().filter(|wrong| *wrong != 2) {
        let mut bytes = bytes.clone();
        bytes[count..count + 4].copy_from_slice(&wrong.to_le_bytes());
        assert!(Items::new(Stage::Zero, &bytes, 0).next().unwrap().1.is_err(), "count {wrong}");
    }
    *bytes.last_mut().unwrap() = b'c';
    assert!(Items::new(Stage::Zero, &bytes, 0).next().unwrap().1.is_err());
}

/// Random changes after the magic, the version and the fingerprint.
#[test]
fn randomly_changed_plans_are_survived() {
    let mut numbers = random_numbers();
    let mut random = move || numbers() as usize;
    let whole = whole();
    let (mut beyond_header, mut malformed) = (0, 0);
    for _ in 0..50_000 {
        let mut plan = whole.clone();
        for _ in 0..=random() % 6 {
            // Mostly in the body: another test covers the header's numbers.
            let first = if random() % 8 == 0 { 20 } else { Header::SIZE };
            let at = first + random() % (plan.len() - first);
            plan[at] = match random() % 3 {
                0 => random() as u8,
                1 => plan[at].wrapping_add(1),
                _ => 0,
            };
        }
        if let Some(items) = read(&plan) {
            beyond_header += 1;
            malformed += u32::from(items.len() < sections().concat().len());
        }
    }
    assert!(beyond_header > 30_000, "{beyond_header}");
    assert!(malformed > 10_000, "{malformed}");
}

#[test]
fn corrupted_reply_is_refused_or_consistent() {
    let failed =
        Failed { stage: Stage::Two, call: Call::Mount, step: Step::Mount, item: 7, errno: 22 };
    for reply in [Reply::At { gate: Gate::Start, pid: 12 }, Reply::Failed(failed)] {
        let bytes = reply.to_bytes();
        for length in 0..Reply::SIZE {
            assert_eq!(Reply::from_bytes(&bytes[..length]), None, "cut at {length}");
        }
        for place in (0..Reply::SIZE).step_by(4) {
            for wrong in WRONG.into_iter().chain([3, 255, 256, 65536]) {
                let mut bytes = bytes;
                bytes[place..place + 4].copy_from_slice(&wrong.to_le_bytes());
                let read = Reply::from_bytes(&bytes);
                if let Some(Reply::Failed(_)) = read {
                    assert_eq!(read.map(|reply| reply.to_bytes()), Some(bytes));
                }
                let kind = (place == 0).then_some(wrong);
                assert!(kind.is_none_or(|kind| (1..9).contains(&kind) || read.is_none()));
            }
        }
    }
    for (place, number) in [(4, 3), (5, 0xff), (6, 0xff), (7, 1)] {
        let mut bytes = Reply::Failed(failed).to_bytes();
        bytes[place] = number;
        assert_eq!(Reply::from_bytes(&bytes), None, "there is no {number} at {place}");
    }
}
