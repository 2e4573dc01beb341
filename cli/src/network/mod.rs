//! linux.netDevices: moves network devices of the host into the container's network
//! namespace (config-linux.md, "Network Devices").
//!
//! A device keeps its permanent global addresses, which the kernel drops when it moves.
//! Nothing moves it back when the container is deleted: that is up to the kernel, which
//! gives a physical device back to the host when the namespace ends, and up to the
//! owner of a namespace that was given by its path.

pub mod netlink;

use linux_raw_sys::general::CLONE_NEWNET;
use linux_raw_sys::net::net_device_flags::IFF_UP;
use linux_raw_sys::netlink::{
    _bindgen_ty_2, _bindgen_ty_56, _bindgen_ty_62, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR,
    IFA_F_MCAUTOJOIN, IFA_F_NODAD, IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, NLM_F_CREATE, NLM_F_EXCL,
    rt_scope_t,
};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use vial_init::sys::setns::setns;

use self::netlink::{Netlink, add, attributes};
use crate::error::Error;

const NEWLINK: u16 = _bindgen_ty_62::RTM_BASE as u16;
const GETLINK: u16 = _bindgen_ty_62::RTM_GETLINK as u16;
const NEWADDR: u16 = _bindgen_ty_62::RTM_NEWADDR as u16;
const GETADDR: u16 = _bindgen_ty_62::RTM_GETADDR as u16;
const IFNAME: u16 = _bindgen_ty_2::IFLA_IFNAME as u16;
const NET_NS_FD: u16 = _bindgen_ty_2::IFLA_NET_NS_FD as u16;
const FLAGS: u16 = _bindgen_ty_56::IFA_FLAGS as u16;

/// The attributes of an address that are kept: the address, that of a peer, the
/// broadcast address and the metric. Not its label, which names the device.
const KEPT: [u16; 4] = [
    _bindgen_ty_56::IFA_ADDRESS as u16,
    _bindgen_ty_56::IFA_LOCAL as u16,
    _bindgen_ty_56::IFA_BROADCAST as u16,
    _bindgen_ty_56::IFA_RT_PRIORITY as u16,
];

/// The flags of an address that its owner sets.
const KEPT_FLAGS: u32 =
    IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;

/// struct ifinfomsg
const LINK: usize = 16;
/// struct ifaddrmsg
const ADDRESS: usize = 8;

/// Devices to move. As a guard, it moves those that it has moved back when it goes out
/// of scope, unless the container is complete.
#[derive(Debug, Default)]
pub struct Devices {
    host: Option<Place>,
    devices: Vec<Device>,
}

/// A network namespace.
#[derive(Debug)]
struct Place {
    namespace: OwnedFd,
    netlink: Netlink,
}

/// A device of the host.
#[derive(Debug)]
struct Device {
    /// Its name on the host.
    name: String,
    /// Its name in the container, or a template.
    new_name: String,
    /// Its index on the host.
    index: u32,
    /// Whether it was up.
    was_up: bool,
    /// The requests that add its addresses, without the device's index.
    addresses: Vec<Vec<u8>>,
    /// Where it is now, and its index there, once it has moved.
    moved: Option<(Place, u32)>,
}

impl Devices {
    /// Finds the devices, each given by its name and its new name. Changes nothing.
    pub fn find(names: &[(String, String)]) -> Result<Devices, Error> {
        let mut found = Devices::default();
        if names.is_empty() {
            return Ok(found);
        }
        let failed = |errno| Error::errno("open the network namespace", errno);
        let host = Place::here().map_err(failed)?;
        for (name, new_name) in names {
            let device = host.find(name, new_name).map_err(|errno| match errno {
                Errno::NODEV => Error::new(format_args!(
                    "config.json linux.netDevices[\"{name}\"]: the host has no such network device"
                )),
                errno => about(name, "look it up", errno),
            })?;
            found.devices.push(device);
        }
        found.host = Some(host);
        Ok(found)
    }

