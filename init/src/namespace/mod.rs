//! What stage 2 does to its namespaces. The arms are in the order in which the planner
//! writes the items.

pub mod join;
mod keyring;
pub mod loopback;

use vial_plan::{Call, Gate, NamespaceItem, Step};

use crate::fault::{During, Fault};
use crate::process::user;
use crate::sys::unshare::unshare;
use crate::{Life, cgroup, gate};

/// Carries out one item.
#[inline(always)]
pub fn carry_out(life: &mut Life, item: NamespaceItem<'static>) -> Result<(), Fault> {
    match item {
        NamespaceItem::AwaitMapping { pipe } => gate::await_mapping(life, pipe),
        NamespaceItem::JoinProcess { kinds, pid, pidfd } => {
            join::process(life.slots.get(pidfd), pid, kinds, life.procfs()?)
        }
        NamespaceItem::BecomeRoot { groups } => user::become_root(groups),
        NamespaceItem::Session {} => {
            rustix::process::setsid().map(|_| ()).during(Call::Setsid, Step::MakeSession)
        }
        NamespaceItem::KeyLabel { label } => {
            life.procfs()?.write(c"self/attr/keycreate", label.to_bytes())
        }
        NamespaceItem::Keyring { name, make } => keyring::join(name, make),
        NamespaceItem::Unshare { kinds } => unshare(kinds).during(Call::Unshare, Step::Unshare),
        NamespaceItem::Loopback {} => loopback::up(),
        // Only `vial plan` needs the names.
        NamespaceItem::NetDevices { names: _ } => {
            gate::await_vial(life, life.procfs()?, Gate::NetDevices, Step::AwaitDevices)
        }
        NamespaceItem::Hostname { name } => rustix::system::sethostname(name.to_bytes())
            .during(Call::Sethostname, Step::SetHostname),
        NamespaceItem::Domainname { name } => rustix::system::setdomainname(name.to_bytes())
            .during(Call::Setdomainname, Step::SetDomainname),
        NamespaceItem::Sysctl { path, value } => {
            life.procfs()?.write_parameter(path, value.to_bytes())
        }
        NamespaceItem::EnterCgroup { tasks } => cgroup::enter_by_tasks(life.slots.take(tasks)),
    }
}
