//! A create that is stuck, on a filesystem that does not answer.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::container::{Container, wait_until, words};
use super::edit;
use super::hostile::cgroup_of;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!("stuck", create_that_died_is_cleared_from_any_cgroup[Root, Fuse],);

/// A FUSE filesystem whose server never says a word. It goes with this, and
/// whoever waits for it goes on.
struct Dead {
    path: PathBuf,
    _server: File,
}

impl Dead {
    fn new(context: &Context) -> Result<Self, String> {
        let path = context.folder.join(format!("dead-{}", context.id()));
        fs::create_dir(&path).map_err(words)?;
        let server = File::options().read(true).write(true).open("/dev/fuse").map_err(words)?;
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let data = CString::new(data).map_err(words)?;
        mount("vial-dead", &path, "fuse", MountFlags::empty(), data.as_c_str()).map_err(words)?;
        Ok(Self { path, _server: server })
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        let _ = unmount(&self.path, UnmountFlags::DETACH); // Left for leftovers to tell.
    }
}

/// A container that binds something of it, and its create, which is stuck there.
fn stuck<'a>(context: &'a Context, dead: &Dead) -> Result<(Container<'a>, Child), String> {
    let source = dead.path.join("file").to_string_lossy().into_owned();
    let container = Container::planned(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        edit::bind(config, &source, "/mnt", &["bind"]);
    })?;
    let mut command = context.command(&["create", "--bundle"]);
    command.arg(&container.bundle.path).arg(&container.id);
    let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let create = streams.spawn().map_err(words)?;
    let id = create.id();
    wait_until("the create to be stuck", || {
        let mut below = crate::processes::descendants(id).into_iter();
        below.any(|(pid, _)| {
            let wchan = fs::read_to_string(format!("/proc/{pid}/wchan"));
            let stack = fs::read_to_string(format!("/proc/{pid}/stack"));
            [wchan, stack].into_iter().flatten().any(|text| text.contains("fuse"))
        })
    })?;
    Ok((container, create))
}

fn create_that_died_is_cleared_from_any_cgroup(context: &Context) -> Outcome {
    let dead = Dead::new(context)?;
    let before = context.leftovers();
    // The create is in another cgroup than whoever deletes, so that what it makes
    // beside its own lies elsewhere.
    let own = cgroup_of(std::process::id().into())?;
    let above = own.join(context.id());
    let inner = above.join("caller");
    fs::create_dir_all(&inner).map_err(words)?;
    let enter = |cgroup: &Path| fs::write(cgroup.join("cgroup.procs"), "0").map_err(words);
    enter(&inner)?;
    let made = stuck(context, &dead);
    enter(&own)?;
    let (container, mut create) = made?;
    create.kill().and_then(|()| create.wait()).map_err(words)?;
    let path = above.join(format!("vial-{}", container.id));
    same("the cgroup is there", path.exists(), true)?;
    container.remove()?;
    same("the cgroup is there", path.exists(), false)?;
    fs::remove_dir(&inner).and_then(|()| fs::remove_dir(&above)).map_err(words)?;
    wait_until("the end of it all", || {
        crate::processes::reap();
        context.nothing_left_since(&before).is_ok()
    })
    .map_err(|why| format!("{why}: {:?}", context.nothing_left_since(&before)))?;
    Ok(())
}