    /// Moves them into the network namespace of this process.
    pub fn move_to(&mut self, pid: u32) -> Result<(), Error> {
        let Some(host) = &self.host else { return Ok(()) };
        for device in &mut self.devices {
            device.move_to(host, pid)?;
        }
        Ok(())
    }

    /// The container is complete: the devices stay there.
    pub fn forget(mut self) {
        self.devices.clear();
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        let Some(host) = &self.host else { return };
        for device in self.devices.iter_mut().rev() {
            let _ = device.move_back(host); // Only the error that led here is told.
        }
    }
}

impl Place {
    /// The namespace of this process.
    fn here() -> rustix::io::Result<Place> {
        Ok(Place { namespace: open("/proc/self/ns/net")?, netlink: Netlink::new()? })
    }

    /// Another namespace. A socket belongs to the namespace in which it is made, so
    /// this process enters it for that moment.
    fn there(path: &str, host: &Place) -> rustix::io::Result<Place> {
        let namespace = open(path)?;
        setns(namespace.as_fd(), CLONE_NEWNET)?;
        let netlink = Netlink::new();
        setns(host.namespace.as_fd(), CLONE_NEWNET)?;
        Ok(Place { namespace, netlink: netlink? })
    }

    fn find(&self, name: &str, new_name: &str) -> rustix::io::Result<Device> {
        let mut body = vec![0; LINK];
        add_text(&mut body, IFNAME, name);
        let found = self.netlink.request(GETLINK, 0, &body)?;
        let link = found.first().and_then(|link| link.first_chunk::<LINK>()).ok_or(Errno::NODEV)?;
        Ok(Device {
            name: name.to_owned(),
            new_name: new_name.to_owned(),
            index: number(link, 4),
            was_up: number(link, 8) & IFF_UP as u32 != 0,
            addresses: Vec::new(),
            moved: None,
        })
    }

    /// The index and the name of each device.
    fn links(&self) -> rustix::io::Result<Vec<(u32, Vec<u8>)>> {
        let link = |message: Vec<u8>| {
            let (head, rest) = message.split_first_chunk::<LINK>()?;
            let (_, name) = attributes(rest).find(|(kind, _)| *kind == IFNAME)?;
            Some((number(head, 4), name.split(|byte| *byte == 0).next()?.to_vec()))
        };
        Ok(self.netlink.dump(GETLINK, &[0; LINK])?.into_iter().filter_map(link).collect())
    }

    /// The permanent global addresses of a device, each as the request that adds it.
    fn addresses(&self, index: u32) -> rustix::io::Result<Vec<Vec<u8>>> {
        let all = self.netlink.dump(GETADDR, &[0; ADDRESS])?;
        Ok(all.iter().filter_map(|address| kept(address, index)).collect())
    }

