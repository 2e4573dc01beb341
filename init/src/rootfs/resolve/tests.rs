//! A table of paths that openat2(2) and the walk resolve, and a table of what is made
//! where nothing exists.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, println};

use super::*;
use rustix::fs::{CWD, openat};

/// A root directory, in a directory in which nothing else may appear.
struct Tree(PathBuf);

const LINKS: [(&str, &str); 18] = [
    ("absolute", "/dir"),
    ("relative", "dir"),
    ("above", "../../../dir"),
    ("to-file", "dir/file"),
    ("chain", "chain-2"),
    ("chain-2", "dir/../chain-3"),
    ("chain-3", "/to-file"),
    ("loop", "loop-2"),
    ("loop-2", "loop"),
    ("dangling", "no/such/place"),
    ("dangling-above", "../../run/no/such"),
    ("dangling-twice", "dangling"),
    ("slash", "dir/"),
    ("file-slash", "dir/file/"),
    ("outside", "/../beside"),
    ("dir/back", ".."),
    ("dir/sub/root", "/"),
    ("dir/sub/to-file", "../file"),
];

impl Tree {
    fn new(name: &str) -> Self {
        let tree = Self(std::env::temp_dir().join(format!("vial-{name}-{}", std::process::id())));
        let root = tree.root();
        fs::create_dir_all(root.join("dir/sub")).unwrap();
        for (at, what) in [("file", "top"), ("dir/file", "below")] {
            fs::write(root.join(at), what).unwrap();
        }
        fs::write(tree.0.join("beside"), "outside").unwrap();
        for (at, to) in LINKS {
            symlink(to, root.join(at)).unwrap();
        }
        tree
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    fn rootfs(&self) -> Rootfs {
        let path = std::ffi::CString::new(self.root().into_os_string().into_encoded_bytes());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, &*path.unwrap(), flags, Mode::empty()).unwrap();
        Rootfs::at(root)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What an fd refers to, as one of these paths below the root.
fn found(tree: &Tree, fd: &OwnedFd, names: &[&'static str]) -> &'static str {
    let stat = fstat(fd).unwrap();
    let is_it = |name: &&&str| {
        let seen = fs::symlink_metadata(tree.root().join(name)).unwrap();
        (seen.dev(), seen.ino()) == (stat.st_dev, stat.st_ino)
    };
    names.iter().find(is_it).copied().unwrap_or("something else")
}

const FOLLOW: OFlags = OFlags::PATH;

type Row<'a> = (&'a str, OFlags, bool, core::result::Result<&'a str, Errno>);

fn rows() -> Vec<Row<'static>> {
    const NOENT: core::result::Result<&str, Errno> = Err(Errno::NOENT);
    const NOTDIR: core::result::Result<&str, Errno> = Err(Errno::NOTDIR);
    const LOOP: core::result::Result<&str, Errno> = Err(Errno::LOOP);
    let mut rows = Vec::from([
        ("dir", FOLLOW, true, Ok("dir")),
        ("/dir", FOLLOW, true, Ok("dir")),
        ("//dir//./file", FOLLOW, true, Ok("dir/file")),
        ("dir/", FOLLOW, true, Ok("dir")),
        ("dir/.", FOLLOW, true, Ok("dir")),
        (".", FOLLOW, true, Ok("")),
        ("/", FOLLOW, true, Ok("")),
        ("..", FOLLOW, true, Ok("")),
        ("../../file", FOLLOW, true, Ok("file")),
        ("dir/sub/../../file", FOLLOW, true, Ok("file")),
        ("../beside", FOLLOW, true, NOENT),
        ("", FOLLOW, false, NOENT),
        ("none", FOLLOW, false, NOENT),
        ("none/..", FOLLOW, false, NOENT),
        ("dir/none", FOLLOW, true, NOENT),
        ("file/x", FOLLOW, false, NOTDIR),
        ("file/", FOLLOW, false, NOTDIR),
        ("file/.", FOLLOW, false, NOTDIR),
        ("file/..", FOLLOW, false, NOTDIR),
        ("file", DIRECTORY, false, NOTDIR),
        ("dir", DIRECTORY, false, Ok("dir")),
        ("to-file", DIRECTORY, false, NOTDIR),
        ("absolute", DIRECTORY, false, Ok("dir")),
        ("outside", FOLLOW, false, NOENT),
        ("dir/sub/root/dir/file", FOLLOW, false, Ok("dir/file")),
        ("dir/sub/root/../file", FOLLOW, false, Ok("file")),
        ("dir/sub/to-file", FOLLOW, false, Ok("dir/file")),
        ("dir/back/file", FOLLOW, false, Ok("file")),
        ("absolute/file", FOLLOW, false, Ok("dir/file")),
        ("relative/sub/..", FOLLOW, false, Ok("dir")),
        ("relative/..", FOLLOW, false, Ok("")),
        ("above/file", FOLLOW, false, Ok("dir/file")),
        ("chain", FOLLOW, false, Ok("dir/file")),
        ("chain/x", FOLLOW, false, NOTDIR),
        ("slash", FOLLOW, false, Ok("dir")),
        ("file-slash", FOLLOW, false, NOTDIR),
        ("loop", FOLLOW, false, LOOP),
        ("loop/x", FOLLOW, false, LOOP),
        ("dangling", FOLLOW, false, NOENT),
        ("dangling-twice/x", FOLLOW, false, NOENT),
    ]);
    // strict: no symbolic link is allowed, wherever it is and wherever it leads.
    for path in ["relative", "absolute/file", "dangling", "loop", "dir/back/file", "to-file"] {
        rows.push((path, FOLLOW, true, LOOP));
    }
    rows.push(("none/relative", FOLLOW, true, NOENT));
    rows
}

/// Paths at the limits of length and count.
fn long_rows() -> Vec<(String, core::result::Result<&'static str, Errno>)> {
    Vec::from([
        ("n".repeat(255), Err(Errno::NOENT)),
        ("n".repeat(256), Err(Errno::NAMETOOLONG)),
        ("./".repeat(2046) + "dir", Ok("dir")),
        ("./".repeat(2046) + "dir/", Err(Errno::NAMETOOLONG)),
        ("dir/../".repeat(60) + "file", Ok("file")),
        ("dir/back/".repeat(40) + "file", Ok("file")),
        ("dir/back/".repeat(41) + "file", Err(Errno::LOOP)),
    ])
}

#[test]
fn openat2_and_the_walk_resolve_alike() {
    let tree = Tree::new("resolve");
    let rootfs = tree.rootfs();
    let names = ["", "dir", "file", "dir/file", "dir/sub"];
    let mut wrong = 0;
    let long = long_rows();
    let all = long.iter().map(|(path, wanted)| (&**path, FOLLOW, false, *wanted));
    for (path, flags, strict, wanted) in rows().into_iter().chain(all) {
        let text = std::ffi::CString::new(path).unwrap();
        let by_call = rootfs.open_at_once(&text, flags | OFlags::CLOEXEC, strict);
        let by_walk = walk::open(rootfs.root(), path.as_bytes(), flags | OFlags::CLOEXEC, strict);
        let by_walk = by_walk.map_err(Fault::errno);
        for (how, seen) in [("openat2", by_call), ("the walk", by_walk)] {
            let seen = seen.map(|fd| found(&tree, &fd, &names));
            if seen != wanted {
                wrong += 1;
                println!("{path:.60}, strict {strict}: {seen:?} by {how}, not {wanted:?}");
            }
        }
    }
    assert_eq!(wrong, 0);
}

/// A path, what to make there, and what then exists, or the errno.
const MADE: [(&str, Make, core::result::Result<&str, Errno>); 17] = [
    ("new", Make::Directory, Ok("new")),
    ("/new-file", Make::File, Ok("new-file")),
    ("dir/new/a/b", Make::Directory, Ok("dir/new/a/b")),
    ("dir/other/a/file", Make::File, Ok("dir/other/a/file")),
    ("absolute/by-link", Make::File, Ok("dir/by-link")),
    ("dangling", Make::Directory, Ok("no/such/place")),
    ("dangling/x/y", Make::File, Ok("no/such/place/x/y")),
    ("dangling-twice", Make::File, Ok("no/such/place")),
    ("dangling-above", Make::File, Ok("run/no/such")),
    ("outside", Make::File, Ok("beside")),
    ("../../up", Make::File, Ok("up")),
    ("dir/sub/root/x", Make::Directory, Ok("x")),
    ("dir/file", Make::File, Ok("dir/file")),
    ("loop", Make::Directory, Err(Errno::LOOP)),
    ("loop/x", Make::File, Err(Errno::LOOP)),
    ("file/x", Make::File, Err(Errno::NOTDIR)),
    ("to-file/x/y", Make::Directory, Err(Errno::NOTDIR)),
];

#[test]
fn what_is_missing_is_made_within_the_root() {
    type Way = fn(&Rootfs, &CStr, Make) -> Result<OwnedFd>;
    let ways: [(&str, Way); 2] = [
        ("place", |rootfs, path, make| Ok(rootfs.mount_point(path, make, false)?.fd)),
        ("walk", |rootfs, path, make| walk::make(rootfs.root(), path.to_bytes(), make, false)),
    ];
    for (how, way) in ways {
        for (path, make, wanted) in MADE {
            let tree = Tree::new("make");
            let text = std::ffi::CString::new(path).unwrap();
            let seen = way(&tree.rootfs(), &text, make).map_err(|fault| fault.errno());
            let what = format!("{path} by {how}");
            match wanted {
                Ok(name) => {
                    let fd = seen.unwrap_or_else(|errno| panic!("{what}: {errno:?}"));
                    assert_eq!(found(&tree, &fd, &[name]), name, "{what}");
                    let is_directory = tree.root().join(name).is_dir();
                    assert_eq!(is_directory, make == Make::Directory, "{what}");
                }
                Err(errno) => assert_eq!(seen.map(|_| ()), Err(errno), "{what}"),
            }
            unchanged(&tree, &what);
        }
    }
}

/// The symbolic links have not changed, and nothing new is beside the root.
fn unchanged(tree: &Tree, what: &str) {
    for (at, to) in LINKS {
        assert_eq!(fs::read_link(tree.root().join(at)).unwrap(), Path::new(to), "{what}: {at}");
    }
    let names = fs::read_dir(&tree.0).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().to_string()).collect();
    names.sort();
    assert_eq!(names, ["beside", "root"], "{what}");
    assert_eq!(fs::read_to_string(tree.0.join("beside")).unwrap(), "outside", "{what}");
}

#[test]
fn proc_sys_and_dev_may_not_be_links_themselves() {
    let tree = Tree::new("first");
    for name in ["proc", "sys", "dev"] {
        symlink("dir", tree.root().join(name)).unwrap();
        let path = std::ffi::CString::new(format!("/{name}/sub")).unwrap();
        let fault = tree.rootfs().mount_point(&path, Make::Directory, false).unwrap_err();
        assert_eq!((fault.step(), fault.errno()), (Step::SymlinkTarget, Errno::LOOP), "{name}");
    }
}

#[test]
fn link_to_proc_is_no_place() {
    let tree = Tree::new("proc");
    fs::create_dir(tree.root().join("proc")).unwrap();
    for (at, to) in [("data", "proc"), ("more", "/dir/../proc"), ("most", "data")] {
        symlink(to, tree.root().join(at)).unwrap();
        let path = std::ffi::CString::new(at).unwrap();
        let fault = tree.rootfs().mount_point(&path, Make::Directory, false).unwrap_err();
        assert_eq!((fault.step(), fault.errno()), (Step::LinkIntoProc, Errno::LOOP), "{at}");
    }
}

#[test]
fn magic_links_of_procfs_are_not_followed() {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, c"/", flags, Mode::empty()).unwrap();
    let rootfs = Rootfs::at(root);
    for (path, wanted) in [
        (c"/proc/self/root", Err(Errno::LOOP)),
        (c"/proc/self/cwd/x", Err(Errno::LOOP)),
        (c"/proc/thread-self/exe", Err(Errno::LOOP)),
        (c"/proc/mounts", Ok(())),
        (c"/proc/self/status", Ok(())),
    ] {
        let by_call = rootfs.open_at_once(path, FOLLOW | OFlags::CLOEXEC, false).map(|_| ());
        let by_walk = walk::open(rootfs.root(), path.to_bytes(), FOLLOW | OFlags::CLOEXEC, false);
        let by_walk = by_walk.map(|_| ()).map_err(Fault::errno);
        assert_eq!((by_call, by_walk), (wanted, wanted), "{path:?}");
    }
}
