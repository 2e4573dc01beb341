//! A connection to sides that do well, and to sides that do not.

use std::thread;

use super::*;
use crate::file::read_whole;

/// How long vial waits here. A busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the other side does with its end of the connection.
type Side = fn(&OwnedFd);

fn with(side: Side, talk: impl FnOnce(&mut Bus<'_>) -> Result<(), Error>) -> Result<(), String> {
    let (own, theirs) = socket::pair().unwrap();
    let other = thread::spawn(move || side(&theirs));
    let check = || Ok(());
    let mut bus = Bus::new(own, "/sock".to_owned(), PATIENCE, &check).unwrap();
    let talked = talk(&mut bus).map_err(|error| error.to_string());
    drop(bus);
    other.join().unwrap();
    talked
}

fn read(fd: &OwnedFd, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    read_whole(fd, &mut bytes).unwrap();
    bytes
}

/// Sends it byte by byte.
fn dribble(fd: &OwnedFd, bytes: &[u8]) {
    bytes.iter().for_each(|byte| write_all(fd, &[*byte]).unwrap());
}

fn shakes(fd: &OwnedFd) {
    assert_eq!(read(fd, 29), b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
    dribble(fd, b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n");
}

const METHOD: Method<'_> = Method { destination: "d", path: "/p", interface: "i", member: "m" };

/// A message of this kind that replies to a call, with one text.
fn reply(kind: u8, to: u32, text: &str) -> Vec<u8> {
    let mut body = Body::default();
    body.text(text);
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(to.to_le_bytes());
    fields.extend([4, 1, b's', 0, 6, 0, 0, 0]);
    fields.extend(b"a.Name\0\0");
    fields.extend([8, 1, b'g', 0, 1, b's', 0]);
    let mut bytes = vec![b'l', kind, 0, 1];
    bytes.extend((text.len() as u32 + 5).to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend((fields.len() as u32).to_le_bytes());
    bytes.extend(fields);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

fn called(fd: &OwnedFd) {
    let fixed: [u8; FIXED] = read(fd, FIXED).try_into().unwrap();
    read(fd, message::length(&fixed).unwrap() - FIXED);
}

fn ask(bus: &mut Bus<'_>) -> Result<(), Error> {
    bus.shake_hands()?;
    assert_eq!(bus.ask(METHOD, "", &Body::default())?.value()?, "it is");
    Ok(())
}

#[test]
fn replies_are_read_in_parts_and_in_any_order() {
    let side = |fd: &OwnedFd| {
        shakes(fd);
        called(fd);
        // Of another call, and a signal: both are not the reply.
        dribble(fd, &[reply(RETURN, 7, "no"), reply(SIGNAL, 0, "no")].concat());
        write_all(fd, &[reply(RETURN, 1, "it is"), reply(RETURN, 2, "more")].concat()).unwrap();
    };
    assert_eq!(with(side, ask), Ok(()));
}

#[test]
fn an_older_side_says_ok_twice() {
    let side = |fd: &OwnedFd| {
        read(fd, 29);
        write_all(fd, b"OK 00\r\nOK 00\r\n").unwrap();
        called(fd);
        write_all(fd, &reply(RETURN, 1, "it is")).unwrap();
    };
    assert_eq!(with(side, ask), Ok(()));
}

#[test]
fn an_error_is_told_in_the_words_of_the_other_side() {
    let side = |fd: &OwnedFd| {
        shakes(fd);
        called(fd);
        write_all(fd, &reply(ERROR, 1, "Unit x.scope already exists.")).unwrap();
    };
    assert_eq!(with(side, ask), Err("Unit x.scope already exists (a.Name)".to_owned()));
}

#[test]
fn a_bad_side_is_told_in_one_sentence() {
    let silent = |fd: &OwnedFd| {
        read(fd, 29);
        thread::sleep(2 * PATIENCE);
    };
    let half = |fd: &OwnedFd| {
        shakes(fd);
        called(fd);
        write_all(fd, &reply(RETURN, 1, "it is")[..20]).unwrap();
        thread::sleep(2 * PATIENCE);
    };
    // Something every 50 ms, and never a reply.
    let chatty = |fd: &OwnedFd| {
        shakes(fd);
        called(fd);
        for _ in 0..30 {
            let _ = write_all(fd, &reply(RETURN, 9, "no")); // EPIPE: it was given up.
            thread::sleep(Duration::from_millis(50));
        }
    };
    let late = "systemd at /sock did not answer in time";
    let closed = "systemd closed the connection at /sock";
    let nonsense = "what answers at /sock does not speak D-Bus";
    let sides: [(&str, Side, &str); 9] = [
        ("silent", silent, late),
        ("half", half, late),
        ("chatty", chatty, late),
        ("gone", |_| {}, closed),
        ("gone later", |fd| shakes(fd), closed),
        (
            "refuses",
            |fd| write_all(fd, b"REJECTED EXTERNAL\r\n").unwrap(),
            "systemd at /sock refuses this user",
        ),
        ("another", |fd| write_all(fd, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap(), nonsense),
        ("endless", |fd| write_all(fd, &[b'x'; 1000]).unwrap(), nonsense),
        (
            "no message",
            |fd| {
                shakes(fd);
                called(fd);
                write_all(fd, &[b'x'; 100]).unwrap();
            },
            nonsense,
        ),
    ];
    for (name, side, words) in sides {
        let error = with(side, ask).unwrap_err();
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn a_signal_to_vial_ends_the_wait() {
    let (own, _theirs) = socket::pair().unwrap();
    let check = || Err(Error::new("enough"));
    let mut bus = Bus::new(own, "/sock".to_owned(), Duration::from_secs(60), &check).unwrap();
    assert_eq!(bus.shake_hands().unwrap_err().to_string(), "enough");
}

#[test]
fn addresses_of_unix_sockets_are_read() {
    let names = |list: &str| {
        let listed = Address::listed(&list.into());
        listed.iter().map(Address::words).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("unix:path=/run/user/1000/bus"), "/run/user/1000/bus");
    assert_eq!(names("unix:guid=0f,path=/a%20b%2"), "/a b%2");
    assert_eq!(names("tcp:host=a,port=1;unix:abstract=/tmp/x,guid=1;unix:path=/y"), "@/tmp/x /y");
    assert_eq!(names(""), "");
    assert_eq!(names("unixexec:path=/bin/x"), "");
}