    /// Adds addresses to a device.
    fn add_addresses(&self, index: u32, addresses: &[Vec<u8>]) -> rustix::io::Result<()> {
        for address in addresses {
            let mut body = address.clone();
            if let Some(place) = body.get_mut(4..ADDRESS) {
                place.copy_from_slice(&index.to_ne_bytes());
            }
            match self.netlink.request(NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body) {
                Ok(_) | Err(Errno::EXIST) => {} // The kernel has kept it.
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Moves a device to another namespace under this name.
    fn send(&self, index: u32, name: &str, to: &Place) -> rustix::io::Result<()> {
        let mut body = link(index, 0);
        add_text(&mut body, IFNAME, name);
        let fd = to.namespace.as_raw_fd().cast_unsigned();
        add(&mut body, NET_NS_FD, &fd.to_ne_bytes());
        self.netlink.request(NEWLINK, 0, &body).map(|_| ())
    }

    fn set_up(&self, index: u32) -> rustix::io::Result<()> {
        self.netlink.request(NEWLINK, 0, &link(index, IFF_UP as u32)).map(|_| ())
    }
}

impl Device {
    fn move_to(&mut self, host: &Place, pid: u32) -> Result<(), Error> {
        let name = self.name.clone();
        let failed = |what: &'static str| move |errno| about(&name, what, errno);
        let place = Place::there(&format!("/proc/{pid}/ns/net"), host)
            .map_err(failed.clone()("enter the container's network namespace"))?;
        let before = place.links().map_err(failed.clone()("list the container's devices"))?;
        let new_name = self.new_name.as_bytes();
        if before.iter().any(|(_, name)| name == new_name) {
            return Err(about_name(&self.name, &self.new_name));
        }
        // Before it moves, and while it is up: IPv6 addresses go with either.
        self.addresses =
            host.addresses(self.index).map_err(failed.clone()("read its addresses"))?;
        let sent = host.send(self.index, &self.new_name, &place);
        // It may have another index there, and a failed change of its name leaves it
        // there with the old one.
        let after = place.links().map_err(failed.clone()("list the container's devices"))?;
        let is_new = |(index, _): &&(u32, Vec<u8>)| before.iter().all(|(known, _)| known != index);
        let index = after.iter().find(is_new).map(|(index, _)| *index);
        let moved = index.map(|index| &*self.moved.insert((place, index)));
        sent.map_err(failed.clone()("move it"))?;
        let (place, index) = moved.ok_or(Errno::NODEV).map_err(failed.clone()("find it again"))?;
        place
            .add_addresses(*index, &self.addresses)
            .map_err(failed.clone()("add its addresses"))?;
        place.set_up(*index).map_err(failed("set it up"))
    }

    fn move_back(&mut self, host: &Place) -> rustix::io::Result<()> {
        let Some((place, index)) = self.moved.take() else { return Ok(()) };
        place.send(index, &self.name, host)?;
        let back = host.find(&self.name, "")?;
        host.add_addresses(back.index, &self.addresses)?;
        if self.was_up { host.set_up(back.index) } else { Ok(()) }
    }
}

/// The request that adds this address again, if it is a permanent global one of the
/// device with this index.
fn kept(address: &[u8], index: u32) -> Option<Vec<u8>> {
    let (head, rest) = address.split_first_chunk::<ADDRESS>()?;
    let [family, prefix, flags, scope, ..] = *head;
    let flags = attributes(rest)
        .find(|(kind, _)| *kind == FLAGS)
        .and_then(|(_, value)| Some(u32::from_ne_bytes(*value.first_chunk()?)))
        .unwrap_or(flags.into());
    let is_global = u32::from(scope) == rt_scope_t::RT_SCOPE_UNIVERSE as u32;
    if number(head, 4) != index || flags & IFA_F_PERMANENT == 0 || !is_global {
        return None;
    }
    let mut body = vec![family, prefix, 0, scope, 0, 0, 0, 0];
    for (kind, value) in attributes(rest).filter(|(kind, _)| KEPT.contains(kind)) {
        add(&mut body, kind, value);
    }
    add(&mut body, FLAGS, &(flags & KEPT_FLAGS).to_ne_bytes());
    Some(body)
}

/// struct ifinfomsg for a device, with these flags to set.
fn link(index: u32, flags: u32) -> Vec<u8> {
    let numbers = [0, index, flags, flags];
    numbers.iter().flat_map(|number: &u32| number.to_ne_bytes()).collect()
}

fn add_text(body: &mut Vec<u8>, kind: u16, text: &str) {
    add(body, kind, &[text.as_bytes(), b"\0"].concat());
}

/// The number at this place.
fn number(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn about(name: &str, what: &str, errno: Errno) -> Error {
    let what = format_args!(
        "move network device {name} (config.json linux.netDevices[\"{name}\"]): {what}: netlink(7)"
    );
    let error = Error::errno(what, errno);
    match errno {
        Errno::PERM => error.hint("this needs CAP_NET_ADMIN and CAP_SYS_ADMIN"),
        Errno::INVAL => error.hint("some devices cannot leave their namespace, such as lo"),
        _ => error,
    }
}

fn about_name(name: &str, new_name: &str) -> Error {
    Error::new(format_args!(
        "config.json linux.netDevices[\"{name}\"]: the container has a device {new_name} already"
    ))
}

fn open(path: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())
}
