//! The socket to vial: the Plan comes in, Replies go out.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, read, write};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vial_plan::{Call, Header, Refused, Reply, Step};

use crate::fault::{During, Fault};
use crate::path::PATH_MAX;
use crate::slots::Slots;
use crate::sys::memory;

/// Room for the strings of execve that are not in the Plan: the program's path, HOME
/// and LISTEN_PID. Pages that are never written cost nothing.
const SCRATCH: usize = PATH_MAX + 512 + 32;

/// A received Plan, in memory that lives as long as the process.
#[derive(Debug)]
pub struct Received {
    /// The header.
    pub header: Header,
    /// The sections.
    pub body: &'static [u8],
    /// The memory that the header asked for.
    pub memory: Memory,
    /// The slots, empty.
    pub slots: Slots,
}

/// Memory for what execve reads.
#[derive(Debug)]
pub struct Memory {
    /// Room for the pointers of argv and envp.
    pub pointers: &'static mut [usize],
    /// Zeroed bytes for strings.
    scratch: &'static mut [u8],
}

impl Memory {
    /// Copies a string and its NUL into memory that lives as long as the process.
    pub fn keep(&mut self, text: &[u8]) -> Option<&'static CStr> {
        let scratch = core::mem::take(&mut self.scratch);
        let (room, rest) = scratch.split_at_mut_checked(text.len().checked_add(1)?)?;
        self.scratch = rest;
        for (to, from) in room.iter_mut().zip(text) {
            *to = *from;
        }
        CStr::from_bytes_until_nul(room).ok()
    }
}

/// Receives a whole Plan into memory of exactly its size. There is no buffer that an
/// item could overrun, and each stage finds its own section.
pub fn receive_plan(channel: &mut OwnedFd) -> Result<Received, Fault> {
    let mut head = [0; Header::SIZE];
    read_whole(channel, &mut head)?;
    let header = Header::from_bytes(&head).map_err(|refused| match refused {
        Refused::NotAPlan => Fault::PLAN,
        Refused::OtherBuild => Fault::new(Call::None, Step::OtherBuild, Errno::NOEXEC),
    })?;
    let length = header.body().ok_or(Fault::PLAN)?;
    let room = length.checked_add(SCRATCH).ok_or(Fault::PLAN)?;
    let (pointers, slots) = (header.pointers as usize, header.slots as usize);
    let (pointers, slots, bytes) =
        memory::map(pointers, slots, room).during(Call::Mmap, Step::MapPlan)?;
    let (body, scratch) = bytes.split_at_mut_checked(length).ok_or(Fault::PLAN)?;
    read_whole(channel, body)?;
    Ok(Received { header, body, memory: Memory { pointers, scratch }, slots: Slots(slots) })
}

fn read_whole(channel: &OwnedFd, mut bytes: &mut [u8]) -> Result<(), Fault> {
    while !bytes.is_empty() {
        match read(channel, &mut *bytes) {
            Ok(0) => return Err(Fault::new(Call::Read, Step::ReadPlan, Errno::PIPE)),
            Ok(count) => bytes = bytes.get_mut(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Fault::new(Call::Read, Step::ReadPlan, errno)),
        }
    }
    Ok(())
}

/// Sends one message made of these parts; an fd goes along as SCM_RIGHTS.
pub fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    fd: Option<BorrowedFd<'_>>,
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = fd.as_slice();
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::NOBUFS);
    }
    sendmsg(socket, parts, &mut ancillary, SendFlags::NOSIGNAL).map(|_| ())
}

/// Sends a reply.
pub fn reply(channel: &impl AsFd, reply: &Reply) -> Result<(), Fault> {
    write(channel, &reply.to_bytes()).map(|_| ()).during(Call::Write, Step::SendReply)
}
