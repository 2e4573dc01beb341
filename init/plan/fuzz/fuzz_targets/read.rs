//! Reads any bytes as a Plan and as a Reply: nothing is read outside them, nothing
//! panics, and what was decoded encodes to the same bytes.
//!
//! `cargo +nightly fuzz run read` in init/plan, with cargo-fuzz installed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vial_plan::{Header, Items, Reply, Stage, write_item};

fuzz_target!(|bytes: &[u8]| {
    for stage in Stage::ALL {
        let mut again = Vec::new();
        for (_, item) in Items::new(stage, bytes, 0) {
            let Ok(item) = item else { break };
            write_item(item.encode(), &mut |part| again.extend_from_slice(part));
        }
        assert!(bytes.starts_with(&again));
    }

    if let Some((head, body)) = bytes.split_at_checked(Header::SIZE)
        && let Ok(header) = Header::from_bytes(head)
    {
        for stage in Stage::ALL {
            let _ = header.items(stage, body).map(Iterator::count);
        }
    }
    if let Some(reply) = Reply::from_bytes(bytes) {
        assert_eq!(Reply::from_bytes(&reply.to_bytes()), Some(reply));
    }
});
