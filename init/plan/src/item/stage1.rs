//! The items of stage 1, in the new user namespace, before the other namespaces.

use core::ffi::CStr;

items! {
    /// An item of stage 1.
    4 Stage1 "" of One {
        /// Wait until the mapping is written.
        1 AwaitMapping { pipe: u32, }
        /// Become uid and gid 0 of the user namespace.
        2 BecomeRoot { groups: bool, }
        /// Move the process into these new namespaces.
        3 Unshare { kinds: u32, }
        /// Write the offsets of the new time namespace.
        4 TimeOffsets { offsets: &'a CStr, }
        /// Start the next stage in these new namespaces.
        5 Clone { stage: u32, kinds: u32, }
    }
}
