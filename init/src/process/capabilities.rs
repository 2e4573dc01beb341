//! The five capability sets of capabilities(7).

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};

/// Drops all others from the bounding set. Needs CAP_SETPCAP.
pub fn drop_bounding(keep: u64) -> Result<(), Fault> {
    for capability in (0..64).map(|bit| 1_u64 << bit).filter(|capability| keep & capability == 0) {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(capability)) {
            Ok(()) => {}
            Err(Errno::INVAL) => break, // The kernel knows no capability above.
            Err(errno) => return Err(Fault::new(Call::Prctl, Step::DropBounding, errno)),
        }
    }
    Ok(())
}

/// capset(2).
pub fn set(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Fault> {
    let sets = CapabilitySets {
        effective: CapabilitySet::from_bits_retain(effective),
        permitted: CapabilitySet::from_bits_retain(permitted),
        inheritable: CapabilitySet::from_bits_retain(inheritable),
    };
    set_capabilities(None, sets).during(Call::Capset, Step::SetCapabilities)
}

/// Makes the ambient set exactly this one, whatever the caller's was.
pub fn set_ambient(ambient: u64) -> Result<(), Fault> {
    clear_ambient_capability_set().during(Call::Prctl, Step::SetAmbient)?;
    for capability in (0..64).map(|bit| 1_u64 << bit).filter(|capability| ambient & capability != 0)
    {
        configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(capability), true)
            .during(Call::Prctl, Step::SetAmbient)?;
    }
    Ok(())
}
